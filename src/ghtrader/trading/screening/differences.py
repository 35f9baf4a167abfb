"""Order for order: what the screening backtester sent and got beside what the gateway did, and why they differ where they do.

Orders are matched by the tick that they were decided on. Where one side was held up once, it stands elsewhere than the other for a while
(it still holds, or still waits) and decides at other ticks: such differences follow from the earlier one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from ghtrader.core.clock import iso_utc
from ghtrader.sim.policy import PolicyOrder
from ghtrader.trading.screening.deeds import Deed, GatewayDay

__all__ = ["FOLLOWS", "UNKNOWN", "VENUE_RULES", "DayComparison", "Difference", "compare_day"]

FOLLOWS, UNKNOWN = "follows", "unknown"
#: The exchange's rules, which the screening simplifies: `ghtrader.sim.venue.Arrival`.
VENUE_RULES = "venue rules"


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One difference. what: ``order`` (one side sent none, or another one), ``fill`` or ``end``; reason: see `compare_day`.

    number: from 1 within the day; follows: number of the difference that set the two apart, 0 for one that stands for itself.
    """

    number: int
    trading_day: str
    ts_ns: int
    at: str
    what: str
    screening: str
    gateway: str
    reason: str
    follows: int = 0


class DayComparison(msgspec.Struct, frozen=True, kw_only=True):
    """A trading day. matched: orders of both sides that were decided alike and ended alike, with the same fills at the same ticks."""

    trading_day: str
    screening_orders: int
    gateway_orders: int
    screening_fills: int
    gateway_fills: int
    matched: int
    screening_net_cny: float
    gateway_net_cny: float
    differences: list[Difference]


@dataclass
class _Standing:
    """Where one side stands at a moment: signed lots, and whether an order of an earlier decision is under way."""

    position: int
    waits: bool

    def __str__(self) -> str:
        parts = [f"holds {self.position:+d}"] if self.position else []
        return ", ".join([*parts, *(["an order works"] if self.waits else [])]) or "flat"


def _screened_at(orders: Sequence[PolicyOrder], ts_ns: int) -> _Standing:
    return _standing([(order.decided_ns, order.ended_ns, order.side, order.fills) for order in orders], ts_ns)


def _done_at(deeds: Sequence[Deed], ts_ns: int) -> _Standing:
    return _standing([(deed.decided_ns, deed.ended_ns, deed.side, deed.fills) for deed in deeds if deed.orders], ts_ns)


def _standing(orders: Sequence[tuple[int, int, int, Sequence[tuple[int, int, int]]]], ts_ns: int) -> _Standing:
    position, waits = 0, False
    for decided, ended, side, fills in orders:
        if decided >= ts_ns:
            break
        position += side * sum(lots for stamp, _, lots in fills if stamp <= ts_ns)
        waits = ended < 0 or ended > ts_ns
    return _Standing(position, waits)


