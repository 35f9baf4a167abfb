"""Everything that a check of one order rests on beside the gate's own memory. The gateway makes one for each check."""

from __future__ import annotations

import msgspec

from ghtrader.core.orders import Side
from ghtrader.ports.broker import BrokerPosition
from ghtrader.trading.words import MarketView, Mode

__all__ = ["RiskContext"]


class RiskContext(msgspec.Struct, frozen=True, kw_only=True):
    """The account and the market at the moment of a check, for the contract of the order.

    seq: number of the journal record that will carry the verdict. trading_day: ISO, by our calendar. halt_reasons refuse every order,
    the kill's own too (link down, journal not writable); opening_halts refuse openings only. reconciled: book, fills and positions
    agree with the venue.

    price_tick, multiplier, margin_rate, min_lots, max_lots (0: unknown): facts of the contract. held: lots with what closing
    orders froze. in_flight_buy, in_flight_sell: lots left of every order that may still fill, unknown ones included;
    opening_buy, opening_sell: those of them that open (None: all may). own_working: side, price in ticks and lots left of each of
    those orders. equity_cny, available_cny: NaN while unknown. other_notional_cny: value of what other contracts hold and open;
    other_margin_cny: margin of the orders in flight that open there (NaN: unknown).
    open_limit_lots: what the feed says the exchange lets open in a day (0: nothing said).
    """

    now_ns: int
    trading_day: str
    mode: Mode
    killed: bool
    reconciled: bool
    market: MarketView | None
    held: BrokerPosition
    price_tick: float
    multiplier: float
    equity_cny: float
    available_cny: float
    margin_rate: float
    seq: int = 0
    halt_reasons: tuple[str, ...] = ()
    opening_halts: tuple[str, ...] = ()
    min_lots: int = 1
    max_lots: int = 0
    in_flight_buy: int = 0
    in_flight_sell: int = 0
    opening_buy: int | None = None
    opening_sell: int | None = None
    own_working: tuple[tuple[Side, int, int], ...] = ()
    other_notional_cny: float = 0.0
    other_margin_cny: float = 0.0
    open_limit_lots: int = 0
