"""From the journal to what costs are computed from: which orders were sent for which target, and what became of them.

An order belongs to the target that its intent goes back to by causes; a direct order of an operator goes back to none and stands for
itself. Targets that were refused count for nothing. A target's window ends with the next different target of its contract, with one that
only stops what works, or with the trading day. Fills of its orders count also when they come later. Where a late fill made a target trade
both ways, each direction is an entry of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import msgspec

from ghtrader.core.errors import DataError
from ghtrader.core.instruments import InstrumentSpec
from ghtrader.core.messages import ExecutionStyle, Style, Target
from ghtrader.core.orders import OrderKind, Side
from ghtrader.ports.broker import BrokerFill, BrokerOrder
from ghtrader.sim.costs import SimCosts
from ghtrader.trading.journal.records import Record, RecordKind, order_id_of, plain
from ghtrader.trading.tca.costs import FillEntry, OrderEntry, Quote, TargetEntry
from ghtrader.trading.tca.quotes import Quotes
from ghtrader.trading.words import OrderIntent

__all__ = ["SpecOf", "targets_of"]

#: What holds for a contract on a trading day (ISO).
SpecOf = Callable[[str, str], InstrumentSpec]


@dataclass
class _Sent:
    """An order as the journal tells it."""

    intent: OrderIntent
    order_id: str
    sent_ns: int = -1
    end_ns: int = -1
    fills: list[BrokerFill] = field(default_factory=list)

    @property
    def filled(self) -> int:
        return sum(fill.lots for fill in self.fills)


@dataclass
class _Window:
    """A target while it holds. missing: signed lots to the wanted position, at the beginning and at the end of the window."""

    target_id: int
    symbol: str
    decision: Quote
    day: str
    style: Style | None
    missing: int
    lots: int
    end_ns: int = -1
    missing_at_end: int = 0
    orders: list[_Sent] = field(default_factory=list)


class _Held(msgspec.Struct):
    """What a gateway took a target for: the contract behind an alias, lots and style."""

    contract: str
    lots: int
    execution: ExecutionStyle


class _Reader:
    """Goes through records once; keeps causes, windows and positions."""

    def __init__(self, positions: Mapping[str, int], quotes: Quotes) -> None:
        self.positions, self.quotes = dict(positions), quotes
        self.causes: dict[int, tuple[RecordKind, int]] = {}
        self.windows: dict[int, _Window] = {}
        self.standing: dict[str, _Window] = {}
        self.orders: dict[str, tuple[_Sent, _Window]] = {}
        self.trades: set[str] = set()
        self.of_target: dict[int, _Window] = {}

    def read(self, record: Record) -> None:
        self.causes[record.seq] = record.kind, record.cause
        reader = {
            RecordKind.TARGET: self._target,
            RecordKind.ORDER_INTENT: self._intent,
            RecordKind.ORDER_SENT: self._sent,
            RecordKind.ORDER_UPDATE: self._update,
            RecordKind.FILL: self._fill,
            RecordKind.RECONCILE: self._reconcile,
        }.get(record.kind)
        if reader is not None:
            reader(record)

    def _target(self, record: Record) -> None:
        body = record.body
        if body.get("refused"):
            return
        target = msgspec.convert(plain(body["target"]), Target) if body.get("target") is not None else None
        if body.get("held") is not None:
            held = msgspec.convert(plain(body["held"]), _Held)
        elif target is not None:
            held = _Held(target.symbol, target.lots, target.execution)
        else:
            raise DataError(f"target record {record.seq} names no target", seq=record.seq)
        decided_ns = record.ts_ns if target is None else target.tick_ns
        self._decide(record.seq, held, decided_ns)

    def _decide(self, seq: int, held: _Held, decided_ns: int) -> None:
        symbol, standing = held.contract, self.standing.get(held.contract)
        day, stops = self.quotes.trading_day(symbol, decided_ns), held.execution.style is Style.STOP
        if standing is not None:
            same_day = standing.day == day
            if same_day and not stops and (standing.lots, standing.style) == (held.lots, held.execution.style):
                self.of_target[seq] = standing
                return
            self.end(standing, decided_ns if same_day else -1)
        position = self.positions.get(symbol, 0)
        lots = position if stops else held.lots
        window = _Window(seq, symbol, self.quotes.at(symbol, decided_ns), day, held.execution.style, lots - position, lots)
        self.standing[symbol] = self.windows[seq] = self.of_target[seq] = window

    def end(self, window: _Window, end_ns: int = -1) -> None:
        """A window ends, without a moment with its trading day."""
        window.end_ns = end_ns
        window.missing_at_end = window.lots - self.positions.get(window.symbol, 0)

    def _intent(self, record: Record) -> None:
        sent = _Sent(msgspec.convert(plain(record.body["intent"]), OrderIntent), order_id_of(record))
        window = self._root(record)
        if window is None:
            side, symbol = int(sent.intent.side), sent.intent.symbol
            decision, day = self.quotes.at(symbol, record.ts_ns), self.quotes.trading_day(symbol, record.ts_ns)
            window = _Window(record.seq, symbol, decision, day, None, side * sent.intent.lots, 0)
            self.windows[record.seq] = window
        window.orders.append(sent)
        self.orders[sent.order_id] = sent, window

    def _root(self, record: Record) -> _Window | None:
        """The target that an intent goes back to."""
        kind, seq = record.kind, record.seq
        while kind is not RecordKind.TARGET:
            cause = self.causes[seq][1]
            if cause not in self.causes:
                return None
            kind, seq = self.causes[cause][0], cause
        return self.of_target.get(seq)

    def _sent(self, record: Record) -> None:
        found = self.orders.get(order_id_of(record))
        if found is not None:
            found[0].sent_ns = record.ts_ns

    def _update(self, record: Record) -> None:
        found = self.orders.get(order_id_of(record))
        if found is None:
            return
        if "order" in record.body:
            is_over = msgspec.convert(plain(record.body["order"]), BrokerOrder).state.is_final
        else:
            is_over = bool(record.body.get("never_sent"))
        if is_over and found[0].end_ns < 0:
            found[0].end_ns = record.ts_ns

    def _fill(self, record: Record) -> None:
        self._book(msgspec.convert(plain(record.body["fill"]), BrokerFill))

    def _reconcile(self, record: Record) -> None:
        """Trades that only the venue knew."""
        for action in plain(record.body.get("outcome") or {}).get("actions", ()):
            if action.get("fill") is not None:
                self._book(msgspec.convert(action["fill"], BrokerFill))

    def _book(self, fill: BrokerFill) -> None:
        if fill.trade_id in self.trades:
            return
        self.trades.add(fill.trade_id)
        signed = int(fill.side) * fill.lots
        self.positions[fill.symbol] = self.positions.get(fill.symbol, 0) + signed
        found = self.orders.get(fill.client_order_id)
        if found is None:
            return
        found[0].fills.append(fill)
        window = found[1]
        if window.end_ns >= 0 and window.missing_at_end * signed > 0:  # it came after its window had ended
            late = min(abs(window.missing_at_end), fill.lots)
            window.missing_at_end -= int(fill.side) * late


def targets_of(
    records: Iterable[Record], quotes: Quotes, spec_of: SpecOf, *, positions: Mapping[str, int] | None = None
) -> list[TargetEntry]:
    """Targets and direct orders of a stretch of the journal, in the order of their decisions.

    positions: signed lots by contract where the stretch begins, none by default. A target that changed nothing is left out. Raises what
    ``quotes`` and ``spec_of`` raise, DataError for a target record without a target, and msgspec.ValidationError for a record whose body
    is not what its kind promises.
    """
    reader = _Reader(positions or {}, quotes)
    for record in records:
        reader.read(record)
    for window in reader.standing.values():
        reader.end(window)
    found = [
        entry
        for window in reader.windows.values()
        for side in Side
        if (entry := _entry(window, side, quotes, spec_of)) is not None
    ]
    return sorted(found, key=lambda entry: (entry.decision.ts_ns, entry.target_id, entry.side))


def _entry(window: _Window, side: Side, quotes: Quotes, spec_of: SpecOf) -> TargetEntry | None:
    """A window's trades in one direction; None when it neither wanted nor sent any."""
    orders = [order for order in window.orders if order.intent.side == side and order.sent_ns >= 0]
    filled, wanted = sum(order.filled for order in orders), max(0, int(side) * window.missing)
    if not orders and not wanted:
        return None
    symbol, is_direct = window.symbol, window.style is None
    spec, last = spec_of(symbol, window.day), quotes.day_end(symbol, window.decision.ts_ns)
    end_ns = window.end_ns if window.end_ns >= 0 else last
    if is_direct:
        ends = [order.end_ns for order in orders if order.end_ns >= 0]
        end_ns = ends[-1] if ends else last
    end_ns = min(end_ns, last)
    unfilled = max(0, wanted - filled) if is_direct else max(0, int(side) * window.missing_at_end)
    return TargetEntry(
        target_id=window.target_id,
        symbol=symbol,
        trading_day=window.day,
        side=side,
        wanted=max(wanted, filled),
        unfilled=unfilled,
        decision=window.decision,
        end_ns=end_ns,
        end_mid=quotes.at(symbol, end_ns).mid,
        tick_value_cny=spec.tick_value_cny,
        style=window.style,
        orders=tuple(_order(order, end_ns, quotes, spec) for order in orders),
    )


