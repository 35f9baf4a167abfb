"""The decisions of the screening policies a second time, in plain Python, on what a venue says: no fill is decided here."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from ghtrader.core.orders import OrderKind, Side
from ghtrader.data.day_ticks import DayTicks
from ghtrader.sim.venue import DayVenue, VenueEventKind

FAR = 1 << 30
FLAT, ENTER, HOLD, LEAVE = range(4)


@dataclass
class Working:
    name: str
    side: int
    passive: bool
    cancel_ns: int
    told: bool = False


@dataclass
class Played:
    fills: list[tuple[int, int, bool, int, int, bool]] = field(default_factory=list)  # row, side, opens, price, lots, passive
    orders: int = 0
    cancels: int = 0
    unfilled: int = 0
    rejects: int = 0


@dataclass
class Plain:
    threshold: float
    passive: bool
    lots: int
    hold: int
    patience: int
    flat_before: int
    latency: int
    state: int = FLAT
    position: int = 0
    direction: int = 0
    entered: int = 0
    order: Working | None = None
    played: Played = field(default_factory=Played)

    def send(self, venue: DayVenue, side: int, price: int, lots: int, passive: bool, now: int) -> None:
        self.played.orders += 1
        self.order = Working(f"o{self.played.orders}", side, passive, now + self.patience)
        kind = OrderKind.GFD if passive else OrderKind.FAK
        assert venue.submit(self.order.name, Side(side), price, lots, kind, now) == ()

    def before(self, venue: DayVenue, ts: int) -> None:
        """The timer of the patience rings before the snapshot is known."""
        order = self.order
        if order is not None and order.passive and not order.told and order.cancel_ns <= ts:
            venue.cancel(order.name, order.cancel_ns)
            order.told = True

    def hear(self, events: tuple, now: int) -> None:
        for event in events:
            assert self.order is not None
            assert event.order_id == self.order.name
            if event.kind is VenueEventKind.FILL:
                self.played.fills.append(
                    (event.row, self.order.side, self.state == ENTER, event.price, event.lots, event.passive)
                )
                self.position += self.order.side * event.lots
            elif event.kind is VenueEventKind.CANCELLED:
                self.played.cancels += self.order.passive
            elif event.kind is VenueEventKind.REJECTED:
                self.played.rejects += 1
        if self.order is not None and self.order.name not in self.working:
            self.order = None
        if self.order is None:
            if self.state == ENTER:
                if self.position == 0:
                    self.played.unfilled += 1
                    self.state = FLAT
                else:
                    self.state, self.entered = HOLD, now
            elif self.state == LEAVE:
                self.state = FLAT if self.position == 0 else HOLD

    working: tuple[str, ...] = ()


def play(ticks: DayTicks, live: np.ndarray, part_end: np.ndarray, score: np.ndarray, plain: Plain, venue: DayVenue) -> Played:
    for row in range(len(ticks)):
        now = int(ticks.ts_ns[row])
        plain.before(venue, now)
        events = venue.on_row(row)
        plain.working = venue.working
        plain.hear(events, now)
        if live[row] != 1 or ticks.break_before[row]:
            continue
        left = int(part_end[row]) - now
        closing = left <= plain.flat_before
        bid, ask, opinion = int(ticks.bid_px[row, 0]), int(ticks.ask_px[row, 0]), float(score[row])
        if plain.state == FLAT and not closing and plain.order is None and left > plain.flat_before + plain.hold:
            if not math.isnan(opinion) and abs(opinion) >= plain.threshold:
                side = plain.direction = 1 if opinion > 0 else -1
                touch, own = (ask, bid) if side == 1 else (bid, ask)
                plain.state = ENTER
                plain.send(venue, side, own if plain.passive else touch, plain.lots, plain.passive, now)
        elif plain.state == HOLD and plain.order is None:
            turned = not math.isnan(opinion) and opinion * plain.direction <= -plain.threshold
            held = now - plain.entered
            if held >= plain.hold or turned or closing:
                passive = plain.passive and not (turned or closing or held >= plain.hold + plain.patience + plain.latency)
                side = -plain.direction
                own = bid if side == 1 else ask
                plain.state = LEAVE
                plain.send(venue, side, own if passive else side * FAR, abs(plain.position), passive, now)
        elif closing and plain.order is not None and venue.is_resting(plain.order.name):
            venue.cancel(plain.order.name, now)  # an order on its way is left alone, as the kernel does
    return plain.played
