"""The provider's daily maintenance: when nothing is asked. Clock times of Shanghai, the end excluded."""

from __future__ import annotations

import datetime as dt
import re

import msgspec

from ghtrader.core.clock import NS_PER_S, SHANGHAI
from ghtrader.core.errors import ConfigError

__all__ = ["MaintenanceWindow", "clock_time", "moment_ns"]

_TIME = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")


def clock_time(text: str) -> dt.time:
    """A clock time ``HH:MM``; raises ConfigError for anything else.

    >>> clock_time("15:45")
    datetime.time(15, 45)
    """
    match = _TIME.fullmatch(text.strip())
    if match is None:
        raise ConfigError(f"not a clock time: {text!r}", hint="write it as HH:MM, Shanghai time, for example 15:45")
    return dt.time(int(match[1]), int(match[2]))


def moment_ns(day: dt.date, time: dt.time) -> int:
    """A clock time in Shanghai on a civil date, in ns UTC."""
    return int(dt.datetime.combine(day, time, tzinfo=SHANGHAI).timestamp()) * NS_PER_S


class MaintenanceWindow(msgspec.Struct, frozen=True):
    """Every day from ``first`` to ``last``; both the same: never.

    >>> window = MaintenanceWindow.parse("19:00-19:30")
    >>> noon = moment_ns(dt.date(2025, 6, 5), dt.time(12, 0))
    >>> window.closed_until(noon), window.closed_until(noon + 7 * 3600 * NS_PER_S) - noon == 7.5 * 3600 * NS_PER_S
    (None, True)
    """

    first: dt.time
    last: dt.time

    @classmethod
    def parse(cls, text: str) -> MaintenanceWindow:
        """From ``HH:MM-HH:MM`` within one day, or ``never``. Raises ConfigError for anything else."""
        if text.strip() in {"", "never"}:
            return cls(dt.time(), dt.time())
        first, dash, last = text.partition("-")
        window = cls(clock_time(first), clock_time(last)) if dash else None
        if window is None or window.last <= window.first:
            raise ConfigError(f"not a window within a day: {text!r}", hint="write it as HH:MM-HH:MM, for example 19:00-19:30")
        return window

    def holds(self, time: dt.time) -> bool:
        """Whether a clock time lies in it."""
        return self.first <= time < self.last

    def closed_until(self, now_ns: int) -> int | None:
        """When the provider opens again, ns UTC; None when it is open."""
        now = dt.datetime.fromtimestamp(now_ns / NS_PER_S, tz=SHANGHAI)
        return moment_ns(now.date(), self.last) if self.holds(now.time()) else None
