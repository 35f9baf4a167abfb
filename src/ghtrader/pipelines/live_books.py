"""The books of a live account beside its journal: statements of settled days, and what the venue said of the running one."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import msgspec

from ghtrader.core.clock import NS_PER_S, Clock
from ghtrader.core.errors import DataError, StoreError
from ghtrader.core.phases import Phase
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.calendar import Calendar
from ghtrader.pipelines.gateway import Tell
from ghtrader.pipelines.services import PaperVenue
from ghtrader.pipelines.statement import settlements_before
from ghtrader.ports.account_day import AccountDay, KeptDay
from ghtrader.ports.journal import JournalStore
from ghtrader.ports.statement import StatementStore
from ghtrader.trading.gateway.state import NO_DAY, GatewayState
from ghtrader.trading.journal.days import records_of_day
from ghtrader.trading.statement.ours import our_day
from ghtrader.trading.statement.venue_days import VenueDays

__all__ = ["LiveBooks"]

#: The running day is kept so often, and a day is over so long after its last session: its last trades have been told by then.
KEEP_NS, AFTER_NS = 60 * NS_PER_S, 10 * NS_PER_S


class LiveBooks:
    """Books of one account. ``days`` is what the broker's thread tells; all else belongs to the owner of the gateway's state.

    The simulated exchange of a paper account gives its own statements; of any other account they are made of what it tells.
    """

    def __init__(self, statements: StatementStore, account: str, calendar: Calendar, watch: Clock, tell: Tell) -> None:
        self._statements, self._account, self._calendar = statements, account, calendar
        self._watch, self._tell = watch, tell
        self._kept = self._read()
        self.days = VenueDays(self._kept)
        self._venue: PaperVenue | None = None
        self._stated = self._kept_ns = 0
        self._said = self._late = ""

    def _read(self) -> KeptDay | None:
        """What an earlier run kept; a file that cannot be read says nothing."""
        try:
            return self._statements.running()
        except (DataError, StoreError) as error:
            self._tell("books_failed", {"message": error.message})
            return None

    def _write(self, write: Callable[[], None]) -> bool:
        """Books that cannot be written are told of, and no reason to leave orders alone."""
        try:
            write()
        except StoreError as error:
            self._tell("books_failed", {"message": error.message})
            return False
        return True

    # --- a paper account's venue dies with its process -----------------------------------------------------------------------
    def restore(self, venue: PaperVenue, journal: JournalStore, state: GatewayState) -> None:
        """Let a paper account's venue know what it was when an earlier run ended: the day with its trades, lots and money."""
        self._venue = venue
        day = state.positions.trading_day
        if day == NO_DAY:
            return
        ours = our_day(records_of_day(journal, day), day, self._account)
        kept = None if self._kept is None or self._kept.day.trading_day != day else self._kept.day
        before = [known for known in self._statements.days() if known < day]
        earlier = self._statements.get(before[-1]) if before else None
        balance = kept.pre_balance if kept is not None else None if earlier is None else earlier.balance_cny
        venue.restore(state.positions, () if ours is None else ours.trades, balance, {} if kept is None else kept.marks)

    def begin_day(self, trading_day: str) -> None:
        """A trading day begins by the gateway's clock: a paper account's venue settles the one before, ticks or none."""
        if self._venue is not None:
            self._venue.settle_before(trading_day)

    # --- statements ------------------------------------------------------------------------------------------------------------
    def look(self, state: GatewayState) -> bool:
        """Keep what is settled; whether the gateway's day had begun without it, so that its lots were carried at another price."""
        found = self.days.finished() if self._venue is None else self._venue.statements()[self._stated :]
        self._stated += 0 if self._venue is None else len(found)
        is_late = False
        for statement in found:
            named = msgspec.structs.replace(statement, account=self._account)
            if not self._write(partial(self._statements.put, named)):
                continue
            self._tell("statement", {"day": statement.trading_day, "balance": round(statement.balance_cny, 2)})
            ledger = state.positions.trading_day
            if ledger > statement.trading_day and self._follows(statement.trading_day) == ledger:
                self._late, is_late = statement.trading_day, True
        if self.days.incomplete != self._said:
            self._said = self.days.incomplete
            why = "no gateway followed the account to the end of that day"
            self._tell("statement_missing", {"day": self._said, "why": why})
        return is_late

    def _follows(self, day: str) -> str:
        return self._calendar.next(TradingDay.parse(day)).iso

    def settlements(self, ledger_day: str, trading_day: str) -> dict[str, float]:
        """Prices that a day begins with."""
        since = min(ledger_day, self._late or ledger_day)
        return settlements_before(self._statements, since, trading_day)

    # --- the running day ---------------------------------------------------------------------------------------------------
    def keep(self, state: GatewayState, now_ns: int, *, at_once: bool = False) -> None:
        """Keep what the venue says of the running day: once a minute, of another day at once."""
        day = self._running()
        if day is None or not day.trading_day:
            return
        watch_ns, kept = self._watch.monotonic_ns(), self._kept
        is_another = kept is None or (kept.day.trading_day, kept.day.pre_balance) != (day.trading_day, day.pre_balance)
        if not (at_once or is_another or watch_ns - self._kept_ns >= KEEP_NS):
            return
        self._kept_ns = watch_ns
        found = KeptDay(day=day, is_over=_is_over(state, day.trading_day, now_ns))
        if found != kept and self._write(partial(self._statements.keep_running, found)):
            self._kept = found

    def _running(self) -> AccountDay | None:
        return self.days.latest if self._venue is None else self._venue.account_day()


def _is_over(state: GatewayState, trading_day: str, now_ns: int) -> bool:
    """Whether no session of a day is still to come, nor just over."""
    if state.trading_day != trading_day:
        return state.trading_day > trading_day
    windows = [window for day in state.days.values() for window in day.windows if window.phase == Phase.CONTINUOUS]
    return bool(windows) and now_ns >= max(window.end_ns for window in windows) + AFTER_NS
