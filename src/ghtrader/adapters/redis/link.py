"""The gateway's end: the state is written, commands are read and answered, by two threads with a connection each.

The gateway's thread only exchanges values with them, in bounded memory: of states only the newest waits, answers wait in a bounded
queue, and no more commands are read than fit another. A command stays in the stream, read but not acknowledged, until its answer was
written; a gateway that dies in between, or a connection that breaks while commands are on their way, leads to the same command again.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Any

import msgspec

from ghtrader.adapters.redis.server import GROUP, AccountKeys, RedisSettings
from ghtrader.adapters.redis.worker import OutcomeLog, Worker
from ghtrader.core.messages import Command, CommandAnswer
from ghtrader.ports.bus import Request
from ghtrader.ports.warm_path import Outcome, WarmReason

if TYPE_CHECKING:
    from redis import Redis

__all__ = ["RedisLink"]

#: How long the reader waits for a command, and the writer for something to write, before each asks whether the server is there.
BLOCK_S, IDLE_S = 0.25, 0.25
INBOX, ANSWERS, BATCH = 1000, 10_000, 100
ANSWER_LIFE_S = 600

_command = msgspec.json.Decoder(Command)


class RedisLink:
    """`ports.state_sink.StateSink` and `ports.command_source.CommandSource` of one account. Starts its threads at once.

    dropped_answers: answers that did not fit while the server was away; whoever sends that command again is told.
    """

    name = "redis"

    def __init__(self, settings: RedisSettings, account: str) -> None:
        settings.connect().close()  # an address that is none, or a missing client, is told now
        self._keys = AccountKeys(account)
        self._log = OutcomeLog()
        self._wake = threading.Condition()
        self._state: tuple[int, bytes] | None = None
        self._answers: deque[tuple[str, CommandAnswer]] = deque()
        self._inbox: deque[Request] = deque()
        self._open: set[str] = set()
        self._lost = threading.Event()
        self._cursor, self._has_group = "0", False
        self.unreadable = self.dropped_answers = 0
        self._writer = Worker("writer", settings, self._log, self._write)
        self._reader = Worker("reader", settings, self._log, self._read, began=self._begin_reading, wait_s=BLOCK_S, flushes=False)
        self._writer.start()
        self._reader.start()

    # --- the gateway's thread ------------------------------------------------------------------------------------------
    def put(self, revision: int, content: bytes) -> None:
        """Have a state written; one that still waits is replaced."""
        with self._wake:
            self._state = (revision, content)
            self._wake.notify()

    def receive(self) -> list[Request]:
        """Commands that came."""
        found = []
        while self._inbox:
            found.append(self._inbox.popleft())
        return found

    def answer(self, source: str, answer: CommandAnswer) -> None:
        """Have an answer written."""
        way, _, entry = source.partition(":")
        if way != self.name:
            return
        with self._wake:
            if len(self._answers) >= ANSWERS:
                lost, _ = self._answers.popleft()
                self._open.discard(lost)
                self._lost.set()  # the command is read again, and answered as the duplicate that it then is
                self.dropped_answers += 1
            self._answers.append((entry, answer))
            self._wake.notify()

    def outcomes(self) -> list[Outcome]:
        """What the threads did; a thread that has ended by itself counts as a lost server."""
        found = self._log.drain()
        for worker in (self._writer, self._reader):
            if not worker.alive and not worker.stopping:
                found.append(Outcome(WarmReason.REDIS_UNAVAILABLE, False, "a thread of the Redis adapter has ended"))
        return found

    def close(self) -> None:
        """Write what waits, if the server is there, and hang up."""
        with self._wake:
            self._wake.notify()
        self._reader.close()
        self._writer.close()

    # --- the writer's thread -------------------------------------------------------------------------------------------
    def _write(self, client: Redis) -> bool:
        with self._wake:
            if self._state is None and not self._answers and not self._writer.stopping:
                self._wake.wait(IDLE_S)
            state, answers = self._state, list(self._answers)[:BATCH]
        if state is None and not answers:
            client.ping()
        wrote_state = state is None or self._tried(WarmReason.REDIS_STATE_WRITE_FAILED, client, [], state)
        wrote_answers = not answers or self._tried(WarmReason.REDIS_STREAM_FAILED, client, answers, None)
        return wrote_state and wrote_answers

    def _tried(
        self, reason: WarmReason, client: Redis, answers: list[tuple[str, CommandAnswer]], state: tuple[int, bytes] | None
    ) -> bool:
        """One transaction; what the server refuses is told and tried again, a lost connection is raised after it was told."""
        from redis.exceptions import RedisError, ResponseError

        pipeline = client.pipeline(transaction=True)
        if state is not None:
            pipeline.set(self._keys.state, state[1])
        for entry, answer in answers:
            key = self._keys.answer(answer.command_id)
            pipeline.rpush(key, msgspec.json.encode(answer))
            pipeline.expire(key, ANSWER_LIFE_S)
            pipeline.xack(self._keys.commands, GROUP, entry)
            pipeline.xdel(self._keys.commands, entry)
        try:
            pipeline.execute()
        except RedisError as error:
            self._log.add(reason, str(error)[:300])
            if isinstance(error, ResponseError):
                return False
            raise
        self._log.add(reason)
        with self._wake:
            if state is not None and self._state is state:
                self._state = None
            for entry, _ in answers:
                self._open.discard(entry)
                if self._answers and self._answers[0][0] == entry:
                    self._answers.popleft()
        return True

    # --- the reader's thread -------------------------------------------------------------------------------------------
    def _begin_reading(self) -> None:
        """After connecting: first again what was read and not acknowledged, for its way here may have been cut."""
        self._cursor, self._has_group = "0", False

    def _read(self, client: Redis) -> bool:
        from redis.exceptions import ResponseError

        if len(self._inbox) >= INBOX:
            return False
        try:
            if not self._has_group:
                self._make_group(client)
            rows = self._rows(client)
        except ResponseError as error:
            self._has_group = False  # the stream may have been removed with its group
            self._log.add(WarmReason.REDIS_STREAM_FAILED, str(error)[:300])
            return False
        self._log.add(WarmReason.REDIS_STREAM_FAILED)
        for entry, fields in rows:
            self._take(client, entry, fields)
        return True

    def _make_group(self, client: Redis) -> None:
        from redis.exceptions import ResponseError

        try:
            client.xgroup_create(self._keys.commands, GROUP, id="0", mkstream=True)
        except ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):
                raise
        self._has_group, self._cursor = True, "0"

    def _rows(self, client: Redis) -> list[tuple[str, Any]]:
        if self._lost.is_set():
            self._lost.clear()
            self._cursor = "0"
        answer: Any = client.xreadgroup(GROUP, GROUP, {self._keys.commands: self._cursor}, count=BATCH, block=int(BLOCK_S * 1000))
        rows = [(entry.decode(), fields) for _, found in answer or () for entry, fields in found]
        if self._cursor != ">":
            self._cursor = rows[-1][0] if rows else ">"
        return rows

    def _take(self, client: Redis, entry: str, fields: Any) -> None:
        if entry in self._open:
            return
        try:
            command = _command.decode((fields or {})[b"command"])
        except (KeyError, ValueError):  # no JSON, no command, or no UTF-8
            self.unreadable += 1
            client.xack(self._keys.commands, GROUP, entry)
            client.xdel(self._keys.commands, entry)
            return
        self._open.add(entry)
        self._inbox.append(Request(command=command, source=f"{self.name}:{entry}"))
