"""The daily update: now, then after the close of every trading day; never in the maintenance window; what failed is tried again."""

from __future__ import annotations

import datetime as dt
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.conftest import Cli
from tests.tq.conftest import OpenServices, Serve

from ghtrader.core.clock import SHANGHAI, Deadline
from ghtrader.core.errors import ConfigError, ProviderTransientError
from ghtrader.data.calendar import Calendar
from ghtrader.data.maintenance import MaintenanceWindow, clock_time, moment_ns
from ghtrader.pipelines import daily_update
from ghtrader.pipelines.daily_update import UpdateReport, follow, next_update_ns
from ghtrader.testing.fakes import FakeClock


def at(text: str) -> int:
    moment = dt.datetime.fromisoformat(text)
    return moment_ns(moment.date(), moment.time())


def shown(ns: int) -> str:
    return dt.datetime.fromtimestamp(ns / 1e9, tz=SHANGHAI).strftime("%m-%d %H:%M")


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ("2025-06-05 15:44", "06-05 15:45"),
        ("2025-06-05 15:45", "06-06 15:45"),
        ("2025-06-06 22:00", "06-09 15:45"),  # Friday night
        ("2025-09-30 16:00", "10-09 15:45"),  # National Day
        ("2025-06-08 03:00", "06-09 15:45"),  # Sunday
    ],
)
def test_the_next_update_is_after_the_close_of_a_trading_day(now: str, expected: str) -> None:
    assert shown(next_update_ns(at(now), dt.time(15, 45), Calendar.vendored())) == expected


def followed(services, monkeypatch: pytest.MonkeyPatch, begin: str, until: str, outcomes: dict[str, str]) -> list[str]:
    """Moments of updates; ``outcomes`` by moment: an error, "later" (days left for later), else whole."""
    clock, end, moments = FakeClock(at(begin)), at(until), []
    services.clock = clock

    def fetch(services, product, *, progress):
        moments.append(shown(clock.now_ns()))
        clock.advance(60)
        if outcomes.get(moments[-1]) == "error":
            raise ProviderTransientError("no answer", hint="again")
        from types import SimpleNamespace

        later = 1 if outcomes.get(moments[-1]) == "later" else 0
        got = SimpleNamespace(stored=1, rows=10, skipped=[], deferred=["x"] * later, maintenance=0)
        return SimpleNamespace(download=got, written=1)

    monkeypatch.setattr(daily_update, "fetch_and_build", fetch)

    def wait(seconds: float) -> bool:
        assert 0 < seconds <= 60
        clock.advance(seconds)
        return clock.now_ns() >= end

    reports: list[UpdateReport] = []
    follow(services, ["rb"], wait=wait, show=reports.append)
    assert len(reports) == len(moments)
    assert all(report.next_ns > report.began_ns for report in reports)
    return moments


def test_it_updates_now_and_then_every_trading_day(open_services: OpenServices, monkeypatch: pytest.MonkeyPatch) -> None:
    moments = followed(open_services(), monkeypatch, "2025-06-06 10:00", "2025-06-10 16:00", {})
    assert moments == ["06-06 10:00", "06-06 15:45", "06-09 15:45", "06-10 15:45"]


def test_what_failed_or_was_left_is_tried_again_but_never_in_the_maintenance_window(
    open_services: OpenServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcomes = {"06-05 18:30": "error", "06-05 18:46": "later"}
    moments = followed(open_services(), monkeypatch, "2025-06-05 18:30", "2025-06-06 12:00", outcomes)
    assert moments == ["06-05 18:30", "06-05 18:46", "06-05 19:30"]
    moments = followed(open_services(folder="b"), monkeypatch, "2025-06-05 19:05", "2025-06-06 12:00", {})
    assert moments == ["06-05 19:30"]


def test_a_time_within_the_maintenance_or_no_time_is_refused(open_services: OpenServices) -> None:
    for text, words in (("19:15", "lies in the provider's daily maintenance"), ("25:00", "not a clock time")):
        with pytest.raises(ConfigError, match=words):
            follow(open_services(folder=text[:2], daily_update_time=text), ["rb"], wait=lambda s: True, show=lambda r: None)
    for bad in ("19:00", "19:30-19:00", "x-y"):
        with pytest.raises(ConfigError):
            MaintenanceWindow.parse(bad)
    for never in ("", "never"):
        assert MaintenanceWindow.parse(never).closed_until(at("2025-06-05 00:00")) is None
    assert clock_time(" 09:05 ") == dt.time(9, 5)


def test_the_command_updates_once_and_the_service_stays_until_sigterm(serve: Serve, tmp_path: Path) -> None:
    exchange, cli = serve(), Cli(tmp_path)
    environment = {**cli.environment, **exchange.environment}
    command = [sys.executable, "-m", "ghtrader.app", "data", "update", "--var", "rb", "--watch", "--json"]
    service = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert service.stdout is not None
    line = service.stdout.readline()
    assert '"fetched":4' in line
    assert '"error":""' in line
    deadline = Deadline(60)
    while "S" not in Path(f"/proc/{service.pid}/stat").read_text().split(")")[1][:3]:
        assert not deadline.passed
    os.kill(service.pid, signal.SIGTERM)
    assert service.wait(60) == 0
    service.stdout.close()
    once = cli.run("data", "update", "--var", "rb", "--var", "zz", "--json", **exchange.environment)
    assert once.returncode == 4  # the last of them is no variety
