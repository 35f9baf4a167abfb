"""The real client, unmodified, against the exchange: scripts as users write them, run to their end, their numbers checked.

The exchanges run in threads of this process, the scripts in processes of their own; what only waits runs beside the rest.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ghtrader.app.exchange import served_market
from ghtrader.core.clock import Deadline
from ghtrader.data.calendar import Calendar
from ghtrader.exchange.faults import Fault
from ghtrader.exchange.market import ServedMarket
from ghtrader.exchange.packets import read_packets
from ghtrader.exchange.server import ExchangeServer, environment_of
from ghtrader.pipelines.exchange import ExchangeRequest
from ghtrader.testing.exchange_process import ExchangeProcess
from tests.conftest import ROOT, SAMPLES
from tests.exchange.markets import DAY, FIRST, NEXT, RB, TRADED, rolling, stamp, ticking, two_days

SCRIPTS = Path(__file__).parent / "scripts"
RECORDED = ROOT.parent / "shared" / "data" / "protocol" / "diff_rtn_data_messages.jsonl.gz"
PATIENCE_S = 120.0
#: the first minutes and the last instants of sessions, by minute of the day
OPENS, CLOSES = {20 * 60 + 59, 8 * 60 + 59}, {23 * 60, 10 * 60 + 15, 11 * 60 + 30, 15 * 60}


@contextlib.contextmanager
def exchange(market: ServedMarket, *faults: Fault, speed: float = 0.0, **options: Any) -> Iterator[dict[str, str]]:
    """An exchange in a thread; the environment that its clients need."""
    server = ExchangeServer(market, {"demo": "secret"}, speed=speed, faults=faults, **options)
    loop, ready, ports = asyncio.new_event_loop(), threading.Event(), list[int]()
    stop = asyncio.Event()

    def bound(port: int) -> None:
        ports.append(port)
        ready.set()

    thread = threading.Thread(target=loop.run_until_complete, args=(server.serve(0, bound, stop),))
    thread.start()
    assert ready.wait(PATIENCE_S)
    try:
        yield environment_of(ports[0], "demo", "secret")
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(PATIENCE_S)
        loop.close()


#: The client gives up a first connection at once between 19:00 and 19:30 in China, whatever server it talks to: not in these tests.
NOON = "import datetime, tqsdk.connect\ntqsdk.connect._cst_now = lambda: datetime.datetime(2025, 6, 6, 12)\n"


class Script:
    """A TqSdk script in a process of its own; what it found is the last line that is JSON (the client prints reports too)."""

    def __init__(self, environment: Mapping[str, str], home: Path, *command: str) -> None:
        home.mkdir(parents=True, exist_ok=True)
        if command[0] == "-c":
            command = ("-c", NOON + command[1], *command[2:])
        self.process = subprocess.Popen(
            [sys.executable, "-u", *command],
            env={**os.environ, **environment, "HOME": str(home)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def result(self) -> Any:
        said, _ = self.process.communicate(timeout=PATIENCE_S)
        assert self.process.returncode == 0, said
        for line in reversed(said.splitlines()):
            with contextlib.suppress(json.JSONDecodeError):
                return json.loads(line)
        raise AssertionError(said)

    def until(self, words: str) -> str:
        """Read until a line with these words; everything that was said. The script is ended then."""
        said = ""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            said += line
            if words in line:
                break
        self.process.kill()
        self.process.wait()
        assert words in said
        return said


@pytest.fixture(scope="module")
def sample_market() -> ServedMarket:
    request = ExchangeRequest(
        ticks=SAMPLES,
        market=None,
        seed=1,
        days=1,
        contracts=(),
        first_day="",
        table=None,
        speed=50.0,
        start=None,
        accounts="",
        port=0,
        script=None,
        packets=None,
    )
    return served_market(request, Calendar.vendored())


def sample_ticks() -> pl.DataFrame:
    """The sample days with what traded since the tick before, and the stamp that each counts under for bars."""
    frames = [pl.read_parquet(path) for path in sorted(SAMPLES.glob("*.parquet"))]
    steps = [
        frame.sort("datetime").with_columns(pl.col("volume").diff().fill_null(pl.col("volume")).alias("traded"))
        for frame in frames
    ]
    ticks = pl.concat(steps, how="diagonal").sort("datetime")
    wall = pl.col("datetime") + 8 * 3600 * 10**9
    minute = wall // (60 * 10**9) % 1440
    moved = pl.when(minute.is_in(OPENS)).then((wall // (60 * 10**9) + 1) * 60 * 10**9)
    return ticks.with_columns(
        moved.when(minute.is_in(CLOSES)).then(wall // (60 * 10**9) * 60 * 10**9 - 1).otherwise(wall).alias("moved")
    )


def expected_bars(ticks: pl.DataFrame, seconds: int) -> dict[int, list[float]]:
    start = (pl.col("moved") // (seconds * 10**9) * seconds * 10**9 - 8 * 3600 * 10**9).alias("start")
    last = pl.col("last_price")
    bars = ticks.group_by(start).agg(
        last.first().alias("o"),
        last.max().alias("h"),
        last.min().alias("l"),
        last.last().alias("c"),
        pl.col("traded").sum(),
        pl.col("open_interest").last(),
    )
    return {row[0]: list(row[1:]) for row in bars.iter_rows()}


def test_a_live_session_with_three_kinds_of_account(sample_market: ServedMarket, tmp_path: Path) -> None:
    with exchange(sample_market, speed=50.0) as environment:
        found = Script(environment, tmp_path / "home", str(SCRIPTS / "live.py")).result()
    ticks = sample_ticks()
    assert (found["underlying"], found["trading_time"]) == (RB, [["21:00:00", "23:00:00"]])
    ids = found["ids"]
    assert ids == list(range(ids[0], ids[0] + 200))
    served = ticks.slice(ids[0], 200)
    columns = [served[name].to_list() for name in ("datetime", "last_price", "volume", "ask_price5")]
    assert found["ticks"] == [[round(row[0] / 256) * 256, *row[1:]] for row in map(list, zip(*columns, strict=True))]
    assert found["changes"]["tick"] >= 3
    assert found["changes"]["bar"] >= 1
    for seconds in (1, 60, 300):
        expected, bars = expected_bars(ticks, seconds), found["bars"][str(seconds)]
        assert len(bars) == 50
        for start, *values in bars[:-1]:
            (key,) = [item for item in (start, start // 256 * 256, round(start, -9)) if item in expected][:1]
            assert values == expected[key], (seconds, start)
    assert found["bars"]["86400"][0][5] == 1_486_968
    assert found["both_agree"]
    assert found["main_is_the_contract"]
    assert found["ma"]
    assert found["quote"] == {
        "upper_limit": 3105,
        "lower_limit": 2810,
        "pre_settlement": 2958,
        "price_tick": 1,
        "volume_multiple": 10,
    }
    assert found["bought"] == [0, 5, 5]
    money = found["money"]
    assert money["open_price"] == money["price"]
    assert money["margin"] == pytest.approx(5 * money["price"] * 10 * 0.08)
    assert money["commission"] == pytest.approx(5 * money["price"] * 10 * 0.0001)
    assert money["balance"] == pytest.approx(10_000_000 + money["position_profit"] - money["commission"])
    assert money["available"] == pytest.approx(money["balance"] - money["margin"])
    assert found["resting"] == ["ALIVE", True, pytest.approx(2 * (2810 + 10) * 10 * 0.08)]
    assert found["cancelled"] == [2, "已撤单", 0]
    assert (found["fok"], found["fak"]) == (400, 0)
    assert all(error for error, _ in found["refused"])
    words = ["最小变动价位", "涨跌停板", "报单数量超限", "平昨仓位不足", "平今仓位不足"]
    assert all(word in text for word, (_, text) in zip(words, found["refused"], strict=True))
    assert found["trades"][0] == ["BUY", "OPEN", 5]
    assert sum(lots for direction, offset, lots in found["trades"] if (direction, offset) == ("SELL", "CLOSETODAY")) == 5
    assert found["flat"] == [0, 0, 0]
    assert all(found[name] == [0, True] for name in ("broker", "kq", "sim"))
    assert found["scheduler"]
    assert found["risk"]
    assert found["watched"]
    assert {"登录成功", "下单成功", "撤单成功"} <= set(found["notices"])


def test_queries_and_downloads_give_what_was_served(tmp_path: Path) -> None:
    with exchange(rolling()) as environment:
        found = Script(environment, tmp_path / "home", str(SCRIPTS / "history.py"), str(tmp_path)).result()
    assert found["futures"] == [RB, NEXT]
    assert (found["continuous"], found["options"]) == ([RB], [])
    assert found["info"] == [[RB, "KQ.m@SHFE.rb"], [10, 10], RB]
    assert found["calendar"] == [True, False, False, False, True, True, True, True]
    assert found["table"] == [NEXT, NEXT]
    cumulative = [sum(tick[2] for tick in DAY[: n + 1]) for n in range(len(DAY))]
    assert found["ticks"] == [[n, stamp(FIRST, clock), last, cumulative[n], 25] for n, (clock, last, _, _) in enumerate(DAY)]
    assert [bar[5] for bar in found["bars"]] == [20, 5, 1, 10, 2, 2, 8]
    assert found["bars"][0] == [stamp(FIRST, "21:00:00"), 3000, 3002, 3000, 3002, 20]
    assert found["days"] == [[3003, TRADED], [3003, TRADED], [3103, TRADED]]
    assert found["nothing"] == 0
    assert found["live_unmoved"]
    count, header, _, last = found["ticks.csv"]
    assert (count, header, last[:2]) == (10, f"{RB}.last_price", ["2025-06-05 15:00:00.000000000", str(stamp(FIRST, "15:00:00"))])
    count, _, _, last = found["minutes.csv"]
    assert (count, last[6], last[13]) == (6, "8", "8"), "both contracts stand beside each other"
    assert found["days.csv"][0] == 3


def test_backtests_follow_the_main_contract_over_its_roll(tmp_path: Path) -> None:
    with exchange(rolling()) as environment:
        runs = {kind: Script(environment, tmp_path / kind, str(SCRIPTS / "backtest.py"), kind) for kind in ("kline", "tick")}
        for kind, script in runs.items():
            found = script.result()
            assert found["finished"], kind
            assert [contract for _, contract in found["underlying"]] == [RB, NEXT]
            assert found["underlying"][1][0] <= "2025-06-06 21:00", "the night before already trades the new contract"
            assert found["positions"] == {RB: 0, NEXT: 1}
            assert found["days"] == [TRADED, TRADED, TRADED]


# --- faults ------------------------------------------------------------------------------------------------------------------
HEAD = """
import json, os, time, urllib.request
from tqsdk import TqAccount, TqApi, TqAuth, TqKq, TqNotify, TqSim
login = TqAuth("demo", "secret")
S = "SHFE.rb2510"
def until(api, ready, seconds=60):
    end = time.time() + seconds
    while not ready():
        api.wait_update(deadline=min(end, time.time() + 1))
        assert time.time() < end
