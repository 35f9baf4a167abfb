"""What each reason code means: its layer, how bad it is, and the next command. Read by validation and by the docs' table."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

from ghtrader.data.verdict import ReasonCode, State, worst

__all__ = ["REASONS", "Reason", "gravest_first", "layer_states"]

Layer = Literal["engineering", "source", "policy"]
IMPORT = "import the day again: ghtrader data import FILE"
REBUILD = "rebuild the series: ghtrader main-l5 --var VAR --full"
ELSEWHERE = "import the day from another source: ghtrader data import FILE"


class Reason(msgspec.Struct, frozen=True):
    """One code. ``level`` ok: worth knowing, no fault."""

    layer: Layer
    level: State
    meaning: str
    hint: str = ""


_E, _W, _I = State.ERROR, State.WARN, State.OK
_R = ReasonCode
REASONS: dict[ReasonCode, Reason] = {
    _R.SCHEMA: Reason("engineering", _E, "columns are missing or have other types", "ghtrader data verify"),
    _R.ROWS_OUTSIDE_SESSIONS: Reason("engineering", _E, "stored rows outside every phase", IMPORT),
    _R.TIME_NOT_INCREASING: Reason("engineering", _E, "stamps that do not rise", IMPORT),
    _R.MIXED_SCHEDULE_HASH: Reason("engineering", _E, "rows of more than one schedule, or of another than the current", REBUILD),
    _R.PROVENANCE_MISSING: Reason("engineering", _E, "rows without segment or schedule", REBUILD),
    _R.OUR_OUTAGE: Reason(
        "engineering",
        _W,
        "our link was down, or the provider has rows that we lack",
        "fetch the day again: ghtrader main-l5 --var VAR",
    ),
    _R.NO_ROWS: Reason("source", _E, "no row of continuous trading", "import the day: ghtrader data import FILE"),
    _R.WRONG_DAY_SPILL: Reason(
        "source",
        _E,
        "a few rows that spilled in from a file of another day",
        "import the day's own file: ghtrader data import FILE",
    ),
    _R.PART_MISSING: Reason("source", _E, "a session part without rows in which trades went unseen", ELSEWHERE),
    _R.PART_INCOMPLETE: Reason("source", _W, "a part that begins late or ends early", ELSEWHERE),
    _R.GAPS: Reason(
        "source",
        _W,
        "holes with evidence",
        "labels and fills across the gaps are void; another source may fill them: ghtrader data import FILE",
    ),
    _R.PROVIDER_MISSING: Reason("source", _W, "the provider answered that it has no rows there", ELSEWHERE),
    _R.HALTED: Reason("source", _W, "the market stood", "nothing to do: the stretch is no gap"),
    _R.VOLUME_FELL: Reason("source", _W, "cumulative volume fell for long: the feed restarted its counters", ELSEWHERE),
    _R.AMOUNT_FELL: Reason("source", _W, "cumulative amount fell where volume did not", ELSEWHERE),
    _R.FEW_ROWS: Reason("source", _W, "far fewer rows than on comparable days", ELSEWHERE),
    _R.STRAY_ROWS: Reason(
        "source", _W, "rows outside every session were dropped at import", "nothing to do: they are not stored"
    ),
    _R.CONTRADICTING_ROWS: Reason(
        "source",
        _W,
        "rows that contradict the cumulative volume, or are impossible, were dropped at import",
        "nothing to do: they are not stored",
    ),
    _R.LATE_ROWS: Reason("source", _W, "rows received a minute or more after their time", "check the recorder's clock and link"),
    _R.ZEROED_LEVELS: Reason("source", _W, "rows whose levels 2-5 are all empty beside full ones", ELSEWHERE),
    _R.DISORDERED_LEVELS: Reason("source", _W, "levels out of order, or a hole between them", ELSEWHERE),
    _R.REPEATED_LEVELS: Reason("source", _W, "the same price on two levels of a side", ELSEWHERE),
    _R.TWO_SIDED_DOUBT: Reason(
        "source",
        _W,
        "volume is counted on both sides where it should not be, or was not where it should",
        "check the source's counting",
    ),
    _R.LEVEL1_ONLY: Reason("source", _W, "the feed supplies one level", "the day is not part of a level-5 series"),
    _R.NULL_RATE_L1: Reason("policy", _E, "best bid or ask often absent (limit-locked rows excepted)", ELSEWHERE),
    _R.SILENCE: Reason("policy", _E, "more gap time than the policy allows", ELSEWHERE),
    _R.SLOT_MISSES_BLOCKING: Reason("policy", _E, "too many empty slots for a feed on the 500 ms grid", ELSEWHERE),
    _R.NULL_RATE_L5: Reason(
        "policy", _W, "fewer than five levels often: a thin contract, or a feed that loses outer levels", ELSEWHERE
    ),
    _R.CROSSED_BOOKS: Reason("policy", _W, "best bid at or above best ask", ELSEWHERE),
    _R.MISSING_SIDE: Reason("policy", _W, "no best bid or ask for long, the price not at its limit", ELSEWHERE),
    _R.PRICE_JUMPS: Reason("policy", _W, "prices that jump between neighbouring rows", ELSEWHERE),
    _R.VOLUME_SPIKES: Reason("policy", _W, "volume steps far beyond the day's largest ordinary ones", ELSEWHERE),
    _R.WIDE_SPREADS: Reason("policy", _W, "spreads far beyond the day's median, often", ELSEWHERE),
    _R.OFF_TICK: Reason("policy", _W, "prices that are no multiple of the price tick", "ghtrader instruments show SYMBOL"),
    _R.SLOT_MISSES: Reason("policy", _I, "some empty slots of a feed on the 500 ms grid"),
    _R.HEARTBEATS: Reason("source", _I, "heartbeats before the session were dropped at import"),
    _R.RESPACED_STAMPS: Reason("source", _I, "equal stamps with different content were spaced by 1 us"),
    _R.REORDERED_ROWS: Reason("source", _I, "rows came out of time order and were sorted at import"),
    _R.DUPLICATE_ROWS: Reason("source", _I, "identical rows were dropped at import"),
    _R.TWO_SIDED_VOLUME: Reason("source", _I, "volume, amount and open interest were counted on both sides and halved at import"),
}


def gravest_first(codes: Iterable[ReasonCode]) -> list[ReasonCode]:
    """Each code once: errors, then warnings, then what is only worth knowing; within a level in the order of the table."""
    order, levels = list(REASONS), (State.ERROR, State.WARN, State.OK)
    return sorted(set(codes), key=lambda code: (levels.index(REASONS[code].level), order.index(code)))


def layer_states(codes: Iterable[ReasonCode]) -> dict[str, State]:
    """State of each layer.

    >>> {layer: state.value for layer, state in layer_states([ReasonCode.GAPS]).items()}
    {'engineering': 'ok', 'source': 'warn', 'policy': 'ok'}
    """
    reasons = [REASONS[code] for code in set(codes)]
    layers: tuple[Layer, ...] = ("engineering", "source", "policy")
    return {layer: worst([State.OK, *(item.level for item in reasons if item.layer == layer)]) for layer in layers}
