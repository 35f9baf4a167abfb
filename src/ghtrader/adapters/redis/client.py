"""The other end: reading the state, giving commands."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from ghtrader.adapters.redis.server import GROUP, AccountKeys, RedisSettings
from ghtrader.core.clock import Deadline
from ghtrader.core.errors import HaltedError, StoreError
from ghtrader.core.messages import Command, CommandAnswer

if TYPE_CHECKING:
    from redis import Redis

__all__ = ["RedisCommandClient", "RedisStateSource"]

BLOCK_S, PAUSE_S = 0.5, 0.1
#: The stream forgets the oldest commands beyond this number; they are removed when answered, so it holds few.
LONGEST_STREAM = 10_000

_answer = msgspec.json.Decoder(CommandAnswer)


@dataclass
class _Sent:
    """What was sent of a command: entries of the stream, and whether there may be one more that the server did not tell of."""

    entries: list[str] = field(default_factory=list)
    is_doubtful: bool = False


class RedisStateSource:
    """`ports.state_sink.StateSource`. key: of the process whose state it is, in `server.AccountKeys`; default: the gateway's."""

    name = "redis"

    def __init__(self, settings: RedisSettings, account: str, key: str = "") -> None:
        self._settings, self._key = settings, key or AccountKeys(account).state
        self._client = settings.connect()

    def read(self) -> bytes | None:
        """The state that the server has."""
        from redis.exceptions import RedisError

        try:
            content: Any = self._client.get(self._key)
        except (RedisError, OSError) as error:
            raise StoreError(f"cannot read {self._settings.shown}: {error}", retryable=True) from error
        return None if content is None else bytes(content)

    def close(self) -> None:
        """Hang up."""
        self._client.close()


class RedisCommandClient:
    """`ports.bus.CommandClient` over the account's stream.

    A lost server is found again; then the command is sent once more, for nobody knows whether it arrived: the gateway applies its id
    once. When no answer comes in time the command is taken back, if no gateway has read it.
    """

    def __init__(self, settings: RedisSettings, account: str) -> None:
        self._settings, self._keys = settings, AccountKeys(account)
        self._client = settings.connect(wait_s=BLOCK_S)

    def request(self, command: Command, timeout_s: float) -> CommandAnswer:
        """Send a command and wait for its answer. Raises HaltedError (``reason`` gateway_away, or outcome_unknown when it was read and
        not answered), StoreError when the server was not there at all.
        """
        from redis.exceptions import RedisError

        deadline, sent, resend, error = Deadline(timeout_s), _Sent(), True, ""
        while True:
            try:
                if resend:
                    self._send(command, sent)
                    resend = False
                answer = self._wait(command, min(BLOCK_S, deadline.left_s))
            except (RedisError, OSError) as lost:
                resend, error, answer = True, str(lost), None
                deadline.pause(PAUSE_S)
            if answer is not None:
                return answer
            if deadline.passed:
                break
        if not sent.entries and not sent.is_doubtful:
            raise StoreError(f"{self._settings.shown} took no command for {timeout_s:g} s: {error}", retryable=True)
        raise self._away(command, sent, timeout_s)

    def _send(self, command: Command, sent: _Sent) -> None:
        from redis.exceptions import RedisError, ResponseError

        self._client.ping()  # what fails here was certainly not sent
        content: dict[Any, Any] = {"command": msgspec.json.encode(command)}
        try:
            entry: Any = self._client.xadd(self._keys.commands, content, maxlen=LONGEST_STREAM, approximate=True)
        except ResponseError:
            raise
        except (RedisError, OSError):
            sent.is_doubtful = True
            raise
        sent.entries.append(str(entry.decode()))

    def _wait(self, command: Command, timeout_s: float) -> CommandAnswer | None:
        found: Any = self._client.blpop([self._keys.answer(command.command_id)], timeout=max(timeout_s, 0.01))
        return None if found is None else _answer.decode(found[1])

    def _away(self, command: Command, sent: _Sent, timeout_s: float) -> HaltedError:
        waited = f"the gateway of account {command.account} did not answer in {timeout_s:g} s"
        if self._take_back(sent.entries) and not sent.is_doubtful:
            reason, left = "gateway_away", "the command was taken back and is not carried out"
        else:
            reason, left = "outcome_unknown", "it may have read the command, and carried it out"
        hint = f"ghtrader gateway run --account {command.account}"
        return HaltedError(f"{waited}: {left}", hint=hint, reason=reason, command_id=command.command_id)

    def _take_back(self, entries: list[str]) -> bool:
        """Whether certainly no gateway has read any of them, nor will."""
        from redis.exceptions import RedisError

        try:
            read = [self._was_read(self._client, entry) for entry in entries]
        except (RedisError, OSError):
            return False
        return not any(read)

    def _was_read(self, client: Redis, entry: str) -> bool:
        pipeline = client.pipeline(transaction=True)
        pipeline.xpending_range(self._keys.commands, GROUP, min=entry, max=entry, count=1)
        pipeline.xdel(self._keys.commands, entry)
        pending, removed = pipeline.execute(raise_on_error=False)
        if isinstance(removed, Exception):
            raise removed
        has_group = not isinstance(pending, Exception)
        return bool(has_group and pending) or not removed

    def close(self) -> None:
        """Hang up."""
        self._client.close()
