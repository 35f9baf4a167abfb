"""Windows of history through the real client: a day read twice, memory let go, a hole that is an error; and the benchmark runs."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from tests.conftest import SAMPLES

from ghtrader.core.errors import ProviderTransientError
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.calendar import Calendar
from ghtrader.data.instruments import InstrumentTable
from ghtrader.data.schema import MARKET_COLUMNS
from ghtrader.data.sessions import sessions_for
from ghtrader.testing.exchange_process import ExchangeProcess
from ghtrader.tq import history
from ghtrader.tq.history import TqHistory
from ghtrader.tq.session import Credentials

ROOT = Path(__file__).resolve().parents[2]
SYMBOL, DAY, NEXT = "SHFE.rb2510", TradingDay.parse("2025-06-05"), TradingDay.parse("2025-06-06")
ROWS = 6000


@pytest.fixture(scope="module")
def ticks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two short days: the first rows of two sample days."""
    folder = tmp_path_factory.mktemp("ticks")
    for day in (DAY, NEXT):
        path = SAMPLES / f"{SYMBOL}.{day.compact}.parquet"
        facts = {"symbol": pl.read_parquet_metadata(path)["symbol"]}
        pl.read_parquet(path).sort("datetime").head(ROWS).write_parquet(folder / path.name, metadata=facts)
    return folder


@pytest.fixture(scope="module")
def provider(ticks: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TqHistory]:
    folder = tmp_path_factory.mktemp("exchange")
    exchange = ExchangeProcess(folder, ["--ticks", str(ticks), "--speed", "0"]).start()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in exchange.environment.items():
            patch.setenv(name, value)
        login = Credentials(exchange.environment["TQSDK_USER"], exchange.environment["TQSDK_PASSWORD"])
        served = TqHistory(login, folder / "tq", Calendar.vendored(), InstrumentTable.vendored(), timeout_s=20.0)
        yield served
        served.close()
    exchange.stop()


def test_a_day_is_what_was_served_its_ticks_are_let_go_and_it_can_be_asked_for_again(provider: TqHistory, ticks: Path) -> None:
    first = provider.ticks(SYMBOL, DAY)
    source = pl.read_parquet(ticks / f"{SYMBOL}.{DAY.compact}.parquet")
    for name in ("datetime", *MARKET_COLUMNS):
        expected = source[name].cast(first.frame[name].dtype) if name in source.columns else first.frame[name]
        assert first.frame[name].equals(expected), name
    api = provider._session.api
    kept = vars(api._data["ticks"][SYMBOL]["data"])
    assert sorted(int(name) for name in kept if name.isdigit()) == list(range(ROWS, ROWS + len([n for n in kept if n.isdigit()])))
    following = provider.ticks(SYMBOL, NEXT)
    assert provider._session.api is api
    again = provider.ticks(SYMBOL, DAY)
    assert provider._session.api is not api  # this session would not be sent the day again
    assert (again.sha256, len(following.frame)) == (first.sha256, ROWS)


def test_a_window_with_a_hole_is_an_error_and_not_a_short_day(provider: TqHistory, monkeypatch: pytest.MonkeyPatch) -> None:
    answered = TqHistory._answered

    def with_a_hole(api, request) -> bool:
        whole = answered(api, request)
        if whole and not request["duration"]:
            chart = api._data["charts"][request["chart_id"]]
            vars(api._data["ticks"][SYMBOL]["data"]).pop(str(chart["left_id"] + 7), None)
        return whole

    provider.close()
    with monkeypatch.context() as patch:
        patch.setattr(TqHistory, "_answered", staticmethod(with_a_hole))
        with pytest.raises(ProviderTransientError, match="1 of 4000 rows from id 0 on are missing"):
            provider.ticks(SYMBOL, DAY)
    assert len(provider.ticks(SYMBOL, DAY).frame) == ROWS


def test_windows_end_near_the_days_end() -> None:
    sessions = sessions_for("SHFE.rb", DAY, Calendar.vendored(), InstrumentTable.vendored())
    night, am1, *_, pm = sessions.parts
    assert history._width(14_400, night.end_ns, sessions) == history.MOST_ROWS
    assert history._width(36_000, pm.end_ns - 1800 * 10**9, sessions) == pytest.approx(36_000 / 5.25 * 0.5 * 1.05, abs=2)
    assert history._width(100, pm.end_ns, sessions) == history.LEAST_ROWS
    assert history._width(0, am1.start_ns, sessions) == history.LEAST_ROWS
    assert history._width(10, sessions.first_ns, sessions) == history.MOST_ROWS


@pytest.mark.slow
def test_the_benchmark_runs_and_every_contestant_has_every_row(ticks: Path) -> None:
    options = ["--weeks", "1", "--repeats", "1", "--live-ticks", "20", "--contestants", "tick_data_series,ghtrader_1"]
    command = [sys.executable, str(ROOT / "benchmarks" / "tq.py"), "--ticks", str(ticks), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    report = json.loads(done.stdout.splitlines()[-1])
    assert report["history"]["rows"] == 2 * ROWS
    assert set(report["history"]["times_seconds"]["ghtrader_1"]) == {"tick_data_series"}
    assert 0.0 < report["live"]["share_of_our_code"] < 1.0
