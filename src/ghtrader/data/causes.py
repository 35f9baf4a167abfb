"""Why a hole is there: the causes of `Cause`, each with its evidence; without evidence ``unknown``. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ghtrader.core.clock import NS_PER_S
from ghtrader.core.phases import PART_NAMES, Phase
from ghtrader.data.gaps import Hole
from ghtrader.data.link_evidence import DayEvidence, ProviderAnswer
from ghtrader.data.sessions import DaySessions
from ghtrader.data.thresholds import Thresholds
from ghtrader.data.verdict import Cause, Gap

__all__ = ["Peers", "Witnesses", "explain", "rests"]

I64 = npt.NDArray[np.int64]
F64 = npt.NDArray[np.float64]

#: A peer of which fewer rows than this would be expected in a hole says nothing about it.
TELLING_ROWS = 3.0
#: A peer went on when it has at least this share of the rows expected of it.
WENT_ON = 0.3
NO_RECEIVE_TIME = 0


@dataclass(frozen=True)
class Peers:
    """Other contracts of the exchange on that day: stamps of their continuous rows, by symbol."""

    stamps: dict[str, I64]

    def during(self, start_ns: int, end_ns: int, window: tuple[int, int]) -> tuple[int, int]:
        """(peers that stood, peers that went on) strictly between two moments; ``window``: the session part around them."""
        stood = went_on = 0
        for ts in self.stamps.values():
            low, high = np.searchsorted(ts, window[0], side="left"), np.searchsorted(ts, window[1], side="right")
            inside = int(np.searchsorted(ts, end_ns, side="left") - np.searchsorted(ts, start_ns, side="right"))
            outside_ns = (window[1] - window[0]) - (end_ns - start_ns)
            expected = (int(high - low) - inside) * (end_ns - start_ns) / outside_ns if outside_ns > 0 else 0.0
            if expected >= TELLING_ROWS:
                stood += inside == 0
                went_on += inside >= WENT_ON * expected
        return stood, went_on


@dataclass(frozen=True)
class Witnesses:
    """Everything beside volume that may speak about the holes of a day.

    peers is called once, when a hole needs it. ts, local_nano, locked: the day's continuous rows. asked_provider: the rows
    are the provider's own complete answer (its history download).
    """

    evidence: DayEvidence
    peers: Callable[[], Peers]
    ts: I64
    local_nano: I64
    locked: npt.NDArray[np.bool_]
    asked_provider: bool = False
    _delays: list[F64] = field(default_factory=list)

    def link_down(self, hole: Hole, slack_s: float) -> str:
        """Words when our link was down across the hole; "" otherwise. A little may be uncovered: noticing takes time."""
        covered = sum(max(0, min(item.up_ns, hole.end_ns) - max(item.down_ns, hole.start_ns)) for item in self.evidence.link)
        uncovered_s = hole.seconds - covered / NS_PER_S
        if covered <= 0 or (uncovered_s > slack_s and uncovered_s > hole.seconds / 2):
            return ""
        return f"link log: down {min(covered / NS_PER_S, hole.seconds):.1f} s of it"

    def provider_says(self, hole: Hole) -> ProviderAnswer | None:
        """The provider's answer about the span of the hole; one that has rows first."""
        middle = (hole.start_ns + hole.end_ns) // 2
        fitting = [item for item in self.evidence.answers if item.trading_day or item.start_ns <= middle <= item.end_ns]
        order = ("rows", "empty", "complete")
        return min(fitting, key=lambda item: order.index(item.answer), default=None)

    def delay_s(self, at_ns: int) -> float | None:
        """How much later than usual the row of a stamp was received; None without receive times."""
        row = int(np.searchsorted(self.ts, at_ns))
        if row >= len(self.ts) or self.local_nano[row] == NO_RECEIVE_TIME:
            return None
        if not self._delays:
            known = self.local_nano != NO_RECEIVE_TIME
            self._delays.append(np.asarray(np.median((self.local_nano - self.ts)[known]), dtype=np.float64))
        return float((self.local_nano[row] - self.ts[row]) - self._delays[0]) / NS_PER_S

    def locked_around(self, hole: Hole) -> bool:
        """Whether the rows on both sides stand at a price limit."""
        after = int(np.searchsorted(self.ts, hole.end_ns))
        before = int(np.searchsorted(self.ts, hole.start_ns, side="right")) - 1
        rows = [row for row in (before, after) if 0 <= row < len(self.ts)]
        return bool(rows) and bool(self.locked[rows].all())


def _volume_words(hole: Hole) -> str:
    natural = f"as long a hole is expected {hole.expected:.2g} times in this part"
    if hole.volume_step is None:
        return f"no row until the close; {natural}"
    if hole.edge in {"start", "whole"} and hole.natural_step >= 1.0:
        return f"the first row after it has counted {hole.volume_step:.0f} lots; {natural}"
    return (
        f"volume stepped by {hole.volume_step:.0f} lots, as natural steps do with probability {hole.natural_step:.2g}; {natural}"
    )


