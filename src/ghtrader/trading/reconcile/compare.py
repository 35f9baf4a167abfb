"""The comparison: our book and ledger against what the venue says, case by case.

The present state is not touched: everything is tried on copies, so that the positions are compared after the trades have been taken.
Order of work: the day, orders and trades that only the venue has, missing trades, how every order stands, then positions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from ghtrader.core.orders import Offset, OrderKind, Side
from ghtrader.ports.broker import BrokerFill, BrokerOrder, BrokerPosition, OrderRequest, OrderState
from ghtrader.trading.orders.book import OrderBook, intent_of
from ghtrader.trading.orders.ids import external_order_id, synthetic_trade_id
from ghtrader.trading.orders.machine import OrderPhase, OrderRecord, event_of, step_order
from ghtrader.trading.orders.positions import PositionLedger
from ghtrader.trading.reconcile.actions import Action, Difference, Reconciliation, apply_action, named
from ghtrader.trading.reconcile.cases import CASES, CaseName
from ghtrader.trading.reconcile.venue import VenueSnapshot

__all__ = ["LOST_AFTER_NS", "reconcile"]

#: How long after it was sent an order must be before an answer without it says anything.
LOST_AFTER_NS = 10_000_000_000


def reconcile(
    book: OrderBook,
    positions: PositionLedger,
    venue: VenueSnapshot,
    *,
    now_ns: int,
    lost_after_ns: int = LOST_AFTER_NS,
    price_ticks: Mapping[str, float] | None = None,
) -> Reconciliation:
    """Compare; nothing is changed, see `apply_reconciliation`.

    now_ns: the present, for the age of orders that the venue does not list. price_ticks: price tick of a contract in CNY, for the
    prices of adopted orders (1 CNY for others).
    """
    return _Comparison(book, positions, venue, now_ns, lost_after_ns, price_ticks or {}).run()


class _Comparison:
    def __init__(
        self,
        book: OrderBook,
        positions: PositionLedger,
        venue: VenueSnapshot,
        now_ns: int,
        lost_after_ns: int,
        price_ticks: Mapping[str, float],
    ) -> None:
        self._book, self._positions = book.copy(), positions.copy()
        self._venue, self._now_ns, self._lost_after_ns, self._price_ticks = venue, now_ns, lost_after_ns, price_ticks
        self._orders = {order.request.client_order_id: order for order in map(named, venue.orders)}
        self._fills = [_named_fill(fill) for fill in venue.fills]
        self._actions: list[Action] = []
        self._differences: list[Difference] = []
        self._expired: list[OrderRecord] = []
        self._believed: list[OrderRecord] = []
        self._told_late: dict[str, list[BrokerFill]] = {}
        self._forgotten: set[str] = set()

    def run(self) -> Reconciliation:
        if self._day():
            self._adopt()
            self._take_fills()
            self._judge_listed()
            self._judge_absent()
            self._judge_positions()
            if self._venue.funds.balance != self._venue.funds.balance:
                self._tell(CaseName.FUNDS_UNKNOWN, "", "", "balance unknown")
        return Reconciliation(
            trading_day=self._venue.trading_day,
            actions=tuple(self._actions),
            differences=tuple(self._differences),
            balanced=not self._is_blocked,
        )

    @property
    def _is_blocked(self) -> bool:
        return any(difference.blocks for difference in self._differences)

    def _tell(self, case: CaseName, symbol: str, ours: str, venue: str, identity: str = "") -> None:
        self._differences.append(Difference(case=case, symbol=symbol, ours=ours, venue=venue, client_order_id=identity))

    def _do(self, case: CaseName, **what: Any) -> None:
        """An action of the table for a case, done on the copies at once."""
        action = Action(case=case, kind=CASES[case].action, **what)
        self._actions.append(action)
        apply_action(action, self._book, self._positions, self._now_ns)

    # --- the day --------------------------------------------------------------------------------------------------------
    def _day(self) -> bool:
        ours, theirs = self._positions.trading_day, self._venue.trading_day
        if theirs < ours:
            self._tell(CaseName.DAY_BEHIND, "", ours, theirs)
            return False
        if theirs > ours:
            self._do(CaseName.DAY_CHANGED, trading_day=theirs)
        return True

    # --- what only the venue has ----------------------------------------------------------------------------------------
    def _adopt(self) -> None:
        for identity, order in self._orders.items():
            record = self._book.get(identity)
            if order.request.lots > 0 and (record is None or _was_misjudged(record, order.request)):
                self._adopt_one(CaseName.ORDER_VENUE_ONLY, identity, order)
        lots: dict[str, int] = {}
        first: dict[str, BrokerFill] = {}
        for fill in self._fills:
            if self._book.get(fill.client_order_id) is None and fill.lots > 0:
                lots[fill.client_order_id] = lots.get(fill.client_order_id, 0) + fill.lots
                first.setdefault(fill.client_order_id, fill)
        for identity, fill in first.items():
            self._adopt_one(CaseName.FILL_VENUE_ONLY, identity, _order_behind(fill, lots[identity]))

    def _adopt_one(self, case: CaseName, identity: str, order: BrokerOrder) -> None:
        request = order.request
        intent = intent_of(order, self._price_ticks.get(request.symbol, 1.0))
        self._do(case, client_order_id=identity, intent=intent, trading_day=self._venue.trading_day)
        words = f"{order.state} {request.side.name.lower()} {request.offset} {request.lots} at {request.limit_price:g}"
        self._tell(case, request.symbol, "", words, identity)

    def _take_fills(self) -> None:
        listed: set[tuple[str, str]] = set()
        for fill in self._fills:
            listed.add((fill.client_order_id, fill.trade_id))
            record = self._book.get(fill.client_order_id)
            if record is None or fill.lots <= 0 or (record.symbol, record.side) != (fill.symbol, fill.side):
                words = f"{fill.side.name.lower()} {fill.lots} of {fill.symbol}"
                ours = "" if record is None else f"{record.side.name.lower()} {record.symbol}"
                self._tell(CaseName.FILL_CONTRADICTS, fill.symbol, ours, words, fill.client_order_id)
            elif fill.trade_id not in record.trade_ids:
                self._do(CaseName.FILL_MISSING, client_order_id=fill.client_order_id, fill=fill)
                if record.adopted and 0 < fill.ts_ns < self._positions.based_ns:
                    self._told_late.setdefault(fill.symbol, []).append(fill)
                words = f"trade {fill.trade_id}: {fill.lots} at {fill.price:g}"
                self._tell(CaseName.FILL_MISSING, fill.symbol, "", words, fill.client_order_id)
        for record in self._book.orders():
            if record.trading_day != self._venue.trading_day:
                continue
            for trade in record.trade_ids:
                if (record.client_order_id, trade) not in listed:
                    self._forgotten.add(record.symbol)
                    self._tell(CaseName.FILL_FORGOTTEN, record.symbol, f"trade {trade}", "", record.client_order_id)

    # --- orders ---------------------------------------------------------------------------------------------------------
    def _judge_listed(self) -> None:
        for identity, told in self._orders.items():
            record = self._book.get(identity)
            if record is None:
                continue
            order = _after_trades(record, told)
            case = _case_of(record, order)
            if case is not CaseName.ORDER_AGREES:
                self._do(case, client_order_id=identity, order=order)
                if not (case is CaseName.ORDER_BEHIND and record.adopted and not record.acked):
                    self._tell(case, record.symbol, _words(record), f"{order.state}, {order.left} left", identity)
            after = self._book.get(identity)
            if after is not None and after.cancel_asked and order.state is OrderState.WORKING and not after.phase.is_final:
                self._do(CaseName.CANCEL_UNHEARD, client_order_id=identity)
                self._tell(CaseName.CANCEL_UNHEARD, record.symbol, _words(after), f"{order.state}", identity)

    def _judge_absent(self) -> None:
        for record in self._book.orders():
            is_past = record.trading_day < self._venue.trading_day and record.client_order_id not in self._orders
            if is_past and record.is_believed and not record.day_over:
                self._believed.append(record)
        for before in self._book.unsettled():
            record, identity = before, before.client_order_id
            if record.trading_day < self._venue.trading_day and identity not in self._orders:
                self._expired.append(record)
                continue
            if not record.phase.is_final and identity not in self._orders:
                case = self._case_of_absent(record)
                self._do(case, client_order_id=identity)
                self._tell(case, record.symbol, _words(record), "not listed", identity)
                record = self._book.get(identity) or record
            if record.awaited and not record.is_settled:
                self._tell(CaseName.FILLS_AWAITED, record.symbol, _words(record), f"{record.awaited} lots traded", identity)

    def _case_of_absent(self, record: OrderRecord) -> CaseName:
        if record.acked:
            return CaseName.ORDER_FORGOTTEN
        age = self._now_ns - max(record.created_ns, record.sent_ns)
        if age < self._lost_after_ns:
            return CaseName.ORDER_YOUNG
        return CaseName.ORDER_LOST if record.unlisted else CaseName.ORDER_UNLISTED

    # --- positions ------------------------------------------------------------------------------------------------------
    def _judge_positions(self) -> None:
        held = {position.symbol: position for position in self._venue.positions}
        symbols = sorted({*held, *self._positions.symbols(), *(record.symbol for record in (*self._expired, *self._believed))})
        first = not self._positions.based
        for symbol in symbols:
            theirs = held.get(symbol) or _nothing(symbol)
            if not any(difference.blocks and difference.symbol == symbol for difference in self._differences):
                self._end_of_day(symbol, theirs)
            ours = self._positions.position(symbol)
            if _lots(ours) == _lots(theirs):
                continue
            if first and not self._is_blocked and symbol not in self._forgotten:
                case = CaseName.POSITION_FIRST
            elif self._has_included(symbol, theirs):
                case = CaseName.POSITION_INCLUDED
            elif _sides(ours) == _sides(theirs):
                case = CaseName.SPLIT_DIFFERS
            else:
                case = CaseName.POSITION_DIFFERS
            self._tell(case, symbol, _position_words(ours), _position_words(theirs))
            if case is not CaseName.POSITION_DIFFERS:
                self._do(case, position=theirs)

    def _end_of_day(self, symbol: str, theirs: BrokerPosition) -> None:
        """End the orders of earlier days; while something of the contract is unknown, its position explains nothing and they wait."""
        if self._positions.based:
            self._explain(symbol, theirs)
        for record in (*self._expired, *self._believed):
            if record.symbol == symbol:
                self._do(CaseName.ORDER_EXPIRED, client_order_id=record.client_order_id)
                if not record.is_settled:
                    self._tell(CaseName.ORDER_EXPIRED, symbol, _words(record), "its day is over", record.client_order_id)

    def _explain(self, symbol: str, theirs: BrokerPosition) -> None:
        """Trades of earlier days that the position proves: only when they explain the whole of the difference."""
        ours = _sides(self._positions.position(symbol))
        missing = dict(zip(Side, (there - here for here, there in zip(ours, _sides(theirs), strict=True)), strict=True))
        found: list[tuple[OrderRecord, int]] = []
        for record in (*self._expired, *self._believed):
            if record.symbol != symbol:
                continue
            opens = record.intent.offset is Offset.OPEN
            held, sign = (record.side, 1) if opens else (Side(-record.side), -1)
            lots = min(max(0, sign * missing[held]), record.lots - record.filled)
            if lots:
                missing[held] -= sign * lots
                found.append((record, lots))
        if any(missing.values()):
            return
        for record, lots in found:
            fill = _proven(record, lots, self._price_ticks.get(symbol, 1.0))
            self._do(CaseName.POSITION_EXPLAINED, client_order_id=record.client_order_id, fill=fill)
            words = f"{lots} lots traded"
            self._tell(CaseName.POSITION_EXPLAINED, symbol, _words(record), words, record.client_order_id)

    def _has_included(self, symbol: str, theirs: BrokerPosition) -> bool:
        """Whether the position was taken over with trades in it that the venue's list was still without."""
        late = self._told_late.get(symbol, ())
        if not late or any(difference.blocks and difference.symbol == symbol for difference in self._differences):
            return False
        lots = dict(zip(Side, _sides(self._positions.position(symbol)), strict=True))
        for fill in late:
            opens = fill.offset is Offset.OPEN
            lots[fill.side if opens else Side(-fill.side)] -= fill.lots if opens else -fill.lots
        return tuple(lots.values()) == _sides(theirs)


