"""One order under check, and the form of a rule."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from ghtrader.core.orders import Offset
from ghtrader.trading.risk.context import RiskContext
from ghtrader.trading.risk.limits import RiskLimits
from ghtrader.trading.risk.memory import RiskState
from ghtrader.trading.risk.meters import Level, MeterLevels
from ghtrader.trading.risk.reasons import Blocks, NearMiss, RiskReason, Severity
from ghtrader.trading.words import MarketView, OrderIntent

__all__ = ["Case", "Rule"]

OPEN = Offset.OPEN


class Case:
    """One order under check: what the rules look at, and the near-misses they leave.

    rule: the one that is asked. market: the newest tick. counts: of the order's contract. price: the limit in CNY.
    held_buy, held_sell: lots held on a side, a number below 0 (more was closed than is known of) is none; flying_buy, flying_sell:
    lots in flight that may open a position of this side. share: from this share of a limit on a use is a near-miss.

    Most rules return at once where there is room to spare, and leave the rest to `at_most`, `at_least` and `meter`, which judge alone.
    """

    __slots__ = (
        "context", "counts", "flying_buy", "flying_sell", "held_buy", "held_sell", "intent", "levels", "limits", "market", "near",
        "opening", "price", "rule", "share", "state",
    )  # fmt: skip
    rule: Rule

    def __init__(
        self, state: RiskState, limits: RiskLimits, levels: MeterLevels, intent: OrderIntent, context: RiskContext
    ) -> None:
        self.state, self.limits, self.levels, self.intent, self.context = state, limits, levels, intent, context
        self.opening, self.share = intent.offset == OPEN, limits.warn_share
        self.counts = state.meters_of(intent.symbol)
        self.market: MarketView = context.market  # type: ignore[assignment]  # the rule `no_market` stands before all that look
        self.price = intent.price_ticks * context.price_tick
        self.near: list[NearMiss] = []
        held, opening_buy, opening_sell = context.held, context.opening_buy, context.opening_sell
        self.held_buy = _held(held.long_today, held.long_history)
        self.held_sell = _held(held.short_today, held.short_history)
        self.flying_buy = context.in_flight_buy if opening_buy is None else opening_buy
        self.flying_sell = context.in_flight_sell if opening_sell is None else opening_sell

    def at_most(self, used: float, limit: float, words: str, warn_from: float | None = None) -> str | None:
        """Refuse what goes beyond a limit (and what is no number); note what comes near it."""
        if not used <= limit:
            return f"{words} would be {used:.12g}, at most {limit:.12g}"
        if used > 0 and used >= (self.share * limit if warn_from is None else warn_from):
            self._note(used, limit, f"{words}: {used:.12g} of at most {limit:.12g}")
        return None

    def at_least(self, room: float, least: float, words: str) -> str | None:
        """Refuse what comes closer than a distance (and what is no number); note what comes near that."""
        if not room >= least:
            return f"{words} would be {room:.12g}, at least {least:.12g}"
        if room * self.share <= least and least > 0:
            self._note(room, least, f"{words}: {room:.12g}, at least {least:.12g}")
        return None

    def meter(self, used: int, level: Level | None, words: str) -> str | None:
        """Openings end at the stop level; closing orders may use what is free of consequences."""
        if level is None or used < level.warn <= level.stop:
            return None
        return self.at_most(used, level.stop if self.opening else max(level.stop, level.free), words, level.warn)

    def _note(self, used: float, limit: float, message: str) -> None:
        self.near.append(NearMiss(reason=self.rule.reason, used=used, limit=limit, message=message, symbol=self.intent.symbol))


def _held(today: int, history: int) -> int:
    return max(0, today) + max(0, history)


class Rule(msgspec.Struct, frozen=True):
    """A rule: its code, whose orders it can refuse, the check (None, or why not), what it asks for, the keys below ``trading.risk``.

    severity: REFUSAL rules look at the order alone; the others rest on an observation that tells a breach, hard ones kill.
    """

    reason: RiskReason
    blocks: Blocks
    check: Callable[[Case], str | None]
    asks: str
    keys: tuple[str, ...] = ()
    severity: Severity = Severity.REFUSAL
