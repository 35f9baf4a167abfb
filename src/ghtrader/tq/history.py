"""History through the real client: days of ticks by chart subscription, all five levels for every exchange.

`get_tick_data_series` gives one level for INE and keeps a cache of its own; the chart subscription beneath it gives what the
server has. A window is asked for by the day's first moment, then on by id, as the client's own downloader does.

The client keeps an object for every tick, so a day is read as it costs least: rows are taken out of the client's own dictionaries,
a day's ticks are let go when they were read, windows end near the day's end, and the collector of cycles rests meanwhile (a tick is
in no cycle, but a hundred thousand of them make every pass slow).
"""

from __future__ import annotations

import contextlib
import gc
import hashlib
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from itertools import chain
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import numpy.typing as npt

from ghtrader.core.clock import Deadline, iso_utc
from ghtrader.core.errors import GhtraderError, ProviderMaintenanceError, ProviderPermanentError, ProviderTransientError
from ghtrader.core.instruments import CONTINUOUS_PREFIX, alias_of
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.calendar import Calendar
from ghtrader.data.instruments import InstrumentTable
from ghtrader.data.schema import MARKET_COLUMNS
from ghtrader.data.sessions import DaySessions, sessions_for, trading_days_of
from ghtrader.ports.market_data import HistoryChunk
from ghtrader.tq.session import Credentials, TqSession, as_provider_error, is_maintenance

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["TqHistory"]

FIRST_ROWS, LEAST_ROWS, MOST_ROWS = 4000, 500, 8000
DAY_NS = 86_400_000_000_000
SHANGHAI_NS = 8 * 3600 * 10**9
MOST_BARS = 8000
#: A session is opened afresh after so many days: the client never forgets what it was told beside ticks.
DAYS_PER_SESSION = 64
CONTINUOUS_DAYS = 2600
MARGIN_NS = 3600 * 10**9
SOURCE = "tqsdk history"
_VALUES = itemgetter(*MARKET_COLUMNS)


@dataclass(frozen=True)
class _Window:
    """Rows with contiguous ids from ``first`` on, as the client's own dictionaries; ``more``: the series goes on behind them."""

    first: int
    rows: list[dict[str, Any]]
    more: bool

    @property
    def following(self) -> int:
        """Id behind the last row."""
        return self.first + len(self.rows)


@dataclass(frozen=True)
class _Piece:
    """Ticks as arrays: stamps in ns, and the market columns side by side."""

    ts_ns: npt.NDArray[np.int64]
    values: npt.NDArray[np.float64]