def _was_misjudged(record: OrderRecord, request: OrderRequest) -> bool:
    """Whether an order that was made of its trades is larger than they showed, or went the other way."""
    return record.adopted and (record.lots < request.lots or record.side != request.side)


def _after_trades(record: OrderRecord, order: BrokerOrder) -> BrokerOrder:
    """The venue's order, whose lots left are no more than its trades leave: they are listed before the order knows of them."""
    left = 0 if order.state is OrderState.FILLED else max(0, min(record.lots - record.filled, order.left))
    return msgspec.structs.replace(order, left=left)


def _case_of(record: OrderRecord, order: BrokerOrder) -> CaseName:
    """How a listed order compares with ours, after its trades were taken."""
    if record.filled >= record.lots:
        return CaseName.ORDER_AGREES
    if record.phase.is_final:
        if order.state is OrderState.UNKNOWN:
            return CaseName.ORDER_UNKNOWN if record.phase is OrderPhase.LOST else CaseName.ORDER_AGREES
        ended = order.state.is_final and order.left == record.left
        return CaseName.ORDER_AGREES if ended else CaseName.ORDER_CONTRADICTS
    if order.state is OrderState.UNKNOWN:
        return CaseName.ORDER_UNKNOWN
    if order.state is OrderState.LOST and record.acked:
        return CaseName.ORDER_FORGOTTEN
    if order.state is OrderState.SENT and record.acked:
        return CaseName.ORDER_AGREES
    event = event_of(record, order)
    if event is None or order.left > record.left:
        return CaseName.ORDER_CONTRADICTS
    moved = step_order(record, event, record.updated_ns, left=order.left)
    return CaseName.ORDER_AGREES if moved is None else CaseName.ORDER_BEHIND


