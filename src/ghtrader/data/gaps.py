"""Which holes of a session part are gaps: how natural a hole of its length is, times how natural its volume step is. Pure.

The feed emits on change, so silence alone is no gap. Two stories explain a hole of length L across which volume rose by V.
*Quiet*: nothing happened until the last moment; then V is one ordinary step, and holes of that length come up now and then.
*Missing*: trading went on and we did not see it; then V is about what the market trades in that time. A hole is a gap when
the quiet story is implausible (the number of such holes expected in the part, times the share of ordinary steps as large as
V, is below ``alpha``) and the missing one is not (V reaches ``pace_share`` of the local pace). V = 0: no trade was missed.

How many holes of a length are natural is learnt from the day itself: intervals above a threshold have an exponential tail
whose mean is estimated with the longest ones censored (a few outages do not move it), stretched where the neighbourhood on
either side of the hole is slower than the part (the last hour of a night). The uncertainty of the estimate is kept:
the predictive tail is a power law that few observations make heavy.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ghtrader.core.clock import NS_PER_S
from ghtrader.data.sessions import PartWindow

__all__ = ["Hole", "NaturalHoles", "PartRows", "find_holes"]

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

#: Intervals up to this length, or up to the part's median, hold one ordinary step of volume.
ORDINARY_S = 1.0
#: Share of intervals below the threshold from which on the tail is fitted.
BODY = 0.9
#: At least so many intervals make the tail, when the part has twice as many.
TAIL_INTERVALS = 20
#: Intervals up to so many medians are the same as the median: stamps jitter.
JITTER = 1.25
#: Distance from a multiple of the grid, in its pitch, up to which an interval lies on it.
OFF_GRID = 0.2
#: Excess over the threshold, in medians of it, beyond which an interval is censored: it counts as "at least so long".
CENSOR = 5.0
#: The tail is trusted as if it rested on no more intervals than this.
MOST_TRUST = 60.0
#: Intervals on either side of a hole that tell the local pace: near, and in the wider neighbourhood.
NEIGHBOURS = (12, 150)
#: A part with fewer intervals learns from the whole day.
FEWEST = 8


@dataclass(frozen=True, slots=True)
class PartRows:
    """Rows of one session part, continuous trading only, and what stands around them.

    volume_before / volume_after: cumulative volume of the last row before the part and of the first row after it, None when
    the day has none. before_ns: stamp of that last row.
    """

    window: PartWindow
    ts: I64
    volume: F64
    volume_before: float | None = None
    volume_after: float | None = None
    before_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Hole:
    """A stretch of at least ``gap_min_s`` without rows. ``edge``: "", "start", "end" or "whole" (the part has no row).

    volume_step: lots traded across it, None when no later row tells. expected: natural holes of its length in the part.
    natural_step: share of ordinary steps that are as large. seen: trades across it went unseen (a gap by the file alone).
    implausible: too long to be natural, whatever its volume.
    """

    start_ns: int
    end_ns: int
    edge: str
    volume_step: float | None
    expected: float
    natural_step: float
    pace_lots_per_s: float
    is_gap: bool
    implausible: bool

    @property
    def seconds(self) -> float:
        """Its length."""
        return (self.end_ns - self.start_ns) / NS_PER_S


@dataclass(frozen=True, slots=True)
class NaturalHoles:
    """Tail of the inter-tick intervals: ``exceeding`` of them last ``threshold_s`` or longer; beyond it they fall off as
    exp(-t / scale_s).

    >>> calm = NaturalHoles.fit(np.full(1000, 0.5))
    >>> calm.expected(20.0) < 1e-3
    True
    """

    threshold_s: float
    exceeding: float
    scale_s: float

    @classmethod
    def fit(cls, intervals_s: F64) -> NaturalHoles:
        """Fit the tail of intervals in seconds; robust against a minority of holes that are no part of it."""
        size = len(intervals_s)
        body = int(BODY * size)
        if size - body < TAIL_INTERVALS:
            body = max(size // 2, size - TAIL_INTERVALS)
        typical, usual = float(np.median(intervals_s)), float(np.partition(intervals_s, body)[body])
        pitch = _pitch(intervals_s)
        ordinary = (np.rint(usual / pitch) + 0.5) * pitch if pitch else max(usual, JITTER * typical)
        longer = intervals_s[intervals_s > ordinary]
        if not len(longer) or longer.min() > ordinary + CENSOR * typical:
            # there are no long ones, or none that belongs to the others: one in so many at most, and that one is the next longer
            return cls(2.0 * typical, 1.0, typical / max(1.0, float(np.log(size)) / 2.0))
        threshold = ordinary + pitch / 2
        excess = np.rint((longer - threshold) / pitch) * pitch if pitch else longer - threshold
        limit = CENSOR * max(float(np.median(excess)), typical)
        inside = int(np.count_nonzero(excess <= limit))
        # one interval more than there are: a tail of none is not known to be empty
        mean = (float(np.minimum(excess, limit).sum()) + typical) / (inside + 1)
        scale = pitch / np.log1p(pitch / mean) if pitch else mean  # geometric on a grid, exponential otherwise
        return cls(float(threshold), float(len(longer)), float(scale))

    def expected(self, seconds: float) -> float:
        """How many intervals of at least so many seconds the part would have by itself."""
        beyond = seconds - self.threshold_s
        if beyond <= 0:
            return self.exceeding
        trust = min(self.exceeding + 2.0, MOST_TRUST)
        return float(self.exceeding * (1.0 + beyond / (trust * self.scale_s)) ** -trust)


def _pitch(intervals_s: F64) -> float:
    """The grid that the feed's intervals lie on but for jitter, in seconds; 0 when they lie on none."""
    shortest = float(np.quantile(intervals_s, 0.05))
    if shortest <= 0:
        return 0.0
    pitch = float(np.median(intervals_s[intervals_s < 1.5 * shortest]))
    slots = intervals_s[intervals_s < 4.5 * pitch] / pitch
    return pitch if float(np.mean(np.abs(slots - np.rint(slots)) < OFF_GRID)) >= BODY else 0.0


