"""Rules for orders that open, in the order in which they are asked: closing orders within what is held pass them."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from ghtrader.core.instruments import parse_symbol
from ghtrader.core.orders import Side
from ghtrader.trading.risk.case import Case, Rule
from ghtrader.trading.risk.memory import is_equity
from ghtrader.trading.risk.reasons import Blocks, RiskReason, Severity
from ghtrader.trading.words import Mode

__all__ = ["OPENING_RULES", "delivery_month", "month_reached"]


def _openings_halted(case: Case) -> str | None:
    reasons = case.context.opening_halts
    return f"openings are halted: {', '.join(reasons)}" if reasons else None


def _equity_unknown(case: Case) -> str | None:
    if not case.state.equity_known or not is_equity(case.context.equity_cny):
        return "the account's equity is not known"
    return None


def _daily_loss(case: Case) -> str | None:
    loss, most = case.state.daily_loss_cny(case.context.equity_cny), case.limits.max_daily_loss_cny
    return f"the trading day lost {loss:.12g} of {most:.12g} CNY" if loss >= most else None


def _drawdown(case: Case) -> str | None:
    loss, most = case.state.drawdown_cny(case.context.equity_cny), case.limits.max_drawdown_cny
    return f"equity is {loss:.12g} of {most:.12g} CNY below its highest" if loss >= most else None


def _symbol_loss(case: Case) -> str | None:
    symbol, most = case.intent.symbol, case.limits.max_symbol_loss_cny
    if symbol in case.state.pnl_unknown:
        return "the contract's result of the day is not known"
    loss = -case.state.worst_pnl_cny.get(symbol, 0.0)
    return f"the contract lost {loss:.12g} of {most:.12g} CNY in this trading day" if loss >= most else None


def _consecutive_losses(case: Case) -> str | None:
    count, most = case.state.losses_in_row, case.limits.max_consecutive_losses
    return f"{count} round trips lost in a row, openings end at {most}" if count >= most else None


def _reject_streak(case: Case) -> str | None:
    count, most = case.state.rejects_in_row, case.limits.reject_streak
    return f"{count} orders refused in a row, openings end at {most}" if count >= most else None


@lru_cache(maxsize=256)
def delivery_month(symbol: str, near_year: int) -> str:
    """Delivery month as YYYY-MM ("" when the symbol names none); one-digit years are the nearest to ``near_year``.

    >>> delivery_month("SHFE.rb2510", 2025), delivery_month("CZCE.TA001", 2029)
    ('2025-10', '2030-01')
    """
    month = parse_symbol(symbol).month
    if not month:
        return ""
    digits, span = int(month[:-2]), 10 ** len(month[:-2])
    year = min((near_year // span * span + digits + shift for shift in (-span, 0, span)), key=lambda year: abs(year - near_year))
    return f"{year:04d}-{month[-2:]}"


@lru_cache(maxsize=256)
def month_reached(symbol: str, day: str) -> str:
    """The delivery month of a contract (YYYY-MM) when it has come on that day (ISO); else nothing."""
    month = delivery_month(symbol, int(day[:4]))
    return month if month <= day[:7] else ""


def _delivery_month(case: Case) -> str | None:
    day = case.context.trading_day
    month = "" if case.limits.delivery_month_opening else month_reached(case.intent.symbol, day)
    return f"the contract delivers in {month}" if month else None


def _session_end(case: Case) -> str | None:
    market = case.market
    left = market.part_end_ns - case.context.now_ns
    return case.at_least(RiskReason.SESSION_END, left, case.limits.end_guard_ns, "the time to the end of the session part in ns")


def _no_limits(case: Case) -> str | None:
    market = case.market
    if case.context.mode == Mode.LIVE_TRADE and (market.upper is None or market.lower is None):
        return "the price limits of the day are not known"
    return None


def _limit_proximity(case: Case) -> str | None:
    market = case.market
    prices = [price for price in (case.intent.price_ticks, market.bid, market.ask, market.last) if price is not None]
    rooms = []
    if market.upper is not None:
        rooms.append(market.upper - max(prices))
    if market.lower is not None:
        rooms.append(min(prices) - market.lower)
    if not rooms:
        return None
    return case.at_least(
        RiskReason.LIMIT_PROXIMITY, min(rooms), case.limits.limit_proximity_ticks, "ticks to a price limit of the day"
    )


def _price_band(case: Case) -> str | None:
    market, price = case.market, case.intent.price_ticks
    low = market.bid if market.bid is not None else market.ask if market.ask is not None else market.last
    high = market.ask if market.ask is not None else low
    if low is None or high is None:
        return "neither a touch nor a last price is known"
    return case.at_most(
        RiskReason.PRICE_BAND, max(0, price - high, low - price), case.limits.price_band_ticks, "ticks from the touch"
    )


def _max_order_lots(case: Case) -> str | None:
    return case.at_most(RiskReason.MAX_ORDER_LOTS, case.intent.lots, case.limits.max_order_lots, "lots of the order")


def _max_position(case: Case) -> str | None:
    side = case.intent.side
    used = case.held_lots(side) + case.opening_lots(side) + case.intent.lots
    return case.at_most(
        RiskReason.MAX_POSITION, used, case.limits.max_position_lots, "lots of this side, all that is in flight included"
    )


def _max_notional(case: Case) -> str | None:
    context = case.context
    held, opening = (
        case.held_lots(Side.BUY) + case.held_lots(Side.SELL),
        case.opening_lots(Side.BUY) + case.opening_lots(Side.SELL),
    )
    lots = case.intent.lots + held + opening
    value = lots * case.price * context.multiplier + context.other_notional_cny
    return case.at_most(RiskReason.MAX_NOTIONAL, value, case.limits.max_notional_cny, "CNY held and opening")


def _available_margin(case: Case) -> str | None:
    context = case.context
    if not context.margin_rate > 0:
        return f"the contract's margin rate is {context.margin_rate:.12g}"
    lots = case.intent.lots + case.opening_lots(Side.BUY) + case.opening_lots(Side.SELL)
    needed = lots * case.price * context.multiplier * context.margin_rate + context.other_margin_cny
    share = (context.available_cny - needed) / context.equity_cny
    return case.at_least(
        RiskReason.AVAILABLE_MARGIN, share, case.limits.min_available_share, "the share of equity that stays available"
    )


def _large_cancels(case: Case) -> str | None:
    if not 0 < case.levels.large_lots <= case.intent.lots:
        return None
    used = case.state.meters_of(case.intent.symbol).large_cancels + 1
    return case.meter(RiskReason.LARGE_CANCELS, used, case.levels.large_cancels, "large cancels of the day, its own included")


def _self_trades(case: Case) -> str | None:
    used = case.state.meters_of(case.intent.symbol).self_trades + 1
    return case.meter(
        RiskReason.SELF_TRADES, used, case.levels.self_trades, "suspected self-trades of the day, one more included"
    )


def _open_limit(case: Case) -> str | None:
    level, said = case.levels.opened_lots, case.context.open_limit_lots
    flying = case.opening_lots(Side.BUY) + case.opening_lots(Side.SELL)
    used = case.state.meters_of(case.intent.symbol).opened_lots + flying + case.intent.lots
    words = "lots opened in the day, all that is in flight included"
    if said > 0 and (level is None or said < level.stop):
        return case.at_most(RiskReason.OPEN_LIMIT, used, said, words)
    return case.meter(RiskReason.OPEN_LIMIT, used, level, words)


def _rule(
    reason: RiskReason, check: Callable[[Case], str | None], asks: str, *keys: str, severity: Severity = Severity.REFUSAL
) -> Rule:
    return Rule(reason, Blocks.OPENINGS, check, asks, keys, severity)


_SOFT, _HARD = Severity.SOFT, Severity.HARD
OPENING_RULES = (
    _rule(RiskReason.OPENINGS_HALTED, _openings_halted, "nothing halts openings (strategy link, roll, operator)"),
    _rule(
        RiskReason.EQUITY_UNKNOWN,
        _equity_unknown,
        "the newest equity is a number above 0; a bad reading halts at once, so many in one session kill",
        "bad_equity_readings",
        severity=_HARD,
    ),
    _rule(RiskReason.DAILY_LOSS, _daily_loss, "the trading day lost less than the limit", "max_daily_loss_cny", severity=_HARD),
    _rule(
        RiskReason.DRAWDOWN, _drawdown, "equity lies less than the limit below its highest", "max_drawdown_cny", severity=_HARD
    ),
    _rule(
        RiskReason.SYMBOL_LOSS,
        _symbol_loss,
        "the contract never lost as much in the trading day, and its newest result is a number",
        "max_symbol_loss_cny",
        severity=_SOFT,
    ),
    _rule(
        RiskReason.CONSECUTIVE_LOSSES,
        _consecutive_losses,
        "fewer round trips than the limit were lost in a row",
        "max_consecutive_losses",
        severity=_SOFT,
    ),
    _rule(
        RiskReason.REJECT_STREAK,
        _reject_streak,
        "fewer orders than the limit were refused in a row",
        "reject_streak",
        severity=_SOFT,
    ),
    _rule(RiskReason.DELIVERY_MONTH, _delivery_month, "the contract's delivery month is yet to come", "delivery_month_opening"),
    _rule(RiskReason.SESSION_END, _session_end, "at least so much time is left in the session part", "end_guard_s"),
    _rule(RiskReason.NO_LIMITS, _no_limits, "in live_trade: the day's price limits are known"),
    _rule(
        RiskReason.LIMIT_PROXIMITY,
        _limit_proximity,
        "order, touch and last price keep at least so many ticks from the day's limits",
        "limit_proximity_ticks",
    ),
    _rule(RiskReason.PRICE_BAND, _price_band, "at most so many ticks from the touch, on either side", "price_band_ticks"),
    _rule(RiskReason.MAX_ORDER_LOTS, _max_order_lots, "lots of the order: at most the limit", "max_order_lots"),
    _rule(
        RiskReason.MAX_POSITION,
        _max_position,
        "lots of its side, held, in flight and asked: at most the limit",
        "max_position_lots",
    ),
    _rule(
        RiskReason.MAX_NOTIONAL,
        _max_notional,
        "value at the order's price of all lots held, in flight and asked, other contracts added: at most the limit",
        "max_notional_cny",
    ),
    _rule(
        RiskReason.AVAILABLE_MARGIN,
        _available_margin,
        "share of equity that stays available after the margin of all that opens, other contracts added: at least the limit",
        "min_available_share",
    ),
    _rule(
        RiskReason.LARGE_CANCELS,
        _large_cancels,
        "large cancels per contract and day, its own included: at most the stop level",
        severity=_SOFT,
    ),
    _rule(
        RiskReason.SELF_TRADES,
        _self_trades,
        "suspected self-trades per contract and day: one more stays within the stop level",
        severity=_SOFT,
    ),
    _rule(
        RiskReason.OPEN_LIMIT,
        _open_limit,
        "lots opened per contract and day, in flight and asked included: at most the stop level, and what the feed says",
        severity=_SOFT,
    ),
)
