"""What a gateway made of each decision of the strategy, read from its journal: the orders of it, or why there were none."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from ghtrader.core.instruments import InstrumentSpec
from ghtrader.core.messages import Style
from ghtrader.core.orders import Offset, OrderKind
from ghtrader.ports.broker import OrderState
from ghtrader.trading.journal.records import Record, RecordKind, order_id_of, plain
from ghtrader.trading.words import Origin

__all__ = ["Deed", "GatewayDay", "days_of"]

#: What holds for a contract on a trading day (ISO).
SpecOf = Callable[[str, str], InstrumentSpec]
ENDS = {OrderState.FILLED: "filled", OrderState.REJECTED: "refused", OrderState.LOST: "refused"}


@dataclass
class Deed:
    """A decision and what was done for it. Prices in ticks, stamps of exchange time.

    orders: client order ids, more than one where the order was sent in pieces; price: of the first. ended_ns: -1 while one works.
    end: ``filled``, ``short``, ``refused``, ``open``, or ``none`` without an order. refusal: why there is none.
    fills: (stamp, price, lots). message: the venue's last words. waited: a cancel of it was held back by the rate. working: lots left
    by order.
    """

    decided_ns: int
    stops: bool
    side: int = 0
    opens: bool = False
    lots: int = 0
    price: int = 0
    takes: bool = False
    orders: list[str] = field(default_factory=list)
    ended_ns: int = -1
    end: str = "none"
    refusal: str = ""
    message: str = ""
    waited: bool = False
    fills: list[tuple[int, int, int]] = field(default_factory=list)
    working: dict[str, int] = field(default_factory=dict)


@dataclass
class GatewayDay:
    """A trading day of one contract. halts: (since when, what the strategy said of itself), in order."""

    trading_day: str
    deeds: list[Deed] = field(default_factory=list)
    halts: list[tuple[int, str]] = field(default_factory=list)

    def halt_at(self, ts_ns: int) -> str:
        """What the strategy was halted for at a moment; empty when it was not."""
        found = ""
        for since, state in self.halts:
            if since <= ts_ns:
                found = state
        return found.removeprefix("halted ").strip() if found.startswith("halted") else ""


class _Reader:
    """Goes through the records once."""

    def __init__(self, symbol: str, spec_of: SpecOf) -> None:
        self.symbol, self.spec_of = symbol, spec_of
        self.days: list[GatewayDay] = []
        self.causes: dict[int, int] = {}
        self.deeds: dict[int, Deed] = {}
        self.of_order: dict[str, Deed] = {}
        self.said = ""
        self.price_tick = 1.0

    def read(self, record: Record) -> None:
        self.causes[record.seq] = record.cause
        if record.kind is RecordKind.DAY:
            self._day(str(record.body.get("trading_day", "")))
        elif record.kind is RecordKind.STRATEGY:
            self.said = str(record.body.get("state") or record.body.get("lost") or self.said)
            if self.days:
                self.days[-1].halts.append((record.ts_ns, self.said))
        elif record.kind is RecordKind.TARGET:
            self._target(record)
        elif record.kind in _READERS:
            _READERS[record.kind](self, record)

    def _day(self, iso: str) -> None:
        if not self.days or self.days[-1].trading_day != iso:
            self.days.append(GatewayDay(iso, halts=[(0, self.said)]))
            self.price_tick = self.spec_of(self.symbol, iso).price_tick

    def _target(self, record: Record) -> None:
        held, target = plain(record.body.get("held")), record.body.get("target")
        if not self.days or not held or held["contract"] != self.symbol or held["origin"] != Origin.STRATEGY:
            return
        deed = Deed(_tick_ns(target, record), held["execution"][0] == Style.STOP)
        if record.body.get("refused"):
            deed.refusal = f"target refused: {record.body['refused']}"
        self.deeds[record.seq] = deed
        self.days[-1].deeds.append(deed)

    def _deed(self, seq: int) -> Deed | None:
        """The decision that a record goes back to."""
        while seq and seq not in self.deeds:
            seq = self.causes.get(seq, 0)
        return self.deeds.get(seq)

    def verdict(self, record: Record) -> None:
        deed = self._deed(record.cause)
        if deed is not None and not record.body.get("approved"):
            deed.refusal = f"risk: {record.body['reason']}"

    def intent(self, record: Record) -> None:
        deed, intent = self._deed(record.cause), plain(record.body["intent"])
        if deed is None or intent["symbol"] != self.symbol:
            return
        identity = order_id_of(record)
        if not deed.orders:
            deed.side, deed.opens = int(intent["side"]), intent["offset"] == Offset.OPEN
            deed.price, deed.takes, deed.end = intent["price_ticks"], intent["kind"] != OrderKind.GFD, "open"
        deed.lots += intent["lots"]
        deed.orders.append(identity)
        deed.working[identity] = intent["lots"]
        deed.ended_ns = -1
        self.of_order[identity] = deed

    def update(self, record: Record) -> None:
        identity = order_id_of(record)
        deed = self.of_order.get(identity)
        if deed is None or identity not in deed.working:
            return
        order: dict[str, Any] | None = plain(record.body.get("order"))
        state = OrderState.LOST if order is None else OrderState(order["state"])
        if order is None and not record.body.get("never_sent"):
            return
        if state.is_final:
            deed.message = str((order or record.body).get("message", ""))
            _end(deed, identity, ENDS.get(state, "short"), record.ts_ns)

    def fill(self, record: Record) -> None:
        fill = plain(record.body["fill"])
        deed = self.of_order.get(fill["client_order_id"])
        if deed is None:
            return
        identity = fill["client_order_id"]
        deed.fills.append((fill["ts_ns"], round(fill["price"] / self.price_tick), fill["lots"]))
        if identity in deed.working:
            deed.working[identity] -= fill["lots"]
            if deed.working[identity] <= 0:
                _end(deed, identity, "filled", fill["ts_ns"])

    def note(self, record: Record) -> None:
        body = record.body
        if body.get("what") == "goal_done":
            deed = self._deed(record.cause)
            if deed is not None and not deed.orders and not deed.refusal:
                deed.refusal = f"executor: {body.get('reason', '')}"
        elif body.get("what") == "cancel_waits":
            deed = self.of_order.get(str(body.get("client_order_id", "")))
            if deed is not None:
                deed.waited = True


def _end(deed: Deed, identity: str, end: str, ts_ns: int) -> None:
    """An order of a decision ended; the last one ends the decision."""
    del deed.working[identity]
    if not deed.working:
        deed.end = end if sum(lots for _, _, lots in deed.fills) < deed.lots else "filled"
        deed.ended_ns = ts_ns


def _tick_ns(target: Any, record: Record) -> int:
    """The tick a target was decided on; the record's own time for one that names none."""
    if target is None:
        return record.ts_ns
    return int(target[_TICK_NS]) if isinstance(target, list | tuple) else int(target.tick_ns)


#: Place of ``tick_ns`` in a target that was read back, the tag in front.
_TICK_NS = 9
_READERS: dict[RecordKind, Callable[[_Reader, Record], None]] = {
    RecordKind.VERDICT: _Reader.verdict,
    RecordKind.ORDER_INTENT: _Reader.intent,
    RecordKind.ORDER_UPDATE: _Reader.update,
    RecordKind.FILL: _Reader.fill,
    RecordKind.NOTE: _Reader.note,
}


def days_of(records: Iterable[Record], symbol: str, spec_of: SpecOf) -> list[GatewayDay]:
    """The strategy's decisions on a contract by trading day, from a journal's records; raises what ``spec_of`` raises."""
    reader = _Reader(symbol, spec_of)
    for record in records:
        reader.read(record)
    return reader.days
