"""One market-data connection: quotes, tick and bar windows, instrument queries, in the DIFF protocol."""

from __future__ import annotations

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
    """A window that a client asked for. ``rolling`` windows follow the market's newest tick, others stand."""

    request: dict[str, Any]
    symbols: list[str]
    duration_ns: int
    width: int
    rolling: bool


class MdSession:
    """State of one connection; pure: messages in, patches out through ``state``."""

    def __init__(self, market: ServedMarket, board: FaultBoard) -> None:
        self._market = market
        self._board = board
        self.state = DiffState()
        self._quotes: list[str] = []
        self._charts: dict[str, Chart] = {}
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
        self._quotes = [symbol for symbol in text.split(",") if symbol]
        for symbol in self._quotes:
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
        if len(series) < len(symbols):
            self._answer_nothing(chart_id, chart)
            return
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
        if rolling:
            self._charts[chart_id] = chart
        self._answer(chart_id, chart, series, first)

    def _size(self, chart: Chart, series: TickSeries) -> int:
        return len(series.bars(chart.duration_ns)) if chart.duration_ns else len(series)

    def _newest(self, chart: Chart, series: TickSeries) -> int:
        tick = self._market.visible(series)
        return series.bars(chart.duration_ns).bar_of(tick) if chart.duration_ns else tick

    def _left(self, chart: Chart, series: TickSeries) -> int:
        request = chart.request
        if "left_kline_id" in request:
            return max(0, int(request["left_kline_id"]))
        if "focus_datetime" in request:
            moment = int(request["focus_datetime"])
            index = series.bars(chart.duration_ns).index_at(moment) if chart.duration_ns else series.index_at(moment)
            return max(0, index - int(request.get("focus_position", 0)))
        return max(0, self._newest(chart, series) - chart.width + 1)

    def _day_at(self, chart: Chart, series: TickSeries, first: int) -> TradingDay | None:
        """The trading day in which a history window begins: that of its first tick, by the moment that was asked for."""
        if chart.duration_ns or first >= len(series):
            return None
        return series.days[series.day_index(first)]

    def _answer_nothing(self, chart_id: str, chart: Chart) -> None:
        place: dict[str, Any] = {"last_id": -1, "data": {}}
        ready = {"left_id": -1, "right_id": -1, "more_data": False, "ready": True, "state": chart.request}
        self.state.push({**self._placed(chart, chart.symbols[0], place), "charts": {chart_id: ready}, "mdhis_more_data": False})

    def _placed(self, chart: Chart, symbol: str, value: dict[str, Any]) -> dict[str, Any]:
        if chart.duration_ns:
            return {"klines": {symbol: {str(chart.duration_ns): value}}}
        return {"ticks": {symbol: value}}

    def _answer(self, chart_id: str, chart: Chart, series: list[TickSeries], first: int) -> None:
        size, newest = self._size(chart, series[0]), self._newest(chart, series[0])
        last_id = newest if chart.rolling else size - 1
        right = last_id if chart.rolling else first + chart.width - 1
        stop = min(right, last_id) + 1
        for position, item in enumerate(series):
            if position == 0:
                value = {"last_id": last_id, "data": self._rows(chart, item, first, stop)}
            else:
                value = self._bound(chart, series[0], item, first, stop)
            self.state.push(self._placed(chart, chart.symbols[position], value))
        if len(series) > 1:
            self._bind(chart, series, first, stop)
        if chart.rolling:
            for symbol in chart.symbols:
                self._seen.setdefault(symbol, self._market.visible(self._series(symbol)))
        left = -1 if last_id < 0 else first
        ready = {
            "left_id": left,
            "right_id": right if last_id >= 0 else -1,
            "more_data": False,
            "ready": True,
            "state": chart.request,
        }
        self.state.push({"charts": {chart_id: ready}, "mdhis_more_data": False})

    def _series(self, symbol: str) -> TickSeries:
        series = self._market.series(symbol)
        assert series is not None
        return series

    def _rows(self, chart: Chart, series: TickSeries, first: int, stop: int) -> dict[str, Any]:
        if chart.duration_ns:
            last_tick = self._market.visible(series) if chart.rolling else len(series) - 1
            return series.bars(chart.duration_ns).rows(first, stop, last_tick)
        return series.rows(first, min(stop, len(series)))

    def _bound(self, chart: Chart, main: TickSeries, other: TickSeries, first: int, stop: int) -> dict[str, Any]:
        """Bars of a further symbol over the time of the first one's window."""
        main_bars, bars = main.bars(chart.duration_ns), other.bars(chart.duration_ns)
        if first >= len(main_bars) or stop <= first:
            return {"last_id": len(bars) - 1, "data": {}}
        begin = bars.index_at(int(main_bars.start_ns[first]))
        end = bars.index_at(int(main_bars.start_ns[min(stop, len(main_bars)) - 1]) + 1)
        return {"last_id": len(bars) - 1, "data": self._rows(chart, other, begin, end)}

    def _bind(self, chart: Chart, series: list[TickSeries], first: int, stop: int) -> None:
        """Which bar of each further symbol stands beside which of the first."""
        main = series[0].bars(chart.duration_ns)
        binding: dict[str, dict[str, int]] = {}
        for symbol, other in zip(chart.symbols[1:], series[1:], strict=True):
            bars = other.bars(chart.duration_ns)
            pairs: dict[str, int] = {}
            for bar in range(first, min(stop, len(main))):
                found = bars.index_at(int(main.start_ns[bar]) + 1) - 1
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
            first, stop = moved.get(chart.symbols[0], (0, 0))
            if stop > first:
                self._roll(chart_id, chart, first, stop)

    def _watched(self) -> set[str]:
        known = {symbol for symbol in self._quotes if self._market.series(symbol) is not None}
        return known.union(*(chart.symbols for chart in self._charts.values()))

    def _fresh(self, symbol: str) -> tuple[int, int]:
        """Ids of ticks that this connection has not been told of."""
        newest = self._market.visible(self._series(symbol))
        return self._seen.setdefault(symbol, newest) + 1, newest + 1

    def _roll(self, chart_id: str, chart: Chart, first: int, stop: int) -> None:
        series = self._series(chart.symbols[0])
        if chart.duration_ns:
            bars = series.bars(chart.duration_ns)
            begin, end = bars.bar_of(first), bars.bar_of(stop - 1) + 1
            rows = bars.rows(begin, end, stop - 1)
        else:
            begin, end = first, stop
            rows = {name: self._damaged(row, quote=False) for name, row in series.rows(first, stop).items()}
        self.state.push(self._placed(chart, chart.symbols[0], {"last_id": end - 1, "data": rows}))
        if len(chart.symbols) > 1:
            others = [self._series(symbol) for symbol in chart.symbols]
            for symbol, other in zip(chart.symbols[1:], others[1:], strict=True):
                self.state.push(self._placed(chart, symbol, self._bound(chart, series, other, begin, end)))
            self._bind(chart, others, begin, end)
        window = {"left_id": max(0, end - chart.width), "right_id": end - 1}
        self.state.push({"charts": {chart_id: window}})

    def _damaged(self, row: dict[str, Any], *, quote: bool) -> dict[str, Any]:
        for do, value in (("dash_fields", "-"), ("null_fields", None)):
            if value is None and not quote:
                continue
            fault = self._board.strike(do, ticks=self._ticks)
            if fault is not None:
                row = {**row, **dict.fromkeys(fault.fields, value)}
        return row
