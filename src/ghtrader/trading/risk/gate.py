"""The risk gate: nothing leaves that it has not approved, and nothing else can make an approved order."""

from __future__ import annotations

from typing import NoReturn

import msgspec

from ghtrader.ports.broker import OrderRequest
from ghtrader.trading.risk.case import Case
from ghtrader.trading.risk.clear import is_clear
from ghtrader.trading.risk.context import RiskContext
from ghtrader.trading.risk.limits import RiskLimits
from ghtrader.trading.risk.memory import RiskState, within_second
from ghtrader.trading.risk.meters import ExchangeMeters
from ghtrader.trading.risk.reasons import NearMiss, RiskReason
from ghtrader.trading.risk.rules import CLOSING, KILLS_OWN, RULES
from ghtrader.trading.words import OrderIntent, Origin

__all__ = ["ApprovedOrder", "CancelVerdict", "RiskContext", "Verdict", "check_cancel", "check_order"]

#: Prices are rounded to so many decimals: 28001 ticks of 0.02 are 560.02.
_DECIMALS = 9


class ApprovedOrder:
    """An order that the gate approved; only `check_order` makes one, and it does not leave the process.

    limit_price in CNY. approved_seq: number of the journal record that carries the verdict. Raises TypeError for anybody else.
    """

    __slots__ = ("approved_seq", "client_order_id", "intent", "limit_price")
    client_order_id: str
    intent: OrderIntent
    limit_price: float
    approved_seq: int

    def __init__(self, **parts: object) -> None:
        raise TypeError(f"an approved order is made by the risk gate only (check_order), not of {', '.join(parts)}")

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"an approved order does not change ({name})")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"an approved order does not change ({name})")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ApprovedOrder) and self._parts() == other._parts()

    def __hash__(self) -> int:
        return hash(self._parts())

    def _parts(self) -> tuple[str, OrderIntent, float, int]:
        return self.client_order_id, self.intent, self.limit_price, self.approved_seq

    def __repr__(self) -> str:
        return f"ApprovedOrder({self.client_order_id!r}, {self.intent!r}, {self.limit_price!r}, {self.approved_seq!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("an approval does not leave the process that gave it")

    def request(self) -> OrderRequest:
        """What the broker is asked for."""
        intent = self.intent
        return OrderRequest(
            client_order_id=self.client_order_id,
            symbol=intent.symbol,
            side=intent.side,
            offset=intent.offset,
            lots=intent.lots,
            limit_price=self.limit_price,
            kind=intent.kind,
        )


#: What fills a new approved order; nothing here or elsewhere changes one that is filled.
_put_id, _put_intent, _put_price, _put_seq = (
    vars(ApprovedOrder)[name].__set__ for name in ("client_order_id", "intent", "limit_price", "approved_seq")
)


def _approve(client_order_id: str, intent: OrderIntent, limit_price: float, approved_seq: int) -> ApprovedOrder:
    approved = ApprovedOrder.__new__(ApprovedOrder)
    _put_id(approved, client_order_id)
    _put_intent(approved, intent)
    _put_price(approved, limit_price)
    _put_seq(approved, approved_seq)
    return approved


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What the gate says of an order: approved, or the first rule that refuses it; near: rules that held with little room."""

    approved: ApprovedOrder | None
    reason: RiskReason = RiskReason.PASSED
    message: str = ""
    near: tuple[NearMiss, ...] = ()


class CancelVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """What the gate says of a cancel."""

    allowed: bool
    reason: RiskReason = RiskReason.PASSED
    message: str = ""
    near: tuple[NearMiss, ...] = ()


def check_order(
    state: RiskState,
    limits: RiskLimits,
    meters: ExchangeMeters,
    intent: OrderIntent,
    context: RiskContext,
    client_order_id: str,
) -> Verdict:
    """Ask the rules in their order (`ghtrader.trading.risk.rules.RULES`); pure: the same input gives the same verdict.

    Where all of them hold with room to spare, which `is_clear` knows at once, none is asked.
    Opening orders pass all of them, closing ones those for every order, the kill's own only those that the kill obeys as well.
    Whoever sends the approved order tells `observe_order`.
    """
    levels = meters.levels(intent.symbol, context.trading_day, limits)
    near: tuple[NearMiss, ...] = ()
    if not is_clear(state, limits, levels, intent, context):
        case = Case(state, limits, levels, intent, context)
        for rule in RULES if case.opening else KILLS_OWN if intent.origin == Origin.KILL else CLOSING:
            message = rule.check(case)
            if message is not None:
                return Verdict(approved=None, reason=rule.reason, message=message, near=tuple(case.near))
        near = tuple(case.near)
    limit_price = round(intent.price_ticks * context.price_tick, _DECIMALS)
    approved = _approve(client_order_id, intent, limit_price, context.seq)
    return Verdict(approved=approved, near=near)


def check_cancel(
    state: RiskState,
    limits: RiskLimits,
    meters: ExchangeMeters,
    now_ns: int,
    symbol: str,
    *,
    killed: bool = False,
    flattening: bool = False,
    closing: bool = False,
) -> CancelVerdict:
    """Whether a cancel may leave now: rate per second and cancels per contract and day, neither while killed or flattening.

    closing: of an order that closes, which may have been let in beyond the stop level: up to the last free one.
    Whoever sends the cancel tells `observe_cancel`.
    """
    if killed or flattening:
        return CancelVerdict(allowed=True)
    recent = within_second(state.cancels_at, now_ns) + 1
    if recent > limits.cancels_per_s:
        words = f"cancels within a second would be {recent}, at most {limits.cancels_per_s}"
        return CancelVerdict(allowed=False, reason=RiskReason.CANCEL_RATE, message=words)
    level = meters.levels(symbol, state.trading_day, limits).cancels
    used = state.meters_of(symbol).cancels + 1
    near: tuple[NearMiss, ...] = ()
    most = 0 if level is None else max(level.stop, level.free) if closing else level.stop
    if level is not None and used > most:
        words = f"cancels of the day would be {used}, at most {most}"
        return CancelVerdict(allowed=False, reason=RiskReason.CANCELS, message=words)
    if level is not None and used >= level.warn:
        words = f"cancels of the day: {used} of at most {most}"
        near = (NearMiss(reason=RiskReason.CANCELS, used=used, limit=most, message=words, symbol=symbol),)
    return CancelVerdict(allowed=True, near=near)
