"""Positions of one account from its trades: long and short apart, each split into today and history, and the money of the day.

Lots close in the order of the exchange: on SHFE and INE CLOSE takes history and CLOSE_TODAY today's lots, elsewhere CLOSE takes history
first; within one kind the oldest go first. A trade always counts: one that closes more than is held leaves a negative number of lots
until its opening is told, or reconciliation finds it. Prices in CNY, lots whole; what closing orders freeze is not kept but taken
from the orders that work.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from ghtrader.core.instruments import FeeRule
from ghtrader.core.orders import Offset, Side
from ghtrader.ports.broker import BrokerFill, BrokerPosition, split_close, tells_today_apart
from ghtrader.trading.orders.machine import OrderRecord
from ghtrader.trading.words import OrderIntent

__all__ = ["ContractTerms", "DayMoney", "LotBatch", "PositionLedger", "held_after_working", "split_change", "split_intents"]

#: Members of enumerations as plain names: to look one up in its class takes longer than to compare it.
BUY, SELL, OPEN = Side.BUY, Side.SELL, Offset.OPEN


class ContractTerms(msgspec.Struct, frozen=True, kw_only=True):
    """What turns prices into money: units per lot and fees."""

    multiplier: float = 1.0
    fee: FeeRule = FeeRule()

    def fee_cny(self, offset: Offset, price: float, lots: int) -> float:
        """Fee of one trade.

        >>> ContractTerms(multiplier=10.0, fee=FeeRule(open_rate=1e-4)).fee_cny(Offset.OPEN, 3000.0, 2)
        6.0
        """
        rule = self.fee
        rate, cny = {
            Offset.OPEN: (rule.open_rate, rule.open_cny),
            Offset.CLOSE: (rule.close_rate, rule.close_cny),
            Offset.CLOSE_TODAY: (rule.close_today_rate, rule.close_today_cny),
        }[offset]
        return rate * price * self.multiplier * lots + cny * lots


class DayMoney(msgspec.Struct, frozen=True, kw_only=True):
    """A contract's trading day in CNY: realised by closing, holding at a mark (NaN without one), fees (positive).

    estimated: not the whole of it is known: lots without a mark, or lots whose price nobody told; those count as 0.
    """

    realised_cny: float = 0.0
    holding_cny: float = 0.0
    fees_cny: float = 0.0
    estimated: bool = False

    @property
    def net_cny(self) -> float:
        """Realised plus holding minus fees."""
        return self.realised_cny + self.holding_cny - self.fees_cny


class LotBatch(msgspec.Struct, frozen=True, array_like=True):
    """Lots that were opened (or settled) at one price, None where nobody told it; negative where more was closed than was known."""

    lots: int
    price: float | None


class _Legs(msgspec.Struct, frozen=True, kw_only=True):
    """One contract in a document."""

    long_today: tuple[LotBatch, ...] = ()
    long_history: tuple[LotBatch, ...] = ()
    short_today: tuple[LotBatch, ...] = ()
    short_history: tuple[LotBatch, ...] = ()
    realised_cny: float = 0.0
    fees_cny: float = 0.0
    estimated: bool = False
    terms: ContractTerms = ContractTerms()


class _Document(msgspec.Struct, frozen=True, kw_only=True):
    trading_day: str
    based: bool
    based_ns: int = 0
    contracts: dict[str, _Legs]
    before_day: str = ""
    before: dict[str, tuple[float, float, bool]] = {}


@dataclass
class _Contract:
    """One contract: batches by side, today's and history's, oldest first."""

    terms: ContractTerms = field(default_factory=ContractTerms)
    today: dict[Side, list[LotBatch]] = field(default_factory=lambda: {Side.BUY: [], Side.SELL: []})
    history: dict[Side, list[LotBatch]] = field(default_factory=lambda: {Side.BUY: [], Side.SELL: []})
    realised_cny: float = 0.0
    fees_cny: float = 0.0
    estimated: bool = False

    def counts(self, side: Side) -> tuple[int, int]:
        """(today, history) lots of a side."""
        today = history = 0
        for batch in self.today[side]:
            today += batch.lots
        for batch in self.history[side]:
            history += batch.lots
        return today, history

    def batches(self, side: Side) -> list[LotBatch]:
        """All lots of a side, the oldest first."""
        return [*self.history[side], *self.today[side]]


class PositionLedger:
    """Owned by one thread. trading_day: ISO date that today's lots belong to; based: whether the venue's positions were ever taken over,
    and based_ns when.

    >>> ledger = PositionLedger("2025-06-05")
    >>> trade = BrokerFill(client_order_id="a", trade_id="1", symbol="SHFE.rb2510", side=Side.BUY, offset=Offset.OPEN, lots=2,
    ...                    price=3000.0, ts_ns=1)
    >>> ledger.apply_fill(trade)
    >>> ledger.net("SHFE.rb2510"), ledger.position("SHFE.rb2510").long_today
    (2, 2)
    """

    def __init__(self, trading_day: str, terms: Mapping[str, ContractTerms] | None = None) -> None:
        self.trading_day = trading_day
        self.based, self.based_ns = False, 0
        self._contracts: dict[str, _Contract] = {}
        self._before_day, self._before = "", dict[str, tuple[float, float, bool]]()  # the last day with money, before this one
        self._positions: dict[str, BrokerPosition] = {}  # of known contracts, once asked for, until lots change
        self._symbols: tuple[str, ...] | None = None
        for symbol, known in (terms or {}).items():
            self.set_terms(symbol, known)

    def set_terms(self, symbol: str, terms: ContractTerms) -> None:
        """Multiplier and fees of a contract from now on; without them a lot is one unit and trading is free."""
        self._contract(symbol).terms = terms

    def terms(self, symbol: str) -> ContractTerms:
        """Multiplier and fees of a contract as they are known."""
        contract = self._contracts.get(symbol)
        return ContractTerms() if contract is None else contract.terms

    def _contract(self, symbol: str) -> _Contract:
        found = self._contracts.get(symbol)
        if found is None:
            found = self._contracts[symbol] = _Contract()
        return found

    def _lots_change(self, symbol: str) -> None:
        self._positions.pop(symbol, None)
        self._symbols = None

    # --- what happens ---------------------------------------------------------------------------------------------------
    def apply_fill(self, fill: BrokerFill) -> None:
        """Take a trade. Whether it was taken before is the order book's to know."""
        contract = self._contract(fill.symbol)
        self._lots_change(fill.symbol)
        contract.fees_cny += contract.terms.fee_cny(fill.offset, fill.price, fill.lots)
        if fill.offset is Offset.OPEN:
            self._open(contract, fill.side, fill.lots, fill.price)
            return
        held = Side(-fill.side)
        history, today = contract.history[held], contract.today[held]
        stacks = [today, history] if fill.offset is Offset.CLOSE_TODAY else [history, today]
        if tells_today_apart(fill.symbol):
            stacks = stacks[:1]
        left = fill.lots
        for stack in stacks:
            left -= self._close(contract, stack, held, left, fill.price)
        if left:  # more than was known to be held: what opened it is told later, or the split was another
            short_of = stacks[0] if len(stacks) == 1 else today
            short_of.append(LotBatch(-left, fill.price))

    @staticmethod
    def _open(contract: _Contract, side: Side, lots: int, price: float) -> None:
        """Open lots; those that were closed before their opening was told are matched first."""
        stack = contract.today[side]
        while lots and stack and stack[0].lots < 0:
            closed, closed_at = stack[0].lots, stack[0].price
            count = min(lots, -closed)
            if closed_at is not None:
                contract.realised_cny += side * (closed_at - price) * count * contract.terms.multiplier
            lots -= count
            if count == -closed:
                stack.pop(0)
            else:
                stack[0] = LotBatch(closed + count, closed_at)
        if lots and stack and stack[-1].price == price:
            stack[-1] = LotBatch(stack[-1].lots + lots, price)
        elif lots:
            stack.append(LotBatch(lots, price))

    @staticmethod
    def _close(contract: _Contract, stack: list[LotBatch], held: Side, lots: int, price: float) -> int:
        """Close up to so many lots of a stack, oldest first; returns how many."""
        closed = 0
        while stack and stack[0].lots > 0 and closed < lots:
            batch = stack[0]
            count = min(batch.lots, lots - closed)
            if batch.price is None:
                contract.estimated = True
            else:
                contract.realised_cny += held * (price - batch.price) * count * contract.terms.multiplier
            closed += count
            if count == batch.lots:
                stack.pop(0)
            else:
                stack[0] = LotBatch(batch.lots - count, batch.price)
        return closed

    def begin_day(self, trading_day: str, settlements: Mapping[str, float] | None = None) -> dict[str, DayMoney]:
        """The next trading day: marks to settlement, today's lots become history at that price. Returns the old day's money by contract.

        settlements: price in CNY by contract; a contract without one is carried at what its lots cost, and marked as estimated.
        The same day again changes nothing.
        """
        if trading_day <= self.trading_day:
            return {}
        known = settlements or {}
        money_of_day = {
            symbol: (contract.realised_cny, contract.fees_cny, contract.estimated)
            for symbol, contract in sorted(self._contracts.items())
            if contract.realised_cny or contract.fees_cny or contract.estimated
        }
        if money_of_day or not self._before_day:
            self._before_day, self._before = self.trading_day, money_of_day
        money = {symbol: self.day_money(symbol, known.get(symbol)) for symbol in sorted(self._contracts)}
        for symbol in sorted(self._contracts):
            contract, mark = self._contracts[symbol], known.get(symbol)
            for side in Side:
                batches = contract.batches(side)
                if mark is not None:
                    lots = sum(batch.lots for batch in batches)
                    batches = [LotBatch(lots, mark)] if lots else []
                contract.history[side], contract.today[side] = batches, []
            contract.realised_cny, contract.fees_cny, contract.estimated = 0.0, 0.0, False
            self._lots_change(symbol)
        self.trading_day = trading_day
        return {symbol: day for symbol, day in money.items() if day != DayMoney()}

    def go_back(self, trading_day: str) -> None:
        """The running day had been begun too early (a clock that was ahead): an earlier one goes on, with the money that it had.

        Which lots are today's is the venue's to say, `take_over`.
        """
        if self._before_day == trading_day:
            for symbol, (realised, fees, estimated) in sorted(self._before.items()):
                contract = self._contract(symbol)
                contract.realised_cny += realised
                contract.fees_cny += fees
                contract.estimated = contract.estimated or estimated
            self._before_day, self._before = "", {}
        self.trading_day = trading_day

    def carry_at(self, settlements: Mapping[str, float]) -> None:
        """History lots are carried at these prices, where nothing of the contract was closed yet: their settlement was told late."""
        for contract, mark in self._carried_otherwise(settlements):
            for side in Side:
                lots = sum(batch.lots for batch in contract.history[side])
                contract.history[side] = [LotBatch(lots, mark)] if lots else []

    def carries(self, settlements: Mapping[str, float]) -> bool:
        """Whether `carry_at` these prices would change nothing."""
        return not any(True for _ in self._carried_otherwise(settlements))

    def _carried_otherwise(self, settlements: Mapping[str, float]) -> Iterator[tuple[_Contract, float]]:
        """Contracts whose history is still to be carried at another price than it is."""
        for symbol, mark in sorted(settlements.items()):
            contract = self._contracts.get(symbol)
            if contract is None or contract.realised_cny or contract.estimated:
                continue
            if any(batch.price != mark for side in Side for batch in contract.history[side]):
                yield contract, mark
            self._lots_change(symbol)

    def take_over(self, held: BrokerPosition) -> None:
        """Believe the venue: its lots by side and kind, at the prices that are known, oldest first; the others have no price.

        Lots that the venue does not hold go without a price: the day becomes an estimate.
        """
        contract = self._contract(held.symbol)
        wanted = {
            (Side.BUY, True): held.long_today,
            (Side.BUY, False): held.long_history,
            (Side.SELL, True): held.short_today,
            (Side.SELL, False): held.short_history,
        }
        for side in Side:
            pool = [batch for batch in contract.batches(side) if batch.lots > 0]
            history, pool = _draw(pool, wanted[side, False])
            today, pool = _draw(pool, wanted[side, True])
            contract.history[side], contract.today[side] = history, today
            contract.estimated = contract.estimated or bool(pool)
        self._lots_change(held.symbol)

    # --- what stands ----------------------------------------------------------------------------------------------------
    def symbols(self) -> tuple[str, ...]:
        """Contracts with lots, sorted."""
        found = self._symbols
        if found is None:
            with_lots = []
            for symbol in sorted(self._contracts):
                held = self._positions.get(symbol) or self._free(symbol)
                if held.long_today or held.long_history or held.short_today or held.short_history:
                    with_lots.append(symbol)
            found = self._symbols = tuple(with_lots)
        return found

    def _free(self, symbol: str) -> BrokerPosition:
        """Lots of a contract, nothing of them frozen."""
        held = self._positions.get(symbol)
        if held is None:
            contract = self._contracts.get(symbol)
            if contract is None:
                return BrokerPosition(symbol=symbol, long_today=0, long_history=0, short_today=0, short_history=0)
            (long_today, long_history), (short_today, short_history) = contract.counts(BUY), contract.counts(SELL)
            held = self._positions[symbol] = BrokerPosition(
                symbol=symbol,
                long_today=long_today,
                long_history=long_history,
                short_today=short_today,
                short_history=short_history,
            )
        return held

    def net(self, symbol: str) -> int:
        """Signed lots: long minus short."""
        held = self._positions.get(symbol) or self._free(symbol)
        return held.long_today + held.long_history - held.short_today - held.short_history

    def lots(self, symbol: str) -> int:
        """Lots of both sides, those beyond what is known to be held not counted: what there is to close."""
        held = self._free(symbol)
        return max(0, held.long_today + held.long_history) + max(0, held.short_today + held.short_history)

    def position(self, symbol: str, working: Iterable[OrderRecord] = ()) -> BrokerPosition:
        """Lots of a contract; what closing orders among ``working`` freeze is frozen."""
        held = self._positions.get(symbol) or self._free(symbol)
        return held_after_working(held, working) if working else held

    def average_price(self, symbol: str, side: Side) -> float:
        """Mean price of a side's lots in CNY (history at its settlement), as far as prices are known; NaN without any."""
        contract = self._contracts.get(symbol)
        known = (
            [] if contract is None else [(b.lots, b.price) for b in contract.batches(side) if b.price is not None and b.lots > 0]
        )
        lots = sum(count for count, _ in known)
        return sum(count * price for count, price in known) / lots if lots else float("nan")

    def batches(self, symbol: str, side: Side) -> tuple[tuple[LotBatch, ...], tuple[LotBatch, ...]]:
        """(today's, history's) lots of a side by price, the oldest first."""
        contract = self._contracts.get(symbol, _Contract())
        return tuple(contract.today[side]), tuple(contract.history[side])

    def day_money(self, symbol: str, mark: float | None) -> DayMoney:
        """The running day of a contract, holding at a price in CNY; without one holding is 0 and the day estimated."""
        contract = self._contracts.get(symbol)
        if contract is None:
            return DayMoney()
        holding, estimated = 0.0, contract.estimated
        for side in Side:
            for batch in contract.batches(side):
                if mark is None or batch.price is None:
                    estimated = True
                else:
                    holding += side * (mark - batch.price) * batch.lots * contract.terms.multiplier
        return DayMoney(realised_cny=contract.realised_cny, holding_cny=holding, fees_cny=contract.fees_cny, estimated=estimated)

    # --- documents ------------------------------------------------------------------------------------------------------
    def to_document(self) -> dict[str, Any]:
        """Everything, JSON-ready."""
        contracts = {
            symbol: _Legs(
                long_today=tuple(contract.today[Side.BUY]),
                long_history=tuple(contract.history[Side.BUY]),
                short_today=tuple(contract.today[Side.SELL]),
                short_history=tuple(contract.history[Side.SELL]),
                realised_cny=contract.realised_cny,
                fees_cny=contract.fees_cny,
                estimated=contract.estimated,
                terms=contract.terms,
            )
            for symbol, contract in sorted(self._contracts.items())
        }
        document: dict[str, Any] = msgspec.to_builtins(
            _Document(
                trading_day=self.trading_day,
                based=self.based,
                based_ns=self.based_ns,
                contracts=contracts,
                before_day=self._before_day,
                before=self._before,
            )
        )
        return document

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> PositionLedger:
        """The ledger of `to_document`. Raises `msgspec.ValidationError` for anything else."""
        known = msgspec.convert(document, _Document)
        ledger = cls(known.trading_day)
        ledger.based, ledger.based_ns = known.based, known.based_ns
        ledger._before_day, ledger._before = known.before_day, dict(known.before)
        for symbol, legs in known.contracts.items():
            ledger._contracts[symbol] = _Contract(
                terms=legs.terms,
                today={Side.BUY: list(legs.long_today), Side.SELL: list(legs.short_today)},
                history={Side.BUY: list(legs.long_history), Side.SELL: list(legs.short_history)},
                realised_cny=legs.realised_cny,
                fees_cny=legs.fees_cny,
                estimated=legs.estimated,
            )
        return ledger

    def copy(self) -> PositionLedger:
        """A ledger of its own with the same content."""
        return PositionLedger.from_document(self.to_document())


