"""Laws of gaps and verdicts, and the causes that evidence decides; on a real day and on small made ones."""

from __future__ import annotations

import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ghtrader.core.clock import NS_PER_S
from ghtrader.core.errors import ConfigError
from ghtrader.core.phases import TickFlag
from ghtrader.data.causes import Peers
from ghtrader.data.instruments import InstrumentTable
from ghtrader.data.link_evidence import DayEvidence, LinkWindow, ProviderAnswer
from ghtrader.data.reasons import REASONS, gravest_first, layer_states
from ghtrader.data.thresholds import Thresholds, parse_overrides
from ghtrader.data.validation import DayContext, validate_day
from ghtrader.data.validation_keys import BOUNDS
from ghtrader.data.verdict import Cause, DayVerdict, ExpectedRows, ReasonCode, State
from ghtrader.testing.builders import day_sessions, source_frame, tick_frame

SESSIONS = day_sessions()
LIMITS = Thresholds()


def judged(frame: pl.DataFrame, context: DayContext | None = None, limits: Thresholds = LIMITS) -> DayVerdict:
    return validate_day(frame, SESSIONS, limits, symbol="SHFE.rb2510", context=context)


def without(frame: pl.DataFrame, first: int, stop: int) -> pl.DataFrame:
    return pl.concat([frame[:first], frame[stop:]])


def spans(verdict: DayVerdict) -> list[tuple[int, int]]:
    return [(gap.start_ns, gap.end_ns) for gap in verdict.gaps]


# the builder's day: parts of 10,000 rows that end before the part does; its rows are cut to the part's full length
def whole_part(part: int) -> pl.DataFrame:
    window = SESSIONS.parts[part]
    rows = int((window.end_ns - window.start_ns) // 500_000_000) + 1
    name = ("night", "am1", "am2", "pm")[part]
    return source_frame(rows, seed=part, parts=[name])


def full_day() -> pl.DataFrame:
    pieces, volume, amount = [], 0.0, 0.0
    for part in range(4):
        piece = whole_part(part).with_columns(pl.col("volume") + volume, pl.col("amount") + amount)
        volume, amount = float(piece["volume"][-1]), float(piece["amount"][-1])
        pieces.append(piece)
    return tick_frame(source=pl.concat(pieces))


DAY = full_day()
STAMPS = DAY["datetime"].to_numpy()
PARTS = DAY["part"].to_numpy()


def test_a_full_day_is_ok_and_covers_its_four_parts() -> None:
    verdict = judged(DAY)
    assert (verdict.overall_state, verdict.reasons, verdict.gaps, verdict.cadence) == (State.OK, [], [], "grid")
    assert list(verdict.coverage) == ["night", "am1", "am2", "pm"]
    assert all(part.slots_filled == 1.0 and part.slots_missed == 0 for part in verdict.parts)
    assert {hole.cause for hole in verdict.holes} == {Cause.EXCHANGE_BREAK}


@settings(max_examples=25, deadline=None)
@given(st.integers(2, len(DAY) - 3), st.integers(40, 4000))
def test_law_a_block_removed_inside_a_part_is_one_gap_with_exact_edges(first: int, length: int) -> None:
    stop = min(first + length, len(DAY) - 2)
    while stop > first and PARTS[stop] != PARTS[first - 1]:
        stop -= 1
    if stop - first < 40:
        return
    verdict = judged(without(DAY, first, stop))
    assert spans(verdict) == [(int(STAMPS[first - 1]), int(STAMPS[stop]))]
    assert verdict.gaps[0].cause == Cause.UNKNOWN


@settings(max_examples=15, deadline=None)
@given(st.integers(100, 20_000), st.integers(500, 3000), st.lists(st.floats(0.0, 1.0), min_size=1, max_size=4))
def test_law_restored_rows_never_make_a_gap_where_none_was(first: int, length: int, restored: list[float]) -> None:
    stop = first + length
    back = sorted({first + int(share * (length - 1)) for share in restored})
    less = judged(without(DAY, first, stop))
    keep = np.ones(len(DAY), dtype=np.bool_)
    keep[first:stop] = False
    keep[back] = True
    more = judged(DAY.filter(pl.Series(keep)))
    assert all(any(low <= start and end <= high for low, high in spans(less)) for start, end in spans(more))


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 2**31))
def test_law_the_verdict_does_not_depend_on_the_order_of_rows_in_the_file(seed: int) -> None:
    source = source_frame(2000, seed=5)
    shuffled = source.sample(fraction=1.0, shuffle=True, seed=seed)
    assert judged(tick_frame(source=shuffled)) == judged(tick_frame(source=source))


