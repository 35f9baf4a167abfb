"""A statement against our own day, line by line. Balanced: every line equal to the cent; else each difference has its reason.

Two amounts are equal when they are no more than half a cent apart: a venue that shows cents has rounded what we know exactly.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from typing import Final

import msgspec

from ghtrader.core.orders import Side
from ghtrader.ports.broker import BrokerFill
from ghtrader.ports.statement import AccountStatement, StatementTrade
from ghtrader.trading.orders.positions import DayMoney
from ghtrader.trading.statement.ours import OurDay

__all__ = ["DifferenceReason", "StatementCheck", "StatementLine", "compare_statement"]

HALF_CENT: Final = 0.005
#: Margin rate of a contract on a trading day (ISO).
MarginRate = Callable[[str, str], float]


class DifferenceReason(StrEnum):
    """Why a line differs.

    not_in_journal, not_at_venue, trade_differs: a trade that one side lacks or tells otherwise. fee_rates: the trades agree, the
    fees do not. carried_price: the trades agree, the price that the day began with does not, or nobody told it. transfer: the day
    began with other money than the one before it ended with. lots: other lots than ours although the trades agree.
    margin_rate: the lots agree, the margin does not. arithmetic: the statement's own lines do not add up. follows: from another line.
    """

    NOT_IN_JOURNAL = "not_in_journal"
    NOT_AT_VENUE = "not_at_venue"
    TRADE_DIFFERS = "trade_differs"
    FEE_RATES = "fee_rates"
    CARRIED_PRICE = "carried_price"
    NO_SETTLEMENT = "no_settlement"
    TRANSFER = "transfer"
    LOTS = "lots"
    MARGIN_RATE = "margin_rate"
    ARITHMETIC = "arithmetic"
    FOLLOWS = "follows"


class StatementLine(msgspec.Struct, frozen=True, kw_only=True):
    """One line: what we know and what the venue says, in CNY, or lots where ``name`` says so. reason: empty when they are equal."""

    name: str
    symbol: str = ""
    ours: float
    venue: float
    reason: str = ""
    message: str = ""

    @property
    def difference(self) -> float:
        """The venue's amount minus ours."""
        return round(self.venue - self.ours, 6)


class StatementCheck(msgspec.Struct, frozen=True, kw_only=True):
    """Every line of a trading day. estimated: contracts whose settlement price the venue had not published."""

    trading_day: str
    balanced: bool
    lines: tuple[StatementLine, ...]
    trades: int
    estimated: tuple[str, ...] = ()

    @property
    def differences(self) -> tuple[StatementLine, ...]:
        """Lines that are not equal."""
        return tuple(line for line in self.lines if line.reason)


def equal_to_the_cent(ours: float, venue: float) -> bool:
    """Whether two amounts in CNY are the same once they are shown in cents; NaN equals nothing.

    >>> equal_to_the_cent(12.345, 12.34), equal_to_the_cent(12.345, 12.35), equal_to_the_cent(12.35, 12.34)
    (True, True, False)
    """
    return abs(round(venue - ours, 6)) <= HALF_CENT


def compare_statement(
    ours: OurDay, statement: AccountStatement, before: AccountStatement | None, rate: MarginRate
) -> StatementCheck:
    """Compare a day. before: the statement of the trading day before, None: the day's beginning is taken on trust."""
    return _Comparison(ours, statement, before, rate).check()


