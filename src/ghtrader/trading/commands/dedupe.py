"""Which commands were answered already: a window bounded by number and by time."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, Self

import msgspec

from ghtrader.core.messages import CommandAnswer

__all__ = ["DedupeWindow"]


class _Entry(msgspec.Struct, frozen=True, array_like=True):
    ts_ns: int
    answer: CommandAnswer | None


class DedupeWindow:
    """The newest ``max_ids`` commands of the last ``ttl_ns`` with their first answers. Owned by one thread.

    A command is known from `begin` on, before anything is done for it, so that one whose answer was lost in a crash is not applied
    again. `touch` moves one that came again to the newest end: a sender who keeps repeating is never applied twice. Beyond the
    window an id is new. Memory is bounded by ``max_ids`` whatever the clock does.

    >>> from ghtrader.core.messages import Outcome
    >>> window = DedupeWindow(max_ids=2, ttl_ns=100)
    >>> window.remember(CommandAnswer(command_id="a", outcome=Outcome.ACCEPTED, ts_ns=0), 0)
    >>> window.first_answer("a", 100).outcome.value, window.first_answer("a", 101)
    ('accepted', None)
    """

    def __init__(self, *, max_ids: int, ttl_ns: int) -> None:
        self._max_ids, self._ttl_ns = max_ids, ttl_ns
        self._entries: OrderedDict[str, _Entry] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def first_answer(self, command_id: str, now_ns: int) -> CommandAnswer | None:
        """What the command was answered first; None when it is new, not answered yet, or too old to be remembered."""
        entry = self._within(command_id, now_ns)
        return None if entry is None else entry.answer

    def is_under_way(self, command_id: str, now_ns: int) -> bool:
        """Whether the command was begun and not answered."""
        entry = self._within(command_id, now_ns)
        return entry is not None and entry.answer is None

    @property
    def under_way(self) -> tuple[str, ...]:
        """Commands that were begun and not answered, oldest first."""
        return tuple(command_id for command_id, entry in self._entries.items() if entry.answer is None)

    def begin(self, command_id: str, now_ns: int) -> None:
        """A new command is taken; one that is known stays as it is."""
        if self._within(command_id, now_ns) is None:
            self._put(command_id, _Entry(now_ns, None))

    def remember(self, answer: CommandAnswer, now_ns: int) -> None:
        """Keep an answer; the first one of a command stays."""
        if self.first_answer(answer.command_id, now_ns) is None:
            self._put(answer.command_id, _Entry(now_ns, answer))

    def touch(self, command_id: str, now_ns: int) -> None:
        """A command that is known came again."""
        entry = self._within(command_id, now_ns)
        if entry is not None:
            self._put(command_id, _Entry(now_ns, entry.answer))

    def _within(self, command_id: str, now_ns: int) -> _Entry | None:
        entry = self._entries.get(command_id)
        return None if entry is None or now_ns - entry.ts_ns > self._ttl_ns else entry

    def _put(self, command_id: str, entry: _Entry) -> None:
        self._entries[command_id] = entry
        self._entries.move_to_end(command_id)
        self._expire(entry.ts_ns)

    def _expire(self, now_ns: int) -> None:
        while len(self._entries) > self._max_ids or now_ns - next(iter(self._entries.values())).ts_ns > self._ttl_ns:
            self._entries.popitem(last=False)

    def to_document(self) -> dict[str, Any]:
        """Everything, JSON-ready."""
        entries = [(command_id, entry.ts_ns, entry.answer) for command_id, entry in self._entries.items()]
        return {"entries": msgspec.to_builtins(entries)}

    @classmethod
    def from_document(cls, document: dict[str, Any], *, max_ids: int, ttl_ns: int) -> Self:
        """The window of `to_document`, with bounds of its own. Raises `msgspec.ValidationError` for anything else."""
        window = cls(max_ids=max_ids, ttl_ns=ttl_ns)
        for command_id, ts_ns, answer in msgspec.convert(document["entries"], list[tuple[str, int, CommandAnswer | None]]):
            window._put(command_id, _Entry(ts_ns, answer))
        return window
