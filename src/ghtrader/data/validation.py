"""Verdict on one trading day of ticks: coverage, gaps with evidence, null rates, states in layers. Pure.

The feed emits on change only, so silence alone is no gap. A hole is a gap when cumulative volume stepped across it by
more than a quiet interval of its length explains: trades happened that we did not see. Without evidence it is a quiet
stretch. From a file alone our outage and the provider's cannot be told apart: the cause is ``unknown``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np
import numpy.typing as npt

from ghtrader.core.clock import NS_PER_S
from ghtrader.core.phases import PART_NAMES, Phase, TickFlag
from ghtrader.data.schema import ASK_PRICES, BID_PRICES
from ghtrader.data.sessions import DaySessions
from ghtrader.data.verdict import Cause, DayVerdict, Gap, PartCoverage, ReasonCode, State, worst

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Thresholds", "null_rate", "validate_day"]

SLOT_NS = 500_000_000
BUCKETS_S = ((2, 5), (5, 15), (15, 30), (30, None))
#: Steps of volume in intervals up to this length tell the day's ordinary pace.
ORDINARY_NS = 1_000_000_000
MIN_VOLUME_STEP_LOTS = 20.0


HINTS: dict[ReasonCode, str] = {
    ReasonCode.NO_ROWS: "import the day: ghtrader data import FILE",
    ReasonCode.ROWS_OUTSIDE_SESSIONS: "import the day again: ghtrader data import FILE",
    ReasonCode.TIME_NOT_INCREASING: "import the day again: ghtrader data import FILE",
    ReasonCode.MIXED_SCHEDULE_HASH: "rebuild the series: ghtrader main-l5 --var VAR --full",
    ReasonCode.PROVENANCE_MISSING: "rebuild the series: ghtrader main-l5 --var VAR --full",
    ReasonCode.PART_MISSING: "fetch the day from another source: a session part is absent",
    ReasonCode.PART_INCOMPLETE: "fetch the day from another source: a session part begins late or ends early",
    ReasonCode.GAPS: "labels and fills across the gaps are void; another source may fill them",
    ReasonCode.VOLUME_FELL: "the feed restarted its counters; check the source",
    ReasonCode.NULL_RATE_L1: "check the source: best bid or ask is often absent",
    ReasonCode.NULL_RATE_L5: "a thin contract, or a feed that loses outer levels",
    ReasonCode.CROSSED_BOOKS: "check the source: best bid at or above best ask",
}


class Thresholds(msgspec.Struct, frozen=True, kw_only=True):
    """Values of the keys ``data.validation.*``."""

    gap_min_s: float = 2.0
    volume_step_quantile: float = 0.999
    silence_error_s: float = 1800.0
    silence_warn_s: float = 5.0
    edge_tolerance_s: float = 60.0
    null_rate_l1_max: float = 0.01
    null_rate_l5_max: float = 0.20


def null_rate(frame: pl.DataFrame, columns: tuple[str, ...]) -> float | None:
    """Share of rows in which any of the columns is absent; fail-closed: a missing column is absent in every row.

    None when there are no rows to judge.
    """
    if frame.is_empty():
        return None
    absent = np.zeros(len(frame), dtype=np.bool_)
    for name in columns:
        absent |= np.isnan(frame[name].fill_null(float("nan")).to_numpy()) if name in frame.columns else True
    return float(absent.mean())


def _coverage(ts: npt.NDArray[np.int64], part: int, start_ns: int, end_ns: int) -> PartCoverage:
    slots = (end_ns - start_ns) // SLOT_NS
    intervals = np.diff(ts) / 1e6
    return PartCoverage(
        session_part=PART_NAMES[part],  # type: ignore[index]
        rows=len(ts),
        slots_filled=round(min(1.0, len(np.unique(ts // SLOT_NS)) / slots), 6),
        first_ns=int(ts[0]) if len(ts) else None,
        last_ns=int(ts[-1]) if len(ts) else None,
        interval_ms_p50=round(float(np.quantile(intervals, 0.5)), 3) if len(intervals) else None,
        interval_ms_p99=round(float(np.quantile(intervals, 0.99)), 3) if len(intervals) else None,
        interval_ms_max=round(float(intervals.max()), 3) if len(intervals) else None,
    )


def _find_gaps(
    ts: npt.NDArray[np.int64], volume: npt.NDArray[np.float64], part: str, limits: Thresholds
) -> tuple[list[Gap], int]:
    """Gaps of one session part, and the number of quiet holes beside them."""
    if len(ts) < 3:
        return [], 0
    lengths, steps = np.diff(ts), np.diff(volume)
    ordinary = steps[lengths <= ORDINARY_NS]
    pace = float(np.quantile(ordinary, limits.volume_step_quantile)) if len(ordinary) else 0.0
    # a quiet interval may hold one unseen burst of the ordinary kind, never several
    allowed = max(pace, MIN_VOLUME_STEP_LOTS)
    holes = np.flatnonzero(lengths >= limits.gap_min_s * NS_PER_S)
    gaps: list[Gap] = []
    for hole in holes:
        seconds = float(lengths[hole] / NS_PER_S)
        if steps[hole] > allowed:
            evidence = f"volume stepped by {steps[hole]:.0f} lots, a quiet interval explains {allowed:.0f}"
            gaps.append(
                Gap(
                    start_ns=int(ts[hole]),
                    end_ns=int(ts[hole + 1]),
                    session_part=part,
                    seconds=round(seconds, 3),
                    cause=Cause.UNKNOWN,
                    evidence=evidence,
                )
            )
    return gaps, len(holes) - len(gaps)


def _buckets(gaps: list[Gap]) -> dict[str, int]:
    counts = {f"{low}-{high}s" if high else f">{low}s": 0 for low, high in BUCKETS_S}
    for gap in gaps:
        for low, high in BUCKETS_S:
            if gap.seconds >= low and (high is None or gap.seconds < high):
                counts[f"{low}-{high}s" if high else f">{low}s"] += 1
    return counts


def _engineering(frame: pl.DataFrame) -> list[ReasonCode]:
    reasons: list[ReasonCode] = []
    if bool((frame["phase"] == int(Phase.CLOSED)).any()):
        reasons.append(ReasonCode.ROWS_OUTSIDE_SESSIONS)
    if bool((frame["datetime"].diff() <= 0).any()):
        reasons.append(ReasonCode.TIME_NOT_INCREASING)
    if "schedule_hash" in frame.columns:
        hashes, segments = frame["schedule_hash"], frame["segment_id"]
        if hashes.null_count() or segments.null_count() or bool((hashes == "").any()):
            reasons.append(ReasonCode.PROVENANCE_MISSING)
        if hashes.n_unique() > 1:
            reasons.append(ReasonCode.MIXED_SCHEDULE_HASH)
    return reasons


def _source(parts: list[PartCoverage], sessions: DaySessions, tolerance_ns: float) -> list[ReasonCode]:
    reasons: list[ReasonCode] = []
    for part, window in zip(parts, sessions.parts, strict=True):
        if part.first_ns is None or part.last_ns is None:
            reasons.append(ReasonCode.PART_MISSING)
        elif part.first_ns - window.start_ns > tolerance_ns or window.end_ns - part.last_ns > tolerance_ns:
            reasons.append(ReasonCode.PART_INCOMPLETE)
    return list(dict.fromkeys(reasons))


def validate_day(frame: pl.DataFrame, sessions: DaySessions, limits: Thresholds, *, symbol: str) -> DayVerdict:
    """Judge one trading day's canonical rows (raw or main_l5) against its sessions. Changes nothing, reads no store."""
    continuous = frame.filter(frame["phase"] == int(Phase.CONTINUOUS))
    ts, volume = continuous["datetime"].to_numpy(), continuous["volume"].to_numpy()
    part_codes = continuous["part"].to_numpy()
    parts: list[PartCoverage] = []
    gaps: list[Gap] = []
    quiet = 0
    for window in sessions.parts:
        rows = np.flatnonzero(part_codes == int(window.part))
        parts.append(_coverage(ts[rows], int(window.part), window.start_ns, window.end_ns))
        found, calm = _find_gaps(ts[rows], volume[rows], PART_NAMES[window.part], limits)
        gaps += found
        quiet += calm
    gap_seconds = sum(gap.seconds for gap in gaps)
    locked = (continuous["flags"].to_numpy() & int(TickFlag.AT_LIMIT)) != 0
    unlocked = continuous.filter(~locked)
    l1, l5 = null_rate(unlocked, (BID_PRICES[0], ASK_PRICES[0])), null_rate(unlocked, (*BID_PRICES, *ASK_PRICES))
    crossed = int(((continuous["flags"].to_numpy() & int(TickFlag.CROSSED)) != 0).sum())
    engineering = [ReasonCode.NO_ROWS] if continuous.is_empty() else _engineering(frame)
    source = _source(parts, sessions, limits.edge_tolerance_s * NS_PER_S)
    if gap_seconds >= limits.silence_warn_s:
        source.append(ReasonCode.GAPS)
    if bool(((continuous["flags"].to_numpy() & int(TickFlag.VOLUME_FELL)) != 0).any()):
        source.append(ReasonCode.VOLUME_FELL)
    policy_errors = [ReasonCode.NULL_RATE_L1] if l1 is None or l1 > limits.null_rate_l1_max else []
    policy_errors += [ReasonCode.GAPS] if gap_seconds >= limits.silence_error_s else []
    policy_warnings = [ReasonCode.NULL_RATE_L5] if l5 is None or l5 > limits.null_rate_l5_max else []
    policy_warnings += [ReasonCode.CROSSED_BOOKS] if crossed else []
    source_state = State.ERROR if ReasonCode.PART_MISSING in source else State.WARN if source else State.OK
    states = {
        "engineering_state": State.ERROR if engineering else State.OK,
        "source_state": source_state,
        "policy_state": State.ERROR if policy_errors else State.WARN if policy_warnings else State.OK,
    }
    reasons = list(dict.fromkeys([*engineering, *policy_errors, *source, *policy_warnings]))
    leading = reasons[0] if reasons else ReasonCode.OK
    return DayVerdict(
        symbol=symbol,
        trading_day=sessions.trading_day.iso,
        rows=len(frame),
        **states,
        overall_state=worst(states.values()),
        reason_code=leading,
        reasons=reasons,
        action_hint=HINTS.get(leading, ""),
        coverage={part.session_part: part for part in parts},
        gaps=gaps,
        gap_buckets=_buckets(gaps),
        gap_seconds=round(gap_seconds, 3),
        quiet_holes=quiet,
        null_rate_l1=l1,
        null_rate_l5=l5,
        crossed_rows=crossed,
        schedule_hash=str(frame["schedule_hash"][0]) if "schedule_hash" in frame.columns and len(frame) else "",
    )