@dataclass(frozen=True)
class _Pace:
    """What the part says about itself.

    ordinary: sorted steps of ordinary intervals, which last ``ordinary_s`` in the mean. growth: steps of long intervals grow
    like length ** growth; 0 where a quiet stretch ends with one ordinary step, 1 where rows come at random.
    """

    intervals_s: F64
    steps: F64
    model: NaturalHoles
    ordinary: F64
    ordinary_s: float
    growth: float

    @classmethod
    def of(cls, intervals_s: F64, steps: F64) -> _Pace:
        model = NaturalHoles.fit(intervals_s)
        usual = intervals_s <= max(ORDINARY_S, float(np.median(intervals_s))) * (1 + 1e-9)
        ordinary, ordinary_s = steps[usual], float(intervals_s[usual].mean())
        long = (intervals_s >= model.threshold_s) & (intervals_s <= model.threshold_s + CENSOR * model.scale_s)
        growth = 0.0
        if np.count_nonzero(long) >= FEWEST:
            lots, seconds = float(steps[long].mean()), float(intervals_s[long].mean())
            if lots > 0 and seconds > ordinary_s and (usual_lots := float(ordinary.mean())) > 0:
                growth = min(1.0, max(0.0, float(np.log(lots / usual_lots) / np.log(seconds / ordinary_s))))
        return cls(intervals_s, steps, model, np.sort(ordinary), ordinary_s, growth)

    def natural_step(self, lots: float, seconds: float) -> float:
        """Share of natural steps across so many seconds of at least so many lots, never quite zero."""
        scaled = lots / max(1.0, seconds / self.ordinary_s) ** self.growth
        at_least = len(self.ordinary) - int(np.searchsorted(self.ordinary, scaled, side="left"))
        return (at_least + 0.5) / (len(self.ordinary) + 1.0)

    def near(self, position: int, seconds: float) -> tuple[float, float]:
        """(holes expected at the neighbourhood's pace, its lots per second) around an interval, itself left out."""
        longest = self.model.threshold_s + CENSOR * self.model.scale_s
        usual = float(np.minimum(self.intervals_s, longest).mean())
        slower, paces = 1.0, []
        for width in NEIGHBOURS:
            before, after = slice(max(0, position - width), max(0, position)), slice(position + 1, position + 1 + width)
            for side in (before, after):
                intervals, steps = self.intervals_s[side], self.steps[side]
                if len(intervals) >= FEWEST:
                    slower = max(slower, float(np.minimum(intervals, longest).mean()) / usual)
                    paces.append(_lots_per_s(intervals, steps, longest))
        return self.model.expected(seconds / slower), min(paces, default=self.lots_per_s())

    def lots_per_s(self) -> float:
        return _lots_per_s(self.intervals_s, self.steps, self.model.threshold_s + CENSOR * self.model.scale_s)


def _lots_per_s(intervals_s: F64, steps: F64, longest_s: float) -> float:
    usual = intervals_s <= longest_s
    seconds = float(intervals_s[usual].sum())
    return float(np.maximum(steps[usual], 0.0).sum()) / seconds if seconds > 0 else 0.0


