"""Observations of the risk gate: `observe_x(state, ...) -> (state, what to tell)`; pure.

A hard breach is told on every reading while it holds, so that one that was lost is told again; near-misses and soft breaches are
told once until they are over, at the latest until the next trading day. Meters only rise within a trading day.
"""

from __future__ import annotations

import math

from msgspec.structs import replace

from ghtrader.core.orders import Offset
from ghtrader.ports.broker import BrokerFill
from ghtrader.trading.risk.limits import RiskLimits
from ghtrader.trading.risk.memory import (
    ContractMeters,
    RiskState,
    Trip,
    from_document,
    is_equity,
    to_document,
)
from ghtrader.trading.risk.meters import ExchangeMeters, Level
from ghtrader.trading.risk.reasons import Breach, NearMiss, RiskReason

__all__ = [
    "ContractMeters",
    "Observed",
    "RiskState",
    "Trip",
    "from_document",
    "observe_accepted",
    "observe_cancel",
    "observe_day",
    "observe_equity",
    "observe_fill",
    "observe_order",
    "observe_position",
    "observe_reject",
    "observe_reset",
    "observe_symbol_pnl",
    "to_document",
]

#: Fills of a contract that a new one is compared with to find self-trades.
RECENT_FILLS = 8
#: A round trip that lost less than this is none that lost: sums of floats.
HALF_FEN = 0.005

Observed = tuple[RiskState, tuple[Breach | NearMiss, ...]]


def _tell(state: RiskState, events: list[Breach | NearMiss]) -> Observed:
    """Leave out what was told; hard breaches always pass."""
    fresh: list[Breach | NearMiss] = []
    told = set(state.told)
    for event in events:
        key = _key(event)
        if key not in told or (isinstance(event, Breach) and event.hard):
            fresh.append(event)
            told.add(key)
    return (replace(state, told=frozenset(told)) if len(told) > len(state.told) else state), tuple(fresh)


def _key(event: Breach | NearMiss) -> str:
    return f"{'breach' if isinstance(event, Breach) else 'near'} {event.reason} {event.symbol}".strip()


def _forget(state: RiskState, reason: RiskReason, symbol: str = "") -> RiskState:
    keys = {f"{kind} {reason} {symbol}".strip() for kind in ("breach", "near")}
    return state if keys.isdisjoint(state.told) else replace(state, told=state.told - keys)


def _judge(
    reason: RiskReason, used: float, limit: float, warn_from: float, *, hard: bool = False, words: str, symbol: str = ""
) -> list[Breach | NearMiss]:
    """A breach from the limit on, a near-miss from ``warn_from`` on."""
    message = f"{symbol + ': ' if symbol else ''}{words} {used:g} of {limit:g}"
    if used >= limit:
        return [Breach(reason=reason, hard=hard, message=message, symbol=symbol)]
    if used >= warn_from:
        return [NearMiss(reason=reason, used=used, limit=limit, message=message, symbol=symbol)]
    return []


def observe_day(state: RiskState, trading_day: str, start_cny: float | None = None) -> Observed:
    """A trading day (ISO) begins: day counts, streaks and halts start anew; the highest equity and open round trips stay.

    start_cny: equity after the last settlement; without it the day is measured from its first good reading. The same day again
    changes nothing; an earlier one is a breach that changes nothing.
    """
    if trading_day == state.trading_day:
        return state, ()
    if trading_day < state.trading_day:
        words = f"the trading day went from {state.trading_day} back to {trading_day}"
        return state, (Breach(reason=RiskReason.TRADING_DAY, hard=False, message=words),)
    start = start_cny if is_equity(start_cny) else None
    peak = state.peak_cny if start is None or state.peak_cny is None else max(start, state.peak_cny)
    fresh = RiskState(
        trading_day=trading_day,
        day_start_cny=start,
        peak_cny=start if peak is None else peak,
        equity_cny=state.equity_cny,
        equity_known=state.equity_known,
        orders_at=state.orders_at,
        cancels_at=state.cancels_at,
        trips=state.trips,
    )
    return fresh, ()


