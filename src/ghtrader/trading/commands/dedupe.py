"""Which commands were answered already: a window bounded by number and by time."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, Self

import msgspec

from ghtrader.core.messages import CommandAnswer

__all__ = ["DedupeWindow"]


class _Entry(msgspec.Struct, frozen=True, array_like=True):
    ts_ns: int
    answer: CommandAnswer


class DedupeWindow:
    """The first answers of the newest ``max_ids`` commands of the last ``ttl_ns``. Owned by one thread.

    A command that comes again within the window is not applied again and moves to its newest end, so that a sender who keeps
    repeating is never applied twice. Beyond the window an id is new.

    >>> from ghtrader.core.messages import Outcome
    >>> window = DedupeWindow(max_ids=2, ttl_ns=100)
    >>> window.remember(CommandAnswer(command_id="a", outcome=Outcome.ACCEPTED, ts_ns=0), 0)
    >>> window.first_answer("a", 99).outcome.value, window.first_answer("a", 200)
    ('accepted', None)
    """

    def __init__(self, *, max_ids: int, ttl_ns: int) -> None:
        self._max_ids, self._ttl_ns = max_ids, ttl_ns
        self._entries: OrderedDict[str, _Entry] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def _expire(self, now_ns: int) -> None:
        while self._entries:
            entry = next(iter(self._entries.values()))
            if len(self._entries) <= self._max_ids and now_ns - entry.ts_ns <= self._ttl_ns:
                return
            self._entries.popitem(last=False)

    def first_answer(self, command_id: str, now_ns: int) -> CommandAnswer | None:
        """What the command was answered first; None when it is new, or too old to be remembered."""
        self._expire(now_ns)
        entry = self._entries.get(command_id)
        if entry is None:
            return None
        self._entries[command_id] = _Entry(now_ns, entry.answer)
        self._entries.move_to_end(command_id)
        return entry.answer

    def remember(self, answer: CommandAnswer, now_ns: int) -> None:
        """Keep an answer; the first one of a command stays."""
        if answer.command_id not in self._entries:
            self._entries[answer.command_id] = _Entry(now_ns, answer)
        self._expire(now_ns)

    def to_document(self) -> dict[str, Any]:
        """Everything, JSON-ready."""
        return {"entries": msgspec.to_builtins(list(self._entries.values()))}

    @classmethod
    def from_document(cls, document: dict[str, Any], *, max_ids: int, ttl_ns: int) -> Self:
        """The window of `to_document`, with bounds of its own. Raises `msgspec.ValidationError` for anything else."""
        window = cls(max_ids=max_ids, ttl_ns=ttl_ns)
        for entry in msgspec.convert(document["entries"], list[_Entry]):
            window._entries[entry.answer.command_id] = entry
        return window
