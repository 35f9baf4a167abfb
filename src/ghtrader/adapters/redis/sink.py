"""A state that goes to the server and nothing else: one thread with one connection, off the path of whoever publishes."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from ghtrader.adapters.redis.server import RedisSettings
from ghtrader.adapters.redis.worker import OutcomeLog, Worker
from ghtrader.ports.warm_path import Outcome, WarmReason

if TYPE_CHECKING:
    from redis import Redis

__all__ = ["RedisStateSink"]

#: How long the thread waits for something to write before it asks whether the server is there.
IDLE_S = 0.25


class RedisStateSink:
    """`ports.state_sink.StateSink` on a key (`server.AccountKeys`). Starts its thread at once; of states only the newest waits."""

    name = "redis"

    def __init__(self, settings: RedisSettings, key: str) -> None:
        settings.connect().close()  # an address that is none, or a missing client, is told now
        self._key = key
        self._log = OutcomeLog()
        self._wake = threading.Condition()
        self._state: bytes | None = None
        self._writer = Worker("writer", settings, self._log, self._write)
        self._writer.start()

    def put(self, revision: int, content: bytes) -> None:
        """Have a state written; one that still waits is replaced."""
        del revision
        with self._wake:
            self._state = content
            self._wake.notify()

    def outcomes(self) -> list[Outcome]:
        """What the thread did; one that has ended by itself counts as a lost server."""
        found = self._log.drain()
        if not self._writer.alive and not self._writer.stopping:
            found.append(Outcome(WarmReason.REDIS_UNAVAILABLE, False, "the thread of the Redis adapter has ended"))
        return found

    def _write(self, client: Redis) -> bool:
        from redis.exceptions import RedisError, ResponseError

        with self._wake:
            if self._state is None and not self._writer.stopping:
                self._wake.wait(IDLE_S)
            state = self._state
        if state is None:
            client.ping()
            return True
        try:
            client.set(self._key, state)
        except RedisError as error:
            self._log.add(WarmReason.REDIS_STATE_WRITE_FAILED, str(error)[:300])
            if isinstance(error, ResponseError):
                return False
            raise
        self._log.add(WarmReason.REDIS_STATE_WRITE_FAILED)
        with self._wake:
            if self._state is state:
                self._state = None
        return True

    def close(self) -> None:
        """Write what waits, if the server is there, and hang up."""
        with self._wake:
            self._wake.notify()
        self._writer.close()
