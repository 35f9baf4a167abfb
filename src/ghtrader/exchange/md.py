"""One market-data connection: quotes, tick and bar windows, instrument queries, in the DIFF protocol."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ghtrader.core.trading_day import TradingDay
from ghtrader.exchange.diff import DiffState
from ghtrader.exchange.faults import FaultBoard
from ghtrader.exchange.market import ServedMarket
from ghtrader.exchange.query import answer_query
from ghtrader.exchange.series import TickSeries

__all__ = ["MAINTENANCE", "MdSession"]

MAINTENANCE = "每日 19:00-19:30 为日常运维时间，请稍后再试"
MAINTENANCE_CODE = 2019112900


@dataclass
class Chart:
    """A window that a client asked for. ``rolling`` windows follow the market's newest tick, others stand.

    live: it was answered, so that what is told from now on are new ticks.
    """

    request: dict[str, Any]
    symbols: list[str]
    duration_ns: int
    width: int
    rolling: bool
    live: bool = False


class MdSession:
    """State of one connection; pure: messages in, patches out through ``state``.

    A request for history is given everything that is served, also what lies after the market's present moment. Only where
    the same connection follows the same series live does its history end at the present, as the client keeps one copy of both.
    """

    def __init__(self, market: ServedMarket, board: FaultBoard, packets: Sequence[list[dict[str, Any]]] = ()) -> None:
        self._market = market
        self._board = board
        self.state = DiffState(packets)
        self._quotes: list[str] = []
        self._charts: dict[str, Chart] = {}
        self._followed: set[tuple[str, int]] = set()
        self._seen: dict[str, int] = {}
        self._ticks = 0
        self.state.push({"account_id": "", "ins_list": "", "mdhis_more_data": False})

    def handle(self, message: dict[str, Any]) -> None:
        """One message of the client."""
        kind = message.get("aid")
        if kind == "peek_message":
            self.state.peeked = True
        elif kind == "subscribe_quote":
            self._subscribe(str(message.get("ins_list", "")))
        elif kind == "set_chart":
            self._set_chart(message)
        elif kind == "ins_query":
            self._query(message)

    # --- queries --------------------------------------------------------------------------------------------------------
    def _query(self, message: dict[str, Any]) -> None:
        identity, query = str(message.get("query_id")), str(message.get("query", ""))
        if not query:
            self.state.push({"symbols": {identity: None}})
            return
        found: dict[str, Any] = {
            "query": query,
            "query_id": identity,
            "result": answer_query(self._market, query, message.get("variables")),
        }
        if "variables" in message:
            found["variables"] = message["variables"]
        self.state.push({"symbols": {identity: found}})

    # --- quotes ---------------------------------------------------------------------------------------------------------
    def _subscribe(self, text: str) -> None:
        symbols = [symbol for symbol in text.split(",") if symbol]
        self._begin_to_watch(symbols)
        self._quotes = symbols
        for symbol in symbols:
            quote = self._market.quote(symbol)
            if quote:
                self.state.push({"quotes": {symbol: quote}})
        self.state.push({"ins_list": text})

    # --- windows --------------------------------------------------------------------------------------------------------
    def _set_chart(self, message: dict[str, Any]) -> None:
        chart_id = str(message["chart_id"])
        symbols = [symbol for symbol in str(message.get("ins_list", "")).split(",") if symbol]
        if not symbols:
            self._charts.pop(chart_id, None)
            self.state.push({"charts": {chart_id: None}})
            return
        rolling = "focus_datetime" not in message and "left_kline_id" not in message
        chart = Chart(message, symbols, int(message["duration"]), int(message["view_width"]), rolling)
        series = [found for found in (self._market.series(symbol) for symbol in symbols) if found is not None]
        if len(series) < len(symbols) or chart.duration_ns < 0 or (len(symbols) > 1 and not chart.duration_ns):
            self._answer_nothing(chart_id, chart)
            return
        if rolling:
            self._followed.update((symbol, chart.duration_ns) for symbol in symbols)
        first = self._left(chart, series[0])
        day = self._day_at(chart, series[0], first)
        if not rolling:
            self._board.hit(f"history {symbols[0]} {day.iso if day else ''}".strip())
            if self._board.strike("maintenance", day=day):
                notice = {"type": "MESSAGE", "level": "ERROR", "code": MAINTENANCE_CODE, "content": MAINTENANCE}
                self.state.push({"notify": {f"maintenance-{sum(self._board.hits.values())}": notice}})
                return
            if self._board.strike("no_data", day=day):
                self._answer_nothing(chart_id, chart)
                return
        self._charts.pop(chart_id, None)
        if rolling:
            self._begin_to_watch(symbols)
            self._charts[chart_id] = chart
        self._answer(chart_id, chart, series, first)

    def _last_tick(self, chart: Chart, series: TickSeries) -> int:
        """The newest tick that a window may show; -1 when there is none."""
        followed = (series.symbol, chart.duration_ns) in self._followed
        return self._market.visible(series) if followed else len(series) - 1

    def _last_id(self, chart: Chart, series: TickSeries) -> int:
        """Id of the newest tick or bar that a window may show; -1 when there is none."""
        tick = self._last_tick(chart, series)
        return series.bars(chart.duration_ns).bar_of(tick) if chart.duration_ns else tick

    def _left(self, chart: Chart, series: TickSeries) -> int:
        request = chart.request
        if "left_kline_id" in request:
            return max(0, int(request["left_kline_id"]))
        if "focus_datetime" in request:
            moment = int(request["focus_datetime"])
            index = series.bars(chart.duration_ns).index_at(moment) if chart.duration_ns else series.index_at(moment)
            return max(0, index - int(request.get("focus_position", 0)))
        return max(0, self._last_id(chart, series) - chart.width + 1)

    def _day_at(self, chart: Chart, series: TickSeries, first: int) -> TradingDay | None:
        """The trading day in which a history window begins: that of its first tick, by the moment that was asked for."""
        if chart.duration_ns or first >= len(series):
            return None
        return series.days[series.day_index(first)]

    def _answer_nothing(self, chart_id: str, chart: Chart) -> None:
        place: dict[str, Any] = {"last_id": -1, "data": {}}
        ready = {"left_id": -1, "right_id": -1, "more_data": False, "ready": True, "state": dict(chart.request)}
        self.state.push({**self._placed(chart, chart.symbols[0], place), "charts": {chart_id: ready}, "mdhis_more_data": False})

    def _placed(self, chart: Chart, symbol: str, value: dict[str, Any]) -> dict[str, Any]:
        if chart.duration_ns:
            return {"klines": {symbol: {str(chart.duration_ns): value}}}
        return {"ticks": {symbol: value}}

    def _answer(self, chart_id: str, chart: Chart, series: list[TickSeries], first: int) -> None:
        last_id = self._last_id(chart, series[0])
        right = last_id if chart.rolling else first + chart.width - 1
        self._push_rows(chart, series, first, min(right, last_id) + 1)
        chart.live = True
        ready = {
            "left_id": -1 if last_id < 0 else first,
            "right_id": -1 if last_id < 0 else right,
            "more_data": False,
            "ready": True,
            "state": dict(chart.request),
        }
        self.state.push({"charts": {chart_id: ready}, "mdhis_more_data": False})

    def _push_rows(self, chart: Chart, series: list[TickSeries], first: int, stop: int) -> None:
        """Rows ``first`` to ``stop`` of the first symbol, and of the others what stands beside them."""
        for position, item in enumerate(series):
            begin, end = (first, stop) if position == 0 else self._beside(chart, series[0], item, first, stop)
            rows = self._rows(chart, item, begin, end)
            self.state.push(self._placed(chart, chart.symbols[position], {"last_id": self._last_id(chart, item), "data": rows}))
        if len(series) > 1:
            self._bind(chart, series, first, stop)

    def _series(self, symbol: str) -> TickSeries:
        series = self._market.series(symbol)
        assert series is not None
        return series

    def _rows(self, chart: Chart, series: TickSeries, first: int, stop: int) -> dict[str, Any]:
        if chart.duration_ns:
            return series.bars(chart.duration_ns).rows(first, stop, self._last_tick(chart, series))
        rows = series.rows(first, min(stop, self._last_tick(chart, series) + 1))
        return {name: self._damaged(row, quote=False) for name, row in rows.items()} if chart.live and chart.rolling else rows

    def _beside(self, chart: Chart, main: TickSeries, other: TickSeries, first: int, stop: int) -> tuple[int, int]:
        """Ids of the bars of a further symbol over the time of the first one's window."""
        main_bars, bars = main.bars(chart.duration_ns), other.bars(chart.duration_ns)
        if first >= len(main_bars) or stop <= first:
            return 0, 0
        begin = bars.index_at(int(main_bars.start_ns[first]) + 1) - 1
        end = bars.index_at(int(main_bars.start_ns[min(stop, len(main_bars)) - 1]) + 1)
        return max(0, begin), end

    def _bind(self, chart: Chart, series: list[TickSeries], first: int, stop: int) -> None:
        """Which bar of each further symbol stands beside which of the first."""
        main = series[0].bars(chart.duration_ns)
        last = {item.symbol: self._last_id(chart, item) for item in series}
        binding: dict[str, dict[str, int]] = {}
        for symbol, other in zip(chart.symbols[1:], series[1:], strict=True):
            bars = other.bars(chart.duration_ns)
            pairs: dict[str, int] = {}
            for bar in range(first, min(stop, len(main))):
                found = min(bars.index_at(int(main.start_ns[bar]) + 1) - 1, last[symbol])
                if found >= 0:
                    pairs[str(bar)] = found
            binding[symbol] = pairs
        self.state.push({"klines": {chart.symbols[0]: {str(chart.duration_ns): {"binding": binding}}}})

    # --- the market moves -----------------------------------------------------------------------------------------------
    def on_market(self) -> None:
        """Tell what is new since this connection was told last."""
        moved = {symbol: self._fresh(symbol) for symbol in self._watched()}
        for symbol, (first, stop) in moved.items():
            if stop > first:
                self._seen[symbol] = stop - 1
                self._ticks += stop - first
        for symbol in self._quotes:
            first, stop = moved.get(symbol, (0, 0))
            if stop > first:
                self.state.push({"quotes": {symbol: self._damaged(self._market.quote(symbol), quote=True)}})
        for chart_id, chart in self._charts.items():
            if any(moved.get(symbol, (0, 0))[1] > moved.get(symbol, (0, 0))[0] for symbol in chart.symbols):
                self._roll(chart_id, chart, moved[chart.symbols[0]])

    def _begin_to_watch(self, symbols: list[str]) -> None:
        """What is not watched yet is new from the present moment on."""
        for symbol in set(symbols) - self._watched():
            series = self._market.series(symbol)
            if series is not None:
                self._seen[symbol] = self._market.visible(series)

    def _watched(self) -> set[str]:
        known = {symbol for symbol in self._quotes if self._market.series(symbol) is not None}
        return known.union(*(chart.symbols for chart in self._charts.values()))

    def _fresh(self, symbol: str) -> tuple[int, int]:
        """Ids of ticks that this connection has not been told of."""
        newest = self._market.visible(self._series(symbol))
        return self._seen[symbol] + 1, newest + 1

    def _roll(self, chart_id: str, chart: Chart, moved: tuple[int, int]) -> None:
        """Tell a live window of the ticks ``moved`` of its first symbol, or of what came beside its newest bar."""
        series = [self._series(symbol) for symbol in chart.symbols]
        last_id = self._last_id(chart, series[0])
        first = min(moved[0], max(moved[1] - 1, 0))
        begin = series[0].bars(chart.duration_ns).bar_of(first) if chart.duration_ns else first
        self._push_rows(chart, series, begin, last_id + 1)
        left = max(0, last_id - chart.width + 1) if last_id >= 0 else -1
        self.state.push({"charts": {chart_id: {"left_id": left, "right_id": last_id}}})

    def _damaged(self, row: dict[str, Any], *, quote: bool) -> dict[str, Any]:
        for do, value in (("dash_fields", "-"), ("null_fields", None)):
            if value is None and not quote:
                continue
            fault = self._board.strike(do, ticks=self._ticks)
            if fault is not None:
                row = {**row, **dict.fromkeys(fault.fields, value)}
        return row
