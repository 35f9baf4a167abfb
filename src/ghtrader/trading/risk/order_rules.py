"""Rules for every order, closing ones included, in the order in which they are asked."""

from __future__ import annotations

from ghtrader.core.instruments import is_continuous
from ghtrader.core.orders import Offset, OrderKind
from ghtrader.ports.broker import tells_today_apart
from ghtrader.trading.risk.case import Case, Rule
from ghtrader.trading.risk.memory import within_second
from ghtrader.trading.risk.reasons import Blocks, RiskReason, Severity
from ghtrader.trading.words import Origin

__all__ = ["ORDER_RULES"]


def _killed(case: Case) -> str | None:
    if case.context.killed and (case.intent.origin != Origin.KILL or case.opening):
        return "the account is killed: nothing but the kill's own closing orders leaves"
    return None


def _not_killed(case: Case) -> str | None:
    if case.intent.origin == Origin.KILL and not case.context.killed:
        return "an order of the kill while the account is not killed"
    return None


def _mode(case: Case) -> str | None:
    return None if case.context.mode.sends_orders else f"no orders leave in mode {case.context.mode}"


def _reconciled(case: Case) -> str | None:
    return None if case.context.reconciled else "the account does not balance with the venue yet"


def _halted(case: Case) -> str | None:
    reasons = case.context.halt_reasons
    return f"halted: {', '.join(reasons)}" if reasons else None


def _symbol(case: Case) -> str | None:
    symbol, context = case.intent.symbol, case.context
    if is_continuous(symbol):
        return "an alias cannot be traded, only the contract that it stands for"
    if context.held.symbol != symbol or (context.market is not None and context.market.symbol != symbol):
        return "the order was checked against another contract"
    return None


def _contract_facts(case: Case) -> str | None:
    context = case.context
    if not (0 < context.price_tick < float("inf") and 0 < context.multiplier < float("inf")):
        return f"price tick {context.price_tick:.12g} and multiplier {context.multiplier:.12g} must be above 0"
    if context.market is not None and context.market.price_tick != context.price_tick:
        return f"the feed counts in ticks of {context.market.price_tick:.12g}, the contract has {context.price_tick:.12g}"
    return None


def _no_market(case: Case) -> str | None:
    return "no tick of the contract came yet" if case.context.market is None else None


def _stale_feed(case: Case) -> str | None:
    market, now = case.market, case.context.now_ns
    age = max(abs(now - market.receive_ns), abs(now - market.ts_ns))
    return case.at_most(RiskReason.STALE_FEED, age, case.limits.stale_feed_ns, "the age of the newest tick in ns")


def _trading_day(case: Case) -> str | None:
    day, market = case.context.trading_day, case.market
    if market.trading_day != day:
        return f"the newest tick is of trading day {market.trading_day}, not {day}"
    if case.state.trading_day != day:
        return f"risk counts for trading day {case.state.trading_day}, not {day}"
    return None


def _session(case: Case) -> str | None:
    market = case.market
    if not market.accepts_orders or case.context.now_ns >= market.part_end_ns:
        return "the exchange takes no orders now"
    if case.intent.kind != OrderKind.GFD and not market.continuous:
        return "FAK and FOK are for continuous trading only"
    return None


def _order_size(case: Case) -> str | None:
    lots, least, most = case.intent.lots, max(1, case.context.min_lots), case.context.max_lots
    if lots < least or 0 < most < lots:
        return f"{lots} lots: the exchange takes {least} to {most or 'any number'}"
    return None


def _price_limit(case: Case) -> str | None:
    market, price = case.market, case.intent.price_ticks
    if price < 1 or (market.upper is not None and price > market.upper) or (market.lower is not None and price < market.lower):
        return f"{price} ticks lie outside the day's limits {market.lower} to {market.upper}"
    return None


def _close_volume(case: Case) -> str | None:
    if case.opening:
        return None
    today, history = (max(0, free) for free in case.context.held.closable(case.intent.side))
    free = today + history
    if tells_today_apart(case.intent.symbol):
        free = today if case.intent.offset == Offset.CLOSE_TODAY else history
    if case.intent.lots > free:
        return f"{case.intent.lots} lots to close, {free} are held and free"
    return None


