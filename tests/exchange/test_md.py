"""Market-data sessions: windows of ticks and bars, what moves, what a request for history sees, damaged fields."""

from __future__ import annotations

from typing import Any

import pytest

from ghtrader.exchange.diff import merge
from ghtrader.exchange.faults import Fault, FaultBoard
from ghtrader.exchange.market import ServedMarket
from ghtrader.exchange.md import MdSession
from tests.exchange.markets import FIRST, NEXT, RB, SECOND, at, rolling, stamp, two_days

ALIAS = "KQ.m@SHFE.rb"
MINUTE, FULL_DAY = 60 * 10**9, 24 * 3600 * 10**9


class Client:
    """A session, and the state that its client holds."""

    def __init__(self, market: ServedMarket, *faults: Fault) -> None:
        self.market = market
        self.board = FaultBoard(faults)
        self.session = MdSession(market, self.board)
        self.state: dict[str, Any] = {}
        self.read()

    def read(self) -> dict[str, Any]:
        """Peek once; what was told."""
        self.session.handle({"aid": "peek_message"})
        packet = self.session.state.take()
        self.session.state.peeked = False
        told: dict[str, Any] = {}
        for patch in packet["data"] if packet else []:
            merge(told, patch)
        merge(self.state, told)
        return told

    def ask(self, aid: str, **words: Any) -> dict[str, Any]:
        self.session.handle({"aid": aid, **words})
        return self.read()

    def chart(self, name: str, symbols: str, duration: int, width: int = 5, **words: Any) -> dict[str, Any]:
        told = self.ask("set_chart", chart_id=name, ins_list=symbols, duration=duration, view_width=width, **words)
        found: dict[str, Any] = told.get("charts", {}).get(name, {})
        return found

    def move(self, clock: str, day: Any = SECOND) -> dict[str, Any]:
        at(self.market, day, clock)
        self.session.on_market()
        return self.read()

    def rows(self, symbol: str, duration: int) -> dict[str, Any]:
        place = self.state["klines"][symbol][str(duration)] if duration else self.state["ticks"][symbol]
        return dict(place)


def window(chart: dict[str, Any]) -> tuple[int, int]:
    return chart["left_id"], chart["right_id"]


def test_it_greets_and_answers_queries() -> None:
    client = Client(two_days())
    assert client.state["mdhis_more_data"] is False
    told = client.ask("ins_query", query_id="q", query='query{ multi_symbol_info(instrument_id: ["SHFE.rb2510"]) { x } }')
    assert told["symbols"]["q"]["result"]["multi_symbol_info"][0]["instrument_id"] == RB
    told = client.ask("ins_query", query_id="v", query="query($class_:[Class]){ m(class:$class_){x} }", variables={"class": []})
    assert told["symbols"]["v"]["variables"] == {"class": []}
    assert client.ask("ins_query", query_id="q", query="") == {"symbols": {"q": None}}
    assert client.ask("something_else") == {}


def test_quotes_are_told_whole_and_again_with_every_tick() -> None:
    client = Client(two_days())
    told = client.ask("subscribe_quote", ins_list=f"{RB},{ALIAS},X.y")
    assert (set(told["quotes"]), told["ins_list"]) == ({RB, ALIAS}, f"{RB},{ALIAS},X.y")
    assert set(client.move("21:00:01")["quotes"]) == {RB, ALIAS}
    assert client.move("21:00:30") == {}, "nothing traded"
    client.ask("subscribe_quote", ins_list="")
    assert client.move("21:01:30") == {}


def test_a_live_window_of_ticks_rolls_and_misses_none() -> None:
    client = Client(two_days())
    chart = client.chart("t", RB, 0)
    assert (window(chart), chart["ready"], chart["state"]["ins_list"]) == ((7, 11), True, RB)
    assert set(client.rows(RB, 0)["data"]) == {"7", "8", "9", "10", "11"}
    told = client.move("23:00:00")  # three ticks later
    assert (set(told["ticks"][RB]["data"]), told["ticks"][RB]["last_id"]) == ({"12", "13", "14"}, 14)
    assert window(told["charts"]["t"]) == (10, 14)
    assert client.ask("set_chart", chart_id="t", ins_list="", duration=0, view_width=5) == {"charts": {"t": None}}
    assert client.move("09:00:00.5") == {}
    assert window(client.chart("t", RB, 0, width=2)) == (15, 16), "watched again from the present moment on"
    assert set(client.move("10:15:00")["ticks"][RB]["data"]) == {"17"}


def test_the_newest_bar_grows_and_closes() -> None:
    client = Client(two_days())
    client.chart("k", RB, MINUTE)
    assert client.rows(RB, MINUTE)["data"]["7"]["volume"] == 14
    told = client.move("21:00:01")["klines"][RB][str(MINUTE)]
    assert (told["last_id"], told["data"]["7"]["volume"], told["data"]["7"]["close"]) == (7, 20, 3002)
    told = client.move("21:01:30")["klines"][RB][str(MINUTE)]
    assert (told["last_id"], set(told["data"])) == (8, {"8"})


