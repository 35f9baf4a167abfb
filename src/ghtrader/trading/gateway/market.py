"""From raw rows of the feed to what the core sees: one canonical form per contract, the newest tick as `words.MarketView`."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ghtrader.core.phases import Phase
from ghtrader.data.calendar import Calendar
from ghtrader.data.day_ticks import NO_PRICE
from ghtrader.data.instruments import InstrumentTable
from ghtrader.data.live_canonical import LiveCanonical
from ghtrader.trading.words import MarketView

__all__ = ["MarketViews"]

ACCEPTING = (int(Phase.CONTINUOUS), int(Phase.ORDER_ENTRY))
#: A moment of continuous trading in a day that every calendar knows (2025-06-06 09:30 in Shanghai).
WARM_NS = 1_749_173_400_000_000_000


def _price(value: int) -> int | None:
    return None if value == NO_PRICE else value


class MarketViews:
    """Canonical state of every contract of the feed. Rows that the canonical form drops give no view.

    Raises DataError for a row whose trading day or contract nobody knows.
    """

    def __init__(self, calendar: Calendar, instruments: InstrumentTable) -> None:
        self._calendar = calendar
        self._instruments = instruments
        self._lives: dict[str, LiveCanonical] = {}

    def warm_up(self) -> None:
        """Have the kernels ready before the first tick that counts."""
        other = MarketViews(self._calendar, self._instruments)
        other.view("SHFE.rb2510", 0, WARM_NS, WARM_NS, np.ones(29))

    def view(
        self, symbol: str, seq: int, ts_ns: int, receive_ns: int, values: npt.NDArray[np.float64], open_limit_lots: int = 0
    ) -> tuple[MarketView | None, str]:
        """(the view after a row, why there is none). values: float64 (29,), `data.live_kernel.COLUMNS`; the rest as in the view."""
        live = self._lives.get(symbol)
        if live is None:
            live = self._lives[symbol] = LiveCanonical(symbol, self._calendar, self._instruments)
        code = live.push(ts_ns, values)
        if code:
            from ghtrader.data.live_kernel import REASON_CODES

            return None, REASON_CODES[code]
        row, facts = live.row, live.row_facts
        phase, part = row.phase.item(0), row.part.item(0)
        return MarketView(
            symbol=symbol,
            seq=seq,
            ts_ns=row.ts_ns.item(0),
            receive_ns=receive_ns,
            bid=_price(row.bid_px.item(0)),
            ask=_price(row.ask_px.item(0)),
            bid_lots=row.bid_sz.item(0),
            ask_lots=row.ask_sz.item(0),
            last=_price(row.last_px.item(0)),
            upper=_price(row.limits.item(0)),
            lower=_price(row.limits.item(1)),
            continuous=phase == Phase.CONTINUOUS,
            accepts_orders=phase in ACCEPTING,
            part_end_ns=facts.ends[part] if part >= 0 else ts_ns,
            trading_day=facts.day.iso,
            price_tick=facts.spec.price_tick,
            open_limit_lots=open_limit_lots,
        ), ""