def observe_equity(state: RiskState, limits: RiskLimits, equity_cny: float | None, *, in_session: bool) -> Observed:
    """A reading of the account's equity. A bad one halts openings at once; the N-th bad one of a session is a hard breach.

    in_session: whether the session is open now; bad readings outside it halt too but are not counted, and the first reading outside
    ends the session's count. A good reading ends the halt, not the count.
    """
    if not in_session and state.bad_readings:
        state = replace(state, bad_readings=0)
    if equity_cny is None or not is_equity(equity_cny):
        bad = state.bad_readings + in_session
        words = f"equity is {equity_cny}: openings are halted; bad reading {bad} of {limits.bad_equity_readings} in this session"
        hard = bad >= limits.bad_equity_readings
        return _tell(
            replace(state, equity_known=False, bad_readings=bad),
            [Breach(reason=RiskReason.EQUITY_UNKNOWN, hard=hard, message=words)],
        )
    state = _forget(state, RiskReason.EQUITY_UNKNOWN)
    start = equity_cny if state.day_start_cny is None else state.day_start_cny
    peak = equity_cny if state.peak_cny is None else max(state.peak_cny, equity_cny)
    state = replace(state, equity_cny=equity_cny, equity_known=True, day_start_cny=start, peak_cny=peak)
    loss, down = state.daily_loss_cny(equity_cny), state.drawdown_cny(equity_cny)
    most, deepest = limits.max_daily_loss_cny, limits.max_drawdown_cny
    warn = limits.warn_share
    events = _judge(RiskReason.DAILY_LOSS, loss, most, warn * most, hard=True, words="loss of the trading day in CNY")
    events += _judge(RiskReason.DRAWDOWN, down, deepest, warn * deepest, hard=True, words="drawdown in CNY")
    return _tell(state, events)


def observe_symbol_pnl(state: RiskState, limits: RiskLimits, symbol: str, pnl_cny: float) -> Observed:
    """What a contract earned in the trading day, marked, fees taken off. At its loss limit its openings are halted for the day.

    A result that is no number halts them until the next that is one. The worst of the day counts: a recovery does not end the halt.
    """
    if not math.isfinite(pnl_cny):
        words = f"{symbol}: the result of the day is {pnl_cny}: its openings are halted"
        state = replace(state, pnl_unknown=state.pnl_unknown | {symbol})
        return _tell(state, [Breach(reason=RiskReason.SYMBOL_LOSS, hard=False, message=words, symbol=symbol)])
    if symbol in state.pnl_unknown:
        state = _forget(replace(state, pnl_unknown=state.pnl_unknown - {symbol}), RiskReason.SYMBOL_LOSS, symbol)
    worst = min(pnl_cny, state.worst_pnl_cny.get(symbol, 0.0))
    state = replace(state, worst_pnl_cny={**state.worst_pnl_cny, symbol: worst})
    most = limits.max_symbol_loss_cny
    words = "loss of the trading day in CNY"
    return _tell(state, _judge(RiskReason.SYMBOL_LOSS, -worst, most, limits.warn_share * most, words=words, symbol=symbol))


def observe_order(state: RiskState, limits: RiskLimits, meters: ExchangeMeters, now_ns: int, symbol: str) -> Observed:
    """An order leaves: it counts for the rate and as one message."""
    stamps = (*state.orders_at, now_ns)[-max(1, limits.orders_per_s) :]
    counts = state.meters_of(symbol)
    state = _count(replace(state, orders_at=stamps), symbol, replace(counts, messages=counts.messages + 1))
    return _tell(state, _meter_events(state, limits, meters, symbol))


def observe_cancel(
    state: RiskState,
    limits: RiskLimits,
    meters: ExchangeMeters,
    now_ns: int,
    symbol: str,
    lots: int,
    *,
    by_exchange: bool = False,
) -> Observed:
    """A cancel leaves, for an order with so many lots left: a message, a cancel and, from the table's size on, a large one.

    by_exchange: the rest of a FAK or FOK died at the exchange, which counts it the same; it does not count for our rate.
    """
    counts = state.meters_of(symbol)
    large_lots = meters.levels(symbol, state.trading_day, limits).large_lots
    counts = replace(
        counts,
        messages=counts.messages + 1,
        cancels=counts.cancels + 1,
        large_cancels=counts.large_cancels + (0 < large_lots <= lots),
    )
    if not by_exchange:
        state = replace(state, cancels_at=(*state.cancels_at, now_ns)[-max(1, limits.cancels_per_s) :])
    state = _count(state, symbol, counts)
    return _tell(state, _meter_events(state, limits, meters, symbol))


