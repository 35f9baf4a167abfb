"""`ghtrader gateway run`: the lock first, everything heavy behind it."""

from __future__ import annotations

import math
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

__all__ = ["FILL_MODELS", "MODES", "GatewayRequest", "check_fill_model", "check_speed", "run_gateway"]

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
        check_fill_model(self.fill_model)
        check_speed(self.speed)
        if self.mode and self.mode not in MODES:
            raise UsageError(f"no mode {self.mode!r}", hint=f"one of {', '.join(MODES)}")
        if self.market_time and not self.symbols:
            raise UsageError("the time of the market needs a contract to go by", hint="--symbol SHFE.rb2510")


def check_fill_model(name: str) -> None:
    """Raises UsageError for a fill model that there is not."""
    if name not in FILL_MODELS:
        raise UsageError(f"no fill model {name!r}", hint=f"one of {', '.join(FILL_MODELS)}")


def check_speed(text: str) -> None:
    """Raises UsageError for what is neither ``max`` nor a factor."""
    try:
        fits = text == "max" or 0 < float(text) < math.inf
    except ValueError:
        fits = False
    if not fits:
        raise UsageError(f"no speed {text!r}", hint="max, or a factor such as 1 or 60")


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
