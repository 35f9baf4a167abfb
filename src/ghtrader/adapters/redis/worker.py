"""A thread with a connection of its own: it works, fails, says so, and tries again, sooner first and at most twice a second."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from ghtrader.adapters.redis.server import RedisSettings
from ghtrader.ports.warm_path import Outcome, WarmReason

if TYPE_CHECKING:
    from redis import Redis

__all__ = ["OutcomeLog", "Worker"]

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.05, 0.5
JOIN_S = 2.0
#: Outcomes that nobody fetches are kept up to this number.
KEPT_OUTCOMES = 1000


class OutcomeLog:
    """Attempts of several threads. The server counts as there while every thread has its connection."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: deque[Outcome] = deque(maxlen=KEPT_OUTCOMES)
        self._connected: dict[str, str] = {}

    def add(self, reason: WarmReason, message: str = "") -> None:
        """An attempt; an empty message means that it went well."""
        with self._lock:
            self._found.append(Outcome(reason, not message, message))

    def connection(self, worker: str, message: str = "") -> None:
        """A thread has its connection, or not."""
        with self._lock:
            self._connected[worker] = message
            why = next((found for found in self._connected.values() if found), "")
            self._found.append(Outcome(WarmReason.REDIS_UNAVAILABLE, not why, why))

    def drain(self) -> list[Outcome]:
        """All of them, once."""
        with self._lock:
            found = list(self._found)
            self._found.clear()
        return found


class Worker:
    """Calls ``work(client)`` again and again until `close`.

    work: does one turn and returns whether all went well; a lost connection it just raises. began: called after each connecting.
    wait_s: how long an answer may be held back on purpose. flushes: whether `close` has one more turn done.
    """

    def __init__(
        self,
        name: str,
        settings: RedisSettings,
        log: OutcomeLog,
        work: Callable[[Redis], bool],
        *,
        began: Callable[[], None] = lambda: None,
        wait_s: float = 0.0,
        flushes: bool = True,
    ) -> None:
        self._name, self._settings, self._log = name, settings, log
        self._work, self._began, self._wait_s = work, began, wait_s
        self._flushes = flushes
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"redis-{name}", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    @property
    def stopping(self) -> bool:
        """Whether `close` was called."""
        return self._stop.is_set()

    @property
    def alive(self) -> bool:
        """Whether the thread works."""
        return self._thread.is_alive()

    def _run(self) -> None:
        from redis.exceptions import ConnectionError as RedisConnectionError
        from redis.exceptions import TimeoutError as RedisTimeoutError

        pause, client = FIRST_PAUSE_S, None
        while not self._stop.is_set() or (client is not None and self._flushes):
            last = self._stop.is_set()
            try:
                if client is None:
                    client = self._settings.connect(wait_s=self._wait_s)
                    client.ping()
                    self._began()
                went_well = self._work(client)
                self._log.connection(self._name)
            except (RedisConnectionError, RedisTimeoutError, OSError) as error:
                self._log.connection(self._name, f"{self._settings.shown}: {error}"[:300])
                _drop(client)
                client, went_well = None, False
            if last:
                break
            if went_well:
                pause = FIRST_PAUSE_S
            else:
                self._stop.wait(pause)
                pause = min(pause * 2, LONGEST_PAUSE_S)
        _drop(client)

    def close(self) -> None:
        """End, after one more turn if it flushes and is connected; waits for that at most two seconds."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(JOIN_S)


def _drop(client: Redis | None) -> None:
    if client is not None:
        client.close()