def strike():
    urllib.request.urlopen(os.environ["TQ_AUTH_URL"] + "/exchange/strike.json").read()
"""


def say(body: str) -> str:
    return HEAD + body


QUEUED = say("""
api = TqApi(TqAccount("simnow", "demo", "secret"), auth=login, debug=False)
notices, quote = TqNotify(api), api.get_quote(S)
resting = api.insert_order(S, "BUY", "OPEN", 1, quote.bid_price1 - 50)
until(api, lambda: resting.exchange_order_id)
codes = []
def heard(code):
    codes.extend(item["code"] for item in notices.get_notifies())
    return code in codes
strike()
until(api, lambda: heard(2019112911))
queued = api.insert_order(S, "BUY", "OPEN", 2, quote.bid_price1 - 50)
api.cancel_order(resting)
until(api, lambda: heard(2019112902) and codes.count(324) >= 1)
end = time.time() + 2
while time.time() < end:
    api.wait_update(deadline=end)
print(json.dumps([resting.status, queued.status, queued.exchange_order_id]))
api.close()
""")
SHORT = say("""
import datetime, os, sys
environments, found = json.loads(sys.argv[1]), {}
def begin(name, *accounts):
    os.environ.update(environments[name])
    return TqApi(*accounts, auth=TqAuth("demo", "secret"), debug=False)

