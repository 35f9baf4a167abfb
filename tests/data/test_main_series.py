from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ghtrader.app.services import AppServices
from ghtrader.core.errors import CalendarError, DataError, ProvenanceError, UnknownInstrumentError
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.calendar import Calendar
from ghtrader.data.instruments import InstrumentTable
from ghtrader.data.main_l5 import is_level5
from ghtrader.data.main_schedule import ClosingRow, build_schedule, read_continuous_table, switches_from_closing
from ghtrader.data.sessions import sessions_for
from ghtrader.data.validation import Thresholds, null_rate, validate_day
from ghtrader.datasets.provenance import provenance_problem, require_provenance
from ghtrader.pipelines.build import build_datasets
from ghtrader.pipelines.ingest import import_files
from ghtrader.pipelines.main_series import build_main_l5, current_schedule, make_schedule
from ghtrader.pipelines.validate import gap_starts, validate_main_l5
from ghtrader.ports.tick_store import DayKey

CALENDAR = Calendar.vendored()
SAMPLES = Path(__file__).parent.parent.parent / "samples"
D = TradingDay.parse


def schedule(table: list[tuple[str, str]], last: str = "2025-06-10"):
    return build_schedule("SHFE.rb", [(D(day), name) for day, name in table], last_day=D(last), calendar=CALENDAR, source="test")


def test_segments_number_runs_and_a_contract_that_returns_gets_a_new_id() -> None:
    made = schedule([("2025-06-03", "SHFE.rb2510"), ("2025-06-05", "SHFE.rb2601"), ("2025-06-09", "SHFE.rb2510")])
    assert [(s.segment_id, s.contract, s.last_day) for s in made.segments] == [
        (1, "SHFE.rb2510", "2025-06-04"), (2, "SHFE.rb2601", "2025-06-06"), (3, "SHFE.rb2510", "2025-06-10"),
    ]  # fmt: skip
    assert made.segment_of(D("2025-06-06")).contract == "SHFE.rb2601"
    with pytest.raises(ProvenanceError):
        made.segment_of(D("2025-06-11"))


def test_the_schedule_hash_covers_the_whole_mapping() -> None:
    one, same = (
        schedule([("2025-06-03", "SHFE.rb2510")]),
        schedule([("2025-06-03", "SHFE.rb2510"), ("2025-06-05", "SHFE.rb2510")]),
    )
    longer = schedule([("2025-06-03", "SHFE.rb2510")], last="2025-06-11")
    assert one.schedule_hash == same.schedule_hash != longer.schedule_hash


@pytest.mark.parametrize(
    ("table", "error"),
    [
        ([], DataError),
        ([("2025-06-05", "SHFE.rb2510"), ("2025-06-05", "SHFE.rb2601")], DataError),
        ([("2025-06-07", "SHFE.rb2510")], CalendarError),
        ([("2025-06-05", "SHFE.cu2510")], UnknownInstrumentError),
        ([("2025-06-05", "SHFE.rb2505")], DataError),  # after its delivery month
        ([("2025-06-12", "SHFE.rb2510")], DataError),  # begins after the last day
    ],
)
def test_the_health_gate_refuses(table: list[tuple[str, str]], error: type[Exception]) -> None:
    with pytest.raises(error):
        schedule(table)