def _draw(pool: list[LotBatch], lots: int) -> tuple[list[LotBatch], list[LotBatch]]:
    """(so many lots from the front of a pool, what is left of it); lots that the pool lacks have no price."""
    taken: list[LotBatch] = []
    rest = list(pool)
    while lots > 0 and rest:
        batch = rest.pop(0)
        count = min(batch.lots, lots)
        taken.append(LotBatch(count, batch.price))
        lots -= count
        if count < batch.lots:
            rest.insert(0, LotBatch(batch.lots - count, batch.price))
    if lots > 0:
        taken.append(LotBatch(lots, None))
    return taken, rest


def held_after_working(held: BrokerPosition, working: Iterable[OrderRecord]) -> BrokerPosition:
    """A position with what closing orders freeze of it, at most what is there; elsewhere than on SHFE and INE history goes first."""
    counts = {
        (Side.BUY, True): held.long_today,
        (Side.BUY, False): held.long_history,
        (Side.SELL, True): held.short_today,
        (Side.SELL, False): held.short_history,
    }
    frozen = dict.fromkeys(counts, 0)
    for order in working:
        if order.symbol != held.symbol or order.intent.offset is Offset.OPEN:
            continue
        side, lots = Side(-order.side), order.in_flight
        kinds = [order.intent.offset is Offset.CLOSE_TODAY]
        if not tells_today_apart(held.symbol):
            kinds = [False, True]
        for today in kinds:
            count = min(lots, max(0, counts[side, today] - frozen[side, today]))
            frozen[side, today] += count
            lots -= count
    return msgspec.structs.replace(
        held,
        long_today_frozen=frozen[Side.BUY, True],
        long_history_frozen=frozen[Side.BUY, False],
        short_today_frozen=frozen[Side.SELL, True],
        short_history_frozen=frozen[Side.SELL, False],
    )


