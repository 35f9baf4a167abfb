"""The process: one per account, halted and saying why while something is missing, ended by a signal."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.conftest import Cli

COMMAND = (sys.executable, "-m", "ghtrader.app", "strategy", "run", "--account", "demo", "--json")


@contextmanager
def running(cli: Cli, *options: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen([*COMMAND, *options], env=cli.environment, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def line_of(process: subprocess.Popen[str]) -> dict[str, Any]:
    return json.loads(process.stdout.readline())


def reasons(status: dict[str, Any]) -> list[str]:
    return [halt["reason"] for halt in status["report"]["halts"]]


def until_halted(process: subprocess.Popen[str]) -> dict[str, Any]:
    """Its first status is of the start, the next says what it lacks."""
    status = line_of(process)
    assert (status["state"], status["pid"]) == ("starting", process.pid)
    status = line_of(process)
    assert status["state"] == "halted"
    return status


def refused_s(cli: Cli) -> float:
    """How long a second process takes to be refused."""
    begun = time.monotonic()
    done = subprocess.run(COMMAND, env=cli.environment, capture_output=True, text=True, check=False)
    spent = time.monotonic() - begun
    assert done.returncode == 3, done.stderr
    error = json.loads(done.stdout.splitlines()[-1])
    assert error["error"] == "LockHeldError"
    assert "strategy run --account demo" in error["context"]["owner"]["command"]
    return spent


def test_one_strategy_per_account_and_a_dead_holder_frees_it(cli: Cli, tmp_path: Path) -> None:
    with running(cli) as first:
        missing = until_halted(first)
        assert reasons(missing) == ["no_gateway", "no_model"]
        assert "ghtrader train" in missing["report"]["halts"][1]["message"]
        assert "ghtrader gateway run" in missing["report"]["halts"][0]["message"]
        assert min(refused_s(cli) for _ in range(3)) < 1.0
        first.send_signal(signal.SIGKILL)
        first.wait()
        with running(cli) as again:
            until_halted(again)
            again.send_signal(signal.SIGTERM)
            last = [json.loads(line) for line in again.stdout][-1]
            assert (again.wait(), last["state"]) == (0, "stopped")
    kept = json.loads((tmp_path / "data" / "trading" / "demo" / "strategy.json").read_text())
    assert (kept["state"], kept["pid"], kept["source"]) == ("stopped", again.pid, "passive")


def test_what_cannot_be_run_ends_with_the_reason(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text("x = 1")
    for options, code, message in (
        (("--file", str(path)), 2, "defines no Strategy"),
        (("--policy", "lucky"), 2, "no policy"),
        (("--param", "lots"), 2, "NAME=VALUE"),
        (("--model", "0" * 16), 4, "no model"),
        (("--account", "../x"), 2, "no name of an account"),
    ):
        done = cli.run("strategy", "run", *options)
        assert (done.returncode, message in done.stderr) == (code, True), done.stderr
