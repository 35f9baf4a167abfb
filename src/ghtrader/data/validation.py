"""Verdict on one trading day of ticks, in layers: coverage, cadence, holes with cause, field quality, expected rows. Pure.

`validate_day` reads no store and changes nothing: rows in, verdict out. What else is known about the day (the link's log,
the provider's answers, peers, counters of the import, comparable days) comes in as a `DayContext`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import numpy.typing as npt

from ghtrader.core.clock import NS_PER_S
from ghtrader.core.phases import PART_NAMES, Phase, SessionPart, TickFlag
from ghtrader.data.cadence import EVENT, GRID, SLOT_NS, coverage_of, strict_ratio
from ghtrader.data.canonical import DropReason
from ghtrader.data.causes import Peers, Witnesses, buckets, explain, no_peers, rests
from ghtrader.data.field_quality import DayRows, Quality, field_quality, null_rate
from ghtrader.data.gaps import Hole, PartRows, find_holes
from ghtrader.data.link_evidence import DayEvidence
from ghtrader.data.reasons import REASONS, gravest_first, layer_states
from ghtrader.data.sessions import DaySessions
from ghtrader.data.thresholds import Thresholds
from ghtrader.data.verdict import Cause, DayVerdict, ExpectedRows, Gap, PartCoverage, ReasonCode, State, worst

if TYPE_CHECKING:
    import polars as pl

__all__ = ["DayContext", "Thresholds", "absent_day", "null_rate", "validate_day"]

I64 = npt.NDArray[np.int64]
REQUIRED = ("datetime", "phase", "part", "flags", "volume")
LARGEST = 5
MAIN_L5 = ("segment_id", "schedule_hash", "underlying_symbol")


@dataclass(frozen=True)
class DayContext:
    """What is known about a day beside its rows; everything may be unknown.

    dropped, deduped, reordered: counters of the import (see `ports.tick_store.DayManifest`). schedule_hash: the current
    schedule's, "" for raw days. asked_provider: the rows are the provider's complete answer. spilled: the rows are a few
    strays of a file that belongs to another day.
    """

    evidence: DayEvidence = field(default_factory=DayEvidence)
    peers: Callable[[], Peers] = no_peers
    dropped: Mapping[str, int] = field(default_factory=dict)
    deduped: int = 0
    reordered: int = 0
    schedule_hash: str = ""
    asked_provider: bool = False
    spilled: bool = False
    expected: ExpectedRows | None = None


def _engineering(frame: pl.DataFrame, context: DayContext) -> list[ReasonCode]:
    reasons: list[ReasonCode] = []
    if bool((frame["phase"].to_numpy() == int(Phase.CLOSED)).any()):
        reasons.append(ReasonCode.ROWS_OUTSIDE_SESSIONS)
    if bool((np.diff(frame["datetime"].to_numpy()) <= 0).any()):
        reasons.append(ReasonCode.TIME_NOT_INCREASING)
    if "schedule_hash" in frame.columns:
        hashes, segments = frame["schedule_hash"], frame["segment_id"]
        if hashes.null_count() or segments.null_count() or bool((hashes == "").any()):
            reasons.append(ReasonCode.PROVENANCE_MISSING)
        present = set(hashes.drop_nulls().unique().to_list())
        if len(present) > 1 or (context.schedule_hash and present - {context.schedule_hash, ""}):
            reasons.append(ReasonCode.MIXED_SCHEDULE_HASH)
    return reasons


def _imported(context: DayContext) -> list[ReasonCode]:
    dropped = context.dropped
    contradicting = sum(dropped.get(name, 0) for name in (DropReason.LATE_VOLUME, DropReason.NO_VOLUME, DropReason.IMPOSSIBLE))
    checks = {
        ReasonCode.HEARTBEATS: dropped.get(DropReason.HEARTBEAT, 0) > 0,
        ReasonCode.STRAY_ROWS: dropped.get(DropReason.OUTSIDE_SESSION, 0) > 0,
        ReasonCode.CONTRADICTING_ROWS: contradicting > 0,
        ReasonCode.DUPLICATE_ROWS: context.deduped > 0,
        ReasonCode.REORDERED_ROWS: context.reordered > 0,
        ReasonCode.WRONG_DAY_SPILL: context.spilled,
    }
    return [code for code, holds in checks.items() if holds]


def _part_rows(ts: I64, volume: npt.NDArray[np.float64], phase: npt.NDArray[np.uint8], sessions: DaySessions) -> list[PartRows]:
    """Rows of each part, with the volume before and after it (auction rows count as before)."""
    trading = phase == int(Phase.CONTINUOUS)
    found: list[PartRows] = []
    for window in sessions.parts:
        first, behind = np.searchsorted(ts, window.start_ns, side="left"), np.searchsorted(ts, window.end_ns, side="right")
        # equal stamps at the close are spaced by 1 us: they still belong to the part
        while behind < len(ts) and trading[behind] and ts[behind] - window.end_ns < NS_PER_S:
            behind += 1
        rows = np.arange(first, behind)[trading[first:behind]]
        found.append(
            PartRows(
                window,
                ts[rows],
                volume[rows],
                volume_before=float(volume[first - 1]) if first > 0 else None,
                volume_after=float(volume[behind]) if behind < len(ts) else None,
                before_ns=int(ts[first - 1]) if first > 0 else None,
            )
        )
    return found


def _holes(parts: list[PartRows], product: str, limits: Thresholds) -> list[tuple[PartRows, Hole]]:
    apart = [(np.diff(part.ts) / NS_PER_S, np.diff(part.volume)) for part in parts]
    day = np.concatenate([item[0] for item in apart]), np.concatenate([item[1] for item in apart])
    found: list[tuple[PartRows, Hole]] = []
    for part in parts:
        here = limits.at(product, PART_NAMES[part.window.part])
        holes = find_holes(
            part,
            day,
            gap_min_s=here.gap_min_s,
            alpha=here.gap_alpha,
            pace_share=here.gap_pace_share,
            edge_tolerance_s=here.edge_tolerance_s,
        )
        found += [(part, hole) for hole in holes]
    return found


def _explained(
    holes: list[tuple[PartRows, Hole]], witnesses: Witnesses, product: str, limits: Thresholds
) -> tuple[list[Gap], list[Gap], list[ReasonCode]]:
    """(gaps, quiet holes, what the edges say), in time order."""
    told: list[Gap] = []
    reasons: list[ReasonCode] = []
    closing: Gap | None = None  # a hole that lasts until the close of the part before
    for part, hole in holes:
        window, name = part.window, PART_NAMES[part.window.part]
        here = explain(hole, name, (window.start_ns, window.end_ns), witnesses, limits.at(product, name))
        if here.is_gap and hole.edge:
            reasons.append(ReasonCode.PART_MISSING if hole.edge == "whole" else ReasonCode.PART_INCOMPLETE)
        before, closing = closing, here if hole.edge == "end" else None
        if hole.edge == "start" and before is not None and part.before_ns == before.start_ns and (here.is_gap or before.is_gap):
            told[-1] = _joined(before, here)
        else:
            told.append(here)
    return [gap for gap in told if gap.is_gap], [gap for gap in told if not gap.is_gap], reasons


def _joined(before: Gap, after: Gap) -> Gap:
    """A hole until the close and one from the next opening as one gap: no row tells where it ended."""
    graver = before if before.is_gap else after
    same = not (before.is_gap and after.is_gap) or before.cause == after.cause
    return msgspec.structs.replace(
        graver,
        start_ns=before.start_ns,
        end_ns=after.end_ns,
        session_part=before.session_part,
        end_part=after.session_part,
        seconds=round(before.seconds + after.seconds, 3),
        cause=graver.cause if same else Cause.UNKNOWN,
        evidence=graver.evidence if same else f"{before.cause}: {before.evidence}; {after.cause}: {after.evidence}",
        is_gap=True,
    )


def _judged_gaps(gaps: list[Gap], quiet: list[Gap], limits: Thresholds) -> list[ReasonCode]:
    seconds = sum(gap.seconds for gap in gaps)
    causes = {gap.cause for gap in gaps}
    checks = {
        ReasonCode.GAPS: bool(gaps) and seconds >= limits.silence_warn_s,
        ReasonCode.SILENCE: seconds >= limits.silence_error_s,
        ReasonCode.OUR_OUTAGE: Cause.OUR_OUTAGE in causes,
        ReasonCode.PROVIDER_MISSING: Cause.PROVIDER_MISSING in causes,
        ReasonCode.HALTED: any(hole.cause == Cause.HALTED for hole in quiet),
    }
    return [code for code, holds in checks.items() if holds]


def _with_gap_time(coverage: dict[str, PartCoverage], sessions: DaySessions, gaps: list[Gap]) -> dict[str, PartCoverage]:
    """Coverage with each part's gap time; slots inside gaps are no longer counted as missed."""
    found: dict[str, PartCoverage] = {}
    for window in sessions.parts:
        part = coverage[PART_NAMES[window.part]]
        spans = [(max(gap.start_ns, window.start_ns), min(gap.end_ns, window.end_ns)) for gap in gaps]
        spans = [(start, end) for start, end in spans if end > start]
        inner = [
            end - start
            for start, end in spans
            if part.first_ns is not None and part.first_ns <= start < end <= (part.last_ns or 0)
        ]
        missed = max(0, part.slots_missed - sum(max(0, length // SLOT_NS - 1) for length in inner))
        seconds = round(sum(end - start for start, end in spans) / NS_PER_S, 3)
        found[part.session_part] = msgspec.structs.replace(part, slots_missed=missed, gap_seconds=seconds)
    return found


def _slot_misses(coverage: dict[str, PartCoverage], product: str, limits: Thresholds) -> list[ReasonCode]:
    """On the 500 ms grid only: the share of empty slots between a part's first and last row, gaps aside."""
    reasons: list[ReasonCode] = []
    for name, part in coverage.items():
        here = limits.at(product, name)
        share = part.slots_missed / (part.rows + part.slots_missed) if part.rows else 0.0
        if share >= here.slot_miss_blocking:
            reasons.append(ReasonCode.SLOT_MISSES_BLOCKING)
        elif share >= here.slot_miss_info:
            reasons.append(ReasonCode.SLOT_MISSES)
    return reasons


def _details(reasons: list[ReasonCode], quality: Quality, gaps: list[Gap], context: DayContext, rows: int) -> dict[str, str]:
    """Words with numbers for the codes that have any."""
    words = {
        ReasonCode.GAPS: f"{len(gaps)} gaps, {sum(gap.seconds for gap in gaps):.1f} s, the longest "
        f"{max((gap.seconds for gap in gaps), default=0.0):.1f} s",
        ReasonCode.FEW_ROWS: f"{rows} rows, the median of {context.expected.sample_days} comparable days is "
        f"{context.expected.p50:.0f}"
        if context.expected
        else "",
        **{
            code: f"{name} {context.dropped.get(name, 0)}"
            for code, name in (
                (ReasonCode.HEARTBEATS, DropReason.HEARTBEAT),
                (ReasonCode.STRAY_ROWS, DropReason.OUTSIDE_SESSION),
            )
        },
        ReasonCode.DUPLICATE_ROWS: f"{context.deduped} rows",
        ReasonCode.REORDERED_ROWS: f"{context.reordered} rows",
    }
    counted = {
        ReasonCode.CROSSED_BOOKS: ("book", "crossed"),
        ReasonCode.ZEROED_LEVELS: ("book", "zeroed_levels"),
        ReasonCode.DISORDERED_LEVELS: ("book", "disordered_levels"),
        ReasonCode.REPEATED_LEVELS: ("book", "repeated_levels"),
        ReasonCode.MISSING_SIDE: ("book", "missing_side_longest_s"),
        ReasonCode.OFF_TICK: ("book", "off_tick"),
        ReasonCode.NULL_RATE_L1: ("book", "null_rate_l1"),
        ReasonCode.NULL_RATE_L5: ("book", "null_rate_l5"),
        ReasonCode.VOLUME_SPIKES: ("volume", "spikes"),
        ReasonCode.RESPACED_STAMPS: ("datetime", "respaced"),
        ReasonCode.LATE_ROWS: ("datetime", "late"),
    }
    for code, (name, metric) in counted.items():
        if name in quality:
            words[code] = f"{metric} {quality[name][metric]:g}"
    return {code.value: f"{REASONS[code].meaning}" + (f": {words[code]}" if words.get(code) else "") for code in reasons}


def validate_day(
    frame: pl.DataFrame, sessions: DaySessions, limits: Thresholds, *, symbol: str, context: DayContext | None = None
) -> DayVerdict:
    """Judge one trading day's canonical rows (raw or main_l5), in time order, against its sessions.

    Changes nothing, reads no store. A frame that lacks what the judgement needs is an error of layer engineering.
    """
    context, product = context or DayContext(), sessions.product
    limits = limits.at(product)
    lacking = [name for name in REQUIRED if name not in frame.columns]
    if lacking:
        return absent_day(sessions, symbol=symbol, codes=[ReasonCode.SCHEMA], detail=f"no column {', '.join(lacking)}")
    rising = bool((np.diff(frame["datetime"].to_numpy()) > 0).all())
    given, frame = frame, frame if rising else frame.sort("datetime", maintain_order=True)
    ts, phase, flags, volume = (frame[name].to_numpy() for name in ("datetime", "phase", "flags", "volume"))
    trading = phase == int(Phase.CONTINUOUS)
    if not trading.any():
        codes = [ReasonCode.NO_ROWS, *_engineering(given, context), *_imported(context)]
        return absent_day(sessions, symbol=symbol, codes=codes, context=context, rows=len(frame))
    parts = _part_rows(ts, volume, phase, sessions)
    locked = (flags[trading] & np.uint32(TickFlag.AT_LIMIT)) != 0
    local = (
        frame["local_nano"].fill_null(0).to_numpy()[trading]
        if "local_nano" in frame.columns
        else np.zeros(int(trading.sum()), np.int64)
    )
    witnesses = Witnesses(context.evidence, context.peers, ts[trading], local, locked, context.asked_provider)
    gaps, quiet, edges = _explained(_holes(parts, product, limits), witnesses, product, limits)
    coverage = {PART_NAMES[part.window.part]: coverage_of(part.ts, part.window) for part in parts}
    coverage = _with_gap_time(coverage, sessions, gaps)
    quality, found = field_quality(DayRows(frame, None if trading.all() else trading), limits)
    ratio = strict_ratio(ts[trading])
    cadence = GRID if ratio is not None and ratio >= limits.strict_ratio else EVENT
    codes = [*_engineering(given, context), *_imported(context), *edges, *_judged_gaps(gaps, quiet, limits), *found]
    codes += _slot_misses(coverage, product, limits) if cadence == GRID else []
    codes += [ReasonCode.FEW_ROWS] if _few(len(frame), context.expected, limits) else []
    holes = sorted([*quiet, *rests(ts, phase, sessions, limits.gap_min_s)], key=lambda hole: hole.start_ns)
    return _verdict(
        sessions,
        symbol,
        codes,
        rows=len(frame),
        coverage=coverage,
        gaps=gaps,
        quiet_holes=len(quiet),
        holes=_capped(holes, limits.holes_max),
        holes_left_out=max(0, len(holes) - limits.holes_max),
        null_rate_l1=quality["book"]["null_rate_l1"],
        null_rate_l5=quality["book"]["null_rate_l5"],
        crossed_rows=int(quality["book"]["crossed"]),
        schedule_hash=str(frame["schedule_hash"][0] or "") if "schedule_hash" in frame.columns else "",
        details=_details(gravest_first(codes), quality, gaps, context, len(frame)),
        cadence=cadence,
        strict_ratio=None if ratio is None else round(ratio, 6),
        expected_rows=context.expected,
        fields=quality,
    )


def _few(rows: int, expected: ExpectedRows | None, limits: Thresholds) -> bool:
    enough = expected is not None and expected.sample_days >= limits.expected_min_days
    return bool(enough and expected is not None and rows < limits.few_rows_ratio * expected.p50)


def _capped(holes: list[Gap], most: int) -> list[Gap]:
    """The longest ones when there are too many, in time order."""
    if len(holes) <= most:
        return holes
    return sorted(sorted(holes, key=lambda hole: -hole.seconds)[:most], key=lambda hole: hole.start_ns)


def _verdict(
    sessions: DaySessions,
    symbol: str,
    codes: list[ReasonCode],
    *,
    rows: int,
    coverage: dict[str, PartCoverage],
    gaps: list[Gap],
    null_rate_l1: float | None = None,
    null_rate_l5: float | None = None,
    crossed_rows: int = 0,
    quiet_holes: int = 0,
    schedule_hash: str = "",
    **rest: object,
) -> DayVerdict:
    reasons, states = gravest_first(codes), layer_states(codes)
    overall = worst(states.values())
    leading = reasons[0] if reasons and overall != State.OK else ReasonCode.OK
    return DayVerdict(
        symbol=symbol,
        trading_day=sessions.trading_day.iso,
        rows=rows,
        engineering_state=states["engineering"],
        source_state=states["source"],
        policy_state=states["policy"],
        overall_state=overall,
        reason_code=leading,
        reasons=reasons,
        action_hint="" if leading == ReasonCode.OK else REASONS[leading].hint,
        coverage=coverage,
        gaps=gaps,
        gap_buckets=buckets(gaps),
        gap_seconds=round(sum(gap.seconds for gap in gaps), 3),
        largest_gaps=sorted(gaps, key=lambda gap: -gap.seconds)[:LARGEST],
        quiet_holes=quiet_holes,
        null_rate_l1=null_rate_l1,
        null_rate_l5=null_rate_l5,
        crossed_rows=crossed_rows,
        schedule_hash=schedule_hash,
        **rest,  # type: ignore[arg-type]
    )


def absent_day(
    sessions: DaySessions,
    *,
    symbol: str,
    codes: list[ReasonCode],
    context: DayContext | None = None,
    cause: Cause = Cause.UNKNOWN,
    detail: str = "",
    rows: int = 0,
) -> DayVerdict:
    """The verdict on a day without a row of continuous trading: every session part is a gap, with the cause that is known."""
    context = context or DayContext()
    answer = next((item.answer for item in context.evidence.answers), None)
    if context.asked_provider or answer in {"empty", "complete"}:
        cause, detail = Cause.PROVIDER_MISSING, detail or "the provider answered that it has nothing there"
    elif answer == "rows":
        cause, detail = Cause.OUR_OUTAGE, detail or "the provider answered that it has rows there"
    gaps = [
        Gap(
            start_ns=window.start_ns,
            end_ns=window.end_ns,
            session_part=PART_NAMES[window.part],
            seconds=round((window.end_ns - window.start_ns) / NS_PER_S, 3),
            cause=cause,
            evidence=detail or "no row of the day is stored",
        )
        for window in sessions.parts
    ]
    empty = np.empty(0, dtype=np.int64)
    coverage = {PART_NAMES[SessionPart(window.part)]: coverage_of(empty, window) for window in sessions.parts}
    extra = {Cause.PROVIDER_MISSING: [ReasonCode.PROVIDER_MISSING], Cause.OUR_OUTAGE: [ReasonCode.OUR_OUTAGE]}.get(cause, [])
    codes = [*codes, *extra]
    details = {code.value: detail or REASONS[code].meaning for code in gravest_first(codes)}
    return _verdict(
        sessions, symbol, codes, rows=rows, coverage=_with_gap_time(coverage, sessions, gaps), gaps=gaps, details=details
    )