api = begin("damaged")
quote, serial = api.get_quote(S), api.get_tick_serial(S, 5)
before = quote.last_price
until(api, lambda: quote.datetime >= "2025-06-06 15:00:00")
until(api, lambda: serial.iloc[-1].volume == 48)
found["damaged"] = [before, quote.last_price, quote.volume, serial.last_price.iloc[-1]]
api.close()

api = begin("lost", TqKq())
quote = api.get_quote(S)
orders = [api.insert_order(S, "BUY", "OPEN", lots, quote.bid_price1 - 50) for lots in (1, 2, 3)]
until(api, lambda: orders[2].exchange_order_id)
found["lost"] = [[o.status, o.exchange_order_id != "", o.is_error, o.last_msg] for o in orders]
api.close()

api = begin("no grant")
try:
    api.get_tick_data_series(S, datetime.date(2025, 6, 5), datetime.date(2025, 6, 6))
except Exception as error:
    found["no grant"] = str(error)
api.close()

started = time.time()
api = begin("slow")
api.get_quote(S)
found["slow"] = time.time() - started
api.close()
print(json.dumps(found))
""")
WRONG = say("""
api = TqApi(TqAccount("simnow", "demo", "guess"), auth=login, debug=False)
""")
CLOSED = say("""
api = TqApi(auth=login)
quote = api.get_quote(S)
notices = TqNotify(api)
codes = []
def heard():
    codes.extend(item["code"] for item in notices.get_notifies())
    return codes.count(2019112901) >= 1
