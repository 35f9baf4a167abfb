"""Days through the real client from the loopback exchange: what is stored is what was served, whatever goes wrong between."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.conftest import SAMPLES, Cli

from ghtrader.core.clock import Deadline
from ghtrader.testing.exchange_process import ExchangeProcess

SERVE = ["--ticks", str(SAMPLES), "--speed", "0"]
DAYS = ["2025-06-05", "2025-06-06", "2025-06-09", "2025-06-10"]


@pytest.fixture
def exchanges(tmp_path: Path) -> Iterator[list[ExchangeProcess]]:
    started: list[ExchangeProcess] = []
    yield started
    for exchange in started:
        exchange.stop()


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    cli = Cli(tmp_path_factory.mktemp("imported"))
    cli.json("data", "import", *(str(path) for path in sorted(SAMPLES.glob("*.parquet"))))
    return {day["trading_day"]: day["digest"] for day in cli.json("data", "digest")["days"]}


def serve(exchanges: list[ExchangeProcess], folder: Path, options: list[str], faults: tuple[dict, ...] = ()) -> ExchangeProcess:
    exchange = ExchangeProcess(folder / f"exchange{len(exchanges)}", options, faults=faults).start()
    exchanges.append(exchange)
    return exchange


def digests(cli: Cli, kind: str = "raw") -> dict[str, str]:
    return {day["trading_day"]: day["digest"] for day in cli.json("data", "digest", "--kind", kind)["days"]}


def test_served_days_are_stored_with_the_digests_of_an_import_and_a_second_run_fetches_nothing(
    tmp_path: Path, exchanges: list[ExchangeProcess], imported: dict[str, str]
) -> None:
    exchange, cli = serve(exchanges, tmp_path, SERVE), Cli(tmp_path)
    report = cli.json("main-l5", "--var", "rb", **exchange.environment)
    assert (report["written"], report["download"]["stored"], report["download"]["rows"]) == (4, 4, 164_969)
    assert digests(cli) == imported
    assert cli.json("data", "skips")["skips"] == []
    hits = exchange.ask("hits")
    again = cli.json("main-l5", "--var", "rb", **exchange.environment)
    assert again["noop"]
    assert (again["download"]["stored"], again["download"]["present"]) == (0, 4)
    ticks = [name for name in hits if name.startswith("history SHFE.rb2510 2025")]
    assert {name: exchange.ask("hits")[name] for name in ticks} == {name: hits[name] for name in ticks}
    assert cli.json("main-l5", "--var", "rb", "--source", "local")["download"] is None
    schedule = cli.json("main-schedule", "--var", "rb", **exchange.environment)
    assert not schedule["changed"]
    start = cli.json("data", "l5-start", "--var", "rb", **exchange.environment)
    assert start["first_level5_day"] == "2025-06-05"
    assert set(start["probes"].values()) == {"level 5"}


def test_killed_in_the_middle_and_run_again_it_ends_with_the_same_digests(
    tmp_path: Path, exchanges: list[ExchangeProcess], imported: dict[str, str]
) -> None:
    exchange, cli = serve(exchanges, tmp_path, SERVE), Cli(tmp_path)
    command = [sys.executable, "-m", "ghtrader.app", "--set", "data.download.workers=1", "main-l5", "--var", "rb", "--json"]
    process = subprocess.Popen(
        command, env={**cli.environment, **exchange.environment}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = Deadline(60)
    while not list((tmp_path / "data" / "ticks").rglob("part-*.parquet")) and process.poll() is None and not deadline.passed:
        deadline.pause(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    stored = len(list((tmp_path / "data" / "ticks" / "kind=raw").rglob("manifest.json")))
    assert stored < 4
    report = cli.json("main-l5", "--var", "rb", **exchange.environment)
    assert report["download"]["stored"] + report["download"]["present"] == 4
    assert digests(cli) == imported
    assert cli.json("data", "skips")["skips"] == []
    assert cli.json("data", "verify")["ok"]


def test_maintenance_for_two_days_ends_well_names_exactly_these_and_asks_no_more_than_allowed(
    tmp_path: Path, exchanges: list[ExchangeProcess], imported: dict[str, str]
) -> None:
    closed = ["2025-06-06", "2025-06-10"]
    exchange, cli = serve(exchanges, tmp_path, SERVE, ({"do": "maintenance", "days": closed},)), Cli(tmp_path)
    report = cli.json("main-l5", "--var", "rb", **exchange.environment)
    assert report["download"]["maintenance"] == 2
    skips = cli.json("data", "skips")["skips"]
    assert [(skip["trading_day"], skip["cause"]) for skip in skips] == [(day, "maintenance") for day in closed]
    assert all(
        skip["attempts"] == 2 and skip["first_seen_ns"] <= skip["last_seen_ns"] and "运维" in skip["message"] for skip in skips
    )
    assert digests(cli) == {day: digest for day, digest in imported.items() if day not in closed}
    hits = exchange.ask("hits")
    for day in closed:
        assert hits[f"history SHFE.rb2510 {day}"] <= 2
    exchange.stop()
    healthy = serve(exchanges, tmp_path, SERVE)
    later = cli.json("main-l5", "--var", "rb", **healthy.environment)
    assert later["download"]["stored"] == 2
    assert digests(cli) == imported
    assert cli.json("data", "skips")["skips"] == []


def test_a_skipped_day_waits_for_its_time(tmp_path: Path, exchanges: list[ExchangeProcess]) -> None:
    faults = ({"do": "maintenance", "days": ["2025-06-06"]},)
    exchange, cli = serve(exchanges, tmp_path, SERVE, faults), Cli(tmp_path)
    settings = ("--set", "data.download.retry_after_s=3600", "--set", "data.download.attempts_per_day=1")
    cli.json(*settings, "main-l5", "--var", "rb", **exchange.environment)
    hits = exchange.ask("hits")["history SHFE.rb2510 2025-06-06"]
    again = cli.json(*settings, "main-l5", "--var", "rb", **exchange.environment)
    assert (again["download"]["waiting"], again["download"]["stored"]) == (1, 0)
    assert exchange.ask("hits")["history SHFE.rb2510 2025-06-06"] == hits == 1


def test_an_outage_of_everything_is_bounded_and_leaves_the_rest_for_later(
    tmp_path: Path, exchanges: list[ExchangeProcess]
) -> None:
    exchange, cli = serve(exchanges, tmp_path, SERVE, ({"do": "maintenance", "days": DAYS},)), Cli(tmp_path)
    settings = (
        "--set",
        "data.download.breaker_cool_down_s=0.2",
        "--set",
        "data.download.breaker_most_openings=2",
        "--set",
        "data.download.breaker_threshold=1",
        "--set",
        "data.download.attempts_per_day=1",
        "--set",
        "data.download.workers=1",
    )
    report = cli.json(*settings, "main-l5", "--var", "rb", **exchange.environment)["download"]
    assert (report["maintenance"], len(report["deferred"]), report["stored"]) == (2, 2, 0)
    assert len(cli.json("data", "skips")["skips"]) == 2
    hits = exchange.ask("hits")
    assert sum(count for name, count in hits.items() if name.startswith("history SHFE.rb2510 2025")) == 2
    exchange.stop()
    closed = serve(exchanges, tmp_path, SERVE, ({"do": "maintenance"},))
    said = cli.json("main-l5", "--var", "rb", code=5, **closed.environment)
    assert said["error"] == "ProviderMaintenanceError"


def test_days_that_the_provider_lacks_are_told_apart_and_end_well(tmp_path: Path, exchanges: list[ExchangeProcess]) -> None:
    exchange, cli = serve(exchanges, tmp_path, SERVE, ({"do": "no_data", "days": ["2025-06-09"]},)), Cli(tmp_path)
    report = cli.json("main-l5", "--var", "rb", **exchange.environment)
    assert (report["download"]["provider_missing"], report["download"]["engineering_missing"]) == (1, 0)
    assert [skip["cause"] for skip in cli.json("data", "skips", "--symbol", "SHFE.rb2510")["skips"]] == ["provider_missing"]
    assert report["missing"] == 1


def test_two_contracts_over_a_roll_become_one_series(tmp_path: Path, exchanges: list[ExchangeProcess]) -> None:
    options = ["--market", "rich", "--days", "2", "--contract", "SHFE.cu2006", "--contract", "SHFE.cu2007", "--speed", "0"]
    exchange, cli = serve(exchanges, tmp_path, options), Cli(tmp_path)
    report = cli.json("main-l5", "--var", "cu", **exchange.environment)
    assert [(day["trading_day"], day["contract"], day["segment_id"]) for day in report["days"]] == [
        ("2020-02-04", "SHFE.cu2006", 1),
        ("2020-02-05", "SHFE.cu2007", 2),
        ("2020-02-06", "SHFE.cu2007", 2),
    ]
    folder = tmp_path / "generated"
    for seed, contract, first in ((1, "SHFE.cu2006", "2020-02-04"), (2, "SHFE.cu2007", "2020-02-05")):
        cli.json(
            "market",
            "generate",
            "rich",
            "--seed",
            str(seed),
            "--days",
            "2",
            "--contract",
            contract,
            "--first-day",
            first,
            "--out",
            str(folder),
        )
    other = Cli(tmp_path / "other")
    other.json("data", "import", *(str(path) for path in sorted(folder.glob("*.parquet"))))
    expected = {(day["symbol"], day["trading_day"]): day["digest"] for day in other.json("data", "digest")["days"]}
    found = {(day["symbol"], day["trading_day"]): day["digest"] for day in cli.json("data", "digest")["days"]}
    assert found.items() <= expected.items()
    assert len(found) == 3


@pytest.mark.parametrize(
    ("faults", "words"),
    [
        (({"do": "wrong_password"},), "密码错误"),
        (({"do": "auth_maintenance"},), "运维"),
    ],
)
def test_a_login_that_is_refused_is_a_provider_error_with_the_way_on(
    tmp_path: Path, exchanges: list[ExchangeProcess], faults: tuple[dict, ...], words: str
) -> None:
    exchange, cli = serve(exchanges, tmp_path, SERVE, faults), Cli(tmp_path)
    said = cli.json("main-l5", "--var", "rb", code=5, **exchange.environment)
    assert words in said["message"]
    assert said["hint"]
    assert exchange.environment["TQSDK_PASSWORD"] not in said["message"]


def test_an_expired_grant_and_a_provider_that_is_away_are_told(tmp_path: Path, exchanges: list[ExchangeProcess]) -> None:
    exchange, cli = serve(exchanges, tmp_path, SERVE), Cli(tmp_path)
    environment = dict(exchange.environment)
    exchange.stop()
    said = cli.json("main-l5", "--var", "rb", code=5, **environment)
    assert said["retryable"]
    no_login = dict.fromkeys(("TQSDK_USER", "TQSDK_PASSWORD"), "")
    said = cli.json("main-l5", "--var", "rb", "--source", "tqsdk", code=7, **no_login)
    assert "TQSDK_USER" in said["hint"]
    (tmp_path / "data").mkdir(exist_ok=True)
    accounts = tmp_path / "data" / "accounts.env"
    accounts.write_text("# login\nexport TQSDK_USER='demo'\nTQSDK_PASSWORD=secret\n")
    accounts.chmod(0o644)
    said = cli.json("main-l5", "--var", "rb", "--source", "tqsdk", code=7, **{**environment, **no_login})
    assert "can be read by others" in said["message"]
    accounts.chmod(0o600)
    said = cli.json("main-l5", "--var", "rb", "--source", "tqsdk", code=5, **{**environment, **no_login})
    assert said["error"] != "ConfigError"


def test_links_that_break_during_the_download_cost_no_row(
    tmp_path: Path, exchanges: list[ExchangeProcess], imported: dict[str, str]
) -> None:
    """The first sessions are torn down or closed in order in the middle of a day; the days are asked for again."""
    faults = (
        {"do": "abort", "link": "md", "after_s": 1.2, "times": 1},
        {"do": "close", "link": "md", "after_s": 1.2, "code": 1000, "times": 1},
        {"do": "slow", "link": "md", "ms": 5, "times": 200},
    )
    exchange, cli = serve(exchanges, tmp_path, SERVE, faults), Cli(tmp_path)
    settings = ("--set", "data.download.timeout_s=4", "--set", "data.download.attempts_per_day=6")
    report = cli.json(*settings, "main-l5", "--var", "rb", **exchange.environment)
    assert report["download"]["stored"] == 4
    assert digests(cli) == imported
    assert cli.json("data", "skips")["skips"] == []


def test_a_killed_worker_is_replaced(tmp_path: Path, exchanges: list[ExchangeProcess], imported: dict[str, str]) -> None:
    exchange, cli = serve(exchanges, tmp_path, SERVE), Cli(tmp_path)
    command = [sys.executable, "-m", "ghtrader.app", "main-l5", "--var", "rb", "--json"]
    process = subprocess.Popen(
        command, env={**cli.environment, **exchange.environment}, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    deadline = Deadline(60)
    children: list[int] = []
    while not children and not deadline.passed and process.poll() is None:
        deadline.pause(0.05)
        children = workers_of(process.pid)
    os.kill(children[0], signal.SIGKILL)
    process.communicate(timeout=120)
    assert process.returncode == 0
    assert digests(cli) == imported


def workers_of(pid: int) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((path / "stat").read_text().rsplit(")", 1)[1].split()[1])
            command = (path / "cmdline").read_bytes()
        except OSError:
            continue
        if parent == pid and b"day_workers" in command:
            found.append(int(path.name))
    return found
