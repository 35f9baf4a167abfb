"""`ghtrader strategy run`: the lock first, everything heavy behind it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ghtrader.core.errors import UsageError
from ghtrader.ports.lock import strategy_key

if TYPE_CHECKING:
    from ghtrader.core.messages import ParamValue
    from ghtrader.pipelines.services import Services
    from ghtrader.trading.strategy.report import StrategyDocument, StrategyEvent

__all__ = ["StrategyRequest", "TellsEvent", "TellsState", "parse_params", "run_strategy"]

TellsState = Callable[["StrategyDocument"], None]
TellsEvent = Callable[["StrategyEvent"], None]


@dataclass(frozen=True, kw_only=True)
class StrategyRequest:
    """Options of ``ghtrader strategy run``.

    symbol: contract, variety or alias; None: what the model was trained on. file: a strategy of one's own; None: the built-in
    ``policy``. model: beginning of an artefact's hash; None: the newest. params: what the strategy is told. lockstep: the gateway
    replays and waits for every answer, so silence means nothing.
    """

    account: str
    symbol: str | None = None
    file: Path | None = None
    policy: str = "passive"
    model: str | None = None
    factors: Path | None = None
    in_sample: bool = False
    lockstep: bool = False
    params: tuple[str, ...] = ()


def parse_params(texts: tuple[str, ...]) -> dict[str, ParamValue]:
    """``name=value`` as a mapping; values are numbers and booleans where they read as such. Raises UsageError.

    >>> parse_params(("lots=2", "edge=0.5", "fast=true", "note=a=b"))
    {'lots': 2, 'edge': 0.5, 'fast': True, 'note': 'a=b'}
    """
    found: dict[str, ParamValue] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise UsageError(f"--param {text}: expected NAME=VALUE", hint="--param lots=2")
        found[name] = _plain(value)
    return found


def _plain(text: str) -> ParamValue:
    if text in {"true", "false"}:
        return text == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def run_strategy(services: Services, request: StrategyRequest, tell: TellsState, tell_event: TellsEvent) -> StrategyDocument:
    """Run until SIGTERM or SIGINT; the last state. ``tell`` gets one whenever it changes, and every half minute.

    Raises LockHeldError at once when another process runs the account's strategy, DataError for a model that does not fit, UsageError
    for a strategy that cannot be loaded. Without a model or a gateway it stays halted and says so.
    """
    media = services.trading()
    media.folder(request.account)  # refuses what is no name
    lock = media.locks().acquire(strategy_key(request.account))
    try:
        from ghtrader.pipelines.strategy_process import serve

        return serve(services, request, tell, tell_event)
    finally:
        lock.release()