def test_rows_out_of_order_are_judged_in_order_and_named() -> None:
    verdict = judged(DAY.reverse())
    assert verdict.reason_code == ReasonCode.TIME_NOT_INCREASING
    assert verdict.gaps == []


def test_a_gap_across_a_break_is_one_from_row_to_row() -> None:
    night = int(np.flatnonzero(PARTS == 0)[-1])
    verdict = judged(without(DAY, night - 999, night + 101))
    assert spans(verdict) == [(int(STAMPS[night - 1000]), int(STAMPS[night + 101]))]
    gap = verdict.gaps[0]
    assert (gap.session_part, gap.end_part) == ("night", "am1")
    assert 545 < gap.seconds < 555  # trading time: 500 s of the night, 50 s of the morning
    assert verdict.coverage["night"].gap_seconds == pytest.approx(500, abs=1)


def test_edges_and_whole_parts_are_gaps_from_the_window_on() -> None:
    pm = np.flatnonzero(PARTS == 3)
    early = judged(DAY[: int(pm[-400])])
    assert spans(early) == [(int(STAMPS[pm[-401]]), SESSIONS.parts[3].end_ns)]
    assert early.reason_code == ReasonCode.PART_INCOMPLETE
    late = judged(without(DAY, int(pm[0]), int(pm[400])))
    assert spans(late) == [(SESSIONS.parts[3].start_ns, int(STAMPS[pm[400]]))]
    gone = judged(DAY.filter(pl.col("part") != 2))
    assert spans(gone) == [(SESSIONS.parts[2].start_ns, SESSIONS.parts[2].end_ns)]
    assert (gone.reason_code, gone.overall_state) == (ReasonCode.PART_MISSING, State.ERROR)


CUT = without(DAY, 5000, 5600)  # 300 s of the night
EDGES = (int(STAMPS[4999]), int(STAMPS[5600]))


@pytest.mark.parametrize(
    ("evidence", "asked", "cause", "layer"),
    [
        (DayEvidence(), False, Cause.UNKNOWN, "source"),
        (DayEvidence(link=(LinkWindow(EDGES[0] + NS_PER_S, EDGES[1] - NS_PER_S),)), False, Cause.OUR_OUTAGE, "engineering"),
        (DayEvidence(link=(LinkWindow(EDGES[1] + NS_PER_S, EDGES[1] + 9 * NS_PER_S),)), False, Cause.UNKNOWN, "source"),
        (DayEvidence(link=(LinkWindow(EDGES[0], EDGES[0] + NS_PER_S),)), False, Cause.UNKNOWN, "source"),
        (DayEvidence(answers=(ProviderAnswer(EDGES[0], EDGES[1], "empty"),)), False, Cause.PROVIDER_MISSING, "source"),
        (
            DayEvidence(answers=(ProviderAnswer(0, 2**62, "complete", trading_day="2025-06-05"),)),
            False,
            Cause.PROVIDER_MISSING,
            "source",
        ),
        (DayEvidence(answers=(ProviderAnswer(EDGES[0], EDGES[1], "rows"),)), False, Cause.OUR_OUTAGE, "engineering"),
        (DayEvidence(answers=(ProviderAnswer(0, EDGES[0] - 1, "empty"),)), False, Cause.UNKNOWN, "source"),
        (DayEvidence(), True, Cause.PROVIDER_MISSING, "source"),
    ],
)
def test_a_cause_is_named_only_with_evidence(evidence: DayEvidence, asked: bool, cause: Cause, layer: str) -> None:
    verdict = judged(CUT, DayContext(evidence=evidence, asked_provider=asked))
    assert [(gap.start_ns, gap.end_ns, gap.cause) for gap in verdict.gaps] == [(*EDGES, cause)]
    assert getattr(verdict, f"{layer}_state") == State.WARN