class TqHistory:
    """`ports.market_data.MarketDataProvider` over one client session. One thread; one instance per worker process."""

    def __init__(
        self,
        credentials: Credentials,
        folder: Path,
        calendar: Calendar,
        instruments: InstrumentTable,
        *,
        timeout_s: float = 30.0,
    ) -> None:
        self._session = TqSession(credentials, folder)
        self._calendar = calendar
        self._instruments = instruments
        self._timeout_s = timeout_s
        self._let_go: set[tuple[str, TradingDay]] = set()

    def close(self) -> None:
        """Hang up."""
        self._session.close()

    # --- what there is --------------------------------------------------------------------------------------------------
    def symbols(self) -> list[str]:
        """Futures of SHFE and INE that the provider lists as not expired, sorted."""
        api = self._session.api
        found: list[str] = []
        for exchange in ("SHFE", "INE"):
            found += self._call(partial(api.query_quotes, ins_class="FUTURE", exchange_id=exchange))
        return sorted(set(found))

    def trading_days(self, symbol: str) -> list[TradingDay]:
        """Trading days on which the contract has a daily bar."""
        bars = self._window(symbol, DAY_NS, {"focus_datetime": 0, "focus_position": 0}, MOST_BARS)
        stamps = sorted(int(row["datetime"]) for row in bars.rows)
        days = [TradingDay(_date(stamp)) for stamp in stamps]
        return [day for day in days if self._calendar.first <= day <= self._calendar.last and self._calendar.is_trading_day(day)]

    def continuous_table(self, product: str) -> list[tuple[TradingDay, str]]:
        """Effective trading day and contract of every switch that the provider's continuous table tells."""
        alias = alias_of(product)
        frame = self._call(lambda: self._session.api.query_his_cont_quotes(symbol=[alias], n=CONTINUOUS_DAYS))
        table: list[tuple[TradingDay, str]] = []
        for stamp, contract in zip(frame["date"], frame[alias], strict=True):
            name = str(contract)
            if "." in name and (not table or table[-1][1] != name):
                table.append((TradingDay(stamp.date()), name))
        return table

    def _call(self, ask: Callable[[], Any]) -> Any:
        try:
            return ask()
        except GhtraderError:
            raise
        except Exception as error:
            self._session.close()
            raise as_provider_error(error, what="the provider did not answer") from error

    # --- ticks ----------------------------------------------------------------------------------------------------------
    def ticks(self, symbol: str, trading_day: TradingDay) -> HistoryChunk:
        """All ticks of a trading day, trimmed by session windows; raises ProviderPermanentError when the provider has none."""
        if symbol.startswith(CONTINUOUS_PREFIX):
            raise ProviderPermanentError(f"{symbol} is no contract", hint="ask for the contract that the main schedule names")
        if self._session.days_served >= DAYS_PER_SESSION or (symbol, trading_day) in self._let_go:
            self._session.close()  # what this session has let go it would not be sent again
            self._let_go.clear()
        sessions = sessions_for(self._instruments.product(symbol).product, trading_day, self._calendar, self._instruments)
        with _collector_at_rest():
            piece = self._ticks_of(symbol, sessions)
        self._session.days_served += 1
        self._let_go.add((symbol, trading_day))
        chunk = self._chunk(symbol, trading_day, piece)
        first_ns, last_ns = _asked(sessions)
        asked = {"symbol": symbol, "from": iso_utc(first_ns), "to": iso_utc(last_ns), "client": f"tqsdk {version('tqsdk')}"}
        return msgspec.structs.replace(chunk, request=asked)

    def _ticks_of(self, symbol: str, sessions: DaySessions) -> _Piece:
        """Ticks from an hour before a day's sessions to an hour after them, in order of their ids."""
        first_ns, last_ns = _asked(sessions)
        pieces: list[_Piece] = []
        place, width, count = {"focus_datetime": first_ns, "focus_position": 0}, FIRST_ROWS, 0
        while True:
            window = self._window(symbol, 0, place, width)
            rows = [row for row in window.rows if first_ns <= row["datetime"] <= last_ns]
            if rows:
                pieces.append(_piece(rows))
                count += len(rows)
            past = bool(window.rows) and window.rows[-1]["datetime"] > last_ns
            self._forget(symbol, window, last_ns)
            if past or not window.more:
                return _joined(pieces)
            place = {"left_kline_id": window.following}
            width = _width(count, window.rows[-1]["datetime"], sessions)

    def _forget(self, symbol: str, window: _Window, last_ns: int) -> None:
        """Let the client's copies of a day's ticks go; those of the next day stay, as they may not be sent again."""
        known = vars(self._session.api._data["ticks"][symbol]["data"])
        for position, row in enumerate(window.rows):
            if row["datetime"] <= last_ns:
                known.pop(str(window.first + position), None)

    def _window(self, symbol: str, duration_ns: int, place: dict[str, int], width: int) -> _Window:
        """One answered chart window. Maintenance is an error at once, silence one after the timeout."""
        api, seen = self._session.api, len(self._session.notices())
        request = {
            "aid": "set_chart",
            "chart_id": f"ghtrader_{uuid.uuid4().hex}",
            "ins_list": symbol,
            "duration": duration_ns,
            "view_width": width,
            **place,
        }
        api._send_chan.send_nowait(request)
        deadline = Deadline(self._timeout_s)
        try:
            while not self._answered(api, request):
                self._session.wait(deadline)
                words = next((text for text in self._session.notices()[seen:] if is_maintenance(text)), "")
                if words:
                    raise ProviderMaintenanceError(
                        f"{symbol}: {words}", hint="ghtrader data skips lists what waits; run the same command later"
                    )
                if deadline.passed and not self._answered(api, request):
                    raise ProviderTransientError(
                        f"no answer for {symbol} within {self._timeout_s:g} s", hint="run the same command again"
                    )
            return self._read(api, request, symbol, duration_ns)
        except GhtraderError:
            self._session.close()
            raise

    @staticmethod
    def _answered(api: Any, request: dict[str, Any]) -> bool:
        chart = api._data.get("charts", {}).get(request["chart_id"])
        if not chart or not chart.get("ready", False) or api._data.get("mdhis_more_data", True):
            return False
        return bool(request.items() <= dict(chart.get("state", {})).items())

    def _read(self, api: Any, request: dict[str, Any], symbol: str, duration_ns: int) -> _Window:
        chart = api._data["charts"][request["chart_id"]]
        left, right = max(0, int(chart.get("left_id", -1))), int(chart.get("right_id", -1))
        if duration_ns:
            serial = api._data.get("klines", {}).get(symbol, {}).get(str(duration_ns), {})
        else:
            serial = api._data.get("ticks", {}).get(symbol, {})
        last = int(serial.get("last_id", -1))
        release = {name: request[name] for name in ("aid", "chart_id", "duration", "view_width")}
        api._send_chan.send_nowait({**release, "ins_list": ""})
        if last < 0 or right < left:
            return _Window(left, [], more=False)
        data = serial.get("data")
        known = {} if data is None else vars(data)
        found = [known.get(str(identity)) for identity in range(left, min(right, last) + 1)]
        rows = [vars(row) for row in found if row is not None and row.get("datetime", 0)]
        if len(rows) < len(found):
            raise ProviderTransientError(
                f"{symbol}: {len(found) - len(rows)} of {len(found)} rows from id {left} on are missing",
                hint="run the same command again",
            )
        return _Window(left, rows, more=right < last)

    def _chunk(self, symbol: str, trading_day: TradingDay, piece: _Piece) -> HistoryChunk:
        import polars as pl

        product = self._instruments.product(symbol).product
        days, index = trading_days_of(piece.ts_ns, product, self._calendar, self._instruments)
        chosen = index == days.index(trading_day) if trading_day in days else np.zeros(len(piece.ts_ns), dtype=np.bool_)
        if not chosen.any():
            raise ProviderPermanentError(
                f"the provider has no ticks of {symbol} on {trading_day}",
                hint="ghtrader data skips",
                symbol=symbol,
                day=trading_day.iso,
            )
        columns = np.ascontiguousarray(piece.values[chosen].T)
        frame = pl.DataFrame({"datetime": piece.ts_ns[chosen], **dict(zip(MARKET_COLUMNS, columns, strict=True))})
        identity = hashlib.sha256(b"".join(frame[name].to_numpy().tobytes() for name in frame.columns)).hexdigest()
        return HistoryChunk(symbol, trading_day, frame, SOURCE, identity)


