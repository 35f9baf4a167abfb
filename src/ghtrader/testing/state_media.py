"""A medium of the state in memory that can be cut off, fall behind or lose its content, and state documents to put there."""

from __future__ import annotations

from typing import Any

from ghtrader.core.errors import StoreError
from ghtrader.ports.warm_path import Outcome, WarmReason
from ghtrader.trading.state.revision import StateDocument

__all__ = ["MemoryStateMedium", "state_document"]


class MemoryStateMedium:
    """`ports.state_sink.StateSink` and `StateSource` in memory. write_fails, read_fails: cut off; lags: takes, but does not show yet.

    >>> medium = MemoryStateMedium()
    >>> medium.put(1, b"one")
    >>> medium.read(), medium.outcomes()[0].ok
    (b'one', True)
    """

    def __init__(self, name: str = "memory", reason: WarmReason = WarmReason.REDIS_STATE_WRITE_FAILED) -> None:
        self.name, self.reason = name, reason
        self.content: bytes | None = None
        self.write_fails = self.read_fails = self.lags = self.is_closed = False
        self._outcomes: list[Outcome] = []

    def put(self, revision: int, content: bytes) -> None:
        """Take a content."""
        del revision
        self._outcomes.append(Outcome(self.reason, not self.write_fails, "cut off" if self.write_fails else ""))
        if not self.write_fails and not self.lags:
            self.content = content

    def outcomes(self) -> list[Outcome]:
        """What became of the writes."""
        found, self._outcomes = self._outcomes, []
        return found

    def read(self) -> bytes | None:
        """The content."""
        if self.read_fails:
            raise StoreError("cut off")
        return self.content

    def close(self) -> None:
        """Note it."""
        self.is_closed = True


def state_document(revision: int, **fields: Any) -> StateDocument:
    """A state of account ``demo`` in which nothing happens; ``updated_at`` is ``revision`` seconds unless it is given."""
    plain: dict[str, Any] = {
        "account": "demo",
        "updated_at": revision * 1_000_000_000,
        "sender": "gateway",
        "mode": "paper",
        "desired_mode": "paper",
        "mode_reason": "",
        "life": "ready",
        "killed": False,
        "kill_reason": "",
        "paused": False,
        "trading_day": "2025-06-05",
        "halts": (),
        "degraded": (),
        "contracts": {},
        "positions": [],
        "working": [],
        "targets": {},
        "funds": {},
        "pnl_cny": {},
        "strategy": {},
        "links": {},
        "counters": {},
    }
    return StateDocument(revision=revision, **{**plain, **fields})
