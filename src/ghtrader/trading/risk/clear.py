"""The usual order: every rule holds with room to spare. All rules in plain arithmetic, in microseconds, without words or near-misses.

`is_clear` decides nothing: where it says no, the rules are asked one by one and give the verdict. Where it says yes, they would all have
passed and none would have left a near-miss; the tests hold it to that in both directions, rule by rule at their boundaries. Three
cases are not looked into, and are no: the kill's own orders, orders beside others of ours, openings without a touch on either side.
"""

from __future__ import annotations

import math

from ghtrader.core.instruments import CONTINUOUS_PREFIX
from ghtrader.core.orders import Offset, OrderKind
from ghtrader.ports.broker import tells_today_apart
from ghtrader.trading.risk.context import RiskContext
from ghtrader.trading.risk.limits import RiskLimits
from ghtrader.trading.risk.memory import RiskState, within_second
from ghtrader.trading.risk.meters import MeterLevels
from ghtrader.trading.risk.opening_rules import month_reached
from ghtrader.trading.words import MarketView, Mode, OrderIntent, Origin

__all__ = ["is_clear"]

INF = math.inf
OPEN, CLOSE_TODAY, GFD = Offset.OPEN, Offset.CLOSE_TODAY, OrderKind.GFD
KILL, LIVE_TRADE = Origin.KILL, Mode.LIVE_TRADE


def is_clear(state: RiskState, limits: RiskLimits, levels: MeterLevels, intent: OrderIntent, context: RiskContext) -> bool:
    """Whether every rule that the order must pass holds, and none with so little room that it would be told."""
    market = context.market
    if market is None or context.killed or context.halt_reasons or context.own_working or intent.origin == KILL:
        return False
    if not (context.mode.sends_orders and context.reconciled and _is_orderly(state, limits, levels, intent, context, market)):
        return False
    if intent.offset != OPEN:
        return _is_held(intent, context)
    return (
        _may_open(state, limits, intent, context)
        and _is_near_touch(limits, intent, context, market)
        and _is_small(state, limits, levels, intent, context)
    )


def _is_orderly(
    state: RiskState,
    limits: RiskLimits,
    levels: MeterLevels,
    intent: OrderIntent,
    context: RiskContext,
    market: MarketView,
) -> bool:
    """Contract, tick, session, lots, price, rate and counts: what is asked of every order."""
    symbol, day, now, price, tick = intent.symbol, context.trading_day, context.now_ns, intent.price_ticks, context.price_tick
    age, rate = max(abs(now - market.receive_ns), abs(now - market.ts_ns)), within_second(state.orders_at, now) + 1
    counts, share, upper, lower, lots = state.meters_of(symbol), limits.warn_share, market.upper, market.lower, intent.lots
    messages, cancels = levels.messages, levels.cancels
    return (
        context.held.symbol == symbol == market.symbol
        and not symbol.startswith(CONTINUOUS_PREFIX)
        and 0 < tick < INF
        and 0 < context.multiplier < INF
        and market.price_tick == tick
        and (age < limits.stale_feed_ns * share or age <= 0)
        and market.trading_day == day == state.trading_day
        and market.accepts_orders
        and now < market.part_end_ns
        and (market.continuous or intent.kind == GFD)
        and 1 <= lots >= context.min_lots
        and (lots <= context.max_lots or context.max_lots <= 0)
        and price >= 1
        and (upper is None or price <= upper)
        and (lower is None or price >= lower)
        and rate < limits.orders_per_s * share
        and (messages is None or counts.messages + 2 < messages.warn)
        and (cancels is None or counts.cancels + 1 < cancels.warn)
    )


def _is_held(intent: OrderIntent, context: RiskContext) -> bool:
    """What a closing order takes is there and free."""
    today, history = context.held.closable(intent.side)
    today, history = max(0, today), max(0, history)
    if not tells_today_apart(intent.symbol):
        return intent.lots <= today + history
    return intent.lots <= (today if intent.offset == CLOSE_TODAY else history)


def _may_open(state: RiskState, limits: RiskLimits, intent: OrderIntent, context: RiskContext) -> bool:
    """Nothing halts openings: equity, losses, streaks, the delivery month."""
    symbol, equity, start, peak = intent.symbol, context.equity_cny, state.day_start_cny, state.peak_cny
    return (
        not context.opening_halts
        and state.equity_known
        and 0 < equity < INF
        and (start is None or start - equity < limits.max_daily_loss_cny)
        and (peak is None or peak - equity < limits.max_drawdown_cny)
        and symbol not in state.pnl_unknown
        and -state.worst_pnl_cny.get(symbol, 0.0) < limits.max_symbol_loss_cny
        and state.losses_in_row < limits.max_consecutive_losses
        and state.rejects_in_row < limits.reject_streak
        and (limits.delivery_month_opening or not month_reached(symbol, context.trading_day))
    )


def _is_near_touch(limits: RiskLimits, intent: OrderIntent, context: RiskContext, market: MarketView) -> bool:
    """Far from the end of the session part and from the day's price limits, near the touch; the touch and the last price are known."""
    bid, ask, last, upper, lower = market.bid, market.ask, market.last, market.upper, market.lower
    if bid is None or ask is None or last is None:
        return False
    price, share, left = intent.price_ticks, limits.warn_share, market.part_end_ns - context.now_ns
    room = INF if lower is None else min(price, bid, ask, last) - lower
    if upper is not None:
        room = min(room, upper - max(price, bid, ask, last))
    away, guard, least = limits.price_band_ticks * share, limits.end_guard_ns, limits.limit_proximity_ticks
    return (
        left * share > guard
        and (context.mode != LIVE_TRADE or (upper is not None and lower is not None))
        and (room * share > least or least <= 0 <= room)
        and (bid <= price <= ask or (price - ask < away and bid - price < away))
    )


def _is_small(state: RiskState, limits: RiskLimits, levels: MeterLevels, intent: OrderIntent, context: RiskContext) -> bool:
    """Lots, position, value, margin and the exchange's counts of openings stay well below their limits."""
    lots, share, held, counts = intent.lots, limits.warn_share, context.held, state.meters_of(intent.symbol)
    buying, selling = context.opening_buy, context.opening_sell
    buying = context.in_flight_buy if buying is None else buying
    selling = context.in_flight_sell if selling is None else selling
    long = max(0, held.long_today) + max(0, held.long_history)
    short = max(0, held.short_today) + max(0, held.short_history)
    side = long + buying if intent.side > 0 else short + selling
    opening = lots + buying + selling
    price, multiplier = intent.price_ticks * context.price_tick, context.multiplier
    value = (opening + long + short) * price * multiplier + context.other_notional_cny
    margin = opening * price * multiplier * context.margin_rate + context.other_margin_cny
    free = (context.available_cny - margin) / context.equity_cny
    opened, least, said = counts.opened_lots + opening, limits.min_available_share, context.open_limit_lots
    large, selfmade, limit = levels.large_cancels, levels.self_trades, levels.opened_lots
    return (
        lots < limits.max_order_lots * share
        and side + lots < limits.max_position_lots * share
        and value < limits.max_notional_cny * share
        and context.margin_rate > 0
        and (free * share > least or least <= 0 <= free)
        and (not 0 < levels.large_lots <= lots or large is None or counts.large_cancels + 1 < large.warn)
        and (selfmade is None or counts.self_trades + 1 < selfmade.warn)
        and (opened < said * share or said <= 0)
        and (limit is None or opened < limit.warn)
    )
