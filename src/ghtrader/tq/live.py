"""The live feed through the real client: ticks from the tick serial, each once; a link that lies is rebuilt.

Quotes conflate, the tick serial does not: ids are walked one by one. A client that connects a second time without a word about a
drop has lost its subscriptions, and so has one that stays silent while the market trades: both are closed and made again. Ids that
are missing afterwards are asked for by a window of their own; ticks behind the hole wait for it.
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ghtrader.core.clock import NS_PER_S, Clock, Deadline
from ghtrader.core.errors import GhtraderError, ProviderError, ProviderPermanentError
from ghtrader.data.schema import MARKET_COLUMNS, SIZE_COLUMNS
from ghtrader.ports.live_feed import FeedEvent, FeedState, FeedStatus, LiveTick, RecyclePolicy, feed_step
from ghtrader.tq.links import LinkWatch
from ghtrader.tq.pace import RebuildPace
from ghtrader.tq.session import OPENING_S, Credentials, TqSession, as_provider_error

__all__ = ["TqLiveFeed", "open_limit"]

#: Rows of the serial; what a drop leaves out of it is asked for, at most so many ids at a time, waiting so long for an answer.
SERIAL_ROWS, HOLE_ROWS, HOLE_S, HOLE_ATTEMPTS = 200, 8000, 10.0, 3
#: Silence in session that a rebuild did not cure is a quiet market: the next one may last twice as long, up to this.
LONGEST_SILENCE_S = 300.0
STEP_S = 0.5
_SIZES = frozenset(SIZE_COLUMNS) | {"volume", "open_interest"}


@dataclass
class _Hole:
    """Ids ``first`` to ``stop`` (exclusive) that were asked for."""

    first: int
    stop: int
    request: dict[str, Any]
    deadline: Deadline
    attempt: int = 1


class TqLiveFeed:
    """`ports.live_feed.LiveFeed`. ``in_session`` says whether ticks are due now; silence then means a dead link.

    silence_s: seconds without a tick in which the feed listened; a caller that was busy elsewhere proves nothing.
    begin: ids of the first tick to give by symbol, for a feed that goes on where another ended; default: the newest at the start.
    limits: subscribe quotes too, and give the day's upper and lower price limit behind the market columns (NaN where nobody says) and
    the daily open limit.
    """

    def __init__(
        self,
        credentials: Credentials,
        folder: Path,
        symbols: tuple[str, ...],
        clock: Clock,
        *,
        in_session: Callable[[], bool],
        silence_s: float = 20.0,
        opening_s: float = OPENING_S,
        recycling: RecyclePolicy | None = None,
        begin: dict[str, int] | None = None,
        limits: bool = False,
    ) -> None:
        self._limits = limits
        self._session = TqSession(credentials, folder, opening_s=opening_s)
        self._symbols = symbols
        self._clock = clock
        self._in_session = in_session
        self._silence_s = self._patience_s = silence_s
        self._opening_s = opening_s
        self._recycling = recycling or RecyclePolicy()
        self._pace = RebuildPace(clock, first_s=0.5)
        self._state = FeedState.CONNECTING
        self._watch = LinkWatch("md")
        self._next = dict(begin or {})
        self._holes: dict[str, _Hole] = {}
        self._ticks = self._rebuilds = self._recycles = self._lost = self._held = 0
        self._last_receive_ns = 0
        self._quiet_since_ns = clock.monotonic_ns()
        self._listened_s = 0.0
        self._message = ""
        self._subscribed = False

    @property
    def status(self) -> FeedStatus:
        """Where the feed stands."""
        return FeedStatus(
            state=self._state,
            ticks=self._ticks,
            rebuilds=self._rebuilds,
            recycles=self._recycles,
            lost=self._lost,
            last_receive_ns=self._last_receive_ns,
            message=self._message or self._watch.message,
        )

    @property
    def next_ids(self) -> dict[str, int]:
        """The id of the tick that comes next, by symbol: where another feed would go on."""
        return dict(self._next)

    def _event(self, event: FeedEvent) -> None:
        self._state = feed_step(self._state, event)

    @property
    def _quiet_s(self) -> float:
        return (self._clock.monotonic_ns() - self._quiet_since_ns) / NS_PER_S

    # --- polling --------------------------------------------------------------------------------------------------------
    def poll(self, timeout_s: float) -> list[LiveTick]:
        """Ticks that arrived; rebuilds the session when it must."""
        deadline = Deadline(timeout_s)
        while self._state != FeedState.CLOSED:
            found = self._step(deadline)
            if found or deadline.passed:
                return found
        return []

    def _step(self, deadline: Deadline) -> list[LiveTick]:
        try:
            if not self._subscribed and not self._subscribe():
                deadline.pause(min(0.2, self._pace.left_s))
                return []
            found = self._collect()
            if not found and self._subscribed:
                began_ns = self._clock.monotonic_ns()
                self._session.wait(Deadline(min(deadline.left_s, STEP_S)))
                self._listened_s += (self._clock.monotonic_ns() - began_ns) / NS_PER_S
                found = self._collect()
        except ProviderPermanentError:
            self._end_session(FeedEvent.FAILED)
            raise
        except ProviderError as error:
            self._message = error.message
            self._end_session(FeedEvent.FAILED)
            return []
        return found

    def _subscribe(self) -> bool:
        """Open a session and ask for every serial; False when it is too early for another attempt."""
        if not self._pace.is_ready:
            return False
        self._pace.begin()
        api = self._session.api
        api.limit = Deadline(self._opening_s)
        try:
            for symbol in self._symbols:
                api.get_tick_serial(symbol, data_length=SERIAL_ROWS)
            if self._limits:
                api.get_quote_list(list(self._symbols))
        except GhtraderError:
            raise
        except Exception as error:
            raise as_provider_error(error, what="ticks cannot be subscribed") from error
        finally:
            api.limit = None
        self._subscribed, self._held, self._listened_s = True, 0, 0.0
        self._quiet_since_ns = self._clock.monotonic_ns()
        self._event(FeedEvent.REBUILT)
        return True

    def _collect(self) -> list[LiveTick]:
        for event in self._watch.events(self._session.api):
            self._event(event)
        found: list[LiveTick] = []
        for symbol in self._symbols:
            found += self._fresh(symbol)
        in_session = self._in_session()
        if found:
            self._ticks += len(found)
            self._held += len(found)
            self._last_receive_ns = found[-1].receive_ns
            self._quiet_since_ns, self._listened_s = self._clock.monotonic_ns(), 0.0
            self._patience_s, self._message = self._silence_s, ""
            self._event(FeedEvent.DATA)
        elif not in_session:
            self._listened_s = 0.0  # the first tick of a session may take its time
        elif self._listened_s >= self._patience_s:
            self._message = f"no tick for {self._patience_s:g} s in session"
            self._patience_s = min(2 * self._patience_s, max(LONGEST_SILENCE_S, self._silence_s))
            self._event(FeedEvent.SILENCE)
        if self._state == FeedState.REBUILDING:
            self._end_session(FeedEvent.FAILED)
        elif self._recycling.is_due(held=self._held, in_session=in_session, quiet_s=self._quiet_s):
            self._end_session(FeedEvent.RECYCLE)
        return found

    def _end_session(self, event: FeedEvent) -> None:
        """Close the session; the next step opens another at the same place in every serial."""
        self._recycles += event == FeedEvent.RECYCLE
        self._rebuilds += event != FeedEvent.RECYCLE
        self._event(event)
        self._session.close()
        self._watch = LinkWatch("md")
        self._holes.clear()
        self._subscribed, self._held = False, 0

    # --- ticks ----------------------------------------------------------------------------------------------------------
    def _fresh(self, symbol: str) -> list[LiveTick]:
        """Ticks of a symbol beyond the last that was given, up to a hole; the first call begins with the newest one."""
        serial = self._session.api._data.get("ticks", {}).get(symbol, {})
        last, data = int(serial.get("last_id", -1)), serial.get("data", {})
        if last < 0 or str(last) not in data:
            return []
        following = self._next.setdefault(symbol, last)
        if following > last:
            return []
        if symbol in self._holes:
            following = self._filled(symbol, following, data)
        now, found = self._clock.now_ns(), []
        limits, lots = self._limits_of(symbol) if self._limits and following <= last else ((), 0)
        while following <= last:
            row = data.get(str(following))
            if row is None or not row.get("datetime", 0):
                self._ask(symbol, following, last, data)
                break
            values = tuple(_value(name, row.get(name)) for name in MARKET_COLUMNS)
            found.append(LiveTick(symbol, following, int(row["datetime"]), now, (*values, *limits), lots))
            following += 1
        self._next[symbol] = following
        return found

    def _limits_of(self, symbol: str) -> tuple[tuple[float, float], int]:
        """Upper and lower limit of the newest quote, and its daily open limit in lots."""
        quote = self._session.api._data.get("quotes", {}).get(symbol, {})
        return (_value("upper_limit", quote.get("upper_limit")), _value("lower_limit", quote.get("lower_limit"))), open_limit(
            quote
        )

    def _ask(self, symbol: str, first: int, last: int, data: Any, attempt: int = 1) -> None:
        """Ask for a hole, unless that is under way."""
        if symbol in self._holes:
            return
        stop = next((identity for identity in range(first + 1, last) if str(identity) in data), last)
        stop = min(stop, first + HOLE_ROWS)
        request = {
            "aid": "set_chart",
            "chart_id": f"ghtrader_{uuid.uuid4().hex}",
            "ins_list": symbol,
            "duration": 0,
            "view_width": stop - first,
            "left_kline_id": first,
        }
        self._session.api._send_chan.send_nowait(request)
        self._holes[symbol] = _Hole(first, stop, request, Deadline(HOLE_S), attempt)

    def _filled(self, symbol: str, following: int, data: Any) -> int:
        """Where to go on: the hole's first id while its answer is awaited or when it came, behind lost ids when it did not bring them."""
        hole, api = self._holes[symbol], self._session.api
        chart = api._data.get("charts", {}).get(hole.request["chart_id"]) or {}
        answered = chart.get("ready", False) and not api._data.get("mdhis_more_data", True)
        if self._state == FeedState.DOWN:  # nothing can answer; the client asks again when the link is back
            hole.deadline = Deadline(HOLE_S)
        if not (answered or hole.deadline.passed):
            return following
        del self._holes[symbol]
        release = {name: hole.request[name] for name in ("aid", "chart_id", "duration", "view_width")}
        api._send_chan.send_nowait({**release, "ins_list": ""})
        if str(following) not in data and hole.attempt < HOLE_ATTEMPTS:
            self._ask(symbol, following, hole.stop, data, hole.attempt + 1)  # a busy provider may answer before it has sent them
            return following
        while following < hole.stop and str(following) not in data:
            self._lost += 1
            following += 1
        return following

    def close(self) -> None:
        """Hang up."""
        self._event(FeedEvent.CLOSE)
        self._session.close()


def open_limit(quote: Mapping[str, Any]) -> int:
    """The daily open limit that a quote carries, lots; 0 for everything that is no number above 0.

    >>> [open_limit({"open_limit": value}) for value in (800, 800.0, 0, -1, float("nan"), "-", None)], open_limit({})
    ([800, 800, 0, 0, 0, 0, 0], 0)
    """
    value = quote.get("open_limit")
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0
    return int(value) if math.isfinite(value) and value > 0 else 0


def _value(name: str, value: Any) -> float:
    if value is None or isinstance(value, str):
        return 0.0 if name in _SIZES else float("nan")
    return float(value)