def split_intents(held: BrokerPosition, delta: int, like: OrderIntent) -> tuple[OrderIntent, ...]:
    """A wanted change of a position as orders, in the order in which they must be sent: what closes first, then what opens.

    held: with what is frozen. delta: signed lots. like: everything but side, offset and lots is taken from it. Lots that other closing
    orders freeze are not closed again, and to open instead of them would be to hold both sides: they are left out.

    >>> from ghtrader.core.orders import OrderKind
    >>> from ghtrader.trading.words import Origin
    >>> held = BrokerPosition(symbol="SHFE.rb2510", long_today=0, long_history=0, short_today=1, short_history=2)
    >>> like = OrderIntent(symbol="SHFE.rb2510", side=Side.BUY, offset=Offset.OPEN, lots=1, price_ticks=3000, kind=OrderKind.FAK,
    ...                    origin=Origin.STRATEGY)
    >>> [(order.offset.value, order.lots) for order in split_intents(held, 5, like)]
    [('close', 2), ('close_today', 1), ('open', 2)]
    """
    replace = msgspec.structs.replace
    return tuple([replace(like, side=side, offset=offset, lots=lots) for side, offset, lots in split_change(held, delta)])


def split_change(held: BrokerPosition, delta: int) -> list[tuple[Side, Offset, int]]:
    """Side, offset and lots of the orders of `split_intents`."""
    if delta == 0:
        return []
    side, wanted = (BUY if delta > 0 else SELL), abs(delta)
    opposite = held.short_today + held.short_history if delta > 0 else held.long_today + held.long_history
    if opposite <= 0:
        return [(side, OPEN, wanted)]
    pieces = [(side, offset, lots) for offset, lots in split_close(held, side, min(wanted, opposite))]
    if wanted > opposite:
        pieces.append((side, OPEN, wanted - opposite))
    return pieces
