"""The gateway's recorder: live ticks into the tick store, in a thread that nobody waits for."""

from __future__ import annotations

import queue
import threading
from collections.abc import Sequence

from ghtrader.core.clock import NS_PER_S
from ghtrader.core.errors import GhtraderError
from ghtrader.data.recording import TickSpool, import_spool
from ghtrader.pipelines.gateway import Tell
from ghtrader.pipelines.ingest import open_ingest
from ghtrader.pipelines.services import Services
from ghtrader.ports.live_feed import LiveTick
from ghtrader.ports.warm_path import Outcome, WarmReason

__all__ = ["Recorder"]

#: Ticks are written so often, and imported when none came for so long: importing a day takes the processor for a moment.
WRITE_S, QUIET_NS = 0.5, 600 * NS_PER_S


class Recorder:
    """Keeps ticks in ``<data folder>/spool/<account>``; imports what an earlier run left at once, else in pauses and at the end."""

    def __init__(self, services: Services, account: str, tell: Tell) -> None:
        self._services, self._tell, self._clock = services, tell, services.clock
        self._folder = services.paths.data / "spool" / account
        self._spool = TickSpool(self._folder, str(services.clock.now_ns()))
        self._queue: queue.SimpleQueue[Sequence[LiveTick] | None] = queue.SimpleQueue()
        self._outcomes: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()

    def take(self, ticks: Sequence[LiveTick]) -> None:
        """Keep these ticks; never waits. Any thread."""
        self._queue.put(ticks)

    def outcomes(self) -> list[Outcome]:
        """What went well and what did not since the last call; any thread."""
        found: list[Outcome] = []
        while not self._outcomes.empty():
            found.append(self._outcomes.get())
        return found

    def _run(self) -> None:
        self._import()
        heard_ns, waits = self._clock.monotonic_ns(), False
        while True:
            try:
                ticks = self._queue.get(timeout=WRITE_S)
            except queue.Empty:
                if waits and self._clock.monotonic_ns() - heard_ns > QUIET_NS:
                    waits = False
                    self._import()
                continue
            if ticks is None:
                break
            heard_ns, waits = self._clock.monotonic_ns(), True
            try:
                self._spool.append(ticks)
            except GhtraderError as error:
                self._outcomes.put(Outcome(WarmReason.RECORD_FAILED, False, error.message))
                self._tell("record_failed", {"ticks": len(ticks), "message": error.message})
            else:
                self._outcomes.put(Outcome(WarmReason.RECORD_FAILED, True))
        self._import()

    def _import(self) -> None:
        if not any(self._folder.glob("*")):
            return
        try:
            days = import_spool(self._folder, open_ingest(self._services))
        except GhtraderError as error:
            self._outcomes.put(Outcome(WarmReason.RECORD_IMPORT_FAILED, False, error.message))
            self._tell("record_failed", {"message": error.message})
        else:
            self._outcomes.put(Outcome(WarmReason.RECORD_IMPORT_FAILED, True))
            for day in days:
                self._tell("recorded", {"symbol": day.symbol, "day": day.trading_day, "rows": day.rows_written})

    def close(self) -> None:
        """Import what is there and end the thread."""
        self._queue.put(None)
        self._thread.join(timeout=60.0)