def _pace(part: PartRows, day: tuple[F64, F64]) -> _Pace | None:
    intervals, steps = np.diff(part.ts) / NS_PER_S, np.diff(part.volume)
    if len(intervals) >= FEWEST:
        return _Pace.of(intervals, steps)
    return _Pace.of(*day) if len(day[0]) >= FEWEST else None


def find_holes(
    part: PartRows,
    day: tuple[F64, F64],
    *,
    gap_min_s: float,
    alpha: float,
    pace_share: float,
    edge_tolerance_s: float,
) -> list[Hole]:
    """Every hole of a session part, in time order, its edges included; ``is_gap`` where trades went unseen.

    day: intervals in seconds and volume steps of the whole day, for a part that has too few of its own.
    edge_tolerance_s: how late the first and how early the last row may be when no volume tells.
    """
    pace = _pace(part, day)
    judge = _Judge(pace, alpha, pace_share, edge_tolerance_s)
    window, rows = part.window, part.ts
    if not len(rows):
        step = None if part.volume_after is None else part.volume_after - (part.volume_before or 0.0)
        certain = part.volume_before is not None
        return [judge.edge(window.start_ns, window.end_ns, "whole", step, position=0, step_is_own=certain)]
    holes: list[Hole] = []
    least = int(gap_min_s * NS_PER_S)
    if rows[0] - window.start_ns >= least:
        own = part.volume_before is not None
        step = float(part.volume[0]) - (part.volume_before or 0.0)
        holes.append(judge.edge(window.start_ns, int(rows[0]), "start", step, position=-1, step_is_own=own))
    lengths = np.diff(rows)
    for position in np.flatnonzero(lengths >= least):
        step = float(part.volume[position + 1] - part.volume[position])
        holes.append(judge.inner(int(rows[position]), int(rows[position + 1]), step, int(position)))
    if window.end_ns - rows[-1] >= least:
        after = None if part.volume_after is None else part.volume_after - float(part.volume[-1])
        holes.append(judge.edge(int(rows[-1]), window.end_ns, "end", after, position=len(lengths), step_is_own=True))
    return holes


@dataclass(frozen=True)
class _Judge:
    pace: _Pace | None
    alpha: float
    pace_share: float
    edge_tolerance_s: float

    def inner(self, start_ns: int, end_ns: int, step: float, position: int) -> Hole:
        assert self.pace is not None or position >= 0
        if self.pace is None:
            return Hole(start_ns, end_ns, "", step, 1.0, 1.0, 0.0, is_gap=False, implausible=False)
        seconds = (end_ns - start_ns) / NS_PER_S
        expected, natural = self.pace.model.expected(seconds), self.pace.natural_step(step, seconds)
        lots_per_s = 0.0
        if expected * min(natural, 1.0) < self.alpha:
            near, lots_per_s = self.pace.near(position, seconds)
            expected = max(expected, near)
        enough = step > 0 and step >= self.pace_share * lots_per_s * seconds
        unlikely = expected * natural < self.alpha
        return Hole(
            start_ns,
            end_ns,
            "",
            step,
            expected,
            natural,
            lots_per_s,
            is_gap=unlikely and enough,
            implausible=expected < self.alpha,
        )

    def edge(self, start_ns: int, end_ns: int, edge: str, step: float | None, *, position: int, step_is_own: bool) -> Hole:
        """step_is_own: nothing but this stretch can have traded ``step`` lots (no auction, no other missing part)."""
        seconds = (end_ns - start_ns) / NS_PER_S
        if self.pace is None:
            # nothing to compare with: that a later row has counted trades is all there is
            gap = step is not None and step > 0 and edge == "whole"
            return Hole(start_ns, end_ns, edge, step, 1.0, 1.0, 0.0, is_gap=gap, implausible=False)
        near, lots_per_s = self.pace.near(position, seconds)
        expected = max(self.pace.model.expected(seconds), near)
        implausible = expected < self.alpha
        if step is None or not step_is_own:
            natural = 1.0
            is_gap = implausible and seconds > self.edge_tolerance_s and (step is None or step > 0)
        else:
            natural = self.pace.natural_step(step, seconds)
            enough = step > 0 and step >= self.pace_share * lots_per_s * seconds
            is_gap = enough and expected * natural < self.alpha
        return Hole(start_ns, end_ns, edge, step, expected, natural, lots_per_s, is_gap=is_gap, implausible=implausible)