class _Comparison:
    """One comparison: lines in order, and what the trades explain."""

    def __init__(self, ours: OurDay, statement: AccountStatement, before: AccountStatement | None, rate: MarginRate) -> None:
        self._ours, self._venue, self._before, self._rate = ours, statement, before, rate
        self._lines: list[StatementLine] = []
        symbols = {*ours.ledger.symbols(), *(fill.symbol for fill in ours.trades), *(held.symbol for held in statement.positions)}
        self._symbols = sorted(symbols | {trade.symbol for trade in statement.trades or ()})
        self._trades = _trade_words(ours.trades, statement.trades)
        self._money = {symbol: ours.ledger.day_money(symbol, statement.price_of(symbol)) for symbol in self._symbols}

    def check(self) -> StatementCheck:
        self._compare_trades()
        self._compare_lots()
        self._compare_money()
        self._compare_totals()
        return StatementCheck(
            trading_day=self._venue.trading_day,
            balanced=not any(line.reason for line in self._lines),
            lines=tuple(self._lines),
            trades=len(self._ours.trades),
            estimated=self._venue.estimated,
        )

    def _line(self, name: str, ours: float, venue: float, reason: DifferenceReason, message: str, symbol: str = "") -> None:
        same = equal_to_the_cent(ours, venue)
        self._lines.append(
            StatementLine(
                name=name,
                symbol=symbol,
                ours=ours,
                venue=venue,
                reason="" if same else reason.value,
                message="" if same else message,
            )
        )

    def _compare_trades(self) -> None:
        """Trades one by one, where the statement lists them."""
        if self._venue.trades is None:
            return
        self._line("trades", len(self._ours.trades), len(self._venue.trades), DifferenceReason.FOLLOWS, "see the trades below")
        for symbol, words in sorted(self._trades.items()):
            for reason, trade_id, mine, theirs in words:
                message = f"trade {trade_id}: ours {mine or 'none'}, the venue's {theirs or 'none'}"
                line = StatementLine(
                    name="trade", symbol=symbol, ours=float(bool(mine)), venue=float(bool(theirs)), reason=reason, message=message
                )
                self._lines.append(line)

    def _compare_lots(self) -> None:
        held = {position.symbol: position for position in self._venue.positions}
        for symbol in self._symbols:
            mine, theirs = self._ours.ledger.position(symbol), held.get(symbol)
            reason, message = self._because(symbol, DifferenceReason.LOTS, "the trades agree: the day began with other lots")
            longs, shorts = mine.long_today + mine.long_history, mine.short_today + mine.short_history
            self._line("long lots", longs, theirs.long_lots if theirs else 0, reason, message, symbol)
            self._line("short lots", shorts, theirs.short_lots if theirs else 0, reason, message, symbol)

    def _because(self, symbol: str, otherwise: DifferenceReason, words: str) -> tuple[DifferenceReason, str]:
        """The reason of a contract's difference: its trades where they differ."""
        if self._trades.get(symbol):
            return DifferenceReason.FOLLOWS, "from the trades that differ"
        return otherwise, words

    def _compare_money(self) -> None:
        """Fees and margin by contract, where the statement tells them."""
        listed = self._venue.trades
        for symbol in self._symbols:
            fees = [trade.commission_cny for trade in listed or () if trade.symbol == symbol]
            told = [fee for fee in fees if fee is not None]
            if listed is not None and len(told) == len(fees):
                reason, message = self._because(symbol, DifferenceReason.FEE_RATES, "the venue's fees are not those of our table")
                self._line("commission", self._money[symbol].fees_cny, sum(told), reason, message, symbol)
        for held in self._venue.positions:
            if held.margin_cny is None:
                continue
            reason, message = self._because(held.symbol, DifferenceReason.MARGIN_RATE, "the venue asks for another margin")
            self._line("margin", self._margin(held.symbol), held.margin_cny, reason, message, held.symbol)

    def _margin(self, symbol: str) -> float:
        """Margin of our lots of both sides at settlement; NaN without a settlement price."""
        price, mine = self._venue.price_of(symbol), self._ours.ledger.position(symbol)
        if not mine.lots:
            return 0.0
        if price is None:
            return float("nan")
        return mine.lots * price * self._ours.ledger.terms(symbol).multiplier * self._rate(symbol, self._venue.trading_day)

    def _compare_totals(self) -> None:
        venue, money = self._venue, self._money
        trades = (DifferenceReason.FOLLOWS, "from the trades that differ") if any(self._trades.values()) else None
        carried = self._carried(money)
        begins = venue.pre_balance_cny if self._before is None else self._before.balance_cny
        self._line(
            "balance before",
            begins,
            venue.pre_balance_cny,
            DifferenceReason.TRANSFER,
            "the day before ended with another balance",
        )
        close, position, fees = _sum(money, "realised_cny"), _sum(money, "holding_cny"), _sum(money, "fees_cny")
        self._line("close profit", close, venue.close_profit_cny, *(trades or carried))
        self._line("position profit", position, venue.position_profit_cny, *(trades or carried))
        rates = (DifferenceReason.FEE_RATES, "the venue's fees are not those of our table")
        self._line("commission", fees, venue.commission_cny, *(trades or rates))
        transfers = venue.deposit_cny - venue.withdrawal_cny
        told = venue.pre_balance_cny + transfers + venue.close_profit_cny + venue.position_profit_cny - venue.commission_cny
        adds = equal_to_the_cent(told, venue.balance_cny)
        why = (DifferenceReason.FOLLOWS, "from the lines above")
        if not adds:
            why = (DifferenceReason.ARITHMETIC, f"the statement's own lines add up to {told:,.2f}")
        self._line("balance", begins + transfers + close + position - fees, venue.balance_cny, *why)
        if venue.margin_cny is not None:
            margin = sum(self._margin(symbol) for symbol in self._symbols)
            self._line(
                "margin",
                margin,
                venue.margin_cny,
                *(trades or (DifferenceReason.MARGIN_RATE, "the venue asks for another margin")),
            )
        if venue.margin_cny is not None and venue.available_cny is not None:
            free = venue.balance_cny - venue.margin_cny
            self._line("available", free, venue.available_cny, DifferenceReason.ARITHMETIC, "not the balance less the margin")

    def _carried(self, money: Mapping[str, DayMoney]) -> tuple[DifferenceReason, str]:
        """Why profits differ although the trades agree."""
        unpriced = [symbol for symbol in self._ours.ledger.symbols() if self._venue.price_of(symbol) is None]
        if unpriced:
            return DifferenceReason.NO_SETTLEMENT, f"the statement has no settlement price of {', '.join(unpriced)}"
        unknown = [symbol for symbol, day in sorted(money.items()) if day.estimated]
        if unknown:
            return DifferenceReason.CARRIED_PRICE, f"nobody told at which price lots of {', '.join(unknown)} were carried over"
        return DifferenceReason.CARRIED_PRICE, "history was carried over at another settlement price"