def test_own_switches_take_effect_one_trading_day_later_and_never_go_back() -> None:
    rows = [
        ClosingRow(D("2025-06-05"), "SHFE.rb2510", 10, 1), ClosingRow(D("2025-06-05"), "SHFE.rb2601", 5, 1),
        ClosingRow(D("2025-06-06"), "SHFE.rb2510", 4, 1), ClosingRow(D("2025-06-06"), "SHFE.rb2601", 8, 1),
        ClosingRow(D("2025-06-09"), "SHFE.rb2510", 9, 1), ClosingRow(D("2025-06-09"), "SHFE.rb2601", 8, 1),
    ]  # fmt: skip
    assert switches_from_closing(rows, CALENDAR) == [(D("2025-06-06"), "SHFE.rb2510"), (D("2025-06-09"), "SHFE.rb2601")]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("t.csv", "day,contract\n2025-06-03,SHFE.rb2510\n20250609,rb2601\n"),
        ("t.json", '[["2025-06-03","SHFE.rb2510"],["20250609","rb2601"]]'),
        ("u.json", '[{"date":20250603,"from":"","to":"rb2510"},{"date":20250609,"from":"rb2510","to":"rb2601"}]'),
    ],
)
def test_continuous_tables_are_read_in_every_form(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    table = read_continuous_table(tmp_path / name, "SHFE.rb")
    assert [(day.iso, contract) for day, contract in table] == [("2025-06-03", "SHFE.rb2510"), ("2025-06-09", "SHFE.rb2601")]


@pytest.fixture
def with_series(services: AppServices) -> AppServices:
    import_files(services, sorted(SAMPLES.glob("*.parquet"))[:2])
    make_schedule(services, "rb")
    return services


def test_main_l5_carries_provenance_and_a_second_run_does_nothing(with_series: AppServices) -> None:
    first = build_main_l5(with_series, "rb")
    assert (first.written, first.noop) == (2, False)
    frame = with_series.tick_store().read_day(DayKey("main_l5", "KQ.m@SHFE.rb", D("2025-06-05")))
    assert frame["underlying_symbol"].unique().to_list() == ["SHFE.rb2510"]
    assert frame["segment_id"].unique().to_list() == [1]
    assert frame["schedule_hash"].unique().to_list() == [first.schedule_hash]
    second = build_main_l5(with_series, "rb")
    assert (second.written, second.unchanged, second.noop) == (0, 2, True)
    assert build_main_l5(with_series, "rb", full=True).written == 2


def test_a_changed_schedule_rebuilds_and_removes_what_it_no_longer_covers(with_series: AppServices, tmp_path: Path) -> None:
    build_main_l5(with_series, "rb")
    (tmp_path / "t.csv").write_text("2025-06-06,SHFE.rb2510\n")
    assert make_schedule(with_series, "rb", file=tmp_path / "t.csv").changed
    report = build_main_l5(with_series, "rb")
    assert (report.written, report.removed) == (1, 1)
    assert [day.iso for day in with_series.tick_store().days("main_l5", "KQ.m@SHFE.rb")] == ["2025-06-06"]


def test_two_contracts_need_a_table(with_series: AppServices) -> None:
    source = sorted(SAMPLES.glob("*.parquet"))[2]
    import_files(with_series, [source], symbol="SHFE.rb2601")
    with pytest.raises(DataError, match="which one is the main contract"):
        make_schedule(with_series, "rb")


def test_level_five_is_a_property_of_the_day(with_series: AppServices) -> None:
    frame = with_series.tick_store().read_day(DayKey("raw", "SHFE.rb2510", D("2025-06-05")))
    assert is_level5(frame, 0.01)
    flat = frame.with_columns([pl.lit(0.0).alias(f"{side}_volume{n}") for side in ("bid", "ask") for n in range(2, 6)])
    assert not is_level5(flat, 0.01)


def test_sample_days_are_ok_and_a_second_validation_is_a_noop(with_series: AppServices) -> None:
    build_main_l5(with_series, "rb")
    first = validate_main_l5(with_series, "rb")
    assert (first.overall_state, first.noop, [day.gaps for day in first.days]) == ("ok", False, [[], []])
    assert [part.session_part for part in first.days[0].parts] == ["night", "am1", "am2", "pm"]
    assert validate_main_l5(with_series, "rb").noop
    assert validate_main_l5(with_series, "rb", force=True).validated == 2


def canonical(services: AppServices) -> tuple[pl.DataFrame, object]:
    frame = services.tick_store().read_day(DayKey("raw", "SHFE.rb2510", D("2025-06-05")))
    return frame, sessions_for("SHFE.rb", D("2025-06-05"), CALENDAR, InstrumentTable.vendored())


def test_an_outage_is_a_gap_with_evidence_and_cause_unknown(with_series: AppServices) -> None:
    frame, sessions = canonical(with_series)
    cut = pl.concat([frame[:5000], frame[5140:]])  # 70 s of a busy night
    verdict = validate_day(cut, sessions, Thresholds(), symbol="x")
    assert [(gap.session_part, gap.cause) for gap in verdict.gaps] == [("night", "unknown")]
    assert 69 < verdict.gaps[0].seconds < 72
    assert (verdict.overall_state, verdict.reason_code) == ("warn", "gaps")
    assert verdict.gap_buckets[">30s"] == 1


def test_a_quiet_stretch_is_no_gap(with_series: AppServices) -> None:
    frame, sessions = canonical(with_series)
    step = float(frame["volume"][5140] - frame["volume"][4999])
    later = pl.when(pl.int_range(pl.len()) >= 5000).then(pl.col("volume") - step).otherwise(pl.col("volume"))
    quiet = pl.concat([frame[:5000], frame[5140:]]).with_columns(later.alias("volume"))
    verdict = validate_day(quiet, sessions, Thresholds(), symbol="x")
    assert (verdict.gaps, verdict.quiet_holes, verdict.overall_state) == ([], 1, "ok")


def test_a_missing_part_is_an_error_and_a_late_one_a_warning(with_series: AppServices) -> None:
    frame, sessions = canonical(with_series)
    assert validate_day(frame.filter(pl.col("part") != 3), sessions, Thresholds(), symbol="x").reason_code == "part_missing"
    late = frame.filter((pl.col("part") != 3) | (pl.int_range(pl.len()) > len(frame) - 8000))
    assert validate_day(late, sessions, Thresholds(), symbol="x").source_state == "warn"


def test_null_rates_fail_closed(with_series: AppServices) -> None:
    frame, sessions = canonical(with_series)
    assert null_rate(frame, ("bid_price1", "no_such_column")) == 1.0
    assert null_rate(frame.head(0), ("bid_price1",)) is None
    bare = frame.with_columns(
        pl.when(pl.int_range(pl.len()) % 10 == 0).then(float("nan")).otherwise(pl.col("bid_price1")).alias("bid_price1")
    )
    verdict = validate_day(bare, sessions, Thresholds(), symbol="x")
    assert (verdict.policy_state, verdict.reason_code) == ("error", "null_rate_l1")


def test_mixed_schedules_and_rows_outside_sessions_are_our_errors(with_series: AppServices) -> None:
    frame, sessions = canonical(with_series)
    mixed = frame.with_columns(
        pl.lit(1).alias("segment_id"),
        pl.when(pl.int_range(pl.len()) > 9).then(pl.lit("a")).otherwise(pl.lit("b")).alias("schedule_hash"),
    )
    assert validate_day(mixed, sessions, Thresholds(), symbol="x").reason_code == "mixed_schedule_hash"
    outside = frame.with_columns(
        pl.when(pl.int_range(pl.len()) == 7).then(0).otherwise(pl.col("phase")).cast(pl.UInt8).alias("phase")
    )
    assert validate_day(outside, sessions, Thresholds(), symbol="x").engineering_state == "error"


def test_gaps_become_breaks_of_the_datasets(with_series: AppServices) -> None:
    store, key = with_series.tick_store(), DayKey("raw", "SHFE.rb2510", D("2025-06-05"))
    frame, manifest = store.read_day(key), store.manifest(key)
    assert manifest is not None
    import msgspec

    cut = pl.concat([frame[:5000], frame[5140:]])
    store.write_day(key, cut, msgspec.structs.replace(manifest, rows=len(cut), digest="cut", created_ns=1))
    build_main_l5(with_series, "rb")
    validate_main_l5(with_series, "rb")
    gaps = gap_starts(with_series.ledger(), "KQ.m@SHFE.rb", D("2025-06-05"))
    assert gaps.tolist() == [int(frame["datetime"][4999])]
    datasets, _ = build_datasets(with_series, "rb", set_name="minimal16")
    first = datasets[0]
    assert first.break_before[5000]
    assert np.all(first.void[4951:5000, first.column(first.horizons[1])] == 6)  # VoidReason.GAP: 50 ticks cross it


def test_strict_provenance_lists_the_days_and_non_strict_leaves_them_out(with_series: AppServices) -> None:
    build_main_l5(with_series, "rb")
    store, key = with_series.tick_store(), DayKey("main_l5", "KQ.m@SHFE.rb", D("2025-06-06"))
    frame, manifest = store.read_day(key), store.manifest(key)
    assert manifest is not None
    store.write_day(key, frame.with_columns(pl.lit(None, dtype=pl.String).alias("schedule_hash")), manifest)
    with pytest.raises(ProvenanceError, match="2025-06-06"):
        build_datasets(with_series, "rb", set_name="minimal16")
    datasets, report = build_datasets(with_series, "rb", set_name="minimal16", strict=False)
    assert (report.left_out, [d.trading_day.iso for d in datasets]) == (["2025-06-06"], ["2025-06-05"])
    assert "schedule_hash" in provenance_problem(frame.drop("schedule_hash"))
    assert require_provenance({"a": "", "b": "", "c": ""}, {"a": "x", "b": "x", "c": "y"}, strict=False) == ["c"]


def test_a_schedule_that_was_never_made_names_its_command(services: AppServices) -> None:
    with pytest.raises(DataError) as caught:
        current_schedule(services, "rb")
    assert "ghtrader main-schedule" in caught.value.hint


def test_sample_day_fixture_is_level_five(sample_day: Callable) -> None:
    ticks, _ = sample_day("2025-06-05")
    assert (ticks.bid_sz[:, 4] > 0).mean() > 0.99
