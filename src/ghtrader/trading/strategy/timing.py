"""Times of the stages between a tick and its target, as histograms of fixed size that cost well under a microsecond."""

from __future__ import annotations

from enum import IntEnum

import msgspec

__all__ = ["Histogram", "Stage", "StageTime", "StageTimes"]

#: Each power of two is split into so many buckets: a quantile is at most 1/16 too high.
SPLIT_BITS = 4
SPLIT = 1 << SPLIT_BITS


class Stage(IntEnum):
    """Where the time goes. TICK: from the frame in hand to the target in hand (FACTORS, MODEL and DECIDE, and what joins them).

    Decoding is the stream's (`ghtrader bench strategy` times it); SEND encodes, and gives to the transport.
    """

    FACTORS = 0
    MODEL = 1
    DECIDE = 2
    TICK = 3
    SEND = 4


class StageTime(msgspec.Struct, frozen=True, kw_only=True):
    """One stage: how often, and quantiles in microseconds (0 when never)."""

    count: int
    p50_us: float
    p99_us: float
    p999_us: float
    max_us: float


class Histogram:
    """Nanoseconds counted in buckets that grow with them.

    >>> histogram = Histogram()
    >>> for ns in range(1, 1001):
    ...     histogram.record(ns)
    >>> histogram.count, 500 <= histogram.quantile_ns(0.5) <= 532, histogram.quantile_ns(1.0)
    (1000, True, 1000)
    """

    def __init__(self) -> None:
        self._buckets = [0] * (64 * SPLIT)
        self.count = 0
        self.max_ns = 0

    def record(self, ns: int) -> None:
        """Count a duration, ns; what is negative counts as 0."""
        if ns < SPLIT:  # also what is negative
            shift, ns = 0, max(ns, 0)
        else:
            shift = ns.bit_length() - SPLIT_BITS - 1
        self._buckets[(shift << SPLIT_BITS) + (ns >> shift)] += 1
        self.count += 1
        if ns > self.max_ns:  # noqa: PLR1730 - a call of max costs more than all the rest
            self.max_ns = ns

    def quantile_ns(self, share: float) -> int:
        """The duration that this share of the counted ones does not exceed, rounded up to its bucket's end; 0 without any."""
        wanted, seen = share * self.count, 0
        for index, number in enumerate(self._buckets):
            seen += number
            if number and seen >= wanted:
                shift = max((index >> SPLIT_BITS) - 1, 0)
                return min(((index - (shift << SPLIT_BITS) + 1) << shift) - 1, self.max_ns)
        return 0

    def summary(self) -> StageTime:
        """Quantiles for people."""
        return StageTime(
            count=self.count,
            p50_us=round(self.quantile_ns(0.5) / 1e3, 2),
            p99_us=round(self.quantile_ns(0.99) / 1e3, 2),
            p999_us=round(self.quantile_ns(0.999) / 1e3, 2),
            max_us=round(self.max_ns / 1e3, 2),
        )


class StageTimes:
    """One histogram for each stage."""

    def __init__(self) -> None:
        self._of = [Histogram() for _ in Stage]

    def record(self, stage: Stage, ns: int) -> None:
        """Count what a stage took."""
        self._of[stage].record(ns)

    def summary(self) -> dict[str, StageTime]:
        """Quantiles by stage."""
        return {stage.name.lower(): self._of[stage].summary() for stage in Stage}