class _Day:
    """One day under comparison."""

    def __init__(self, screened: Sequence[PolicyOrder], gateway: GatewayDay, *, same_venue: bool) -> None:
        self.screened, self.gateway, self.same_venue = screened, gateway, same_venue
        self.found: list[Difference] = []
        self.matched = self.root = 0

    def run(self) -> None:
        deeds = {(deed.decided_ns, deed.side, deed.opens): deed for deed in self.gateway.deeds if deed.orders}
        pairs: list[tuple[int, PolicyOrder | None, Deed | None]] = [
            (order.decided_ns, order, deeds.pop((order.decided_ns, order.side, order.opens), None)) for order in self.screened
        ]
        pairs += [(deed.decided_ns, None, deed) for deed in deeds.values()]
        for stamp, order, deed in sorted(pairs, key=lambda pair: (pair[0], pair[1] is None)):
            if order is None:
                assert deed is not None
                self._alone(stamp, "none", _deed_words(deed))
            elif deed is None:
                self._missing(order)
            else:
                self._pair(order, deed)

    def _add(self, ts_ns: int, what: str, screening: str, gateway: str, reason: str) -> None:
        follows = self.root if reason == FOLLOWS else 0
        number = len(self.found) + 1
        day, at = self.gateway.trading_day, iso_utc(ts_ns)
        self.found.append(
            Difference(
                number=number, trading_day=day, ts_ns=ts_ns, at=at, what=what, screening=screening, gateway=gateway,
                reason=reason, follows=follows,
            )
        )  # fmt: skip
        if reason != FOLLOWS:
            self.root = number

    def _apart(self, ts_ns: int) -> tuple[_Standing, _Standing, bool]:
        """Where both stand just before a decision, and whether that differs."""
        screened, done = _screened_at(self.screened, ts_ns), _done_at(self.gateway.deeds, ts_ns)
        return screened, done, screened != done

    def _alone(self, ts_ns: int, screening: str, gateway: str) -> None:
        """The gateway sent what was not screened."""
        screened, _, apart = self._apart(ts_ns)
        words = screening if not apart else f"none: {screened}"
        self._add(ts_ns, "order", words, gateway, FOLLOWS if apart and self.root else UNKNOWN)

    def _missing(self, order: PolicyOrder) -> None:
        """The gateway sent no order of this decision."""
        stamp = order.decided_ns
        refusal = next((deed.refusal for deed in self.gateway.deeds if deed.decided_ns == stamp and deed.refusal), "")
        _, done, apart = self._apart(stamp)
        halted = self.gateway.halt_at(stamp)
        reason = refusal or (FOLLOWS if apart and self.root else f"halted: {halted}" if halted else UNKNOWN)
        self._add(stamp, "order", _order_words(order), f"none: {done}" if apart else "none", reason)

    def _pair(self, order: PolicyOrder, deed: Deed) -> None:
        """Both sent one: lots, price, kind, pieces, fills and end."""
        before = len(self.found)
        limited = not order.takes or order.opens  # leaving takes at any price, with a limit that the screening does not have
        same_price = order.price == deed.price or not limited
        if (order.lots, order.takes, 1) != (deed.lots, deed.takes, len(deed.orders)) or not same_price:
            apart = self._apart(order.decided_ns)[2]
            reason = "order size" if len(deed.orders) > 1 else FOLLOWS if apart and self.root else UNKNOWN
            self._add(order.decided_ns, "order", _order_words(order), _deed_words(deed), reason)
        if _merged(order.fills) != _merged(deed.fills):
            stamp = min(fill[0] for fill in (*order.fills, *deed.fills))
            self._add(stamp, "fill", _fill_words(order.fills), _fill_words(deed.fills), self._why(order, deed, before))
        elif order.end != "day_end" and deed.end != "open" and (order.end, order.ended_ns) != (deed.end, deed.ended_ns):
            screening = f"{order.end} {iso_utc(order.ended_ns)}"
            gateway = f"{deed.end} {iso_utc(deed.ended_ns)}" + (f" ({deed.message})" if deed.message else "")
            self._add(min(order.ended_ns, deed.ended_ns), "end", screening, gateway, self._why(order, deed, before))
        self.matched += len(self.found) == before

    def _why(self, order: PolicyOrder, deed: Deed, before: int) -> str:
        """Why an order of both sides went another way."""
        if deed.end == "refused":
            return f"venue: {deed.message or 'refused'}"
        if deed.waited:
            return "cancel rate"
        if len(self.found) > before:  # another order than the screened one
            return FOLLOWS
        if order.end == "refused" or not self.same_venue:
            return VENUE_RULES
        return UNKNOWN


def _merged(fills: Sequence[tuple[int, int, int]]) -> dict[tuple[int, int], int]:
    found: dict[tuple[int, int], int] = {}
    for stamp, price, lots in fills:
        found[stamp, price] = found.get((stamp, price), 0) + lots
    return found


def _words(side: int, opens: bool, lots: int, price: int, takes: bool) -> str:
    way = "buy" if side > 0 else "sell"
    return f"{way} {lots} to {'open' if opens else 'close'}, {'FAK' if takes else 'day order'} at {price}"


def _order_words(order: PolicyOrder) -> str:
    return _words(order.side, order.opens, order.lots, order.price, order.takes)


def _deed_words(deed: Deed) -> str:
    pieces = f" in {len(deed.orders)} pieces" if len(deed.orders) > 1 else ""
    return _words(deed.side, deed.opens, deed.lots, deed.price, deed.takes) + pieces


def _fill_words(fills: Sequence[tuple[int, int, int]]) -> str:
    return ", ".join(f"{lots} at {price}, {iso_utc(stamp)}" for stamp, price, lots in fills) or "none"


def compare_day(
    screened: Sequence[PolicyOrder], gateway: GatewayDay, *, same_venue: bool, screening_net_cny: float, gateway_net_cny: float
) -> DayComparison:
    """Every order of a day on both sides.

    same_venue: the venue kept the screening's rules. Reasons: ``target refused: CODE``, ``risk: CODE`` (the gate), ``executor: CODE``,
    ``halted: CODE`` (the strategy), ``venue: WORDS`` (it refused the order), ``venue rules`` (it goes by the exchange's rules),
    ``order size`` (sent in pieces), ``cancel rate``, ``follows`` (from the difference that ``follows`` names), ``unknown``.
    """
    day = _Day(screened, gateway, same_venue=same_venue)
    day.run()
    return DayComparison(
        trading_day=gateway.trading_day,
        screening_orders=len(screened),
        gateway_orders=sum(len(deed.orders) for deed in gateway.deeds),
        screening_fills=sum(len(order.fills) for order in screened),
        gateway_fills=sum(len(deed.fills) for deed in gateway.deeds),
        matched=day.matched,
        screening_net_cny=round(screening_net_cny, 2),
        gateway_net_cny=round(gateway_net_cny, 2),
        differences=day.found,
    )
