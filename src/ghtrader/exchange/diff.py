"""The DIFF protocol's sending side: one pending difference per connection, given when the client peeks.

A client holds a copy of a tree; the server sends JSON merge patches. Between two peeks the patches are merged into one, so
that a slow reader costs no memory and sees the newest state (every tick of a series is kept, as each has its own id).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

__all__ = ["DiffState", "merge", "undoes_nothing"]


def merge(target: dict[str, Any], patch: dict[str, Any]) -> None:
    """Merge a patch into another: objects field by field, everything else (null too) replaces.

    >>> state = {"a": {"x": 1, "y": 2}}
    >>> merge(state, {"a": {"y": None}, "b": 3})
    >>> state
    {'a': {'x': 1, 'y': None}, 'b': 3}
    """
    for key, value in patch.items():
        known = target.get(key)
        if isinstance(value, dict) and isinstance(known, dict):
            merge(known, value)
        else:
            target[key] = value


def undoes_nothing(target: dict[str, Any], patch: dict[str, Any]) -> bool:
    """Whether merging loses no step: an object over a null or a plain value would hide that what stood there before went.

    >>> undoes_nothing({"a": None}, {"a": 1}), undoes_nothing({"a": None}, {"a": {"x": 1}})
    (True, False)
    """
    for key, value in patch.items():
        if isinstance(value, dict) and key in target:
            known = target[key]
            if not isinstance(known, dict) or not undoes_nothing(known, value):
                return False
    return True


class DiffState:
    """What a connection still has to be told, and whether its client waits for it.

    recorded: packets (lists of patches) that it is given first, one at each peek.
    """

    def __init__(self, recorded: Sequence[list[dict[str, Any]]] = ()) -> None:
        self._recorded = deque(recorded)
        self._pending: list[dict[str, Any]] = []
        self.peeked = False

    def push(self, patch: dict[str, Any]) -> None:
        """Add a patch to the pending step, or as a step of its own where merging would lose what happened between."""
        if self._pending and undoes_nothing(self._pending[-1], patch):
            merge(self._pending[-1], patch)
        else:
            self._pending.append(patch)

    def take(self) -> dict[str, Any] | None:
        """The answer to a peek, when there is one and the client waits; else None."""
        if not self.peeked or not (self._pending or self._recorded):
            return None
        if self._recorded:
            self.peeked = False
            return {"aid": "rtn_data", "data": self._recorded.popleft()}
        answer = {"aid": "rtn_data", "data": self._pending}
        self._pending, self.peeked = [], False
        return answer