def observe_fill(
    state: RiskState,
    limits: RiskLimits,
    meters: ExchangeMeters,
    fill: BrokerFill,
    multiplier: float,
    fee_cny: float = 0.0,
) -> Observed:
    """A trade of ours, told once per trade id: lots opened, suspected self-trades, the round trip it belongs to.

    Two fills of different orders, of opposite sides, with one price and one stamp are taken for a self-trade: the exchange does not
    tell. A round trip goes from flat to flat by net lots; a loss in CNY adds to the streak, anything else ends it.
    """
    counts = state.meters_of(fill.symbol)
    mirrored = (fill.ts_ns, fill.price, -int(fill.side))
    selfmade = any((ts, price, side) == mirrored and order != fill.client_order_id for ts, price, side, order in counts.recent)
    counts = replace(
        counts,
        self_trades=counts.self_trades + selfmade,
        opened_lots=counts.opened_lots + (fill.lots if fill.offset == Offset.OPEN else 0),
        recent=(*counts.recent, (fill.ts_ns, fill.price, int(fill.side), fill.client_order_id))[-RECENT_FILLS:],
    )
    state = _count(observe_accepted(state), fill.symbol, counts)
    trip, result = next_trip(state.trips.get(fill.symbol, Trip()), int(fill.side) * fill.lots, fill.price, multiplier, fee_cny)
    state = replace(state, trips={**state.trips, fill.symbol: trip})
    events = _meter_events(state, limits, meters, fill.symbol)
    if result is not None:
        losing = not result >= -HALF_FEN
        state = replace(state, losses_in_row=state.losses_in_row + 1 if losing else 0)
        if not losing:
            state = _forget(state, RiskReason.CONSECUTIVE_LOSSES)
        most = limits.max_consecutive_losses
        events += _judge(
            RiskReason.CONSECUTIVE_LOSSES, state.losses_in_row, most, limits.warn_share * most, words="round trips lost in a row"
        )
    return _tell(state, events)


def next_trip(trip: Trip, lots: int, price: float, multiplier: float, fee_cny: float) -> tuple[Trip, float | None]:
    """The round trip after a fill of signed ``lots``, and its result in CNY when it ended.

    >>> next_trip(Trip(lots=2, cash_cny=-2000.0), -2, 110.0, 10.0, 5.0)
    (Trip(lots=0, cash_cny=0.0), 195.0)
    """
    ends = trip.lots * lots < 0 and abs(lots) >= abs(trip.lots)
    if not ends:
        return Trip(lots=trip.lots + lots, cash_cny=trip.cash_cny - lots * price * multiplier - fee_cny), None
    rest = trip.lots + lots
    rest_fee = fee_cny * rest / lots
    result = trip.cash_cny + trip.lots * price * multiplier - (fee_cny - rest_fee)
    return Trip(lots=rest, cash_cny=-rest * price * multiplier - rest_fee if rest else 0.0), result


def observe_position(state: RiskState, symbol: str, lots: int, price: float, multiplier: float) -> Observed:
    """A net position that was found, not traded (first start, adoption): its round trip begins at ``price``."""
    trip = Trip(lots=lots, cash_cny=-lots * price * multiplier if lots else 0.0)
    return replace(state, trips={**state.trips, symbol: trip}), ()


def observe_reject(state: RiskState, limits: RiskLimits, symbol: str) -> Observed:
    """The broker or the exchange refused an order: so many in a row halt openings until one is accepted or the next trading day."""
    state = replace(state, rejects_in_row=state.rejects_in_row + 1)
    most = limits.reject_streak
    words = f"orders refused in a row (the newest of {symbol})"
    return _tell(state, _judge(RiskReason.REJECT_STREAK, state.rejects_in_row, most, limits.warn_share * most, words=words))


def observe_accepted(state: RiskState) -> RiskState:
    """The exchange took an order: the streak of rejects ends."""
    return _forget(replace(state, rejects_in_row=0), RiskReason.REJECT_STREAK) if state.rejects_in_row else state


def observe_reset(state: RiskState) -> RiskState:
    """An operator reset the kill: losses and streaks count from here on, else the old ones would kill again; meters stay.

    While the equity is unknown, openings stay halted and the next good reading is what losses are measured from.
    """
    base = state.equity_cny if state.equity_known else None
    return replace(
        state,
        day_start_cny=base,
        peak_cny=base,
        bad_readings=0,
        losses_in_row=0,
        rejects_in_row=0,
        worst_pnl_cny={},
        told=frozenset(key for key in state.told if key.split()[1] in _METERS),
    )


def _count(state: RiskState, symbol: str, counts: ContractMeters) -> RiskState:
    return replace(state, meters={**state.meters, symbol: counts})


_METERS = {
    RiskReason.CANCELS: "cancels",
    RiskReason.LARGE_CANCELS: "large_cancels",
    RiskReason.SELF_TRADES: "self_trades",
    RiskReason.MESSAGES: "messages",
    RiskReason.OPEN_LIMIT: "opened_lots",
}


def _meter_events(state: RiskState, limits: RiskLimits, meters: ExchangeMeters, symbol: str) -> list[Breach | NearMiss]:
    levels, counts = meters.levels(symbol, state.trading_day, limits), state.meters_of(symbol)
    events: list[Breach | NearMiss] = []
    for reason, name in _METERS.items():
        level: Level | None = getattr(levels, name)
        if level is not None:
            words = f"{name} of the trading day"
            events += _judge(reason, getattr(counts, name), level.stop, level.warn, words=words, symbol=symbol)
    return events
