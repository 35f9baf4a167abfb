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

__all__ = ["FILL_MODELS", "GatewayRequest", "run_gateway"]

FILL_MODELS = ("back", "pro_rata", "front")
Tell = Callable[[str, dict[str, Any]], None]


@dataclass(frozen=True, kw_only=True)
class GatewayRequest:
    """Options of ``ghtrader gateway run``.

    replay: a folder of tick files, or None for live ticks. symbols: contracts, varieties or aliases; none: what the replay has.
    fill_model: of the simulated venue. speed: ``max``, or how many times real time. wait_s: for a strategy before a replay begins.
    screening: the venue keeps the rules that the screening backtester simplifies to, and no risk limit binds.
    """

    account: str
    replay: Path | None = None
    symbols: tuple[str, ...] = ()
    fill_model: str = "back"
    speed: str = "max"
    wait_s: float = 120.0
    screening: bool = False

    def __post_init__(self) -> None:
        if self.fill_model not in FILL_MODELS:
            raise UsageError(f"no fill model {self.fill_model!r}", hint=f"one of {', '.join(FILL_MODELS)}")
        if self.speed != "max" and not _is_number(self.speed):
            raise UsageError(f"no speed {self.speed!r}", hint="max, or a factor such as 1 or 60")


def _is_number(text: str) -> bool:
    try:
        return float(text) > 0
    except ValueError:
        return False


def run_gateway(services: Services, request: GatewayRequest, tell: Tell, *, progress: Progress = NO_PROGRESS) -> GatewayReport:
    """Run a gateway until its replay ends, or a signal.

    Raises LockHeldError at once when another process is the account's gateway, StoreError when the journal cannot be written.
    """
    lock = services.trading().locks().acquire(gateway_key(request.account))
    try:
        from ghtrader.pipelines.gateway_process import serve

        return serve(services, request, tell, progress=progress)
    finally:
        lock.release()