first = quote.datetime
until(api, lambda: quote.datetime > first)
until(api, heard)
codes.clear()
strike()
until(api, heard)
before = quote.datetime
end = time.time() + 1.5
while time.time() < end:
    api.wait_update(deadline=end)
other = TqApi(auth=login)
print(json.dumps([before, quote.datetime, other.get_quote(S).datetime, 2019112902 in codes]))
other.close()
api.close()
""")


def test_faults_as_the_real_client_meets_them(tmp_path: Path) -> None:
    """All at once, as the client's own waits (reconnections after 10 to 20 s) are most of it."""
    markets: dict[str, tuple[tuple[Fault, ...], float]] = {
        "queued": ((Fault(do="abort", link="td", told=True),), 0.0),
        "wrong": ((), 0.0),
        "closed": ((Fault(do="close", code=1001, told=True, times=1),), 1.0),
        "damaged": ((Fault(do="null_fields", fields=("last_price",)),), 4.0),
        "lost": ((Fault(do="lose_order"), Fault(do="reject_order")), 0.0),
        "no grant": ((Fault(do="expired_grant"),), 0.0),
        "slow": ((Fault(do="slow", ms=400, times=6),), 0.0),
    }
    with contextlib.ExitStack() as stack:
        environments = {
            name: stack.enter_context(exchange(ticking() if name == "closed" else two_days(), *faults, speed=speed))
            for name, (faults, speed) in markets.items()
        }
        waiting = {
            name: Script(environments[name], tmp_path / name, "-c", text)
            for name, text in {"queued": QUEUED, "wrong": WRONG, "closed": CLOSED}.items()
        }
        short = Script({}, tmp_path / "short", "-c", SHORT, json.dumps(environments)).result()
        before, last, volume, tick = short["damaged"]
        assert (last, volume, tick) == (before, TRADED, 3003), "null keeps the old value, the tick has the new one"
        lost, refused, kept = short["lost"]
        assert (lost[:2], refused[1:]) == (["ALIVE", False], [False, True, "CTP:31 资金不足"])
        assert kept == ["ALIVE", True, False, "未成交"]
        assert "专业版" in short["no grant"] or "购买" in short["no grant"]
        assert short["slow"] > 1.0
        waiting["wrong"].until("账户和密码不匹配")
        before, after, present, restored = waiting["closed"].result()
        assert before == after < present, "the client connects again but never subscribes"
        assert not restored
        assert waiting["queued"].result() == ["ALIVE", "ALIVE", ""], "the order and the cancel that were queued are dropped"


# --- recorded packets ---------------------------------------------------------------------------------------------------------
RECEIVED = """
import json, sys, time
from tqsdk import TqApi, TqAuth
def plain(value):
    if hasattr(value, "items"):
        return {k: plain(v) for k, v in value.items() if not k.startswith("_")}
    return value
api = TqApi(auth=TqAuth("demo", "secret"))
end = time.time() + 60
while "packets" not in plain(api._data.get("replay", {})) and time.time() < end:
    api.wait_update(deadline=time.time() + 1)
found = {name: plain(api._data.get(name, {})) for name in ("quotes", "klines", "ticks", "charts")}
with open(sys.argv[1], "w") as kept:
    json.dump(found, kept)
api.close()
print(json.dumps(len(found["klines"])))
"""


def merged(packets: list[list[dict[str, Any]]]) -> dict[str, Any]:
    """The state after every patch: null deletes, except in quotes, where the client keeps what it had."""

    def apply(state: dict[str, Any], patch: dict[str, Any], keeps: bool) -> None:
        for key, value in patch.items():
            if value is None:
                if not keeps:
                    state.pop(key, None)
            elif isinstance(value, dict):
                known = state.setdefault(key, {})
                if not isinstance(known, dict):
                    known = state[key] = {}
                apply(known, value, keeps or key == "quotes")
            else:
                state[key] = value

    state: dict[str, Any] = {}
    for packet in packets:
        for patch in packet:
            apply(state, patch, keeps=False)
    return state