@contextlib.contextmanager
def _collector_at_rest() -> Iterator[None]:
    """Without passes of the cycle collector."""
    active = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if active:
            gc.enable()


def _piece(rows: list[dict[str, Any]]) -> _Piece:
    stamps = np.fromiter((row["datetime"] for row in rows), np.int64, len(rows))
    count = len(rows) * len(MARKET_COLUMNS)
    try:
        flat = np.fromiter(chain.from_iterable(map(_VALUES, rows)), np.float64, count)
    except (KeyError, TypeError, ValueError):  # a field is absent, or a text stands for it
        flat = np.fromiter((_number(row.get(name)) for row in rows for name in MARKET_COLUMNS), np.float64, count)
    return _Piece(stamps, flat.reshape(len(rows), len(MARKET_COLUMNS)))


def _joined(pieces: list[_Piece]) -> _Piece:
    if not pieces:
        return _Piece(np.empty(0, np.int64), np.empty((0, len(MARKET_COLUMNS))))
    return _Piece(np.concatenate([piece.ts_ns for piece in pieces]), np.concatenate([piece.values for piece in pieces]))


def _asked(sessions: DaySessions) -> tuple[int, int]:
    """The span that is asked for: an hour more than a day's sessions on either side."""
    return sessions.first_ns - MARGIN_NS, sessions.last_ns + MARGIN_NS


def _width(rows: int, stamp_ns: int, sessions: DaySessions) -> int:
    """Rows to ask for next: what is left of the day at its pace so far, and a twentieth; what lies behind the day is not wanted."""

    def open_ns(start: int, stop: int) -> int:
        return sum(max(0, min(stop, part.end_ns) - max(start, part.start_ns)) for part in sessions.parts)

    passed, left = open_ns(sessions.first_ns, stamp_ns), open_ns(stamp_ns, sessions.last_ns)
    expected = int(rows * left / passed * 1.05) if passed else MOST_ROWS
    return min(MOST_ROWS, max(LEAST_ROWS, expected))


def _number(value: Any) -> float:
    """A number as the client has it; absent fields are texts there."""
    return float("nan") if value is None or isinstance(value, str) else float(value)


def _date(stamp_ns: int) -> Any:
    """The civil date in Shanghai of a daily bar's stamp: such a bar carries its trading day."""
    import datetime as dt

    return dt.date(1970, 1, 1) + dt.timedelta(days=(stamp_ns + SHANGHAI_NS) // DAY_NS)
