"""``TradingDay``: the day a tick, an order or a profit belongs to. Not the date on the clock.

A night session belongs to the *next* trading day, so ``datetime.date()`` on a tick is a bug: only the calendar
(`ghtrader.data.calendar`) turns a stamp into a trading day.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass

from ghtrader.core.errors import CalendarError

__all__ = ["TradingDay"]

_EPOCH_ORDINAL = dt.date(1970, 1, 1).toordinal()
_DAY = re.compile(r"(\d{4})-?(\d{2})-?(\d{2})")


@dataclass(frozen=True, order=True, slots=True)
class TradingDay:
    """A trading day of the exchange. Immutable, ordered, hashable; ``str()`` is ISO.

    >>> TradingDay.parse("20250605")
    TradingDay('2025-06-05')
    >>> str(TradingDay.parse("2025-06-05")), TradingDay.parse("2025-06-05").compact
    ('2025-06-05', '20250605')
    """

    date: dt.date

    @classmethod
    def parse(cls, text: str) -> TradingDay:
        """Read ``YYYY-MM-DD`` or ``YYYYMMDD``; raises CalendarError on anything else."""
        match = _DAY.fullmatch(text.strip())
        try:
            if match is None:
                raise ValueError
            return cls(dt.date(int(match[1]), int(match[2]), int(match[3])))
        except ValueError:
            raise CalendarError(f"not a day: {text!r}", hint="write it as YYYY-MM-DD", day=text) from None

    @property
    def iso(self) -> str:
        """``YYYY-MM-DD``."""
        return self.date.isoformat()

    @property
    def compact(self) -> str:
        """``YYYYMMDD``."""
        return self.date.strftime("%Y%m%d")

    @property
    def stamp_ns(self) -> int:
        """Midnight UTC of the date, ns: the stamp under which stores keep facts about the day. No tick has it for a time."""
        return (self.date.toordinal() - _EPOCH_ORDINAL) * 86_400_000_000_000

    def __str__(self) -> str:
        return self.iso

    def __repr__(self) -> str:
        return f"TradingDay('{self.iso}')"