def test_history_sees_everything_but_never_disturbs_a_live_window() -> None:
    client = Client(two_days())
    begin = {"focus_datetime": stamp(FIRST, "21:00:00"), "focus_position": 0}
    chart = client.chart("h", RB, 0, width=100, **begin)
    assert (window(chart), len(client.rows(RB, 0)["data"]), client.rows(RB, 0)["last_id"]) == ((1, 100), 19, 19)
    assert client.board.hits == {f"history {RB} 2025-06-05": 1}
    assert window(client.chart("n", RB, 0, width=10, left_kline_id=15)) == (15, 24)
    live = Client(two_days())
    live.chart("k", RB, MINUTE)
    live.chart("t", RB, 0)
    before = live.rows(RB, MINUTE)
    live.chart("h", RB, MINUTE, width=100, **begin)
    assert live.rows(RB, MINUTE)["last_id"] == before["last_id"] == 7
    assert live.rows(RB, MINUTE)["data"]["7"] == before["data"]["7"]
    live.chart("h", RB, 0, width=100, **begin)
    assert live.rows(RB, 0)["last_id"] == 11
    live.chart("d", RB, FULL_DAY, width=9, **begin)
    assert live.rows(RB, FULL_DAY)["last_id"] == 1, "another duration is nobody's live window"


def test_bars_of_several_symbols_stand_side_by_side() -> None:
    market = rolling()
    at(market, SECOND, "21:00:00.5")
    client = Client(market)
    client.chart("m", f"{RB},{NEXT}", MINUTE)
    main = client.rows(RB, MINUTE)
    assert (main["last_id"], client.rows(NEXT, MINUTE)["last_id"]) == (7, 0)
    assert main["binding"] == {NEXT: {"7": 0}}
    assert client.rows(NEXT, MINUTE)["data"]["0"]["volume"] == 14
    told = client.move("21:01:30")
    assert told["klines"][RB][str(MINUTE)]["binding"] == {NEXT: {"7": 0, "8": 1}}
    assert client.rows(NEXT, MINUTE)["data"]["1"]["volume"] == 5


def test_what_came_only_to_a_further_symbol_is_told_too() -> None:
    market = rolling()
    client = Client(market)
    client.chart("m", f"{NEXT},{RB}", MINUTE)
    told = client.move("21:00:01")["klines"]  # only the second of the two has this tick
    assert told[RB][str(MINUTE)]["data"]["7"]["volume"] == 20
    assert told[NEXT][str(MINUTE)]["last_id"] == 0


@pytest.mark.parametrize(
    "words",
    [
        {"ins_list": "X.y1", "duration": 0},
        {"ins_list": f"{RB},X.y1", "duration": MINUTE},
        {"ins_list": f"{RB},{ALIAS}", "duration": 0},
        {"ins_list": RB, "duration": -1},
    ],
)
def test_what_cannot_be_served_is_an_empty_window(words: dict[str, Any]) -> None:
    client = Client(two_days())
    told = client.ask("set_chart", chart_id="c", view_width=5, **words)
    assert window(told["charts"]["c"]) == (-1, -1)
    assert told["charts"]["c"]["ready"]
    assert client.move("21:00:01") == {}


def test_a_contract_that_has_not_traded_has_an_empty_live_window_that_fills() -> None:
    market = rolling()
    at(market, FIRST, "15:00:00")
    client = Client(market)
    assert window(client.chart("t", NEXT, 0)) == (-1, -1)
    told = client.move("21:00:00.5")
    assert (set(told["ticks"][NEXT]["data"]), window(told["charts"]["t"])) == ({"0", "1"}, (0, 1))


# --- faults ------------------------------------------------------------------------------------------------------------------
def test_damaged_fields_are_in_live_ticks_and_quotes_and_null_never_in_a_tick() -> None:
    dash = Fault(do="dash_fields", after_ticks=2, times=2, fields=("ask_price1", "average"))
    client = Client(two_days(), dash)
    client.chart("t", RB, 0)
    assert client.move("21:00:01")["ticks"][RB]["data"]["12"]["ask_price1"] == 3003
    told = client.move("23:00:00")["ticks"][RB]["data"]
    assert {name: row["ask_price1"] for name, row in told.items()} == {"13": "-", "14": "-"}
    assert client.move("08:59:00.5")["ticks"][RB]["data"]["15"]["ask_price1"] == 2998
    null = Client(two_days(), Fault(do="null_fields", fields=("last_price",)))
    null.ask("subscribe_quote", ins_list=RB)
    null.chart("t", RB, 0)
    told = null.move("21:00:01")
    assert told["quotes"][RB]["last_price"] is None
    assert told["ticks"][RB]["data"]["12"]["last_price"] == 3002


def test_history_under_maintenance_is_a_notice_and_missing_days_are_empty() -> None:
    closed = Fault(do="maintenance", days=("2025-06-05",), times=1)
    client = Client(two_days(), closed, Fault(do="no_data", days=("2025-06-06",)))
    begin = {"focus_datetime": stamp(FIRST, "20:00:00"), "focus_position": 0}
    told = client.ask("set_chart", chart_id="h", ins_list=RB, duration=0, view_width=9, **begin)
    (notice,) = told["notify"].values()
    assert "运维" in notice["content"]
    assert "charts" not in told
    assert window(client.chart("h", RB, 0, **begin)) == (0, 4)
    begin["focus_datetime"] = stamp(SECOND, "20:00:00")
    assert window(client.chart("h", RB, 0, **begin)) == (-1, -1)
    assert client.rows(RB, 0)["last_id"] == -1