def _named_fill(fill: BrokerFill) -> BrokerFill:
    if fill.client_order_id:
        return fill
    return msgspec.structs.replace(fill, client_order_id=external_order_id(fill.symbol, f"trade {fill.trade_id}"))


def _order_behind(fill: BrokerFill, lots: int) -> BrokerOrder:
    """The order that a venue-only trade must have had."""
    request = OrderRequest(
        client_order_id=fill.client_order_id,
        symbol=fill.symbol,
        side=fill.side,
        offset=fill.offset,
        lots=lots,
        limit_price=fill.price,
        kind=OrderKind.FAK,
    )
    return BrokerOrder(request=request, state=OrderState.FILLED, left=0)


def _proven(record: OrderRecord, lots: int, price_tick: float) -> BrokerFill:
    intent = record.intent
    return BrokerFill(
        client_order_id=record.client_order_id,
        trade_id=synthetic_trade_id(record.client_order_id, record.filled, lots),
        symbol=intent.symbol,
        side=intent.side,
        offset=intent.offset,
        lots=lots,
        price=intent.price_ticks * price_tick,
        ts_ns=record.updated_ns,
    )


def _nothing(symbol: str) -> BrokerPosition:
    return BrokerPosition(symbol=symbol, long_today=0, long_history=0, short_today=0, short_history=0)


def _lots(position: BrokerPosition) -> tuple[int, int, int, int]:
    return position.long_today, position.long_history, position.short_today, position.short_history


def _sides(position: BrokerPosition) -> tuple[int, int]:
    """(short, long) lots, in the order of `Side`."""
    return position.short_today + position.short_history, position.long_today + position.long_history


def _words(record: OrderRecord) -> str:
    return f"{record.phase}, {record.filled} of {record.lots} filled"


def _position_words(position: BrokerPosition) -> str:
    long_today, long_history, short_today, short_history = _lots(position)
    return f"long {long_today} today {long_history} history, short {short_today} today {short_history} history"