def _sum(money: Mapping[str, DayMoney], name: str) -> float:
    total: float = sum(getattr(day, name) for day in money.values())
    return total


def _words(trade: BrokerFill | StatementTrade) -> str:
    """What a trade was.

    >>> from ghtrader.core.orders import Offset
    >>> _words(StatementTrade(trade_id="t", symbol="SHFE.rb2510", side=Side.BUY, offset=Offset.OPEN, lots=2, price=3000.0))
    'buy 2 open at 3000'
    """
    return f"{Side(trade.side).name.lower()} {trade.lots} {trade.offset.value} at {trade.price:.10g}"


def _trade_words(
    ours: Iterable[BrokerFill], venue: Iterable[StatementTrade] | None
) -> dict[str, list[tuple[DifferenceReason, str, str, str]]]:
    """Trades that differ, by contract: reason, id, ours in words, the venue's. Ids that the venue calls otherwise are paired by content."""
    if venue is None:
        return {}
    mine = {fill.trade_id: (fill.symbol, _words(fill)) for fill in ours}
    theirs = {trade.trade_id: (trade.symbol, _words(trade)) for trade in venue}
    found: dict[str, list[tuple[DifferenceReason, str, str, str]]] = {}
    for name in sorted(mine.keys() & theirs.keys()):
        if mine[name] != theirs[name]:
            found.setdefault(mine[name][0], []).append((DifferenceReason.TRADE_DIFFERS, name, mine[name][1], theirs[name][1]))
    only_mine = {name: mine[name] for name in sorted(mine.keys() - theirs.keys())}
    only_theirs = {name: theirs[name] for name in sorted(theirs.keys() - mine.keys())}
    both = Counter(only_mine.values()) & Counter(only_theirs.values())
    for lacking, reason in ((only_mine, DifferenceReason.NOT_AT_VENUE), (only_theirs, DifferenceReason.NOT_IN_JOURNAL)):
        paired = Counter(both)
        for name, content in lacking.items():
            if paired[content]:
                paired[content] -= 1
                continue
            ours_words, venue_words = (content[1], "") if reason is DifferenceReason.NOT_AT_VENUE else ("", content[1])
            found.setdefault(content[0], []).append((reason, name, ours_words, venue_words))
    return found