def _self_trade(case: Case) -> str | None:
    side, price = case.intent.side, case.intent.price_ticks
    for other, at, lots in case.context.own_working:
        if other != side and (price - at) * side >= 0:
            return f"it would meet our own order of {lots} lots at {at} ticks"
    return None


def _order_rate(case: Case) -> str | None:
    used = within_second(case.state.orders_at, case.context.now_ns) + 1
    return case.at_most(RiskReason.ORDER_RATE, used, case.limits.orders_per_s, "orders within a second")


def _messages(case: Case) -> str | None:
    """This order and its cancel, and a cancel for every order that works."""
    used = case.state.meters_of(case.intent.symbol).messages + len(case.context.own_working) + 2
    return case.meter(RiskReason.MESSAGES, used, case.levels.messages, "messages of the day, cancels to come included")


def _cancels(case: Case) -> str | None:
    used = case.state.meters_of(case.intent.symbol).cancels + len(case.context.own_working) + 1
    return case.meter(RiskReason.CANCELS, used, case.levels.cancels, "cancels of the day, those to come included")


ORDER_RULES = (
    Rule(RiskReason.RISK_KILLED, Blocks.EVERY, _killed, "the account is not killed, or the order is a closing one of the kill"),
    Rule(RiskReason.NOT_KILLED, Blocks.EVERY, _not_killed, "the account is killed, if the order says that it is the kill's"),
    Rule(RiskReason.MODE, Blocks.EVERY, _mode, "the mode sends orders: paper, sim, live_trade"),
    Rule(RiskReason.UNRECONCILED, Blocks.EVERY, _reconciled, "orders, fills and positions agree with the venue"),
    Rule(RiskReason.HALTED, Blocks.EVERY, _halted, "nothing halts the gateway (link down, journal not writable)"),
    Rule(RiskReason.SYMBOL, Blocks.EVERY, _symbol, "it names a contract, no alias; position and tick are of that contract"),
    Rule(
        RiskReason.CONTRACT_FACTS,
        Blocks.EVERY,
        _contract_facts,
        "price tick and multiplier are above 0, the feed counts in that tick",
    ),
    Rule(RiskReason.NO_MARKET, Blocks.EVERY, _no_market, "a tick of the contract came"),
    Rule(
        RiskReason.STALE_FEED,
        Blocks.EVERY,
        _stale_feed,
        "the newest tick is young, by receive and by exchange time; a stamp as far ahead of the clock is stale too",
        ("stale_feed_s",),
    ),
    Rule(RiskReason.SESSION, Blocks.EVERY, _session, "the exchange takes orders; FAK and FOK in continuous trading only"),
    Rule(RiskReason.ORDER_SIZE, Blocks.EVERY, _order_size, "lots lie between the exchange's smallest and largest order"),
    Rule(RiskReason.PRICE_LIMIT, Blocks.EVERY, _price_limit, "the price lies within the day's limits, where they are known"),
    Rule(
        RiskReason.CLOSE_VOLUME, Blocks.EVERY, _close_volume, "it closes no more than is held and free, today and history apart"
    ),
    Rule(RiskReason.SELF_TRADE, Blocks.EVERY, _self_trade, "it would not meet an order of our own"),
    Rule(RiskReason.TRADING_DAY, Blocks.OTHERS, _trading_day, "tick, risk counts and calendar speak of one trading day"),
    Rule(
        RiskReason.ORDER_RATE,
        Blocks.OTHERS,
        _order_rate,
        "orders within any second, this one included: at most the limit",
        ("orders_per_s",),
    ),
    Rule(
        RiskReason.MESSAGES,
        Blocks.OTHERS,
        _messages,
        "messages per contract and day, cancels to come included: openings to the stop level, others to the last free one",
        ("max_messages",),
        Severity.SOFT,
    ),
    Rule(
        RiskReason.CANCELS,
        Blocks.OTHERS,
        _cancels,
        "cancels per contract and day, those to come included: openings to the stop level, others to the last free one",
        ("max_cancels",),
        Severity.SOFT,
    ),
)