def still(frame: pl.DataFrame, first: int, stop: int) -> pl.DataFrame:
    """Rows removed and nothing traded across them."""
    step = float(frame["volume"][stop] - frame["volume"][first - 1])
    later = pl.when(pl.int_range(pl.len()) >= stop).then(pl.col("volume") - step).otherwise(pl.col("volume"))
    return without(frame.with_columns(later.alias("volume")), first, stop)


def test_without_a_volume_step_nothing_was_missed_unless_peers_or_the_link_say_so() -> None:
    quiet = still(DAY, 5000, 5600)
    inside = np.isin(STAMPS, STAMPS[5000:5600])
    stood, went_on = {"SHFE.hc2510": STAMPS[~inside]}, {"SHFE.hc2510": STAMPS}
    alone = judged(quiet)
    assert (alone.gaps, alone.quiet_holes, alone.overall_state) == ([], 1, State.OK)
    assert [hole.cause for hole in alone.holes if hole.start_ns == EDGES[0]] == [Cause.SPARSE_MARKET]
    halted = judged(quiet, DayContext(peers=lambda: Peers(stood)))
    assert (halted.gaps, halted.reason_code) == ([], ReasonCode.HALTED)
    peers = judged(quiet, DayContext(peers=lambda: Peers(went_on)))
    assert spans(peers) == [EDGES]
    assert "1 of 1 peers went on" in peers.gaps[0].evidence
    link = judged(quiet, DayContext(evidence=DayEvidence(link=(LinkWindow(*EDGES),))))
    assert [(gap.cause, gap.start_ns) for gap in link.gaps] == [(Cause.OUR_OUTAGE, EDGES[0])]
    locked = quiet.with_columns((pl.col("flags") | int(TickFlag.AT_LIMIT)).cast(pl.UInt32))
    assert judged(locked).reason_code == ReasonCode.HALTED


def test_peers_are_not_read_for_a_day_without_holes() -> None:
    def never() -> Peers:
        raise AssertionError("nobody had to ask")

    assert judged(DAY, DayContext(peers=never)).overall_state == State.OK


def test_a_row_that_came_late_after_a_gap_names_it() -> None:
    receive = pl.when(pl.col("datetime") == EDGES[1]).then(5 * NS_PER_S).otherwise(5_000_000)
    verdict = judged(CUT.with_columns((pl.col("datetime") + receive).alias("local_nano")))
    assert [gap.cause for gap in verdict.gaps] == [Cause.LATE]
    skewed = CUT.with_columns((pl.col("datetime") + 300 * NS_PER_S).alias("local_nano"))  # a clock that is wrong all day
    assert [gap.cause for gap in judged(skewed).gaps] == [Cause.UNKNOWN]


def test_thresholds_by_variety_and_part_and_names_that_mean_nothing() -> None:
    products = InstrumentTable.vendored().products
    entries = ["* silence_warn_s=10", "*/night gap_min_s=3", "SHFE.rb gap_min_s=4", "SHFE.rb/night gap_min_s=600"]
    limits = Thresholds(overrides=parse_overrides(entries, products, BOUNDS))
    assert [limits.at("SHFE.rb", part).gap_min_s for part in ("night", "am1")] == [600.0, 4.0]
    assert [limits.at("SHFE.au", part).gap_min_s for part in ("night", "am1")] == [3.0, 2.0]
    assert limits.at("SHFE.au").silence_warn_s == 10.0
    assert judged(CUT, limits=limits).gaps == []  # 300 s are not looked at in the night of rb
    for entry, near in [
        ("SHFE.rbb gap_min_s=3", "SHFE.rb"),
        ("SHFE.rb/nigth gap_min_s=3", "night"),
        ("SHFE.rb gap_mins=3", "gap_min_s"),
        ("SHFE.rb/night silence_error_s=3", "SHFE.au/night"),
        ("SHFE.rb gap_min_s=x", "SHFE.au/night"),
        ("SHFE.rb", "SHFE.au/night"),
    ]:
        with pytest.raises(ConfigError) as caught:
            parse_overrides([entry], products, BOUNDS)
        assert near in caught.value.hint, entry
    with pytest.raises(ConfigError, match=r"0\.5 to 600"):
        parse_overrides(["SHFE.rb gap_min_s=0.1"], products, BOUNDS)


