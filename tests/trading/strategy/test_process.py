"""The process: one per account, halted and saying why while something is missing, ended by a signal."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.conftest import Cli, processor_wait_s
from tests.trading.strategy.frames import SYMBOL, account, beat, plan, ticks

from ghtrader.adapters.bus_zmq import ZmqStreamServer
from ghtrader.core.clock import Deadline
from ghtrader.core.messages import Target, TickDone
from ghtrader.ports.bus import StreamFrame
from ghtrader.testing.redis_server import RedisServer

OWN = """
from ghtrader.trading.strategy.api import Decision, Strategy

class Imbalance(Strategy):
    needs_model = False

    def on_start(self, context):
        self.lots = context.params["lots"]

    def on_tick(self, view):
        return Decision(self.lots if view.factors[1] > 0 else -self.lots) if view.can_trade else None
"""
COMMAND = (sys.executable, "-m", "ghtrader.app", "strategy", "run", "--account", "demo", "--json")


@contextmanager
def running(cli: Cli, *options: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    environment = {**cli.environment, **environment}
    process = subprocess.Popen([*COMMAND, *options], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()


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


def until_said(process: subprocess.Popen[str], event: str) -> dict[str, str]:
    """The fields of an event that it tells operators."""
    for line in process.stderr:
        name, *words = line.rstrip().split("  ")
        if name == event:
            return dict(word.split("=", 1) for word in words)
    raise AssertionError(f"{event} was never said")


def refused_s(cli: Cli) -> float:
    """How long a second process takes to be refused, without what it waited for a processor that others had."""
    begun = time.monotonic()
    process = subprocess.Popen(COMMAND, env=cli.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    spent = time.monotonic() - begun - processor_wait_s(str(process.pid))
    stdout, stderr = process.communicate()
    assert process.returncode == 3, stderr
    error = json.loads(stdout.splitlines()[-1])
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
        server = RedisServer(tmp_path / "redis")  # named and not there: nothing waits for it
        with running(cli, GHTRADER_REDIS_URL=server.url) as again:
            assert until_halted(again)["revision"] > missing["revision"]
            assert until_said(again, "warm_path_state")["reasons"] == "redis_unavailable"
            server.start()
            assert "reasons" not in until_said(again, "warm_path_recovered")
            server.stop()
            again.send_signal(signal.SIGTERM)
            last = [json.loads(line) for line in again.stdout][-1]
            assert (again.wait(), last["state"]) == (0, "stopped")
    kept = json.loads((tmp_path / "data" / "trading" / "demo" / "strategy.json").read_text())
    assert (kept["state"], kept["pid"], kept["source"]) == ("stopped", again.pid, "passive")


def settled(server: ZmqStreamServer, what: Callable[[Any], bool], frames: Callable[[], Iterable[StreamFrame]]) -> Any:
    """Publish and listen until a message of the strategy is the one."""
    deadline = Deadline(300.0)  # kernels may have to be compiled
    while not deadline.passed:
        for frame in frames():
            server.publish(frame)
        for message in server.receive(0.05):
            if what(message):
                return message
    raise AssertionError("nothing like it came")


def test_a_strategy_of_a_file_trades_over_the_sockets_in_lockstep(cli: Cli, tmp_path: Path) -> None:
    """The gateway's end is played here: views, ticks one by one, credits; a restart of the gateway is followed."""
    path = tmp_path / "mine.py"
    path.write_text(OWN)
    server = ZmqStreamServer(tmp_path / "data" / "trading" / "demo" / "ipc")
    options = ("--file", str(path), "--symbol", SYMBOL, "--param", "lots=3", "--lockstep")
    with running(cli, *options) as process:
        settled(server, lambda message: getattr(message, "state", "") == "ready", lambda: [beat(0)])
        targets = []
        server.publish(account(1))
        for frame in ticks(3000, 60, 2):
            server.publish(frame)
            done = None
            while done is None:
                for message in server.receive(5.0):
                    targets += [message] if isinstance(message, Target) else []
                    done = message if isinstance(message, TickDone) else done
            assert done.tick_seq == frame.seq
        assert {abs(target.lots) for target in targets} == {3}
        assert targets[0].factors.keys() == set(plan().chosen.ids)
        settled(server, lambda message: getattr(message, "state", "") == "halted no_account", lambda: [beat(0, session="g2")])
        process.send_signal(signal.SIGINT)
        assert process.wait() == 130
    server.close()
    report = json.loads((tmp_path / "data" / "trading" / "demo" / "strategy.json").read_text())["report"]
    assert (report["ticks"], report["targets"], report["lost"]) == (60, len(targets), 0)
    assert report["stages"]["tick"]["count"] == 60


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
