"""One pass over missing days: a queue, parallel workers, the breaker they share, attempts by day, and the ledger of skips."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import msgspec

from ghtrader.core.clock import NS_PER_S, iso_utc
from ghtrader.core.errors import ProviderPermanentError
from ghtrader.core.progress import Progress
from ghtrader.data.breaker import Breaker, BreakerSettings, BreakerState, Event, may_ask, step
from ghtrader.data.maintenance import MaintenanceWindow
from ghtrader.pipelines.download_report import Skip
from ghtrader.pipelines.provider_gate import maintenance_window
from ghtrader.pipelines.services import Services
from ghtrader.ports.day_worker import DayOutcome, DayTask, OutcomeKind

__all__ = ["SKIPS", "DownloadRun", "DownloadSettings", "task_name"]

SKIPS = "download_skips"
POLL_S = 0.25
EVENTS: dict[OutcomeKind, Event] = {
    "stored": Event.SUCCEEDED,
    "provider_missing": Event.SUCCEEDED,
    "permanent": Event.SUCCEEDED,
    "maintenance": Event.MAINTENANCE,
    "transient": Event.SILENCE,
    "failed": Event.ABANDONED,
}
WORTH_ANOTHER_TRY = frozenset({"transient", "failed", "maintenance"})


def task_name(task: DayTask) -> str:
    """``symbol/day``: the key of a day in the ledger of skips."""
    return f"{task.symbol}/{task.trading_day}"


class DownloadSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The values of ``data.download.*``."""

    workers: int
    attempts: int
    missing_tolerance: int
    retry_after_s: float
    most_openings: int
    breaker: BreakerSettings
    window: MaintenanceWindow

    @classmethod
    def of(cls, services: Services) -> DownloadSettings:
        """From the effective configuration."""
        get = services.settings().get

        def number(name: str) -> float:
            value = get(f"data.download.{name}")
            assert isinstance(value, int | float)
            return float(value)

        return cls(
            workers=int(number("workers")),
            attempts=int(number("attempts_per_day")),
            missing_tolerance=int(number("missing_tolerance_days")),
            retry_after_s=number("retry_after_s"),
            most_openings=int(number("breaker_most_openings")),
            breaker=BreakerSettings(
                threshold=int(number("breaker_threshold")),
                cool_down_s=number("breaker_cool_down_s"),
                longest_cool_down_s=number("breaker_longest_cool_down_s"),
            ),
            window=maintenance_window(services),
        )


class DownloadRun:
    """Every day is asked for at most ``attempts`` times; what ends neither stored nor skipped is deferred, and in the ledger too.

    A run stops early when the provider's maintenance begins, when the breaker opened too often in a row (``silence`` holds the last
    failure when nobody answered), and when a login is refused (``refusal``).
    """

    def __init__(self, services: Services, settings: DownloadSettings, tasks: Sequence[DayTask], progress: Progress) -> None:
        self._services = services
        self._settings = settings
        self._queue = deque(tasks)
        self._attempts: dict[DayTask, int] = {}
        self._progress = progress
        self._breaker = Breaker()
        self.stored = self.rows = self.openings = 0
        self.skipped: list[Skip] = []
        self.deferred: list[DayTask] = []
        self.refusal: ProviderPermanentError | None = None
        self.silence = ""

    def execute(self) -> None:
        """Until every day is stored, skipped or deferred."""
        if not self._queue:
            return
        self._progress.start("download", len(self._queue))
        workers = self._services.day_workers(min(self._settings.workers, len(self._queue)))
        busy = 0
        try:
            while self._queue or busy:
                self._event(Event.TIME)
                self._stop_early()
                while self._queue and workers.idle and may_ask(self._breaker):
                    task = self._queue.popleft()
                    self._attempts[task] = self._attempts.get(task, 0) + 1
                    self._event(Event.ASKED)
                    workers.submit(task)
                    busy += 1
                for outcome in workers.wait(POLL_S):
                    busy -= 1
                    self._take(outcome)
        finally:
            workers.close()
        self._progress.finish(f"{self.stored} days stored, {self.rows:,} rows, {len(self.skipped)} skipped")

    def _event(self, event: Event) -> None:
        before = self._breaker.state
        self._breaker = step(self._breaker, event, self._settings.breaker, self._services.clock.now_ns())
        self.openings += before != BreakerState.OPEN and self._breaker.state == BreakerState.OPEN

    def _stop_early(self) -> None:
        opens_ns = self._settings.window.closed_until(self._services.clock.now_ns())
        if opens_ns is not None:
            self._defer(f"the provider is closed for its daily maintenance until {iso_utc(opens_ns)[:16]} UTC", opens_ns)
        elif self.refusal is not None:
            self._defer(f"the provider refused the login: {self.refusal.message}")
        elif self._breaker.opened >= self._settings.most_openings:
            self._defer(f"the breaker opened {self._breaker.opened} times in a row")

    def _defer(self, why: str, not_before_ns: int = 0) -> None:
        """Leave what is queued for a later run, by name."""
        while self._queue:
            task = self._queue.popleft()
            self.deferred.append(task)
            self._record(task, "deferred", why, not_before_ns)

    def _take(self, outcome: DayOutcome) -> None:
        task = DayTask(symbol=outcome.symbol, trading_day=outcome.trading_day)
        self._event(EVENTS[outcome.kind])
        self.silence = outcome.message if outcome.kind == "transient" else ""
        if outcome.kind == "stored":
            self.stored += 1
            self.rows += outcome.rows
            self._services.ledger().delete(SKIPS, task_name(task))
        elif outcome.kind in WORTH_ANOTHER_TRY and self._attempts[task] < self._settings.attempts:
            self._queue.append(task)  # last in line: the others go first
            return
        else:
            if outcome.kind == "permanent":
                self.refusal = ProviderPermanentError(outcome.message, hint="check the login and what the account may use")
            self.skipped.append(self._record(task, outcome.kind, outcome.message))
        self._progress.advance(note=f"{outcome.symbol} {outcome.trading_day} {outcome.kind}")

    def _record(self, task: DayTask, cause: str, message: str, not_before_ns: int = 0) -> Skip:
        """A day's entry in the ledger; attempts and the first sight of earlier runs are kept."""
        ledger, now = self._services.ledger(), self._services.clock.now_ns()
        known = ledger.get(SKIPS, task_name(task))
        skip = Skip(
            symbol=task.symbol,
            trading_day=task.trading_day,
            cause=cause,
            message=message,
            first_seen_ns=int(known["first_seen_ns"]) if known else now,
            last_seen_ns=now,
            attempts=self._attempts.get(task, 0) + (int(known["attempts"]) if known else 0),
            retry_after_ns=max(not_before_ns, now + int(self._settings.retry_after_s * NS_PER_S)),
        )
        ledger.put(SKIPS, task_name(task), msgspec.to_builtins(skip))
        return skip