def explain(hole: Hole, part: str, window: tuple[int, int], witnesses: Witnesses, limits: Thresholds) -> Gap:
    """A hole with its cause, its evidence, and whether rows are missing there."""

    def gap(cause: Cause, evidence: str, *, missing: bool) -> Gap:
        return Gap(
            start_ns=hole.start_ns,
            end_ns=hole.end_ns,
            session_part=part,
            seconds=round(hole.seconds, 3),
            cause=cause,
            evidence=evidence,
            is_gap=missing,
            volume_step=hole.volume_step,
        )

    words = _volume_words(hole)
    down = witnesses.link_down(hole, limits.link_slack_s)
    if down:
        return gap(Cause.OUR_OUTAGE, f"{down}; {words}", missing=True)
    if hole.is_gap:
        return gap(*_why_missing(hole, window, witnesses, limits, words), missing=True)
    if hole.volume_step is not None and hole.volume_step < 0 and hole.implausible:
        return gap(Cause.UNKNOWN, f"the counters restarted across it: volume fell by {-hole.volume_step:.0f}", missing=True)
    if hole.volume_step == 0 and (hole.implausible or hole.seconds >= limits.halted_min_s):
        if witnesses.locked_around(hole):
            return gap(Cause.HALTED, "nothing traded, the price stood at its limit", missing=False)
        stood, went_on = witnesses.peers().during(hole.start_ns, hole.end_ns, window)
        if stood and not went_on:
            return gap(Cause.HALTED, f"nothing traded, and all {stood} peers stood too", missing=False)
        if went_on and hole.implausible:
            return gap(Cause.UNKNOWN, f"nothing traded, but {went_on} of {stood + went_on} peers went on", missing=True)
    return gap(Cause.SPARSE_MARKET, f"a quiet stretch: {words}", missing=False)


def _why_missing(hole: Hole, window: tuple[int, int], witnesses: Witnesses, limits: Thresholds, words: str) -> tuple[Cause, str]:
    answer = witnesses.provider_says(hole)
    if answer is not None and answer.answer == "rows":
        return Cause.OUR_OUTAGE, f"the provider answered that it has rows there; {words}"
    if answer is not None:
        said = "it has nothing there" if answer.answer == "empty" else "this is all it has"
        return Cause.PROVIDER_MISSING, f"the provider answered that {said}; {words}"
    if witnesses.asked_provider:
        return Cause.PROVIDER_MISSING, f"the provider's history holds no row there; {words}"
    delay = witnesses.delay_s(hole.end_ns)
    if delay is not None and hole.edge != "end" and delay >= limits.late_min_s:
        return Cause.LATE, f"the first row after it was received {delay:.1f} s later than usual; {words}"
    stood, went_on = witnesses.peers().during(hole.start_ns, hole.end_ns, window)
    peers = f"; {went_on} peers went on, {stood} stood too" if stood or went_on else ""
    return Cause.UNKNOWN, words + peers


def rests(ts: I64, phase: npt.NDArray[np.uint8], sessions: DaySessions, gap_min_s: float) -> list[Gap]:
    """Where the exchange rests: breaks between session parts and the auctions before them, from row to row.

    ts, phase: all rows of the day. Where a part's edge has no row, its own start or end stands.
    """
    least = int(gap_min_s * NS_PER_S)
    trading = ts[phase == int(Phase.CONTINUOUS)]
    found: list[Gap] = []

    def rest(start: int, end: int, part: str, cause: Cause, words: str) -> None:
        if end > start:
            seconds = round((end - start) / NS_PER_S, 3)
            found.append(
                Gap(start_ns=start, end_ns=end, session_part=part, seconds=seconds, cause=cause, evidence=words, is_gap=False)
            )

    closed: int | None = None
    for window in sessions.parts:
        rows = _within(trading, window.start_ns, window.end_ns)
        opens = int(rows[0]) if len(rows) and rows[0] - window.start_ns < least else window.start_ns
        auction = _within(ts, window.start_ns - 3600 * NS_PER_S, window.start_ns - 1)
        auction = auction if closed is None else auction[auction > closed]
        part = PART_NAMES[window.part]
        if len(auction):
            if closed is not None:
                rest(closed, int(auction[0]), part, Cause.EXCHANGE_BREAK, "the exchange's timetable")
            rest(int(auction[-1]), opens, part, Cause.AUCTION, f"call auction: {len(auction)} rows")
        elif closed is not None:
            rest(closed, opens, part, Cause.EXCHANGE_BREAK, "the exchange's timetable")
        closed = int(rows[-1]) if len(rows) and window.end_ns - rows[-1] < least else window.end_ns
    return found


def _within(ts: I64, first: int, last: int) -> I64:
    return ts[np.searchsorted(ts, first, side="left") : np.searchsorted(ts, last, side="right")]


def no_peers() -> Peers:
    """Nobody to ask."""
    return Peers({})


def buckets(gaps: Sequence[Gap]) -> dict[str, int]:
    """Gaps by length: 2-5, 5-15, 15-30 and over 30 seconds.

    >>> buckets([])
    {'2-5s': 0, '5-15s': 0, '15-30s': 0, '>30s': 0}
    """
    edges, names = (5.0, 15.0, 30.0), ("2-5s", "5-15s", "15-30s", ">30s")
    counts = dict.fromkeys(names, 0)
    for gap in gaps:
        counts[names[int(np.searchsorted(edges, gap.seconds, side="right"))]] += 1
    return counts
