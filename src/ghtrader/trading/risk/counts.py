"""What leaves and what comes back: orders, cancels, fills, rejects, as the exchange counts them and as rates. Pure observations."""

from __future__ import annotations

from operator import attrgetter

from msgspec.structs import replace

from ghtrader.core.orders import Offset
from ghtrader.ports.broker import BrokerFill
from ghtrader.trading.risk.limits import RiskLimits
from ghtrader.trading.risk.memory import ContractMeters, RiskState, Trip
from ghtrader.trading.risk.meters import ExchangeMeters
from ghtrader.trading.risk.reasons import Breach, NearMiss, RiskReason
from ghtrader.trading.risk.telling import METERS, Observed, forget, judge, tell
from ghtrader.trading.risk.trips import next_trip

__all__ = [
    "observe_accepted",
    "observe_cancel",
    "observe_fill",
    "observe_order",
    "observe_position",
    "observe_reject",
    "observe_unsent",
    "observe_unsent_cancel",
]

#: Fills of a contract that a new one is compared with to find self-trades.
RECENT_FILLS = 8
#: A round trip that lost less than this is none that lost: sums of floats.
HALF_FEN = 0.005
#: The meters with their reasons, and what reads all of them off counts or levels, in the same order.
_NAMED = tuple(METERS.items())
_all_meters = attrgetter(*METERS.values())


def observe_order(state: RiskState, limits: RiskLimits, meters: ExchangeMeters, now_ns: int, symbol: str) -> Observed:
    """An order leaves: it counts for the rate and as one message."""
    stamps = (*state.orders_at, now_ns)[-max(1, limits.orders_per_s) :]
    counts = state.meters_of(symbol)
    state = _count(replace(state, orders_at=stamps), symbol, replace(counts, messages=counts.messages + 1))
    return tell(state, _meter_events(state, limits, meters, symbol))


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
    return tell(state, _meter_events(state, limits, meters, symbol))


def observe_unsent(state: RiskState, symbol: str) -> RiskState:
    """An order that was counted certainly did not leave: no message of the day; the rate counts attempts."""
    counts = state.meters_of(symbol)
    return _count(state, symbol, replace(counts, messages=max(0, counts.messages - 1)))


def observe_unsent_cancel(state: RiskState, meters: ExchangeMeters, symbol: str, lots: int) -> RiskState:
    """A cancel that was counted certainly did not leave, for an order with so many lots left: the exchange counts nothing."""
    counts = state.meters_of(symbol)
    if not counts.cancels:  # of a day before
        return state
    large = 0 < meters.levels(symbol, state.trading_day).large_lots <= lots
    counts = replace(
        counts, messages=counts.messages - 1, cancels=counts.cancels - 1, large_cancels=max(0, counts.large_cancels - large)
    )
    return _count(state, symbol, counts)


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
            state = forget(state, RiskReason.CONSECUTIVE_LOSSES)
        most = limits.max_consecutive_losses
        events += judge(
            RiskReason.CONSECUTIVE_LOSSES, state.losses_in_row, most, limits.warn_share * most, words="round trips lost in a row"
        )
    return tell(state, events)


def observe_position(state: RiskState, symbol: str, lots: int, price: float, multiplier: float) -> Observed:
    """A net position that was found, not traded (first start, adoption): its round trip begins at ``price``."""
    trip = Trip(lots=lots, cash_cny=-lots * price * multiplier if lots else 0.0)
    return replace(state, trips={**state.trips, symbol: trip}), ()


def observe_reject(state: RiskState, limits: RiskLimits, symbol: str) -> Observed:
    """The broker or the exchange refused an order: so many in a row halt openings until one is accepted or the next trading day."""
    state = replace(state, rejects_in_row=state.rejects_in_row + 1)
    most = limits.reject_streak
    words = f"orders refused in a row (the newest of {symbol})"
    return tell(state, judge(RiskReason.REJECT_STREAK, state.rejects_in_row, most, limits.warn_share * most, words=words))


def observe_accepted(state: RiskState) -> RiskState:
    """The exchange took an order: the streak of rejects ends."""
    return forget(replace(state, rejects_in_row=0), RiskReason.REJECT_STREAK) if state.rejects_in_row else state


def _count(state: RiskState, symbol: str, counts: ContractMeters) -> RiskState:
    return replace(state, meters={**state.meters, symbol: counts})


def _meter_events(state: RiskState, limits: RiskLimits, meters: ExchangeMeters, symbol: str) -> list[Breach | NearMiss]:
    levels, counts = meters.levels(symbol, state.trading_day, limits), state.meters_of(symbol)
    events: list[Breach | NearMiss] = []
    for (reason, name), level, used in zip(_NAMED, _all_meters(levels), _all_meters(counts), strict=True):
        if level is not None and used >= level.warn:
            events += judge(reason, used, level.stop, level.warn, words=f"{name} of the trading day", symbol=symbol)
    return events