def test_a_thin_contract_is_no_feed_of_one_level() -> None:
    outer = {
        f"{side}_{what}{level}": value
        for side in ("bid", "ask")
        for what, value in (("price", np.nan), ("volume", 0.0))
        for level in (4, 5)
    }
    shallow = DAY.with_columns([pl.lit(value).alias(name) for name, value in outer.items()])
    assert judged(shallow).reasons == [ReasonCode.NULL_RATE_L5]
    bare = shallow.with_columns([pl.lit(np.nan).alias(f"{side}_price{level}") for side in ("bid", "ask") for level in (2, 3)])
    assert judged(bare).reasons == [ReasonCode.LEVEL1_ONLY]


@pytest.mark.parametrize("jitter_ms", [0, 3, 40])
def test_stamps_that_jitter_make_no_gap_and_hide_none(jitter_ms: int) -> None:
    random = np.random.default_rng(jitter_ms)
    noise = random.integers(0, jitter_ms + 1, len(DAY)) * 1_000_000
    keep = (random.random(len(DAY)) < 0.9) & (STAMPS + noise <= np.array([SESSIONS.parts[part].end_ns for part in PARTS]))
    noisy = DAY.with_columns(pl.Series("datetime", STAMPS + noise)).filter(pl.Series(keep))
    assert judged(noisy).gaps == []
    cut = without(noisy, 4000, 4060)
    assert spans(judged(cut)) == [(int(noisy["datetime"][3999]), int(noisy["datetime"][4060]))]


def test_few_rows_are_judged_by_comparable_days_and_only_with_enough_of_them() -> None:
    def expecting(days: int) -> DayVerdict:
        expected = ExpectedRows(p10=90_000.0, p50=100_000.0, p90=110_000.0, sample_days=days, lookback_days=20)
        return judged(DAY, DayContext(expected=expected))

    assert ReasonCode.FEW_ROWS in expecting(5).reasons
    assert ReasonCode.FEW_ROWS not in expecting(4).reasons


def test_slots_are_counted_on_the_grid_only() -> None:
    keep = np.ones(len(DAY), dtype=np.bool_)
    keep[5:-5:20] = False
    misses = judged(DAY.filter(pl.Series(keep)))
    assert (misses.cadence, misses.reasons, misses.overall_state) == ("grid", [ReasonCode.SLOT_MISSES], State.OK)
    blocked = judged(DAY.filter(pl.Series(keep)), limits=msgspec.structs.replace(LIMITS, slot_miss_blocking=0.04))
    assert (blocked.reason_code, blocked.policy_state) == (ReasonCode.SLOT_MISSES_BLOCKING, State.ERROR)
    keep[::2] = False
    assert judged(DAY.filter(pl.Series(keep))).cadence == "event"


def test_holes_are_capped_with_the_rest_counted_and_gaps_are_not() -> None:
    keep = np.zeros(len(DAY), dtype=np.bool_)
    keep[::20] = True
    verdict = judged(DAY.filter(pl.Series(keep)), limits=msgspec.structs.replace(LIMITS, holes_max=7))
    assert (len(verdict.holes), verdict.gaps) == (7, [])
    assert verdict.holes_left_out > 1000
    assert [hole.start_ns for hole in verdict.holes] == sorted(hole.start_ns for hole in verdict.holes)


def test_a_frame_without_what_is_needed_is_our_error() -> None:
    verdict = judged(DAY.drop("flags"))
    assert (verdict.reason_code, verdict.engineering_state) == (ReasonCode.SCHEMA, State.ERROR)
    assert judged(DAY.head(0)).reason_code == ReasonCode.NO_ROWS


def test_every_reason_code_has_a_meaning_a_layer_and_a_hint_when_it_is_a_fault() -> None:
    assert set(REASONS) == set(ReasonCode) - {ReasonCode.OK}
    assert all(reason.hint for reason in REASONS.values() if reason.level != State.OK)
    codes = gravest_first([ReasonCode.HEARTBEATS, ReasonCode.GAPS, ReasonCode.PART_MISSING, ReasonCode.GAPS])
    assert codes == [ReasonCode.PART_MISSING, ReasonCode.GAPS, ReasonCode.HEARTBEATS]
    assert layer_states([])["policy"] == State.OK
