"""One account at the simulated exchange: orders on several contracts, positions, funds, and the change of the trading day.

`DayVenue` says what the market does to an order; here it becomes money. Fees, margin, tick and lots come from the contract's facts
of the trading day. Everything is deterministic: the same days, requests and moments give the same orders, trade ids and cents.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from ghtrader.core.errors import DataError, HaltedError, UsageError
from ghtrader.core.instruments import InstrumentSpec
from ghtrader.core.orders import FillModel, Offset, RejectReason, Side
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.live_canonical import LiveRows
from ghtrader.ports.broker import (
    AccountFunds,
    BrokerFill,
    BrokerOrder,
    BrokerPosition,
    OrderRequest,
    OrderState,
    tells_today_apart,
)
from ghtrader.ports.order_checks import QuoteFacts, check_order
from ghtrader.ports.statement import AccountStatement, StatementPosition, StatementTrade
from ghtrader.sim.costs import SimCosts
from ghtrader.sim.positions import DayPnl, PositionBook
from ghtrader.sim.replay import ReplayDay
from ghtrader.sim.tape import MarketTape
from ghtrader.sim.venue import Arrival, DayVenue, VenueEvent, VenueEventKind

__all__ = ["INITIAL_BALANCE_CNY", "RememberedContract", "SettledDay", "VenueAccount"]

INITIAL_BALANCE_CNY: Final = 10_000_000.0
WORDS: Final = {
    RejectReason.PHASE: "no order of this kind is taken in this phase",
    RejectReason.BEYOND_DEPTH: "it would rest beyond the five visible levels, where no queue is known",
    RejectReason.NOT_FILLABLE: "not all of it could be filled",
    RejectReason.AFTER_DATA: "the day ended before it arrived",
    RejectReason.LIMIT: "the price lies outside the limits of the day",
    RejectReason.WOULD_TAKE: "it would take on arrival",
}


@dataclass
class _Order:
    """An order as it stands. parts: what a closing order froze, by age of the lots."""

    request: OrderRequest
    number: int
    price: int
    left: int
    state: OrderState = OrderState.SENT
    message: str = ""
    accepted: bool = False
    trades: int = 0
    parts: list[tuple[Offset, int]] = field(default_factory=list)

    def shown(self) -> BrokerOrder:
        number = f"{self.number:012d}" if self.accepted else ""
        return BrokerOrder(request=self.request, state=self.state, left=self.left, exchange_order_id=number, message=self.message)


@dataclass
class _ContractDay:
    """A contract on the open trading day."""

    spec: InstrumentSpec
    venue: DayVenue
    book: PositionBook
    settlement_ticks: float | None


@dataclass(frozen=True, kw_only=True)
class RememberedContract:
    """A contract on a day that is resumed: (lots, price in ticks) by side, the oldest first, and its money since settlement.

    mark_ticks: the last price that was known, NaN without one.
    """

    spec: InstrumentSpec
    today: Mapping[Side, Sequence[tuple[int, float]]]
    history: Mapping[Side, Sequence[tuple[int, float]]]
    realised_cny: float
    fees_cny: float
    mark_ticks: float


@dataclass(frozen=True)
class SettledDay:
    """A day after settlement: PnL by contract; ``estimated``: contracts whose settlement price was estimated."""

    trading_day: TradingDay
    pnl: dict[str, DayPnl]
    settlement_ticks: dict[str, float]
    estimated: tuple[str, ...]
    balance_cny: float
    statement: AccountStatement

    @property
    def net_cny(self) -> float:
        """Net PnL of the day over all contracts."""
        return sum(day.net_cny for day in self.pnl.values())


def _unheard(symbol: str, event: VenueEvent) -> None:
    del symbol, event


class VenueAccount:
    """The venue as one account sees it; belongs to one thread.

    Parameters
    ----------
    model, latency_ns, rules: of every `DayVenue`. balance_cny: what the account begins with.
    listen: hears (symbol, event) of every event of the venue, before the account books it.

    Days follow each other: `open_day`, ticks in order by `on_tick`, `close_day`; as they happen it is `open_live_day` and
    `on_live_tick`. Orders and fills of a closed day can be read until the next one is opened. Positions of a contract that has no
    ticks on a day stay as they are.
    """

    def __init__(
        self,
        model: FillModel,
        *,
        latency_ns: int,
        rules: Arrival = Arrival.EXCHANGE,
        balance_cny: float = INITIAL_BALANCE_CNY,
        listen: Callable[[str, VenueEvent], None] = _unheard,
    ) -> None:
        self._model, self._latency_ns, self._rules, self._listen = model, latency_ns, rules, listen
        self._static_cny = balance_cny
        self._books: dict[str, PositionBook] = {}
        self._marks: dict[str, float] = {}
        self._specs: dict[str, InstrumentSpec] = {}
        self._contracts: dict[str, _ContractDay] = {}
        self._orders: dict[str, _Order] = {}
        self._working: dict[str, _Order] = {}
        self._fills: list[BrokerFill] = []
        self._fees: list[float] = []
        self._changed: dict[str, None] = {}
        self._numbers = 0
        self.trading_day: TradingDay | None = None
        self.settled: list[SettledDay] = []

    # --- days -----------------------------------------------------------------------------------------------------------
    def open_day(self, days: Sequence[ReplayDay]) -> None:
        """Open a recorded trading day. Raises UsageError when one is open, the days differ, or they do not come after the last one."""
        self._open([day.ticks.trading_day for day in days])
        self._contracts = {
            day.symbol: self._contract(day.symbol, day.spec, MarketTape.of_day(day.ticks), day.settlement_ticks) for day in days
        }

    def open_live_day(self, day: TradingDay, specs: Sequence[InstrumentSpec]) -> None:
        """Open a trading day whose ticks are still to come, for these contracts. Raises UsageError as `open_day` does."""
        self._open([day])
        self._contracts = {
            spec.symbol: self._contract(spec.symbol, spec, MarketTape(spec.tick_value_cny), None) for spec in specs
        }

    def join_live_day(self, specs: Sequence[InstrumentSpec]) -> None:
        """Trade these contracts too on the open live day."""
        for spec in specs:
            if spec.symbol not in self._contracts:
                self._contracts[spec.symbol] = self._contract(spec.symbol, spec, MarketTape(spec.tick_value_cny), None)

    def resume_live_day(
        self,
        day: TradingDay,
        held: Sequence[RememberedContract],
        trades: Sequence[BrokerFill],
        balance_cny: float | None,
    ) -> None:
        """Go on with a live day that an earlier run of a paper account began: its lots, its trades, the money it began with.

        Orders that worked are gone. Raises UsageError when a day is open or was settled.
        """
        if self.trading_day is not None or self.settled:
            raise UsageError("a day can be resumed before the first one only", hint="make another account")
        self._static_cny = self._static_cny if balance_cny is None else balance_cny
        self.open_live_day(day, [item.spec for item in held])
        for item in held:
            symbol = item.spec.symbol
            self._contracts[symbol].book.restore(item.today, item.history, item.realised_cny, item.fees_cny)
            if not math.isnan(item.mark_ticks):
                self._marks[symbol] = item.mark_ticks
        self._fills = list(trades)
        self._fees = [self._fee(trade) for trade in trades]

    def _fee(self, trade: BrokerFill) -> float:
        contract = self._contracts[trade.symbol]
        return contract.book.costs.fee_cny(trade.offset, trade.price / contract.spec.price_tick, trade.lots)

    def _open(self, days: Sequence[TradingDay]) -> None:
        found = set(days)
        earlier = self.settled[-1].trading_day if self.settled else None
        if self.trading_day is not None or len(found) != 1 or (earlier is not None and min(found) <= earlier):
            names = ", ".join(sorted(day.iso for day in found))
            raise UsageError(f"a day cannot be opened: open is {self.trading_day}, asked for {names}, last settled {earlier}")
        (self.trading_day,) = found
        self._orders, self._working, self._fills, self._fees, self._changed = {}, {}, [], [], {}

    def _contract(self, symbol: str, spec: InstrumentSpec, tape: MarketTape, settlement_ticks: float | None) -> _ContractDay:
        costs = SimCosts.from_spec(spec)
        book = self._books.setdefault(symbol, PositionBook(costs))
        book.costs = costs
        self._specs[symbol] = spec
        venue = DayVenue(tape, self._model, latency_ns=self._latency_ns, rules=self._rules)
        return _ContractDay(spec, venue, book, settlement_ticks)

    def close_day(self) -> SettledDay:
        """End the open day: orders that still work end, positions are marked to settlement and become history.

        The settlement price is the published one, else the day's volume-weighted price cut to the tick, else the last price known.
        """
        day = self._open_day()
        pnl, prices, estimated = {}, {}, []
        for symbol, contract in self._contracts.items():
            self._book(symbol, contract.venue.close())
            price = contract.settlement_ticks
            if price is None:
                estimated.append(symbol)
                price = contract.venue.tape.settlement_estimate()
                price = self._marks.get(symbol, 0.0) if math.isnan(price) else price
            prices[symbol], pnl[symbol] = price, contract.book.settle(price)
            self._marks[symbol] = price
        before = self._static_cny
        self._static_cny += sum(item.net_cny for item in pnl.values())
        statement = self._statement(day, pnl, before, tuple(estimated))
        done = SettledDay(day, pnl, prices, tuple(estimated), self._static_cny, statement)
        self.settled.append(done)
        self.trading_day = None
        return done

    def _statement(
        self, day: TradingDay, pnl: dict[str, DayPnl], before_cny: float, estimated: tuple[str, ...]
    ) -> AccountStatement:
        """What the account is told of a settled day."""
        held = self.positions()
        prices = {symbol: _price(self._marks[symbol], self._specs[symbol]) for symbol in {*pnl, *(item.symbol for item in held)}}
        positions = tuple(
            StatementPosition(
                symbol=item.symbol,
                long_lots=item.long_today + item.long_history,
                short_lots=item.short_today + item.short_history,
                settlement=prices[item.symbol],
                margin_cny=sum(self._books[item.symbol].cost_cny(side) for side in Side) * self._specs[item.symbol].margin_rate,
            )
            for item in held
        )
        margin = sum(item.margin_cny or 0.0 for item in positions)
        return AccountStatement(
            trading_day=day.iso,
            source="simulated exchange",
            pre_balance_cny=before_cny,
            close_profit_cny=sum(item.realised_cny for item in pnl.values()),
            position_profit_cny=sum(item.holding_cny for item in pnl.values()),
            commission_cny=sum(item.fees_cny for item in pnl.values()),
            balance_cny=self._static_cny,
            margin_cny=margin,
            available_cny=self._static_cny - margin,
            positions=positions,
            settlements=dict(sorted(prices.items())),
            estimated=estimated,
            trades=tuple(
                StatementTrade(
                    trade_id=fill.trade_id,
                    symbol=fill.symbol,
                    side=fill.side,
                    offset=fill.offset,
                    lots=fill.lots,
                    price=fill.price,
                    commission_cny=fee,
                )
                for fill, fee in zip(self._fills, self._fees, strict=True)
            ),
        )

    def _open_day(self) -> TradingDay:
        if self.trading_day is None:
            raise HaltedError("no trading day is open at the venue", hint="wait for the next trading day", reason="closed")
        return self.trading_day

    # --- the market -----------------------------------------------------------------------------------------------------
    def on_tick(self, symbol: str, row: int) -> None:
        """The venue goes on to a snapshot of a contract; what happens to its orders is booked."""
        contract = self._contracts[symbol]
        events = contract.venue.on_row(row)
        last = contract.venue.tape.last(row)
        if last is not None:
            self._marks[symbol] = float(last)
        if events:
            self._book(symbol, events)

    def on_live_tick(self, symbol: str, live: LiveRows, *, gap: bool = False) -> None:
        """A kept row as it happens (see `MarketTape.append`): it becomes the present snapshot."""
        self.on_tick(symbol, self._contracts[symbol].venue.tape.append(live, gap=gap))

    def quote(self, symbol: str) -> tuple[float, float]:
        """Best bid and ask of a contract at the present snapshot, in CNY; NaN before the first, and where a side is empty."""
        contract = self._contracts[symbol]
        if contract.venue.row < 0:
            return math.nan, math.nan
        bid, ask = contract.venue.tape.touch(contract.venue.row)
        return _price(bid, contract.spec), _price(ask, contract.spec)

    def _book(self, symbol: str, events: Sequence[VenueEvent]) -> None:
        for event in events:
            self._listen(symbol, event)
            order = self._orders[event.order_id]
            if event.kind is VenueEventKind.ACCEPTED:
                order.accepted, order.state = True, OrderState.WORKING
            elif event.kind is VenueEventKind.FILL:
                self._fill(symbol, order, event)
            else:
                self._end(symbol, order, event)
            if order.state.is_final:
                del self._working[event.order_id]
            self._changed[event.order_id] = None

    def _fill(self, symbol: str, order: _Order, event: VenueEvent) -> None:
        contract, request = self._contracts[symbol], order.request
        price, fee = float(event.price), 0.0
        if request.offset == Offset.OPEN:
            fee = contract.book.fill_open(request.side, price, event.lots)
        else:
            for offset, lots in _take(order.parts, event.lots):
                fee += contract.book.fill_close(Side(-request.side), offset, price, lots)
        self._fees.append(fee)
        order.left -= event.lots
        order.trades += 1
        order.state = OrderState.WORKING if order.left else OrderState.FILLED
        assert self.trading_day is not None
        self._fills.append(
            BrokerFill(
                client_order_id=request.client_order_id,
                trade_id=f"{self.trading_day.compact}|{request.client_order_id}|{order.trades}",
                symbol=symbol,
                side=request.side,
                offset=request.offset,
                lots=event.lots,
                price=_price(event.price, contract.spec),
                ts_ns=event.ts_ns,
            )
        )

    def _end(self, symbol: str, order: _Order, event: VenueEvent) -> None:
        killed = (
            event.reason is RejectReason.NOT_FILLABLE
        )  # the exchange took the order, numbered it, and could not fill it whole
        refused = event.kind is VenueEventKind.REJECTED and not killed and not order.trades
        order.accepted = order.accepted or killed
        order.state = OrderState.REJECTED if refused else OrderState.CANCELLED
        order.message = WORDS.get(event.reason, "")
        for offset, lots in order.parts:
            self._contracts[symbol].book.thaw(Side(-order.request.side), offset, lots)
        order.parts = []

    # --- orders ---------------------------------------------------------------------------------------------------------
    def submit(self, request: OrderRequest, decision_ns: int) -> BrokerOrder:
        """Send an order; the same client order id again gives the order that is there.

        Raises HaltedError while no day is open, RiskDenied (``reason``) for what the exchange would refuse unseen. What the account
        cannot pay for is an order that is rejected.
        """
        known = self._orders.get(request.client_order_id)
        if known is not None:
            return known.shown()
        self._open_day()
        contract = self._contracts.get(request.symbol)
        if contract is None:
            raise DataError(f"the venue has no {request.symbol} today", hint="ghtrader data list", symbol=request.symbol)
        check_order(request, _facts(contract), contract.spec.limits, self._position(request.symbol, contract.book))
        self._numbers += 1
        price = round(request.limit_price / contract.spec.price_tick)
        order = self._orders[request.client_order_id] = _Order(request, self._numbers, price, request.lots)
        self._changed[request.client_order_id] = None
        if request.offset == Offset.OPEN and self._needs(order, contract) > self.funds().available:
            order.state, order.message = OrderState.REJECTED, "the available funds do not cover margin and fees"
            return order.shown()
        if request.offset != Offset.OPEN:
            order.parts = _freeze(contract.book, request)
        self._working[request.client_order_id] = order
        events = contract.venue.submit(request.client_order_id, request.side, price, request.lots, request.kind, decision_ns)
        self._book(request.symbol, events)
        return order.shown()

    def cancel(self, client_order_id: str, decision_ns: int) -> BrokerOrder:
        """Send a cancel; its outcome comes as a change. Raises DataError for an id nobody submitted."""
        order = self._orders.get(client_order_id)
        if order is None:
            raise DataError(f"nobody submitted the order {client_order_id}", hint="ghtrader trade status", order=client_order_id)
        if not order.state.is_final:
            symbol = order.request.symbol
            self._book(symbol, self._contracts[symbol].venue.cancel(client_order_id, decision_ns))
        return order.shown()

    def changes(self) -> list[BrokerOrder]:
        """Orders that changed since the last call, each as it stands, in order of their first change."""
        if not self._changed:
            return []
        changed = [self._orders[name].shown() for name in self._changed]
        self._changed = {}
        return changed

    def order(self, client_order_id: str) -> BrokerOrder | None:
        """An order of the day as it stands."""
        order = self._orders.get(client_order_id)
        return None if order is None else order.shown()

    def orders(self) -> list[BrokerOrder]:
        """Every order of the day, in order of submission."""
        return [order.shown() for order in self._orders.values()]

    def fills(self) -> list[BrokerFill]:
        """Every trade of the day, by exchange time."""
        return list(self._fills)

    # --- money ----------------------------------------------------------------------------------------------------------
    @property
    def static_cny(self) -> float:
        """Equity after the last settlement."""
        return self._static_cny

    def marks_cny(self) -> dict[str, float]:
        """Last prices by contract, as far as they are known."""
        return {symbol: _price(mark, self._specs[symbol]) for symbol, mark in self._marks.items()}

    def positions(self) -> list[BrokerPosition]:
        """Positions with lots, by contract."""
        found = (self._position(symbol, book) for symbol, book in sorted(self._books.items()))
        return [held for held in found if held.lots]

    def _position(self, symbol: str, book: PositionBook) -> BrokerPosition:
        (long_today, long_history), (short_today, short_history) = book.lots(Side.BUY), book.lots(Side.SELL)
        long_frozen, short_frozen = book.frozen(Side.BUY), book.frozen(Side.SELL)
        return BrokerPosition(
            symbol=symbol,
            long_today=long_today,
            long_history=long_history,
            short_today=short_today,
            short_history=short_history,
            long_today_frozen=long_frozen[0],
            long_history_frozen=long_frozen[1],
            short_today_frozen=short_frozen[0],
            short_history_frozen=short_frozen[1],
        )

    def funds(self) -> AccountFunds:
        """Money: equity with positions marked to the last price, margin at their cost, opening orders reserve theirs.

        Margin is asked for both sides of a contract; that an exchange asks for the larger one only is not modelled.
        """
        realised = fees = holding = margin = reserved = 0.0
        for symbol, book in self._books.items():
            realised += book.realised_cny
            fees += book.fees_cny
            if symbol in self._marks:
                holding += book.holding_cny(self._marks[symbol])
            margin += sum(book.cost_cny(side) for side in Side) * self._specs[symbol].margin_rate
        for order in self._working.values():
            if order.request.offset == Offset.OPEN:
                reserved += self._needs(order, self._contracts[order.request.symbol])
        balance = self._static_cny + realised + holding - fees
        return AccountFunds(
            balance=balance,
            available=balance - margin - reserved,
            margin=margin,
            commission=fees,
            close_profit=realised,
            position_profit=holding,
        )

    def _needs(self, order: _Order, contract: _ContractDay) -> float:
        """Margin and fee of what is left of an opening order."""
        costs, lots = contract.book.costs, order.left
        margin = order.price * costs.tick_value_cny * lots * contract.spec.margin_rate
        return margin + costs.fee_cny(Offset.OPEN, float(order.price), lots)


def _price(ticks: float | None, spec: InstrumentSpec) -> float:
    return math.nan if ticks is None else round(ticks * spec.price_tick, 10)


def _facts(contract: _ContractDay) -> QuoteFacts:
    """What the exchange would check an order against; limits that no row names refuse nothing."""
    tape, row = contract.venue.tape, max(contract.venue.row, 0)
    upper, lower = tape.limits(row) if tape.rows else (None, None)
    return QuoteFacts(
        price_tick=contract.spec.price_tick,
        upper_limit=math.inf if upper is None else _price(upper, contract.spec),
        lower_limit=-math.inf if lower is None else _price(lower, contract.spec),
    )


def _freeze(book: PositionBook, request: OrderRequest) -> list[tuple[Offset, int]]:
    """Freeze what a closing order takes; where CLOSE takes both ages, history goes first."""
    held = Side(-request.side)
    parts = [(request.offset, request.lots)]
    if not tells_today_apart(request.symbol):
        old = min(request.lots, book.free(held, Offset.CLOSE))
        parts = [(Offset.CLOSE, old), (Offset.CLOSE_TODAY, request.lots - old)]
    parts = [(offset, lots) for offset, lots in parts if lots]
    for offset, lots in parts:
        book.freeze(held, offset, lots)
    return parts


def _take(parts: list[tuple[Offset, int]], lots: int) -> list[tuple[Offset, int]]:
    """Take lots out of frozen parts, the first ones first; ``parts`` keeps what is left."""
    taken: list[tuple[Offset, int]] = []
    while lots:
        offset, count = parts[0]
        share = min(count, lots)
        taken.append((offset, share))
        lots -= share
        if share == count:
            parts.pop(0)
        else:
            parts[0] = (offset, count - share)
    return taken
