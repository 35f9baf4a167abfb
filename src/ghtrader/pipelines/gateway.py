"""`ghtrader gateway run`: the lock first, everything heavy behind it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ghtrader.core.errors import UsageError
from ghtrader.core.progress import NO_PROGRESS, Progress
from ghtrader.ports.lock import gateway_key

if TYPE_CHECKING:
    from ghtrader.pipelines.gateway_process import GatewayReport
    from ghtrader.pipelines.services import Services

__all__ = ["FILL_MODELS", "MODES", "GatewayRequest", "run_gateway"]

FILL_MODELS = ("back", "pro_rata", "front")
MODES = ("idle", "paper", "sim", "live_monitor", "live_trade")
Tell = Callable[[str, dict[str, Any]], None]


@dataclass(frozen=True, kw_only=True)
class GatewayRequest:
    """Options of ``ghtrader gateway run``.

    replay: a folder of tick files, or None for live ticks. symbols: contracts, varieties or aliases; none: what the replay has, or
    what is wanted of the account already. fill_model: of the simulated venue. speed: ``max``, or how many times real time. wait_s:
    for a strategy before a replay begins. screening: the venue keeps the rules that the screening backtester simplifies to, and no
    risk limit binds.

    Live: mode: what is wanted of the account from now on ("": as it was). confirm_live: the second gate of live trading. for_s:
    seconds until the end; None: until a signal. market_time: the time is that of the ticks, for a market that is not the present
    one. record: whether ticks are stored.
    """

    account: str
    replay: Path | None = None
    symbols: tuple[str, ...] = ()
    fill_model: str = "back"
    speed: str = "max"
    wait_s: float = 120.0
    screening: bool = False
    mode: str = ""
    confirm_live: str = ""
    for_s: float | None = None
    market_time: bool = False
    record: bool = True

    def __post_init__(self) -> None:
        if self.fill_model not in FILL_MODELS:
            raise UsageError(f"no fill model {self.fill_model!r}", hint=f"one of {', '.join(FILL_MODELS)}")
        if self.speed != "max" and not _is_number(self.speed):
            raise UsageError(f"no speed {self.speed!r}", hint="max, or a factor such as 1 or 60")
        if self.mode and self.mode not in MODES:
            raise UsageError(f"no mode {self.mode!r}", hint=f"one of {', '.join(MODES)}")
        if self.market_time and not self.symbols:
            raise UsageError("the time of the market needs a contract to go by", hint="--symbol SHFE.rb2510")


def _is_number(text: str) -> bool:
    try:
        return float(text) > 0
    except ValueError:
        return False


def run_gateway(services: Services, request: GatewayRequest, tell: Tell, *, progress: Progress = NO_PROGRESS) -> GatewayReport:
    """Run a gateway until its replay or its time ends, or a signal.

    Raises LockHeldError at once when another process is the account's gateway, StoreError when the journal cannot be written.
    """
    lock = services.trading().locks().acquire(gateway_key(request.account))
    try:
        if request.replay is None:
            from ghtrader.pipelines.gateway_live import serve_live

            return serve_live(services, request, tell)
        from ghtrader.pipelines.gateway_process import serve

        return serve(services, request, tell, progress=progress)
    finally:
        lock.release()
