"""History through the real client: days of ticks by chart subscription, all five levels for every exchange.

`get_tick_data_series` gives one level for INE and keeps a cache of its own; the chart subscription beneath it gives what the
server has. A window is asked for by the day's first moment, then on by id, as the client's own downloader does.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from ghtrader.core.clock import Deadline, iso_utc
from ghtrader.core.errors import GhtraderError, ProviderMaintenanceError, ProviderPermanentError, ProviderTransientError
from ghtrader.core.instruments import CONTINUOUS_PREFIX, alias_of
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.calendar import Calendar
from ghtrader.data.instruments import InstrumentTable
from ghtrader.data.schema import MARKET_COLUMNS
from ghtrader.data.sessions import sessions_for, trading_days_of
from ghtrader.ports.market_data import HistoryChunk
from ghtrader.tq.session import Credentials, TqSession, as_provider_error, is_maintenance

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["TqHistory"]

WINDOW_ROWS = 8000
DAY_NS = 86_400_000_000_000
SHANGHAI_NS = 8 * 3600 * 10**9
MOST_BARS = 8000
#: A session is opened afresh after so many days: the client never forgets a tick.
DAYS_PER_SESSION = 8
CONTINUOUS_DAYS = 2600
SOURCE = "tqsdk history"


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
        stamps = sorted(int(row["datetime"]) for row in bars.values())
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
        if self._session.days_served >= DAYS_PER_SESSION:
            self._session.close()
        sessions = sessions_for(self._instruments.product(symbol).product, trading_day, self._calendar, self._instruments)
        margin = 3600 * 10**9
        window = (sessions.first_ns - margin, sessions.last_ns + margin)
        rows = self._rows_between(symbol, *window)
        self._session.days_served += 1
        chunk = self._chunk(symbol, trading_day, rows)
        asked = {"symbol": symbol, "from": iso_utc(window[0]), "to": iso_utc(window[1]), "client": f"tqsdk {version('tqsdk')}"}
        return msgspec.structs.replace(chunk, request=asked)

    def _rows_between(self, symbol: str, first_ns: int, last_ns: int) -> list[Any]:
        """Ticks of a span in order of their ids."""
        found: list[Any] = []
        place: dict[str, int] = {"focus_datetime": first_ns, "focus_position": 0}
        while True:
            window = self._window(symbol, 0, place, WINDOW_ROWS)
            ids = sorted(window)
            for identity in ids:
                row = window[identity]
                if row["datetime"] > last_ns:
                    return found
                if row["datetime"] >= first_ns:
                    found.append(row)
            if len(ids) < WINDOW_ROWS:
                return found
            place = {"left_kline_id": ids[-1] + 1}

    def _window(self, symbol: str, duration_ns: int, place: dict[str, int], width: int) -> dict[int, Any]:
        """One answered chart window: rows by id. Maintenance is an error at once, silence one after the timeout."""
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

    def _read(self, api: Any, request: dict[str, Any], symbol: str, duration_ns: int) -> dict[int, Any]:
        chart = api._data["charts"][request["chart_id"]]
        left, right = int(chart.get("left_id", -1)), int(chart.get("right_id", -1))
        if duration_ns:
            serial = api._data.get("klines", {}).get(symbol, {}).get(str(duration_ns), {})
        else:
            serial = api._data.get("ticks", {}).get(symbol, {})
        data = serial.get("data", {})
        found: dict[int, Any] = {}
        if serial.get("last_id", -1) != -1:
            for identity in range(max(0, left), right + 1):
                row = data.get(str(identity))
                if row is None or not row.get("datetime", 0):
                    break
                found[identity] = row
        release = {name: request[name] for name in ("aid", "chart_id", "duration", "view_width")}
        api._send_chan.send_nowait({**release, "ins_list": ""})
        return found

    def _chunk(self, symbol: str, trading_day: TradingDay, rows: list[Any]) -> HistoryChunk:
        import polars as pl

        stamps = np.array([row["datetime"] for row in rows], dtype=np.int64)
        product = self._instruments.product(symbol).product
        days, index = trading_days_of(stamps, product, self._calendar, self._instruments)
        chosen = index == days.index(trading_day) if trading_day in days else np.zeros(len(rows), dtype=np.bool_)
        if not chosen.any():
            raise ProviderPermanentError(
                f"the provider has no ticks of {symbol} on {trading_day}",
                hint="ghtrader data skips",
                symbol=symbol,
                day=trading_day.iso,
            )
        kept = [row for row, keep in zip(rows, chosen.tolist(), strict=True) if keep]
        columns: dict[str, Any] = {"datetime": stamps[chosen]}
        for name in MARKET_COLUMNS:
            columns[name] = np.array([_number(row.get(name)) for row in kept], dtype=np.float64)
        frame = pl.DataFrame(columns)
        identity = hashlib.sha256(b"".join(frame[name].to_numpy().tobytes() for name in frame.columns)).hexdigest()
        return HistoryChunk(symbol, trading_day, frame, SOURCE, identity)


def _number(value: Any) -> float:
    """A number as the client has it; absent fields are texts there."""
    return float("nan") if value is None or isinstance(value, str) else float(value)


def _date(stamp_ns: int) -> Any:
    """The civil date in Shanghai of a daily bar's stamp: such a bar carries its trading day."""
    import datetime as dt

    return dt.date(1970, 1, 1) + dt.timedelta(days=(stamp_ns + SHANGHAI_NS) // DAY_NS)
