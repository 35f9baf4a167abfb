"""What stands between a strategy and the simulated venue in these tests: targets to orders, orders to account views."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ghtrader.core.messages import MESSAGE_VERSION, AccountView, Style
from ghtrader.core.orders import OrderKind, Side
from ghtrader.data.day_ticks import DayTicks
from ghtrader.sim.venue import DayVenue, VenueEventKind
from ghtrader.trading.strategy.api import Decision

FAR = 1 << 30


@dataclass
class Desk:
    """One working order, as the screening backtester has it; a STOP cancels it, patience too."""

    venue: DayVenue
    position: int = 0
    order: str = ""
    side: int = 0
    left: int = 0
    passive: bool = False
    cancel_ns: int = 0
    orders: int = 0
    cancels: int = 0
    rejects: int = 0
    target: int = 0
    opening: bool = False
    fills: list[tuple[int, int, bool, int, int, bool]] = field(default_factory=list)

    def on_row(self, row: int, ts_ns: int) -> None:
        if self.order and self.passive and self.cancel_ns <= ts_ns:
            self.venue.cancel(self.order, self.cancel_ns)
        for event in self.venue.on_row(row):
            if event.kind is VenueEventKind.FILL:
                self.fills.append((event.row, self.side, self.opening, event.price, event.lots, event.passive))
                self.position += self.side * event.lots
                self.left -= event.lots
            elif event.kind is VenueEventKind.CANCELLED:
                self.cancels += self.passive
            elif event.kind is VenueEventKind.REJECTED:
                self.rejects += 1
        if self.order not in self.venue.working:
            self.order, self.left = "", 0

    def take(self, decision: Decision, ticks: DayTicks, row: int) -> None:
        now = int(ticks.ts_ns[row])
        style = decision.execution.style
        if style is Style.STOP:
            self.cancel_ns = min(self.cancel_ns, now)
            self.venue.cancel(self.order, self.cancel_ns)
            return
        assert not self.order
        wanted = decision.lots - self.position
        self.orders, self.target = self.orders + 1, decision.lots
        self.order, self.side, self.left = f"o{self.orders}", 1 if wanted > 0 else -1, abs(wanted)
        self.passive, self.opening = style is Style.PASSIVE, decision.lots != 0
        self.cancel_ns = now + decision.execution.patience_ns
        bid, ask = int(ticks.bid_px[row, 0]), int(ticks.ask_px[row, 0])
        own, other = (bid, ask) if self.side == 1 else (ask, bid)
        price = own if self.passive else other if self.opening else self.side * FAR
        kind = OrderKind.GFD if self.passive else OrderKind.FAK
        self.venue.submit(self.order, Side(self.side), price, self.left, kind, now)

    def account(self, symbol: str, ts_ns: int, seq: int, target_seq: int, session: str) -> AccountView:
        return AccountView(
            version=MESSAGE_VERSION, session="g", seq=seq, ts_ns=ts_ns, symbol=symbol, position=self.position,
            working=self.side * self.left, target=self.target, mode="paper", accepts=True, target_session=session, target_seq=target_seq,
        )  # fmt: skip


def seeded_score(rows: int, seed: int, share: float = 0.02) -> np.ndarray:
    rng = np.random.default_rng(seed)
    score = np.where(rng.random(rows) < share, rng.choice([-1.0, 1.0], rows), 0.0)
    return np.where(rng.random(rows) < 0.05, np.nan, score)


def window(ticks: DayTicks, start: int, length: int, gaps: Sequence[int] = ()) -> DayTicks:
    """Rows of a day on their own, with breaks where asked."""
    part = ticks.rows(slice(start, start + length))
    breaks = part.break_before.copy()
    breaks[[0, *gaps]] = True
    return replace(part, break_before=breaks)
