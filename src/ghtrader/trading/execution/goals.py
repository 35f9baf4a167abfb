"""What an executor is asked for and what it answers: goals, events, effects."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from ghtrader.core.messages import ExecutionStyle, Style
from ghtrader.ports.broker import BrokerPosition
from ghtrader.trading.orders.machine import OrderPhase, OrderRecord
from ghtrader.trading.words import MarketView, OrderIntent, Origin

__all__ = [
    "CancelWorking",
    "Done",
    "DoneReason",
    "Effect",
    "Event",
    "ExecView",
    "Goal",
    "OrderDone",
    "Place",
    "PlaceRefused",
    "Stop",
    "TargetChanged",
    "Tick",
    "Timer",
]


class Goal(msgspec.Struct, frozen=True, kw_only=True):
    """The position that an executor brings about. lots: signed. cause: journal record of the target; origin: whose it is.

    started_ns, started_lots: when it was set and what was held then. pieces: how many orders it has sent. refused: how many in a
    row were refused.
    """

    lots: int
    execution: ExecutionStyle
    origin: Origin = Origin.STRATEGY
    cause: int = 0
    note: str = ""
    started_ns: int = 0
    started_lots: int = 0
    pieces: int = 0
    refused: int = 0

    @property
    def style(self) -> Style:
        """How it is reached."""
        return self.execution.style

    @property
    def leaves_nothing(self) -> bool:
        """Whether no lots may stay on either side: a flatten, a roll, a kill. The strategy's 0 is a net position like any other."""
        return self.lots == 0 and self.origin is not Origin.STRATEGY


class ExecView(msgspec.Struct, frozen=True, kw_only=True):
    """What an executor may know of its contract.

    held: lots with what is frozen of them. working: `OrderBook.working`, every order that may still change them. market: the newest
    tick. most_lots: of one order, 0 for no bound.
    """

    held: BrokerPosition
    working: tuple[OrderRecord, ...]
    market: MarketView | None
    now_ns: int
    most_lots: int = 0

    @property
    def position(self) -> int:
        """Signed lots."""
        held = self.held
        return held.long_today + held.long_history - held.short_today - held.short_history

    @property
    def pairs(self) -> int:
        """Lots that are held long and short at once."""
        held = self.held
        return max(0, min(held.long_today + held.long_history, held.short_today + held.short_history))


# --- events -----------------------------------------------------------------------------------------------------------------
class TargetChanged(msgspec.Struct, frozen=True, kw_only=True):
    """A target arrived, on the tick that the view holds. The same again, while its order works, changes nothing."""

    lots: int
    execution: ExecutionStyle
    origin: Origin = Origin.STRATEGY
    cause: int = 0
    note: str = ""


class Tick(msgspec.Struct, frozen=True):
    """The view holds a new tick; whatever the venue did at it has been told before."""


class OrderDone(msgspec.Struct, frozen=True, kw_only=True):
    """An order of the contract settled: its end and the trades of it are in the view."""

    client_order_id: str
    phase: OrderPhase
    filled: int


class PlaceRefused(msgspec.Struct, frozen=True, kw_only=True):
    """The order that was placed last did not pass the risk gate."""

    reason: str


class Timer(msgspec.Struct, frozen=True):
    """The time that `ExecutorState.wake_ns` named has come."""


class Stop(msgspec.Struct, frozen=True):
    """Give up the goal and cancel what works, at once. (A target of style STOP waits until the venue has acknowledged the order.)"""


Event = TargetChanged | Tick | OrderDone | PlaceRefused | Timer | Stop


# --- effects ----------------------------------------------------------------------------------------------------------------
class Place(msgspec.Struct, frozen=True, kw_only=True):
    """An order to send through the risk gate."""

    intent: OrderIntent


class CancelWorking(msgspec.Struct, frozen=True, kw_only=True):
    """A cancel to ask for."""

    client_order_id: str
    reason: str


class DoneReason(StrEnum):
    """Why an executor has nothing more to do for a goal."""

    REACHED = "reached"
    GIVEN_UP = "given_up"  # the one order of the style ended short
    NOT_TRADABLE = "not_tradable"  # an order of the decision's tick, which had no price to trade at
    FROZEN = "frozen"  # what is to be closed is held by other closing orders
    REFUSED = "refused"
    REJECTED = "rejected"
    STOPPED = "stopped"


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """The goal is dealt with; missing: signed lots between the position and it."""

    symbol: str
    reason: DoneReason
    missing: int


Effect = Place | CancelWorking | Done
