"""The time of a market that is not the present one: that of its newest tick, and what has passed here since."""

from __future__ import annotations

from ghtrader.core.clock import Clock

__all__ = ["MarketClock"]


class MarketClock:
    """A clock that goes by the ticks of a served market (the loopback exchange); never back. One thread tells it of ticks, any may ask.

    Where the market lags behind what passed here, the clock stands until the market has caught up.

    >>> class Still:
    ...     ns = 5
    ...     def now_ns(self) -> int: return self.ns
    ...     def monotonic_ns(self) -> int: return self.ns
    >>> here = Still()
    >>> clock = MarketClock(here)
    >>> clock.tick(1_000)
    >>> here.ns += 7
    >>> clock.now_ns(), clock.tick(1_003), clock.now_ns(), clock.tick(2_000), clock.now_ns()
    (1007, None, 1007, None, 2000)
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seen = (0, 0)
        self._least = 0

    def tick(self, ts_ns: int) -> None:
        """A tick of this exchange time has arrived."""
        self._least = max(self._least, self.now_ns())
        self._seen = (ts_ns, self._clock.monotonic_ns())

    def now_ns(self) -> int:
        """Exchange time; 0 before the first tick."""
        tick_ns, heard_ns = self._seen
        return max(self._least, tick_ns + self._clock.monotonic_ns() - heard_ns) if tick_ns else 0

    def monotonic_ns(self) -> int:
        """As of this machine."""
        return self._clock.monotonic_ns()
