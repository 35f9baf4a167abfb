"""A live feed in a thread of its own, so that the thread that owns the gateway never waits for a network."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence

import msgspec

from ghtrader.core.errors import GhtraderError
from ghtrader.ports.live_feed import FeedState, FeedStatus, LiveFeed, LiveTick

__all__ = ["OpensFeed", "ThreadedFeed"]

#: Makes a feed of these contracts that begins at these ids (where none is given: at the newest tick).
OpensFeed = Callable[[tuple[str, ...], dict[str, int]], LiveFeed]
IDLE_S = 0.02


class ThreadedFeed:
    """`ports.live_feed.LiveFeed` over another that ``opens`` makes in the feed's own thread.

    What is subscribed may change: another feed goes on at the ids where the one before ended. A feed that cannot be had is a state
    with a message, and is opened again every ``retry_s`` seconds. hear: gets every batch in the feed's thread, before the owner
    does (a recorder); it must not wait. ring: called there, too, whenever there is something to `poll`.
    """

    def __init__(
        self,
        opens: OpensFeed,
        *,
        hear: Callable[[Sequence[LiveTick]], None] | None = None,
        ring: Callable[[], None] = lambda: None,
        poll_s: float = 0.25,
        retry_s: float = 5.0,
    ) -> None:
        self._opens, self._hear, self._ring, self._poll_s, self._retry_s = opens, hear, ring, poll_s, retry_s
        self._wanted: tuple[str, ...] = ()
        self._next: dict[str, int] = {}
        self._found: queue.SimpleQueue[list[LiveTick]] = queue.SimpleQueue()
        self._status = FeedStatus(state=FeedState.CLOSED, ticks=0, rebuilds=0, lost=0, last_receive_ns=0)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="feed", daemon=True)
        self._thread.start()

    def subscribe(self, symbols: Sequence[str]) -> None:
        """Have ticks of exactly these contracts; none closes the session."""
        self._wanted = tuple(symbols)

    def _run(self) -> None:
        feed: LiveFeed | None = None
        opened: tuple[str, ...] = ()
        while not self._stop.is_set():
            wanted = self._wanted
            if feed is not None and wanted != opened:
                feed.close()
                feed = None
            if not wanted:
                self._status = msgspec.structs.replace(self._status, state=FeedState.CLOSED, message="nothing is subscribed")
                self._stop.wait(IDLE_S)
                continue
            try:
                if feed is None:
                    feed, opened = self._opens(wanted, {name: self._next[name] for name in wanted if name in self._next}), wanted
                self._give(feed.poll(self._poll_s))
                self._status = feed.status
            except GhtraderError as error:
                self._status = msgspec.structs.replace(self._status, state=FeedState.DOWN, message=error.message)
                if feed is not None:
                    feed.close()
                    feed = None
                self._stop.wait(self._retry_s)
        if feed is not None:
            feed.close()

    def _give(self, ticks: list[LiveTick]) -> None:
        if ticks:
            self._next |= {tick.symbol: tick.identity + 1 for tick in ticks}
            if self._hear is not None:
                self._hear(ticks)
            self._found.put(ticks)
            self._ring()

    def poll(self, timeout_s: float = 0.0) -> list[LiveTick]:
        """Ticks that arrived; waits at most so long for the first."""
        found: list[LiveTick] = []
        try:
            found += self._found.get(timeout=timeout_s) if timeout_s > 0 else self._found.get_nowait()
            while True:
                found += self._found.get_nowait()
        except queue.Empty:
            return found

    @property
    def status(self) -> FeedStatus:
        """Where the feed stands, as of its last poll."""
        return self._status

    def close(self) -> None:
        """Hang up and end the thread."""
        self._stop.set()
        self._thread.join(timeout=10.0)
