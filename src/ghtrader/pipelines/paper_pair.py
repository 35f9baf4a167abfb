"""Gateway and strategy of one `ghtrader paper` run: started together, listened to, ended together."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import threading
from typing import Any

import msgspec

from ghtrader.core.errors import EXIT_CODES, EXIT_OK, GhtraderError
from ghtrader.pipelines.gateway_process import GatewayReport
from ghtrader.pipelines.paper_screening import Comparison
from ghtrader.pipelines.services import Services
from ghtrader.pipelines.stopping import StopWish

__all__ = ["PaperRun", "run_pair"]

END_S = 20.0
LOOK_S = 0.2


class PaperRun(msgspec.Struct, frozen=True, kw_only=True):
    """One fill model: both processes and what the gateway's run came to; strategy: its own report at the end.

    comparison: with the screening backtester; None for a strategy of one's own, which it does not know.
    """

    fill_model: str
    account: str
    gateway_pid: int
    strategy_pid: int
    gateway: GatewayReport
    strategy: dict[str, Any]
    comparison: Comparison | None = None


class _Child:
    """One of the two. What it says is read while it says it, so that it never waits for somebody to empty its pipe."""

    def __init__(self, name: str, process: subprocess.Popen[bytes]) -> None:
        self.name, self.process = name, process
        self.had_to_be_killed = False
        self._last = b""
        self._reader = threading.Thread(target=self._read, name=f"paper-{name}", daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._last = line if line.startswith(b"{") else self._last

    @property
    def ended(self) -> bool:
        return self.process.poll() is not None

    def wait(self, seconds: float) -> None:
        """Until it ends, at most so long."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=seconds)

    def end(self) -> None:
        """Ask it to end in order; one that does not is killed."""
        if not self.ended:
            self.process.send_signal(signal.SIGTERM)
            self.wait(END_S)
        if not self.ended:
            self.had_to_be_killed = True
            self.process.kill()
            self.process.wait()

    def said(self) -> dict[str, Any]:
        """The object on its last line, once it has ended; empty where it said none."""
        self._reader.join(END_S)
        with contextlib.suppress(msgspec.MsgspecError):
            return msgspec.json.decode(self._last or b"{}", type=dict[str, Any])
        return {}

    def failure(self) -> GhtraderError:
        """What it ended of, as an error of the same exit code."""
        told, code = self.said(), self.process.returncode
        way = (
            f"it did not end within {END_S:g} s and was killed"
            if self.had_to_be_killed
            else f"it ended by itself with exit code {code}"
        )
        message = told.get("message") or way
        fits = [kind for kind, of_kind in EXIT_CODES if of_kind == code and issubclass(kind, GhtraderError)]
        kind = next((kind for kind in fits if kind.__name__ == told.get("error")), fits[0] if fits else GhtraderError)
        return kind(f"the {self.name} of the paper run failed: {message}", hint=str(told.get("hint") or "see its words above"))


def run_pair(
    services: Services, account: str, fill_model: str, of_strategy: list[str], of_gateway: list[str], stop: StopWish
) -> PaperRun:
    """Start a strategy and a gateway with these words of ``strategy run`` and ``gateway run``; wait for the gateway, end the strategy.

    stop: when it is wished for, the gateway is asked to end in order; one that cannot report then: KeyboardInterrupt. Raises what either
    of them failed of, as soon as it did.
    """
    strategy = _Child("strategy", services.start(["strategy", "run", "--account", account, *of_strategy, "--json"]))
    gateway = _Child(
        "gateway",
        services.start(["gateway", "run", "--account", account, *of_gateway, "--fill-model", fill_model, "--json"]),
    )
    try:
        _await(gateway, strategy, stop)
        if gateway.process.returncode != EXIT_OK:
            raise KeyboardInterrupt if stop.received else gateway.failure()
        strategy.end()
        if strategy.had_to_be_killed:
            raise strategy.failure()
    finally:
        for child in (gateway, strategy):
            child.end()
    said = strategy.said()
    return PaperRun(
        fill_model=fill_model,
        account=account,
        gateway_pid=gateway.process.pid,
        strategy_pid=strategy.process.pid,
        gateway=msgspec.convert(gateway.said(), GatewayReport),
        strategy=said.get("report", said),
    )


def _await(gateway: _Child, strategy: _Child, stop: StopWish) -> None:
    """Until the gateway has ended. Raises what the strategy failed of: without it the gateway waits for nobody."""
    told = False
    while not gateway.ended:
        if stop.received and not told:
            gateway.process.send_signal(signal.SIGTERM)
            told = True
        if strategy.ended and not stop.received:
            raise strategy.failure()
        gateway.wait(LOOK_S)
