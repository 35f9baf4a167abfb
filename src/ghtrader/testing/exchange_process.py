"""The loopback exchange as a process of its own, for tests: started on a free port, asked for its hits and orders, stopped."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ghtrader.core.clock import Deadline
from ghtrader.core.errors import StoreError

__all__ = ["ExchangeProcess"]

START_TIMEOUT_S, STOP_TIMEOUT_S = 60.0, 15.0


class ExchangeProcess:
    """``ghtrader serve-exchange`` with options; ``environment`` is what its clients need."""

    def __init__(self, folder: Path, options: Sequence[str], *, faults: Sequence[Mapping[str, object]] = ()) -> None:
        self._folder = folder
        self._options = list(options)
        folder.mkdir(parents=True, exist_ok=True)
        if faults:
            script = folder / "faults.json"
            script.write_text(json.dumps({"faults": list(faults)}))
            self._options += ["--script", str(script)]
        self.environment: dict[str, str] = {}
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None

    def start(self) -> ExchangeProcess:
        """Start and wait for its ``ready`` line; raises StoreError with what it said when it does not come up."""
        folders = {f"GHTRADER_{name}_DIR": str(self._folder / name.lower()) for name in ("DATA", "RUNS", "ARTIFACTS")}
        command = [sys.executable, "-m", "ghtrader.app", "serve-exchange", "--print-env", *self._options]
        errors = (self._folder / "exchange.log").open("w")
        self._process = subprocess.Popen(  # noqa: S603 - our own command
            command, env={**os.environ, **folders}, stdout=subprocess.PIPE, stderr=errors, text=True
        )
        errors.close()
        ready = threading.Event()
        lines: list[str] = []

        def read() -> None:
            assert self._process is not None
            assert self._process.stdout is not None
            for line in self._process.stdout:
                lines.append(line)
                if line.strip() == "ready":
                    ready.set()

        self._reader = threading.Thread(target=read, daemon=True)
        self._reader.start()
        deadline = Deadline(START_TIMEOUT_S)
        while not ready.wait(0.05):
            if self._process.poll() is not None or deadline.passed:
                raise StoreError(f"the exchange did not start: {(self._folder / 'exchange.log').read_text()[-2000:]}")
        exports = (word for word in shlex.split("".join(lines)) if "=" in word)
        self.environment = {name: value for name, _, value in (word.partition("=") for word in exports)}
        return self

    @property
    def pid(self) -> int:
        """Process id."""
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.poll() is None

    def ask(self, name: str) -> Any:
        """``hits`` (requests by kind), ``orders`` (the venue's own order log), or ``strike``: what waits to be told strikes now."""
        with urllib.request.urlopen(f"{self.environment['TQ_AUTH_URL']}/exchange/{name}.json", timeout=10) as answer:  # noqa: S310 - loopback
            return json.load(answer)

    def signal(self, number: int) -> None:
        """Send a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    def wait(self, timeout_s: float = STOP_TIMEOUT_S) -> int:
        """Wait for the end; its exit code."""
        assert self._process is not None
        return self._process.wait(timeout_s)

    def stop(self) -> None:
        """End it in order, then with force."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._reader is not None and self._process.stdout is not None:
            self._reader.join(STOP_TIMEOUT_S)
            self._process.stdout.close()
