"""`ghtrader trade statement`: an account's journal against the venue's statements, day by day."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from ghtrader.core.errors import DataError
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.calendar import Calendar
from ghtrader.data.instruments import InstrumentTable
from ghtrader.pipelines.ingest import calendar_of
from ghtrader.pipelines.journal import account_journal
from ghtrader.pipelines.services import Services
from ghtrader.ports.journal import JournalStore
from ghtrader.ports.statement import AccountStatement, StatementStore
from ghtrader.trading.journal.days import day_blocks, records_of_day
from ghtrader.trading.journal.reading import JournalRecords
from ghtrader.trading.journal.records import Record
from ghtrader.trading.statement.compare import StatementCheck, compare_statement
from ghtrader.trading.statement.ours import OurDay, our_day

__all__ = ["DayStatement", "StatementReport", "check_statements", "latest_statement", "settlements_before"]

BALANCED, DIFFERENT, MISSING, RUNNING = "balanced", "different", "missing", "not settled yet"


class DayStatement(msgspec.Struct, frozen=True, kw_only=True):
    """One trading day. state: ``balanced``, ``different``, ``missing`` (no statement), ``not settled yet`` (the last day, none yet).

    continued: whether the statement of the trading day before is there, so that the balance at the beginning could be checked.
    """

    trading_day: str
    state: str
    source: str = ""
    continued: bool = False
    balance_cny: float | None = None
    close_profit_cny: float | None = None
    position_profit_cny: float | None = None
    commission_cny: float | None = None
    check: StatementCheck | None = None


class StatementReport(msgspec.Struct, frozen=True, kw_only=True):
    """Days of an account against its statements. balanced: every day that is over is equal to the cent."""

    account: str
    balanced: bool
    days: list[DayStatement]
    next_commands: list[str]


def settlements_before(store: StatementStore, since: str, trading_day: str) -> dict[str, float]:
    """Settlement prices that a day begins with: of the newest statement from ``since`` (the ledger's day) on and before it."""
    known = [day for day in store.days() if since <= day < trading_day]
    statement = store.get(known[-1]) if known else None
    return {} if statement is None else statement.prices()


def check_statements(services: Services, account: str = "", *, day: str = "", file: Path | None = None) -> StatementReport:
    """Compare every day, or one. file: the venue's statement as JSON, which is kept and compared.

    Raises DataError when there is no journal, no statement at all, or the file is none; UsageError for no trading day.
    """
    name, journal = account_journal(services, account)
    statements = services.trading().statements(name)
    if file is not None:
        given = _read(file, name)
        if day and TradingDay.parse(day).iso != given.trading_day:
            raise DataError(f"{file} is of {given.trading_day}, not of {day}", hint="leave --day out", path=str(file))
        day = given.trading_day
        statements.put(given)
    books = _Books(journal, statements, calendar_of(services), name)
    if not statements.days():
        raise DataError(f"no statement of {name} is known", hint="ghtrader trade statement --file STATEMENT.json", account=name)
    days = [books.day(TradingDay.parse(day).iso)] if day else list(books.every_day())
    balanced = all(item.state in {BALANCED, RUNNING} for item in days)
    missing = [item.trading_day for item in days if item.state == MISSING]
    different = [item.trading_day for item in days if item.state == DIFFERENT]
    steps = [f"ghtrader trade statement --account {name} --day {iso}" for iso in different if not day]
    steps += [f"ghtrader trade statement --account {name} --file STATEMENT.json  (of {iso})" for iso in missing]
    return StatementReport(account=name, balanced=balanced, days=days, next_commands=steps)


def latest_statement(services: Services, account: str, before: str) -> DayStatement | None:
    """How the last trading day before a day stands; None where the account neither traded nor has a statement."""
    media = services.trading()
    books = _Books(media.journal(account), media.statements(account), calendar_of(services), account)
    earlier = [day for day in books.days() if day < before]
    return books.day(earlier[-1], is_over=True) if earlier else None


def _read(file: Path, account: str) -> AccountStatement:
    try:
        statement = msgspec.json.decode(file.read_bytes(), type=AccountStatement)
    except OSError as error:
        raise DataError(f"cannot read {file}: {error.strerror or error}", path=str(file)) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        hint = "its fields are described in docs/concepts/statement.md"
        raise DataError(f"{file} is no statement: {error}", hint=hint, path=str(file)) from error
    day = TradingDay.parse(statement.trading_day).iso
    if statement.account not in {"", account}:
        raise DataError(f"{file} is of {statement.account}, not of {account}", hint=f"--account {statement.account}")
    source = statement.source or file.name
    return msgspec.structs.replace(statement, account=account, trading_day=day, source=source)


class _Books:
    """Journal and statements of one account beside each other."""

    def __init__(self, journal: JournalStore, statements: StatementStore, calendar: Calendar, account: str) -> None:
        self._journal, self._statements, self._calendar, self._account = journal, statements, calendar, account
        self._instruments = InstrumentTable.vendored()

    def days(self) -> list[str]:
        """Days that either of them knows, in order; the journal's by its segments."""
        named = {name.partition("-")[2].partition(".")[0] for name in self._journal.segments()}
        return sorted({*(day for day in named if day), *self._statements.days()})

    def every_day(self) -> Iterator[DayStatement]:
        """All days, the journal read once."""
        blocks = day_blocks(JournalRecords(self._journal))
        block = next(blocks, None)
        days, last = self.days(), None
        for day in days:
            while block is not None and block[0] < day:
                last, block = our_day(block[1], block[0], self._account), next(blocks, None)
            if block is not None and block[0] == day:
                last, block = our_day(block[1], day, self._account), next(blocks, None)
            yield self._judge(day, last, is_over=day != days[-1])

    def day(self, day: str, *, is_over: bool = False) -> DayStatement:
        """One day."""
        days = self.days()
        if day not in days:
            raise DataError(
                f"neither journal nor statements of {self._account} know {day}", hint=f"they know {', '.join(days[-5:])}"
            )
        earlier = [known for known in days if known <= day]
        ours: OurDay | None = None
        while earlier and ours is None:
            ours = self._ours(records_of_day(self._journal, earlier[-1]), earlier.pop())
        return self._judge(day, ours, is_over=is_over or day != days[-1])

    def _ours(self, records: list[Record], day: str) -> OurDay | None:
        return our_day(records, day, self._account)

    def _judge(self, day: str, ours: OurDay | None, *, is_over: bool) -> DayStatement:
        statement = self._statements.get(day)
        if statement is None:
            return DayStatement(trading_day=day, state=MISSING if is_over else RUNNING)
        if ours is None:
            raise DataError(
                f"the journal of {self._account} begins after {day}", hint=f"ghtrader journal tail --account {self._account}"
            )
        if ours.trading_day < day:  # nothing ran that day: what was held is carried on
            ledger = ours.ledger.copy()
            ledger.begin_day(day, settlements_before(self._statements, ours.trading_day, day))
            ours = OurDay(day, ledger, ())
        before = self._before(day)
        check = compare_statement(ours, statement, before, self._margin_rate)
        return DayStatement(
            trading_day=day,
            state=BALANCED if check.balanced else DIFFERENT,
            source=statement.source,
            continued=before is not None,
            balance_cny=statement.balance_cny,
            close_profit_cny=statement.close_profit_cny,
            position_profit_cny=statement.position_profit_cny,
            commission_cny=statement.commission_cny,
            check=check,
        )

    def _before(self, day: str) -> AccountStatement | None:
        """The statement of the trading day before."""
        earlier = [known for known in self._statements.days() if known < day]
        if not earlier or self._calendar.next(TradingDay.parse(earlier[-1])).iso != day:
            return None
        return self._statements.get(earlier[-1])

    def _margin_rate(self, symbol: str, day: str) -> float:
        return self._instruments.spec(symbol, TradingDay.parse(day)).margin_rate
