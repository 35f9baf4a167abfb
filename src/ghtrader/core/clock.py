"""The only place that reads the time. Everything else receives a ``Clock``."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol
from zoneinfo import ZoneInfo

__all__ = ["NS_PER_S", "SHANGHAI", "Clock", "Deadline", "SystemClock", "elapsed_s", "iso_utc"]

NS_PER_S = 1_000_000_000
SHANGHAI = ZoneInfo("Asia/Shanghai")


class Clock(Protocol):
    """Wall and monotonic time in integer nanoseconds."""

    def now_ns(self) -> int:
        """Nanoseconds since the Unix epoch, UTC."""

    def monotonic_ns(self) -> int:
        """Nanoseconds of a clock that never goes back; only differences mean anything."""


class SystemClock:
    """The machine's clocks."""

    def now_ns(self) -> int:
        """Nanoseconds since the Unix epoch, UTC."""
        return time.time_ns()

    def monotonic_ns(self) -> int:
        """Nanoseconds of the machine's monotonic clock."""
        return time.perf_counter_ns()


class Deadline:
    """A moment of the machine's monotonic clock, for waits on the outside world: poll, pause, give up when passed."""

    def __init__(self, timeout_s: float) -> None:
        self._end = time.monotonic() + timeout_s

    @property
    def left_s(self) -> float:
        """Seconds left, 0 when passed."""
        return max(0.0, self._end - time.monotonic())

    @property
    def passed(self) -> bool:
        """Whether the moment is over."""
        return time.monotonic() >= self._end

    @property
    def epoch_s(self) -> float:
        """The moment in seconds since the Unix epoch, for clients that want their deadlines so."""
        return time.time() + self.left_s

    def pause(self, seconds: float) -> None:
        """Sleep, but not beyond the deadline."""
        time.sleep(min(seconds, self.left_s))


def elapsed_s(clock: Clock, since_ns: int) -> float:
    """Seconds of monotonic time since ``since_ns`` (a value of ``clock.monotonic_ns()``)."""
    return (clock.monotonic_ns() - since_ns) / NS_PER_S


def iso_utc(ns: int) -> str:
    """A nanosecond stamp as ISO-8601 text in UTC, to the microsecond.

    >>> iso_utc(1_749_042_000_500_000_000)
    '2025-06-04T13:00:00.500000+00:00'
    """
    return (
        datetime.fromtimestamp(ns // NS_PER_S, tz=UTC)
        .replace(microsecond=ns % NS_PER_S // 1000)
        .isoformat(timespec="microseconds")
    )
