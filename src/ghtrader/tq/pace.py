"""How fast a session may be opened again: at once after a long life, later and later while it keeps failing."""

from __future__ import annotations

from ghtrader.core.clock import NS_PER_S, Clock

__all__ = ["RebuildPace"]


class RebuildPace:
    """Pauses between attempts in seconds: ``first_s``, doubled up to ``longest_s``, afresh after ``settled_s`` without an attempt.

    >>> class Still:
    ...     def monotonic_ns(self) -> int: return 0
    ...     def now_ns(self) -> int: return 0
    >>> pace = RebuildPace(Still(), first_s=1.0)
    >>> pace.is_ready, pace.begin(), pace.is_ready, pace.left_s
    (True, None, False, 1.0)
    """

    def __init__(self, clock: Clock, *, first_s: float = 1.0, longest_s: float = 60.0, settled_s: float = 120.0) -> None:
        self._clock = clock
        self._first_s, self._longest_s, self._settled_s = first_s, longest_s, settled_s
        self._pause_s = first_s
        self._began_ns: int | None = None

    def _since_s(self) -> float:
        assert self._began_ns is not None
        return (self._clock.monotonic_ns() - self._began_ns) / NS_PER_S

    @property
    def left_s(self) -> float:
        """Seconds until another attempt may begin."""
        return 0.0 if self._began_ns is None else max(0.0, self._pause_s - self._since_s())

    @property
    def is_ready(self) -> bool:
        """Whether an attempt may begin."""
        return self.left_s == 0.0

    def begin(self) -> None:
        """An attempt begins now."""
        if self._began_ns is None or self._since_s() > self._settled_s:
            self._pause_s = self._first_s
        else:
            self._pause_s = min(2 * self._pause_s, self._longest_s)
        self._began_ns = self._clock.monotonic_ns()