def _order(order: _Sent, window_end_ns: int, quotes: Quotes, spec: InstrumentSpec) -> OrderEntry:
    intent, costs = order.intent, SimCosts.from_spec(spec)
    touch = quotes.at(intent.symbol, order.sent_ns)
    end_ns = order.end_ns if order.end_ns >= 0 else max(window_end_ns, order.sent_ns)
    takes = intent.kind is not OrderKind.GFD or _crosses(intent, touch)

    def entry(fill: BrokerFill) -> FillEntry:
        # who takes is filled from the snapshot that shows the fill, who waits before it
        seen = quotes.at(fill.symbol, fill.ts_ns) if takes else quotes.before(fill.symbol, fill.ts_ns)
        price = round(fill.price / spec.price_tick, 6)
        fee = costs.fee_cny(fill.offset, price, fill.lots)
        return FillEntry(ts_ns=fill.ts_ns, price=price, lots=fill.lots, mid=seen.mid, fee_cny=fee)

    return OrderEntry(
        order_id=order.order_id,
        side=intent.side,
        lots=intent.lots,
        kind=intent.kind,
        limit=float(intent.price_ticks),
        sent_ns=order.sent_ns,
        mid=touch.mid,
        end_ns=end_ns,
        end_mid=quotes.at(intent.symbol, end_ns).mid,
        fills=tuple(entry(fill) for fill in sorted(order.fills, key=lambda fill: fill.ts_ns)),
    )


def _crosses(intent: OrderIntent, touch: Quote) -> bool:
    """Whether a limit reached the opposite touch when it was sent."""
    if intent.side == Side.BUY:
        return touch.ask is not None and intent.price_ticks >= touch.ask
    return touch.bid is not None and intent.price_ticks <= touch.bid
