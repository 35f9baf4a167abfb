"""The live feed through the real client: ticks from the tick serial, each once; a link that lies is rebuilt.

Quotes conflate, the tick serial does not: ids are walked one by one. A client that connects a second time without a word about a
drop has lost its subscriptions, and so has one that stays silent while the market trades: both are closed and made again, and the
serial's ids close the hole.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ghtrader.core.clock import Clock, Deadline
from ghtrader.core.errors import ProviderError
from ghtrader.data.schema import MARKET_COLUMNS, SIZE_COLUMNS
from ghtrader.ports.live_feed import FeedEvent, FeedState, FeedStatus, LiveTick, feed_step
from ghtrader.tq.links import LinkWatch
from ghtrader.tq.session import Credentials, TqSession

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["TqLiveFeed"]

FIRST_ROWS, CATCH_UP_ROWS = 200, 8000
_SIZES = frozenset(SIZE_COLUMNS) | {"volume", "open_interest"}


class TqLiveFeed:
    """`ports.live_feed.LiveFeed`. ``in_session`` says whether ticks are due now; silence then means a dead link."""

    def __init__(
        self,
        credentials: Credentials,
        folder: Path,
        symbols: tuple[str, ...],
        clock: Clock,
        *,
        in_session: Callable[[], bool],
        silence_s: float = 20.0,
        rebuild_timeout_s: float = 30.0,
    ) -> None:
        self._session = TqSession(credentials, folder)
        self._symbols = symbols
        self._clock = clock
        self._in_session = in_session
        self._silence_s = silence_s
        self._rebuild_timeout_s = rebuild_timeout_s
        self._state = FeedState.CONNECTING
        self._watch = LinkWatch("md")
        self._next: dict[str, int] = {}
        self._ticks = self._rebuilds = self._lost = 0
        self._last_receive_ns = 0
        self._quiet = Deadline(silence_s)
        self._message = ""
        self._subscribed = False

    @property
    def status(self) -> FeedStatus:
        """Where the feed stands."""
        return FeedStatus(
            state=self._state,
            ticks=self._ticks,
            rebuilds=self._rebuilds,
            lost=self._lost,
            last_receive_ns=self._last_receive_ns,
            message=self._message or self._watch.message,
        )

    def _event(self, event: FeedEvent) -> None:
        self._state = feed_step(self._state, event)

    def _subscribe(self) -> None:
        api = self._session.api
        rows = CATCH_UP_ROWS if self._next else FIRST_ROWS
        for symbol in self._symbols:
            api.get_tick_serial(symbol, data_length=rows)
        self._subscribed = True
        self._quiet = Deadline(self._silence_s)

    def poll(self, timeout_s: float) -> list[LiveTick]:
        """Ticks that arrived; rebuilds the session when it must."""
        if self._state == FeedState.CLOSED:
            return []
        deadline = Deadline(timeout_s)
        while True:
            try:
                if not self._subscribed:
                    self._subscribe()
                found = self._collect()
                if not found:
                    self._session.wait(Deadline(min(deadline.left_s, 0.5)))
                    found = self._collect()
            except ProviderError as error:
                self._message = error.message
                self._rebuild()
                found = []
            if found or deadline.passed:
                return found

    def _collect(self) -> list[LiveTick]:
        for event in self._watch.events(self._session.api):
            self._event(event)
        found: list[LiveTick] = []
        for symbol in self._symbols:
            found += self._fresh(symbol)
        if found:
            self._ticks += len(found)
            self._last_receive_ns = found[-1].receive_ns
            self._quiet = Deadline(self._silence_s)
            self._event(FeedEvent.DATA)
        elif self._quiet.passed and self._in_session():
            self._message = f"no tick for {self._silence_s:g} s in session"
            self._event(FeedEvent.SILENCE)
        if self._state == FeedState.REBUILDING:
            self._rebuild()
        return found

    def _fresh(self, symbol: str) -> list[LiveTick]:
        """Ticks of a symbol beyond the last that was given; the first call begins with the newest one."""
        serial = self._session.api._data.get("ticks", {}).get(symbol, {})
        last, data = int(serial.get("last_id", -1)), serial.get("data", {})
        if last < 0 or str(last) not in data:
            return []
        following = self._next.setdefault(symbol, last)
        while following <= last and str(following) not in data:
            self._lost += 1  # older than the window that the provider gave after a rebuild
            following += 1
        now, found = self._clock.now_ns(), []
        for identity in range(following, last + 1):
            row = data.get(str(identity))
            if row is None or not row.get("datetime", 0):
                break
            values = tuple(_value(name, row.get(name)) for name in MARKET_COLUMNS)
            found.append(LiveTick(symbol, identity, int(row["datetime"]), now, values))
            following = identity + 1
        self._next[symbol] = following
        return found

    def _rebuild(self) -> None:
        """Another session, the same place in every serial."""
        self._state = FeedState.REBUILDING
        self._rebuilds += 1
        self._session.close()
        self._watch = LinkWatch("md")
        self._subscribed = False
        self._quiet = Deadline(self._silence_s)
        self._event(FeedEvent.REBUILT)
        pause = Deadline(min(1.0, self._rebuild_timeout_s))
        pause.pause(0.2)

    def close(self) -> None:
        """Hang up."""
        self._event(FeedEvent.CLOSE)
        self._session.close()


def _value(name: str, value: Any) -> float:
    if value is None or isinstance(value, str):
        return 0.0 if name in _SIZES else float("nan")
    return float(value)
