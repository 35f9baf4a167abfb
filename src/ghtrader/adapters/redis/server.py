"""Where the server is, what its keys are called, and how its connections behave: short timeouts, and no retries behind one's back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ghtrader.core.errors import ConfigError

if TYPE_CHECKING:
    from redis import Redis

__all__ = ["GROUP", "URL_VARIABLE", "AccountKeys", "RedisSettings"]

URL_VARIABLE = "GHTRADER_REDIS_URL"
#: Reads the stream of commands; its place in the stream lives and dies with the stream.
GROUP = "gateway"


@dataclass(frozen=True, repr=False)
class RedisSettings:
    """A server. url: ``redis://[:password@]host:port/db`` (env-only: GHTRADER_REDIS_URL). timeout_s: of connecting and of any answer."""

    url: str
    timeout_s: float = 0.5

    def __repr__(self) -> str:
        return f"RedisSettings({self.shown})"

    @property
    def shown(self) -> str:
        """The address without user and password.

        >>> RedisSettings("redis://:word@127.0.0.1:6379/0").shown
        'redis://127.0.0.1:6379/0'
        """
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"

    def connect(self, *, wait_s: float = 0.0) -> Redis:
        """A client for one thread, which connects on first use. wait_s: how long the server may hold an answer back on purpose.

        Raises ConfigError without the extra ``redis``, or for an address that is none.
        """
        try:
            import redis
            from redis.backoff import NoBackoff
            from redis.retry import Retry
        except ImportError as error:
            raise ConfigError("the Redis client is not installed", hint="pip install 'ghtrader[redis]'") from error
        options: dict[str, Any] = {
            "socket_connect_timeout": self.timeout_s,
            "socket_timeout": self.timeout_s + wait_s,
            "retry": Retry(NoBackoff(), 0),
        }
        try:
            client: Redis = redis.Redis.from_url(self.url, **options)
        except ValueError as error:
            raise ConfigError(f"{URL_VARIABLE} is no address of a Redis server: {error}", hint="redis://HOST:PORT/0") from error
        return client


@dataclass(frozen=True)
class AccountKeys:
    """Names of an account's keys; one account's share a slot of a cluster.

    >>> keys = AccountKeys("demo")
    >>> keys.state, keys.commands, keys.answer("a1")
    ('ghtrader:{demo}:state', 'ghtrader:{demo}:commands', 'ghtrader:{demo}:answer:a1')
    """

    account: str

    @property
    def state(self) -> str:
        """The gateway's state document, JSON."""
        return f"ghtrader:{{{self.account}}}:state"

    @property
    def strategy(self) -> str:
        """The strategy's state document, JSON."""
        return f"ghtrader:{{{self.account}}}:strategy"

    @property
    def commands(self) -> str:
        """The stream of commands; field ``command`` holds the envelope, JSON."""
        return f"ghtrader:{{{self.account}}}:commands"

    def answer(self, command_id: str) -> str:
        """The list that a command's answers are pushed to; it expires by itself."""
        return f"ghtrader:{{{self.account}}}:answer:{command_id}"
