"""Stable words of the risk rules: reason codes, whom a rule blocks, near-misses and breaches."""

from __future__ import annotations

from enum import StrEnum

import msgspec

__all__ = ["Blocks", "Breach", "NearMiss", "RiskReason", "Severity"]


class RiskReason(StrEnum):
    """Why an order or a cancel was refused, or what was breached. Codes never change their meaning; PASSED is empty."""

    PASSED = ""
    RISK_KILLED = "risk_killed"
    NOT_KILLED = "not_killed"
    MODE = "mode"
    UNRECONCILED = "unreconciled"
    HALTED = "halted"
    SYMBOL = "symbol"
    CONTRACT_FACTS = "contract_facts"
    TRADING_DAY = "trading_day"
    NO_MARKET = "no_market"
    STALE_FEED = "stale_feed"
    SESSION = "session"
    ORDER_SIZE = "order_size"
    PRICE_LIMIT = "price_limit"
    CLOSE_VOLUME = "close_volume"
    SELF_TRADE = "self_trade"
    ORDER_RATE = "order_rate"
    CANCEL_RATE = "cancel_rate"
    MESSAGES = "messages"
    CANCELS = "cancels"
    OPENINGS_HALTED = "openings_halted"
    EQUITY_UNKNOWN = "equity_unknown"
    DAILY_LOSS = "daily_loss"
    DRAWDOWN = "drawdown"
    SYMBOL_LOSS = "symbol_loss"
    CONSECUTIVE_LOSSES = "consecutive_losses"
    REJECT_STREAK = "reject_streak"
    DELIVERY_MONTH = "delivery_month"
    SESSION_END = "session_end"
    NO_LIMITS = "no_limits"
    LIMIT_PROXIMITY = "limit_proximity"
    PRICE_BAND = "price_band"
    MAX_ORDER_LOTS = "max_order_lots"
    MAX_POSITION = "max_position"
    MAX_NOTIONAL = "max_notional"
    AVAILABLE_MARGIN = "available_margin"
    LARGE_CANCELS = "large_cancels"
    SELF_TRADES = "self_trades"
    OPEN_LIMIT = "open_limit"


class Blocks(StrEnum):
    """Whose orders a rule can refuse. The kill's own: closing orders of `Origin.KILL` while killed."""

    EVERY = "every order"
    OTHERS = "every order but the kill's own"
    OPENINGS = "openings"


class Severity(StrEnum):
    """What follows when the limit of a rule is reached, beside the refusal of the order."""

    REFUSAL = "refusal"
    SOFT = "soft"
    HARD = "hard"


class NearMiss(msgspec.Struct, frozen=True, kw_only=True):
    """A rule that held with little room: what was used of the limit, in the rule's unit. For rules that keep a distance, used is it."""

    reason: RiskReason
    used: float
    limit: float
    message: str
    symbol: str = ""


class Breach(msgspec.Struct, frozen=True, kw_only=True):
    """A limit that was broken. hard: the gateway kills; otherwise openings are halted, of ``symbol`` where one is named."""

    reason: RiskReason
    hard: bool
    message: str
    symbol: str = ""
