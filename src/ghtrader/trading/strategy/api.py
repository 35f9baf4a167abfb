"""What a strategy is: a class in one file outside the package. It runs unchanged in backtest, paper and live.

::

    from ghtrader.trading.strategy.api import Decision, Strategy

    class Follow(Strategy):
        def on_tick(self, view):
            if not view.can_trade or view.score != view.score:
                return None
            return Decision(lots=1 if view.score > 0.2 else -1 if view.score < -0.2 else 0)

A strategy owns nothing but its own attributes: no clock, no files, no network. What it needs to know is in the view; what it
wants is in the decision, and the gateway decides how, and whether, that becomes an order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import msgspec

from ghtrader.core.messages import AccountView, ExecutionStyle, ParamValue

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["Decision", "Strategy", "StrategyContext", "TickView"]


class Decision(msgspec.Struct, frozen=True):
    """The position that is wanted, signed lots, and how it is reached.

    A decision equal to the last one that was sent is not sent again: a strategy may state what it wants at every tick. ``anew``
    sends it all the same, for styles that give up (an order that waited in vain is placed once more).
    """

    lots: int
    execution: ExecutionStyle = ExecutionStyle()
    note: str = ""
    anew: bool = False


class StrategyContext(msgspec.Struct, frozen=True, kw_only=True):
    """What a strategy is told before its first tick of a contract.

    threshold: the score at which the model's card trades, NaN without a model. params: what its user set (``--param``).
    """

    account: str
    symbol: str
    factor_names: tuple[str, ...] = ()
    threshold: float = float("nan")
    model_hash: str = ""
    params: dict[str, ParamValue] = {}


class TickView:
    """What is known at a tick. One object, written over at the next tick: keep values, not the view.

    ts_ns: exchange time. bid, ask, last, upper, lower: ticks, None where absent; bid_lots, ask_lots: at the touch.
    factors: float64 (F,), in the order of ``factor_names``. probabilities: float64 (3,), down, flat, up, or None without a model;
    score: P(up) - P(down), NaN without one or where a factor is undefined or the row is no one to predict at.
    continuous: orders may match now. can_trade: and the book is two-sided, not locked at a price limit, and the tick is not
    the first after a break or a gap. part_end_ns: end of the session part, 0 outside of one.
    position: signed lots held. working: signed lots that still work. target: the last one the gateway took. settled: the gateway has
    dealt with the last target sent, so that position and working show what became of it.
    """

    __slots__ = (
        "account", "ask", "ask_lots", "bid", "bid_lots", "can_trade", "continuous", "factor_names", "factors", "last", "lower",
        "part_end_ns", "position", "price_tick", "probabilities", "score", "seq", "settled", "symbol", "target", "tick_value_cny",
        "trading_day", "ts_ns", "upper", "working",
    )  # fmt: skip

    account: AccountView
    symbol: str
    seq: int
    ts_ns: int
    trading_day: str
    price_tick: float
    tick_value_cny: float
    bid: int | None
    ask: int | None
    bid_lots: int
    ask_lots: int
    last: int | None
    upper: int | None
    lower: int | None
    continuous: bool
    can_trade: bool
    part_end_ns: int
    factor_names: tuple[str, ...]
    factors: npt.NDArray[np.float64]
    probabilities: npt.NDArray[np.float64] | None
    score: float
    position: int
    working: int
    target: int
    settled: bool


class Strategy:
    """Base of every strategy. One instance serves one contract; after a roll a new one begins.

    Methods are called in one thread, in the order of the stream, never while trading is halted for the strategy. An exception that
    leaves one of them halts the strategy until it is started anew.

    needs_model: False for a strategy that decides on factors alone; it then gets those of ``factor_set``.
    """

    needs_model: ClassVar[bool] = True
    factor_set: ClassVar[str] = "minimal16"

    def on_start(self, context: StrategyContext) -> None:
        """Before the first tick, and again when the stream began anew: forget what was sent, begin from the account's position."""

    def on_day(self, trading_day: str) -> None:
        """A trading day begins (ISO): before its first tick."""

    def on_account(self, account: AccountView) -> None:
        """The account changed: position, working lots, whether targets are taken."""

    def on_tick(self, view: TickView) -> Decision | None:
        """Decide on a tick; None keeps what was decided before."""
        del view
        return None