def replayed(packets: list[list[dict[str, Any]]], tmp_path: Path) -> dict[str, Any]:
    end: list[list[dict[str, Any]]] = [[{"mdhis_more_data": False, "replay": {"packets": len(packets)}}]]
    with exchange(two_days(), packets=[*packets, *end]) as environment:
        Script(environment, tmp_path / "home", "-c", RECEIVED, str(tmp_path / "state.json")).result()
    found: dict[str, Any] = json.loads((tmp_path / "state.json").read_text())
    return found


def assert_holds(found: Any, expected: Any, place: str = "") -> None:
    """Everything that was recorded is there, as it was recorded; the client may add fields of its own."""
    if isinstance(expected, dict):
        for key, value in expected.items():
            assert key in found, f"{place}/{key}"
            assert_holds(found[key], value, f"{place}/{key}")
    elif expected in {"-", ""}:
        assert found != found or found == expected, place  # noqa: PLR0124 - NaN
    else:
        assert found == expected, place


def test_packets_that_are_given_again_leave_the_client_with_their_merge(tmp_path: Path) -> None:
    rows = {str(n): {"datetime": n * 60 * 10**9, "open": 1.5, "close": 2.5, "volume": n} for n in range(3)}
    packets = [
        [{"quotes": {"X.y": {"last_price": 1.5, "bid_price1": "-", "volume": 3}}}, {"ins_list": "X.y"}],
        [
            {
                "klines": {"X.y": {"60000000000": {"last_id": 2, "data": rows}}},
                "charts": {"c": {"left_id": 0, "state": {"aid": "x"}}},
            }
        ],
        [{"quotes": {"X.y": {"last_price": None, "volume": 4}}, "klines": {"X.y": {"60000000000": {"data": {"1": None}}}}}],
    ]
    found, expected = replayed(packets, tmp_path), merged(packets)
    assert expected["quotes"]["X.y"] == {"last_price": 1.5, "bid_price1": "-", "volume": 4}
    for name in ("quotes", "klines", "charts"):
        assert_holds(found[name], expected[name], name)
    assert set(found["klines"]["X.y"]["60000000000"]["data"]) == {"0", "2"}


def test_recorded_packets_of_the_real_provider_leave_the_client_with_their_merge(tmp_path: Path) -> None:
    if not RECORDED.exists():
        pytest.skip("the recorded packets are not on this machine: the handmade twin of this test stands before it")
    packets = read_packets(RECORDED)
    assert len(packets) == 112
    found, expected = replayed(packets, tmp_path), merged(packets)
    assert len(expected["klines"]) >= 8
    for name in ("quotes", "klines", "ticks", "charts"):
        assert_holds(found[name], expected.get(name, {}), name)


# --- the command ---------------------------------------------------------------------------------------------------------------
def test_the_command_prints_exports_and_ready_refuses_a_taken_port_and_ends_on_a_signal(tmp_path: Path) -> None:
    served = ExchangeProcess(
        tmp_path / "one", ["--market", "null", "--days", "2", "--speed", "50", "--accounts", 'demo:it\'s a "secret"']
    )
    served.start()
    try:
        assert served.environment["TQSDK_PASSWORD"] == 'it\'s a "secret"'
        assert set(served.environment) >= {"TQ_AUTH_URL", "TQ_MD_URL", "TQ_TD_URL", "TQ_CHINESE_HOLIDAY_URL", "TQ_CONT_TABLE_URL"}
        port = served.environment["TQ_MD_URL"].split(":")[-1].split("/")[0]
        command = [sys.executable, "-m", "ghtrader.app", "serve-exchange", "--market", "null", "--days", "1", "--port", port]
        refused = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE_S)
        assert (refused.returncode, f"port {port} is taken" in refused.stderr, refused.stdout) == (2, True, "")
        with socket.create_connection(("127.0.0.1", int(port))) as connected:
            connected.sendall(b"GET /md HTTP/1.1\r\n")
            deadline = Deadline(10)
            served.signal(signal.SIGINT)
            assert served.wait(10) == 0
            assert not deadline.passed
    finally:
        served.stop()
