"""The exchange simulator as a venue that goes from snapshot to snapshot: orders and cancels in, events out.

`simulate_orders` is given all orders of a day at once, `run_day` decides inside a compiled loop; a venue is asked by somebody who
sees one snapshot after the other. It keeps their rules: see `Arrival`. Nothing is known of a snapshot before `DayVenue.on_row`
has reached it.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from ghtrader.core.errors import DataError, UsageError
from ghtrader.core.orders import FillModel, OrderKind, RejectReason, Side
from ghtrader.data.day_ticks import DayTicks
from ghtrader.sim import venue_kernel as kernel
from ghtrader.sim.orders import NEVER_NS, Trades
from ghtrader.sim.queue_kernel import LEVELS
from ghtrader.sim.tape import MarketTape

__all__ = ["Arrival", "DayVenue", "VenueEvent", "VenueEventKind"]

I64 = npt.NDArray[np.int64]
F64 = npt.NDArray[np.float64]
FIRST_CAPACITY: Final = 8


class Arrival(StrEnum):
    """Whose rules hold.

    EXCHANGE: those of `ghtrader.sim.orders`, for orders of any kind. SCREENING: those that the screening backtester
    (`ghtrader.sim.policy_kernel`) simplifies to: an order that arrives where nothing can fill is refused, so is a day order that
    would take; an opposite quote that reaches a resting order fills it whole; a cancel counts at the next snapshot that can fill;
    price limits are not looked at, and what earlier orders took is displayed again.
    """

    EXCHANGE = "exchange"
    SCREENING = "screening"


class VenueEventKind(IntEnum):
    """What happened to an order."""

    ACCEPTED = kernel.ACCEPTED
    FILL = kernel.FILL
    CANCELLED = kernel.CANCELLED
    REJECTED = kernel.REJECTED


class VenueEvent(msgspec.Struct, frozen=True):
    """One event of an order: at which row and exchange time; price in ticks and lots of a fill; why it was rejected.

    ``passive``: a fill that the order got while it rested. CANCELLED ends what is left, of a FAK as of a day order.
    """

    kind: VenueEventKind
    order_id: str
    row: int
    ts_ns: int
    price: int = 0
    lots: int = 0
    passive: bool = False
    reason: RejectReason = RejectReason.NONE


NOTHING: Final[tuple[VenueEvent, ...]] = ()


class DayVenue:
    """One contract on one trading day; belongs to one thread, holds no more than the day and its working orders.

    Parameters
    ----------
    ticks: a stored day, or a tape that may still grow. model: what becomes of the queue ahead. latency_ns: from decision to the
    exchange, orders and cancels alike. rules: whose rules hold. trades: `trades_of(ticks)` of a stored day when at hand.

    Orders keep the order in which they were submitted; decisions must not go back in time. Under `Arrival.EXCHANGE` an order
    whose time has come at the present snapshot (no latency, or decided before it) arrives at once; the events are returned.
    """

    def __init__(
        self,
        ticks: DayTicks | MarketTape,
        model: FillModel,
        *,
        latency_ns: int,
        rules: Arrival = Arrival.EXCHANGE,
        trades: Trades | None = None,
    ) -> None:
        self.tape = ticks if isinstance(ticks, MarketTape) else MarketTape.of_day(ticks, trades)
        self._model, self._latency, self._screening = int(model), latency_ns, rules is Arrival.SCREENING
        self._ids: list[str] = []
        self._decided = -1 - NEVER_NS
        self._row = -1
        self._used = np.zeros((2, LEVELS), np.int64)
        self._used_row = np.full(1, -1, np.int64)
        self._orders = np.zeros((FIRST_CAPACITY, kernel.ORDER_COLUMNS), np.int64)
        self._queues = np.zeros((FIRST_CAPACITY, kernel.QUEUE_COLUMNS), np.float64)
        self._out = np.empty((FIRST_CAPACITY * kernel.MOST_EVENTS, kernel.OUT_COLUMNS), np.int64)

    def _grow(self) -> None:
        """Room for twice as many working orders."""
        self._orders = np.concatenate([self._orders, np.zeros_like(self._orders)])
        self._queues = np.concatenate([self._queues, np.zeros_like(self._queues)])
        self._out = np.concatenate([self._out, np.empty_like(self._out)])

    @property
    def row(self) -> int:
        """The present snapshot; -1 before the first."""
        return self._row

    @property
    def now_ns(self) -> int:
        """Exchange time of the present snapshot; that of the first one before it was reached."""
        return self.tape.ts_ns(max(self._row, 0))

    @property
    def working(self) -> tuple[str, ...]:
        """Ids of orders that were sent or rest, as they were submitted."""
        return tuple(self._ids)

    def is_resting(self, order_id: str) -> bool:
        """Whether an order has arrived and waits in the book."""
        return order_id in self._ids and bool(self._orders[self._ids.index(order_id), kernel.STATE] == kernel.RESTING)

    def on_row(self, row: int) -> tuple[VenueEvent, ...]:
        """Go on to a snapshot; events of every one on the way, in order. Raises UsageError when it is behind or not on the tape."""
        if not self._row <= row < self.tape.rows:
            raise UsageError(f"row {row} of {self.tape.rows}, after row {self._row}: a venue only goes forward")
        if not self._ids:
            self._row = row
            return NOTHING
        events, market, flow = NOTHING, self.tape.market, self.tape.flow
        while self._row < row and self._ids:
            self._row += 1
            count = kernel.advance_row(
                market, flow, self._row, self._orders, self._queues, len(self._ids), self._used, self._used_row,
                self._model, self._screening, self._out,
            )  # fmt: skip
            if count:
                events += self._told(count)
        self._row = row
        return events

    def submit(
        self, order_id: str, side: Side, price: int, lots: int, kind: OrderKind, decision_ns: int
    ) -> tuple[VenueEvent, ...]:
        """Send a limit order, price in ticks. Raises UsageError when lots or decision are not possible or the id is working."""
        if lots <= 0 or decision_ns < self._decided or order_id in self._ids:
            raise UsageError(
                f"order {order_id}: positive lots, an id that is not working and decisions in order of time are expected"
            )
        slot = len(self._ids)
        if slot == len(self._orders):
            self._grow()
        self._ids.append(order_id)
        self._decided = decision_ns
        self._orders[slot] = (
            kernel.SENT, side, price, lots, 0, kind, decision_ns, decision_ns + self._latency, NEVER_NS, 0,
        )  # fmt: skip
        if self._screening or self._row < 0 or self.now_ns < decision_ns + self._latency:
            return NOTHING
        count = kernel.arrive_now(
            self.tape.market, self._row, self._orders, self._queues, len(self._ids), self._used, self._used_row, self._model,
            self._screening, self._out, 0,
        )  # fmt: skip
        return self._told(count)

    def cancel(self, order_id: str, decision_ns: int) -> tuple[VenueEvent, ...]:
        """Send a cancel; the first one counts. It reaches the exchange after the latency. Raises DataError for no working order."""
        if order_id not in self._ids:
            raise DataError(f"no working order {order_id}", order=order_id)
        slot = self._ids.index(order_id)
        order = self._orders[slot]
        order[kernel.CANCELLED_AT] = min(int(order[kernel.CANCELLED_AT]), decision_ns + self._latency)
        reached = self._row >= 0 and self.now_ns >= order[kernel.CANCELLED_AT]
        if self._screening or order[kernel.STATE] != kernel.RESTING or not reached:
            return NOTHING
        order[kernel.STATE] = kernel.ENDED
        self._drop_ended()
        return (VenueEvent(VenueEventKind.CANCELLED, order_id, self._row, self.now_ns),)

    def close(self) -> tuple[VenueEvent, ...]:
        """The day ends: what rests is cancelled, what is still on its way is rejected (`RejectReason.AFTER_DATA`)."""
        row = self.tape.rows - 1
        now = self.tape.ts_ns(max(row, 0))
        ends: list[VenueEvent] = []
        for slot, order_id in enumerate(self._ids):
            if self._orders[slot, kernel.STATE] == kernel.SENT:
                ends.append(VenueEvent(VenueEventKind.REJECTED, order_id, row, now, reason=RejectReason.AFTER_DATA))
            else:
                ends.append(VenueEvent(VenueEventKind.CANCELLED, order_id, row, now))
        self._ids.clear()
        self._row = row
        return tuple(ends)

    def _told(self, count: int) -> tuple[VenueEvent, ...]:
        """The first ``count`` events of the kernel as values; orders that ended are dropped."""
        told: list[VenueEvent] = []
        now = self.now_ns
        for what, slot, price, lots, detail in self._out[:count].tolist():
            kind = VenueEventKind(what)
            fills = kind is VenueEventKind.FILL
            told.append(
                VenueEvent(
                    kind=kind,
                    order_id=self._ids[slot],
                    row=self._row,
                    ts_ns=now,
                    price=price if fills else 0,
                    lots=lots if fills else 0,
                    passive=fills and bool(detail),
                    reason=RejectReason(detail) if kind is VenueEventKind.REJECTED else RejectReason.NONE,
                )
            )
        self._drop_ended()
        return tuple(told)

    def _drop_ended(self) -> None:
        count = len(self._ids)
        kept = np.flatnonzero(self._orders[:count, kernel.STATE] != kernel.ENDED)
        if len(kept) < count:
            self._orders[: len(kept)] = self._orders[kept]
            self._queues[: len(kept)] = self._queues[kept]
            self._ids = [self._ids[slot] for slot in kept.tolist()]
