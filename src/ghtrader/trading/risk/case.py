"""One order under check, and the form of a rule."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from ghtrader.core.orders import Offset, Side
from ghtrader.trading.risk.context import RiskContext
from ghtrader.trading.risk.limits import RiskLimits
from ghtrader.trading.risk.memory import RiskState
from ghtrader.trading.risk.meters import Level, MeterLevels
from ghtrader.trading.risk.reasons import Blocks, NearMiss, RiskReason, Severity
from ghtrader.trading.words import MarketView, OrderIntent

__all__ = ["Case", "Rule"]


class Case:
    """One order under check: what the rules look at, and the near-misses they leave."""

    __slots__ = ("context", "intent", "levels", "limits", "near", "opening", "state")

    def __init__(
        self, state: RiskState, limits: RiskLimits, levels: MeterLevels, intent: OrderIntent, context: RiskContext
    ) -> None:
        self.state, self.limits, self.levels, self.intent, self.context = state, limits, levels, intent, context
        self.opening = intent.offset == Offset.OPEN
        self.near: list[NearMiss] = []

    @property
    def market(self) -> MarketView:
        """The newest tick; the rule `no_market` stands before all that look at it."""
        assert self.context.market is not None
        return self.context.market

    def opening_lots(self, side: Side) -> int:
        """Lots in flight that may open a position of this side."""
        context = self.context
        if side == Side.BUY:
            return context.in_flight_buy if context.opening_buy is None else context.opening_buy
        return context.in_flight_sell if context.opening_sell is None else context.opening_sell

    def held_lots(self, side: Side) -> int:
        """Lots held on a side; a number below 0 (more was closed than is known of) is none."""
        held = self.context.held
        if side == Side.BUY:
            return max(0, held.long_today) + max(0, held.long_history)
        return max(0, held.short_today) + max(0, held.short_history)

    @property
    def price(self) -> float:
        """Limit in CNY."""
        return self.intent.price_ticks * self.context.price_tick

    def at_most(self, reason: RiskReason, used: float, limit: float, words: str, warn_from: float | None = None) -> str | None:
        """Refuse what goes beyond a limit (and what is no number); note what comes near it."""
        if not used <= limit:
            return f"{words} would be {used:.12g}, at most {limit:.12g}"
        if used > 0 and used >= (self.limits.warn_share * limit if warn_from is None else warn_from):
            self._note(reason, used, limit, f"{words}: {used:.12g} of at most {limit:.12g}")
        return None

    def at_least(self, reason: RiskReason, room: float, least: float, words: str) -> str | None:
        """Refuse what comes closer than a distance (and what is no number); note what comes near that."""
        if not room >= least:
            return f"{words} would be {room:.12g}, at least {least:.12g}"
        if room * self.limits.warn_share <= least and least > 0:
            self._note(reason, room, least, f"{words}: {room:.12g}, at least {least:.12g}")
        return None

    def meter(self, reason: RiskReason, used: int, level: Level | None, words: str) -> str | None:
        """Openings end at the stop level; closing orders may use what is free of consequences."""
        if level is None:
            return None
        return self.at_most(reason, used, level.stop if self.opening else max(level.stop, level.free), words, level.warn)

    def _note(self, reason: RiskReason, used: float, limit: float, message: str) -> None:
        self.near.append(NearMiss(reason=reason, used=used, limit=limit, message=message, symbol=self.intent.symbol))


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
