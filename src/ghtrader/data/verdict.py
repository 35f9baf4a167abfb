"""The words of a verdict: states, reason codes, causes of holes, and what is said of one trading day. Values only.

The same words stand in the command line, its JSON, the stores and reports. Enumerations are append-only: a code that was
published keeps its meaning (docs/reference/validation.md).
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

import msgspec

from ghtrader.core.phases import PART_NAMES

__all__ = ["Cause", "DayVerdict", "ExpectedRows", "Gap", "PartCoverage", "ReasonCode", "State", "worst"]


class State(StrEnum):
    """How bad; in ascending order. ``noop``: nothing was looked at."""

    NOOP = "noop"
    OK = "ok"
    WARN = "warn"
    ERROR = "error"


class Cause(StrEnum):
    """Why there are no rows for a while. Without evidence for another one it is ``unknown``."""

    EXCHANGE_BREAK = "exchange_break"  # the exchange rests between two session parts
    AUCTION = "auction"  # a call auction: order entry and match print one row
    PROVIDER_MISSING = "provider_missing"  # the provider answered, and has nothing there
    OUR_OUTAGE = "our_outage"  # our link was down, or our receiver stood still
    HALTED = "halted"  # the market stood: nothing traded, and peers stood too or the price was locked at its limit
    LATE = "late"  # rows came, but long after their time
    SPARSE_MARKET = "sparse_market"  # a quiet stretch: nothing happened that a row would tell
    UNKNOWN = "unknown"  # rows are missing and nothing says why


class ReasonCode(StrEnum):
    """What is to be said about a day; meaning, layer and level stand in `ghtrader.data.reasons`. Append-only."""

    OK = "ok"
    NO_ROWS = "no_rows"
    ROWS_OUTSIDE_SESSIONS = "rows_outside_sessions"
    TIME_NOT_INCREASING = "time_not_increasing"
    MIXED_SCHEDULE_HASH = "mixed_schedule_hash"
    PROVENANCE_MISSING = "provenance_missing"
    PART_MISSING = "part_missing"
    PART_INCOMPLETE = "part_incomplete"
    GAPS = "gaps"
    VOLUME_FELL = "volume_fell"
    NULL_RATE_L1 = "null_rate_l1"
    NULL_RATE_L5 = "null_rate_l5"
    CROSSED_BOOKS = "crossed_books"
    SILENCE = "silence"
    SCHEMA = "schema"
    OUR_OUTAGE = "our_outage"
    PROVIDER_MISSING = "provider_missing"
    HALTED = "halted"
    SLOT_MISSES = "slot_misses"
    SLOT_MISSES_BLOCKING = "slot_misses_blocking"
    FEW_ROWS = "few_rows"
    LEVEL1_ONLY = "level1_only"
    ZEROED_LEVELS = "zeroed_levels"
    DISORDERED_LEVELS = "disordered_levels"
    REPEATED_LEVELS = "repeated_levels"
    MISSING_SIDE = "missing_side"
    PRICE_JUMPS = "price_jumps"
    VOLUME_SPIKES = "volume_spikes"
    WIDE_SPREADS = "wide_spreads"
    OFF_TICK = "off_tick"
    AMOUNT_FELL = "amount_fell"
    LATE_ROWS = "late_rows"
    HEARTBEATS = "heartbeats"
    STRAY_ROWS = "stray_rows"
    CONTRADICTING_ROWS = "contradicting_rows"
    RESPACED_STAMPS = "respaced_stamps"
    TWO_SIDED_VOLUME = "two_sided_volume"
    TWO_SIDED_DOUBT = "two_sided_doubt"
    WRONG_DAY_SPILL = "wrong_day_spill"
    REORDERED_ROWS = "reordered_rows"
    DUPLICATE_ROWS = "duplicate_rows"


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch without rows. ``start_ns`` is the last row before, ``end_ns`` the first row after, UTC ns.

    At the edge of a session part one of them is the part's own start or end; where rows are missing on both sides of a break
    it runs on into ``end_part`` ("" otherwise). ``seconds``: trading time, breaks left out. ``is_gap``: rows are missing there,
    so that nothing may be computed across it; a quiet hole is none. ``volume_step``: lots traded across it, None when unknown.
    """

    start_ns: int
    end_ns: int
    session_part: str
    seconds: float
    cause: Cause
    evidence: str
    is_gap: bool = True
    volume_step: float | None = None
    end_part: str = ""


class PartCoverage(msgspec.Struct, frozen=True, kw_only=True):
    """One session part: rows, share of its 500 ms slots with a row, first and last row, inter-tick intervals in ms.

    ``slots_missed`` counts slots between first and last row that hold no row.
    """

    session_part: str
    rows: int
    slots_filled: float
    first_ns: int | None
    last_ns: int | None
    slots_missed: int = 0
    gap_seconds: float = 0.0
    interval_ms_p50: float | None = None
    interval_ms_p95: float | None = None
    interval_ms_p99: float | None = None
    interval_ms_max: float | None = None


class ExpectedRows(msgspec.Struct, frozen=True, kw_only=True):
    """Rows of comparable days before (same session parts): quantiles, how many days were asked for and how many there were."""

    p10: float
    p50: float
    p90: float
    sample_days: int
    lookback_days: int


class DayVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """Verdict on one trading day, in layers: ours (engineering), the source's, the policy's; overall is the worst.

    reason_code: the gravest reason, ``ok`` when the day is ok; reasons: every code, gravest first; details: code -> words.
    coverage: session part -> what is there. gaps: where rows are missing, all of them, in time order. holes: other stretches
    of at least ``gap_min_s`` with their cause, the longest first when there are more than the cap; holes_left_out counts the
    rest. fields: field -> metric -> value (`ghtrader.data.field_quality`).
    """

    symbol: str
    trading_day: str
    rows: int
    engineering_state: State
    source_state: State
    policy_state: State
    overall_state: State
    reason_code: ReasonCode
    reasons: list[ReasonCode]
    action_hint: str
    coverage: dict[str, PartCoverage]
    gaps: list[Gap]
    gap_buckets: dict[str, int]
    gap_seconds: float
    quiet_holes: int
    null_rate_l1: float | None
    null_rate_l5: float | None
    crossed_rows: int
    schedule_hash: str
    details: dict[str, str] = {}
    holes: list[Gap] = []
    holes_left_out: int = 0
    largest_gaps: list[Gap] = []
    cadence: str = ""
    strict_ratio: float | None = None
    expected_rows: ExpectedRows | None = None
    fields: dict[str, dict[str, float]] = {}

    @property
    def parts(self) -> list[PartCoverage]:
        """Coverage of the session parts in their order."""
        return [self.coverage[name] for name in PART_NAMES.values() if name in self.coverage]

    def in_session_order(self) -> DayVerdict:
        """The same with ``coverage`` in the order of the session parts: documents are kept with sorted names."""
        return msgspec.structs.replace(self, coverage={part.session_part: part for part in self.parts})


def worst(states: Iterable[State]) -> State:
    """The worst of several states; ``noop`` when there is none.

    >>> worst([State.OK, State.WARN]).value, worst([]).value
    ('warn', 'noop')
    """
    order = list(State)
    return max(states, key=order.index, default=State.NOOP)
