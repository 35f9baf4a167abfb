"""What a runner says of itself: halted or not and why, what it trades, what it did, how long each stage took."""

from __future__ import annotations

import msgspec

from ghtrader.trading.state.revision import PublishedDocument
from ghtrader.trading.strategy.halts import Halt
from ghtrader.trading.strategy.timing import StageTime

__all__ = ["ContractReport", "StrategyDocument", "StrategyEvent", "StrategyReport"]


class ContractReport(msgspec.Struct, frozen=True, kw_only=True):
    """One contract: what is computed of it and with what, what the account holds, the last target, rows that did not count."""

    symbol: str
    trading_day: str
    strategy: str
    model_hash: str
    factor_set: str
    factor_set_hash: str
    position: int
    working: int
    target: int
    dropped: int


class StrategyReport(msgspec.Struct, frozen=True, kw_only=True):
    """The whole runner. ticks: rows taken; ignored: came twice or of other contracts; withheld: nothing was decided, for a halt.

    link: health of the stream; gaps: how often messages were lost; lost: how many.
    """

    account: str
    session: str
    now_ns: int
    halts: tuple[Halt, ...]
    contracts: tuple[ContractReport, ...]
    ticks: int
    targets: int
    gaps: int
    lost: int
    link: str
    ignored: int
    withheld: int
    last_tick_ns: int
    stages: dict[str, StageTime]

    @property
    def ready(self) -> bool:
        """Whether targets may leave for every contract."""
        return not self.halts


class StrategyEvent(msgspec.Struct, frozen=True, kw_only=True):
    """A line for operators: ``warm_path_state``, ``warm_path_recovered``, ``safe_halt_entered``, ``safe_halt_cleared``, ..."""

    name: str
    at_ns: int
    fields: dict[str, str] = {}


class StrategyDocument(PublishedDocument, frozen=True, kw_only=True):
    """What a strategy's process publishes. state: starting, halted, ready or stopped. events: the newest, oldest first.

    source: of the strategy, a built-in's name or the file with the beginning of its SHA-256.
    """

    state: str
    pid: int
    started_ns: int
    source: str
    report: StrategyReport
    events: tuple[StrategyEvent, ...] = ()
