"""The command and its worker processes: killed at any moment and run again, they end with the same digests and leave nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.conftest import Cli
from tests.tq.conftest import DAYS, SYMBOL, Serve

from ghtrader.app.day_workers import ProcessWorkers
from ghtrader.core.clock import Deadline
from ghtrader.data.atomic import TEMPORARY_SUFFIX
from ghtrader.ports.day_worker import DayTask

TIMEOUT_S = 90.0


def start(cli: Cli, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "ghtrader.app", "main-l5", "--var", "rb", "--json"]
    return subprocess.Popen(command, env={**cli.environment, **environment}, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)


def children_of(pid: int) -> list[int]:
    """Worker processes of a command."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((path / "stat").read_text().rsplit(")", 1)[1].split()[1])
            command = (path / "cmdline").read_bytes()
        except OSError:
            continue
        if parent == pid and b"day_workers" in command:
            found.append(int(path.name))
    return sorted(found)


def wait_for(seen: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    deadline = Deadline(TIMEOUT_S)
    while not seen() and process.poll() is None:
        assert not deadline.passed
        deadline.pause(0.02)


def is_alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1][:3]
    except OSError:
        return False


def test_killed_at_any_moment_and_run_again_it_ends_with_the_same_digests(
    serve: Serve, tmp_path: Path, imported: dict[str, str]
) -> None:
    """First the command is killed twice, then one of its two workers; every answer is slow, so that there is a middle."""
    exchange, cli = serve({"do": "slow", "link": "md", "ms": 150}), Cli(tmp_path)
    ticks = tmp_path / "data" / "ticks" / "kind=raw"

    def stored() -> int:
        return len(list(ticks.rglob("manifest.json")))

    for moment in (1, 3):
        process = start(cli, exchange.environment)
        wait_for(lambda moment=moment: stored() >= moment, process)
        workers = children_of(process.pid)
        process.kill()
        process.communicate()
        gone = Deadline(60)  # workers end by themselves when their tasks end
        while any(is_alive(pid) for pid in workers):
            assert not gone.passed
            gone.pause(0.05)
        assert 1 <= stored() < len(DAYS) + (moment == 3)
    process = start(cli, exchange.environment)
    wait_for(lambda: bool(children_of(process.pid)), process)
    for worker in children_of(process.pid)[:1]:
        os.kill(worker, signal.SIGKILL)
    process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 0
    digests = {day["trading_day"]: day["digest"] for day in cli.json("data", "digest")["days"]}
    assert digests == imported
    assert cli.json("data", "skips")["skips"] == []
    assert cli.json("data", "verify")["ok"]
    files = [path for path in (tmp_path / "data").rglob("*") if path.is_file()]
    assert not [path for path in files if path.name.endswith(TEMPORARY_SUFFIX)]
    assert len([path for path in files if path.parent.is_relative_to(ticks) and path.suffix == ".parquet"]) == len(DAYS)


def test_workers_answer_every_task_also_when_they_die(serve: Serve, tmp_path: Path) -> None:
    exchange, cli = serve({"do": "no_data", "days": ["2025-06-09"]}, {"do": "slow", "link": "md", "ms": 100}), Cli(tmp_path)
    workers = ProcessWorkers(2, {"data.download.timeout_s": "20"}, {**cli.environment, **exchange.environment})
    for day in ("2025-06-06", "2025-06-09"):
        workers.submit(DayTask(symbol=SYMBOL, trading_day=day))
    assert workers.idle == 0
    found: list[tuple[str, str]] = []
    deadline = Deadline(TIMEOUT_S)

    def hear(count: int) -> None:
        while len(found) < count:
            assert not deadline.passed
            found.extend((outcome.trading_day, outcome.kind) for outcome in workers.wait(0.5))

    hear(2)
    assert sorted(found) == [("2025-06-06", "stored"), ("2025-06-09", "provider_missing")]
    workers.submit(DayTask(symbol=SYMBOL, trading_day="2025-06-10"))
    workers._workers[0].process.kill()
    hear(3)
    assert found[-1] == ("2025-06-10", "failed")
    workers.submit(DayTask(symbol=SYMBOL, trading_day="2025-06-10"))
    hear(4)
    assert found[-1] == ("2025-06-10", "stored")
    arguments = [Path(f"/proc/{worker.process.pid}/cmdline").read_bytes() for worker in workers._workers]
    assert not [line for line in arguments if exchange.environment["TQSDK_PASSWORD"].encode() in line]
    workers.close()
    assert all(worker.process.poll() is not None for worker in workers._workers)


def test_the_command_line_says_what_is_wrong_with_a_login(serve: Serve, tmp_path: Path) -> None:
    exchange, cli = serve(), Cli(tmp_path)
    environment = dict(exchange.environment)
    exchange.stop()
    away = cli.json("main-l5", "--var", "rb", code=5, **environment)
    assert away["retryable"]
    no_login = dict.fromkeys(("TQSDK_USER", "TQSDK_PASSWORD"), "")
    said = cli.json("main-l5", "--var", "rb", "--source", "tqsdk", code=7, **{**environment, **no_login})
    assert "TQSDK_USER" in said["hint"]


@pytest.mark.parametrize("text", ["19:30-19:00", "soon"])
def test_a_window_that_is_none_is_a_configuration_error(serve: Serve, tmp_path: Path, text: str) -> None:
    environment = {**serve().environment, "GHTRADER_DATA_DOWNLOAD_MAINTENANCE_WINDOW": text}
    assert "HH:MM" in Cli(tmp_path).json("main-l5", "--var", "rb", code=7, **environment)["hint"]
