"""Both processes of a paper run, played by small scripts: what they say is read at once, and the end of one is noticed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ghtrader.core.errors import DataError, GhtraderError, HaltedError, UsageError
from ghtrader.pipelines.paper import PaperRequest
from ghtrader.pipelines.paper_live import LivePaperRequest
from ghtrader.pipelines.paper_pair import PaperRun, run_pair
from ghtrader.pipelines.stopping import StopWish

REPORT: dict[str, Any] = {
    "account": "a", "pid": 1, "mode": "paper", "fill_model": "back", "ticks": 1, "targets": 0, "orders": 0, "cancels": 0, "fills": 0,
    "days": [], "net_cny": 0.0, "killed": False, "latency": {}, "counters": {}, "seconds": 1.0, "ticks_per_s": 1.0,
    "journal_records": 1, "order_ids": [],
}  # fmt: skip
#: Waits for a file as long as a test may last, then fails.
AWAIT = "import pathlib, sys, time\nend = time.monotonic() + 20\nwhile not pathlib.Path({path!r}).exists():\n    assert time.monotonic() < end\n    time.sleep(0.01)\n"
FOREVER = "import signal\nwhile True: signal.pause()\n"


def failing(kind: str, message: str, code: int) -> str:
    told = json.dumps({"error": kind, "message": message, "hint": "do this"})
    return f"import sys\nprint({told!r})\nsys.exit({code})\n"


def pair(strategy: str, gateway: str, stop: StopWish | None = None) -> tuple[PaperRun | GhtraderError, list[int | None]]:
    """What comes of the two scripts, and the exit codes of both."""
    started: list[subprocess.Popen[bytes]] = []

    def start(arguments: list[str]) -> subprocess.Popen[bytes]:
        script = strategy if arguments[0] == "strategy" else gateway
        started.append(subprocess.Popen([sys.executable, "-S", "-c", script], stdout=subprocess.PIPE))
        return started[-1]

    services: Any = SimpleNamespace(start=start)
    found: PaperRun | GhtraderError
    try:
        found = run_pair(services, "a", "back", [], [], stop or StopWish())
    except GhtraderError as error:
        found = error
    return found, [process.poll() for process in started]


def test_a_strategy_that_says_much_is_not_held_up(tmp_path: Path) -> None:
    flag = tmp_path / "said"
    chatty = 'import pathlib, sys\nfor n in range(4000): print(\'{"report": {"ticks": %d}, "more": "%s"}\' % (n, \'x\' * 100))\n'
    chatty += f"sys.stdout.flush()\npathlib.Path({str(flag)!r}).touch()\n{FOREVER}"
    found, _ = pair(chatty, AWAIT.format(path=str(flag)) + f"print({json.dumps(REPORT)!r})\n")
    assert isinstance(found, PaperRun), found
    assert found.strategy == {"ticks": 3999}
    assert found.gateway.ticks == 1


def test_what_the_strategy_fails_of_ends_the_run_at_once() -> None:
    found, codes = pair(failing("UsageError", "mine.py defines no Strategy", 2), FOREVER)
    assert isinstance(found, UsageError)
    assert (found.message, found.hint) == ("the strategy of the paper run failed: mine.py defines no Strategy", "do this")
    assert codes == [2, -signal.SIGTERM]


def test_a_strategy_that_was_killed_is_named() -> None:
    found, codes = pair("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n", FOREVER)
    assert "the strategy of the paper run failed: it ended by itself with exit code -9" in str(found)
    assert codes[1] == -signal.SIGTERM


def test_a_strategy_that_does_not_end_fails_the_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("ghtrader.pipelines.paper_pair.END_S", 0.3)
    deaf = tmp_path / "deaf"
    stubborn = (
        f"import pathlib, signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\npathlib.Path({str(deaf)!r}).touch()\n{FOREVER}"
    )
    found, codes = pair(stubborn, AWAIT.format(path=str(deaf)) + f"print({json.dumps(REPORT)!r})\n")
    assert "the strategy of the paper run failed: it did not end within 0.3 s and was killed" in str(found)
    assert codes == [-signal.SIGKILL, 0]


@pytest.mark.parametrize(("code", "kind"), [(4, DataError), (8, HaltedError)])
def test_what_the_gateway_fails_of_keeps_its_exit_code(code: int, kind: type[Exception]) -> None:
    found, codes = pair(FOREVER, failing(kind.__name__, "the disk is full", code))
    assert isinstance(found, kind)
    assert "the gateway of the paper run failed: the disk is full" in str(found)
    assert codes == [-signal.SIGTERM, code]


def test_a_wish_to_stop_reaches_the_gateway() -> None:
    stop = StopWish()
    stop.received = signal.SIGTERM
    with pytest.raises(KeyboardInterrupt):
        pair(FOREVER, FOREVER, stop)


@pytest.mark.parametrize(
    "wrong",
    [{"speed": "0"}, {"speed": "inf"}, {"speed": "fast"}, {"fill_models": ("best",)}, {"policy": "x"}, {"params": ("a",)}],
)
def test_what_makes_no_sense_is_refused_before_anything_starts(wrong: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        PaperRequest(replay=tmp_path, **wrong)


def test_a_strategy_that_is_no_file_is_refused_live_too(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        LivePaperRequest(symbol="SHFE.rb2510", file=tmp_path / "none.py")
