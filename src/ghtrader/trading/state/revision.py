"""What an account's processes publish of themselves. A revision only rises, over restarts too; readers keep the highest they saw."""

from __future__ import annotations

from typing import Any

import msgspec

from ghtrader.core.errors import StoreError
from ghtrader.ports.revisions import RevisionStore

__all__ = ["RESERVED", "PublishedDocument", "Revisions", "StateDocument"]

#: Revisions that are reserved at once, on the disk and before they are used: a restart begins behind the last reserved one.
RESERVED = 1000


class Revisions:
    """The next revision, again and again, for a process without a journal. seen: the highest that any reader may have seen.

    A store that cannot be written stops nobody: numbers go on behind those used, ``failure`` says why, and each block tries anew.
    """

    def __init__(self, store: RevisionStore, seen: int, count: int = RESERVED) -> None:
        self._store, self._count = store, count
        self._last = self._end = seen
        self.failure = ""

    def following(self) -> int:
        """A revision above all that were given before, in this run and earlier ones."""
        if self._last >= self._end:
            try:
                self._last = self._store.reserve(self._count, self._last + 1) - 1
                self.failure = ""
            except StoreError as error:
                self.failure = error.message
            self._end = self._last + self._count
        self._last += 1
        return self._last


class PublishedDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What every published state has, whatever process it is of.

    revision: rises with every flush. updated_at: ns UTC by the process's own clock, that of the market where it goes by one.
    sender: ``gateway`` or ``strategy``. degraded: reason codes of what fails beside trading. The publisher fills in: written_ns, when it
    was given to the sinks by this machine's clock; warm_path_degraded, whether any way to operators fails, and warm_path_reason, the
    first code of those that do ("" when none).
    """

    account: str
    revision: int
    updated_at: int
    sender: str
    degraded: tuple[str, ...]
    counters: dict[str, int]
    written_ns: int = 0
    warm_path_degraded: bool = False
    warm_path_reason: str = ""
    version: int = 1


class StateDocument(PublishedDocument, frozen=True, kw_only=True):
    """What a gateway is, has and does, for people and consoles; never a secret.

    mode_reason: why the mode is less than wanted. halts: why no position may be opened now. positions: signed lots with today and
    history by contract. desired: what operators want (mode, symbols, executor, limits, paused); limits: those in force.
    """

    mode: str
    desired_mode: str
    mode_reason: str
    life: str
    killed: bool
    kill_reason: str
    paused: bool
    trading_day: str
    halts: tuple[str, ...]
    contracts: dict[str, str]
    positions: list[dict[str, Any]]
    working: list[dict[str, Any]]
    targets: dict[str, int]
    funds: dict[str, float | None]
    pnl_cny: dict[str, float | None]
    strategy: dict[str, Any]
    links: dict[str, str]
    markets: dict[str, dict[str, Any]] = {}
    latency_us: dict[str, dict[str, float]] = {}
    desired: dict[str, Any] = {}
    limits: dict[str, float] = {}
