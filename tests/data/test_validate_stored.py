"""Validation of what is stored: incremental by everything a verdict rests on, evidence, absent days, preflight, rows."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import polars as pl
import pytest

from ghtrader.app.services import AppServices
from ghtrader.core.errors import CalendarError, ConfigError, DataError
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.link_evidence import Evidence, LinkWindow, ProviderAnswer, read_link_log, read_provider_answers
from ghtrader.data.verdict import Cause, DayVerdict, ReasonCode, State
from ghtrader.pipelines.ingest import import_files
from ghtrader.pipelines.main_series import build_main_l5, make_schedule
from ghtrader.pipelines.validate import known_gaps, validate_main_l5, validate_stored
from ghtrader.ports.tick_store import DayKey

SAMPLES = sorted((Path(__file__).parent.parent.parent / "samples").glob("*.parquet"))
RB = "SHFE.rb2510"
D = TradingDay.parse


@pytest.fixture
def cut_file(tmp_path: Path) -> tuple[Path, int, int]:
    """The first sample day without rows 12,000 to 14,400, and the stamps on both sides."""
    frame = pl.read_parquet(SAMPLES[0])
    path = tmp_path / SAMPLES[0].name
    pl.concat([frame[:12_000], frame[14_400:]]).write_parquet(path)
    return path, int(frame["datetime"][11_999]), int(frame["datetime"][14_400])


def with_keys(services: AppServices, **values: str) -> AppServices:
    """Another process on the same folders, with other values of keys ``data.validation.*``."""
    overrides = {f"data.validation.{name}": value for name, value in values.items()}
    return AppServices(services.paths, os.environ, overrides)


def only(services: AppServices) -> DayVerdict:
    (day,) = validate_stored(services, symbol=RB).days
    return day


def test_raw_days_need_no_schedule_and_a_second_run_says_that_nothing_was_to_do(services: AppServices) -> None:
    import_files(services, SAMPLES[:2])
    first = validate_stored(services, symbol=RB)
    assert (first.overall_state, first.noop, first.validated) == (State.OK, False, 2)
    assert [list(day.coverage) for day in first.days] == [["night", "am1", "am2", "pm"]] * 2
    second = validate_stored(services, symbol=RB)
    assert (second.overall_state, second.stored_state, second.noop, second.unchanged) == (State.NOOP, State.OK, True, 2)
    assert "nothing to do: 2 days unchanged" in second.message
    assert second.days == first.days
    assert list(second.days[0].coverage) == ["night", "am1", "am2", "pm"]


def test_everything_stored_is_judged_without_a_name_and_threads_change_nothing(services: AppServices) -> None:
    import_files(services, SAMPLES)
    make_schedule(services, "rb")
    build_main_l5(services, "rb")
    one = validate_stored(with_keys(services, workers="1"))
    three = validate_stored(with_keys(services, workers="3"), force=True)
    assert [day.symbol for day in one.days] == ["KQ.m@SHFE.rb"] * 4 + [RB] * 4
    assert three.days == one.days
    assert (one.validated, three.validated) == (8, 8)


def test_the_gap_is_exact_to_the_row_and_its_cause_follows_the_evidence_of_each_import(
    services: AppServices, cut_file: tuple[Path, int, int]
) -> None:
    path, before, after = cut_file
    import_files(services, [path])
    day = only(services)
    assert [(gap.start_ns, gap.end_ns, gap.cause) for gap in day.gaps] == [(before, after, Cause.UNKNOWN)]
    assert known_gaps(services.ledger(), RB, D("2025-06-05")) == day.gaps
    # the same file again, now with what the provider answered: the verdict does not hold any more
    empty = Evidence(answers=(ProviderAnswer(before, after, "empty", RB),))
    assert import_files(services, [path], evidence=empty).evidence == [f"{RB}/2025-06-05"]
    assert import_files(services, [path], evidence=empty).evidence == []
    assert [gap.cause for gap in only(services).gaps] == [Cause.PROVIDER_MISSING]
    assert validate_stored(services, symbol=RB).noop
    import_files(services, [path], evidence=Evidence(link=(LinkWindow(before, after),)))
    day = only(services)
    assert ([gap.cause for gap in day.gaps], day.engineering_state) == ([Cause.OUR_OUTAGE], State.WARN)


def test_holes_and_quality_are_rows_and_gaps_are_marked(services: AppServices, cut_file: tuple[Path, int, int]) -> None:
    import_files(services, [cut_file[0]])
    day, scope = only(services), f"{RB}/2025-06-05"
    rows = services.tables().rows("tick_gaps_v2", scope)
    assert [(row["datetime"], row["end_ns"], row["part"], row["end_part"]) for row in rows if row["is_gap"]] == [
        (cut_file[1], cut_file[2], "night", "am1")
    ]
    assert {row["cause"] for row in rows} >= {"unknown", "exchange_break", "auction"}
    (summary,) = services.tables().rows("main_l5_validate_summary_v2", scope)
    assert (summary["source_state"], summary["gaps"], summary["reasons"]) == ("warn", 1, "part_incomplete gaps")
    quality = {(row["field"], row["metric"]): row["value"] for row in services.tables().rows("field_quality_v2", scope)}
    assert quality["book", "null_rate_l5"] == day.fields["book"]["null_rate_l5"] == 0.0


def test_a_peer_that_comes_later_is_asked_and_only_days_with_holes_are_judged_again(
    services: AppServices, tmp_path: Path
) -> None:
    frame = pl.read_parquet(SAMPLES[0])
    step = int(frame["volume"][20_600] - frame["volume"][19_999])
    later = pl.when(pl.int_range(pl.len()) >= 20_600).then(pl.col("volume") - step).otherwise(pl.col("volume"))
    quiet = frame.with_columns(later.cast(frame.schema["volume"]).alias("volume"))
    path = tmp_path / SAMPLES[0].name
    pl.concat([quiet[:20_000], quiet[20_600:]]).write_parquet(path)
    import_files(services, [path, SAMPLES[1]])
    assert validate_stored(services, symbol=RB).overall_state == State.OK
    import_files(services, SAMPLES[:2], symbol="SHFE.hc2510")
    report = validate_stored(services, symbol=RB)
    assert (report.validated, report.unchanged) == (1, 1)
    assert ["peers went on" in gap.evidence for gap in report.days[0].gaps] == [True]


def test_absent_days_are_named_and_have_a_verdict_where_the_provider_answered(services: AppServices) -> None:
    import_files(services, [SAMPLES[0], SAMPLES[3]])
    report = validate_stored(services, symbol=RB)
    assert (report.overall_state, report.missing_days) == (State.OK, [f"{RB}/2025-06-06", f"{RB}/2025-06-09"])
    answers = (ProviderAnswer(0, 2**62, "empty", RB, "2025-06-09"),)
    import_files(services, [SAMPLES[0]], evidence=Evidence(answers=answers))
    report = validate_stored(services, symbol=RB)
    absent = next(day for day in report.days if day.trading_day == "2025-06-09")
    assert (absent.rows, absent.overall_state, absent.reason_code) == (0, State.ERROR, ReasonCode.NO_ROWS)
    assert {gap.cause for gap in absent.gaps} == {Cause.PROVIDER_MISSING}
    assert report.missing_days == [f"{RB}/2025-06-06"]
    assert validate_stored(services, symbol=RB).noop


def test_rows_that_the_provider_gave_itself_are_its_whole_answer(services: AppServices, cut_file: tuple[Path, int, int]) -> None:
    import_files(services, [cut_file[0]])
    store, key = services.tick_store(), DayKey("raw", RB, D("2025-06-05"))
    manifest = store.manifest(key)
    assert manifest is not None
    source = msgspec.structs.replace(manifest.sources[0], name="tqsdk history")
    store.write_day(key, store.read_day(key), msgspec.structs.replace(manifest, sources=(source,), created_ns=1))
    assert [gap.cause for gap in only(services).gaps] == [Cause.PROVIDER_MISSING]


def test_it_fails_before_anything_is_judged(services: AppServices) -> None:
    with pytest.raises(DataError) as caught:
        validate_stored(services)
    assert "ghtrader data import" in caught.value.hint
    import_files(services, SAMPLES[:1])
    make_schedule(services, "rb")
    build_main_l5(services, "rb")
    alias = "KQ.m@SHFE.rb"
    document = services.ledger().get("main_schedule", alias)
    assert document is not None
    services.ledger().put("main_schedule", alias, {**document, "schedule_hash": "f" * 64})
    with pytest.raises(DataError, match="not healthy"):
        validate_main_l5(services, "rb")
    services.ledger().put("main_schedule", alias, document)
    with pytest.raises(ConfigError) as unknown:
        validate_main_l5(with_keys(services, overrides='["SHFE.rbb gap_min_s=3"]'), "rb")
    assert "SHFE.rb" in unknown.value.hint
    assert services.ledger().get("validation", f"{alias}/2025-06-05") is None
    frame = services.tick_store().read_day(DayKey("raw", RB, D("2025-06-05")))
    manifest = services.tick_store().manifest(DayKey("raw", RB, D("2025-06-05")))
    assert manifest is not None
    services.tick_store().write_day(DayKey("raw", RB, D("2041-01-07")), frame, manifest)
    with pytest.raises(CalendarError, match="2041-01-07"):
        validate_stored(services, symbol=RB)
    assert services.ledger().get("validation", f"{RB}/2025-06-05") is None


@pytest.mark.parametrize(
    ("text", "windows"),
    [
        ('{"event":"down","ts_ns":1749087000000000000}\n{"event":"up","ts_ns":1749087060000000000}\n', [(0, 60)]),
        (
            '{"state":"disconnected","time":"2025-06-05T09:30:00+08:00"}\n{"state":"connected","time":"2025-06-05 09:31:00"}',
            [(0, 60)],
        ),
        ('{"down_ns":1749087000000,"up_ns":"2025-06-05T01:31:00Z","symbol":"SHFE.rb2510"}', [(0, 60)]),
        ('[{"event":"up","ts":1749087060},{"event":"ping","ts":1},{"event":"down","ts":1749087000}]', [(0, 60)]),
        ('{"event":"down","ts":1749087000}\n{"event":"down","ts":1749087010}\n{"event":"up","ts":1749087060}', [(0, 60)]),
    ],
)
def test_link_logs_are_read_in_every_form(tmp_path: Path, text: str, windows: list[tuple[int, int]]) -> None:
    path = tmp_path / "link.jsonl"
    path.write_text(text)
    begin = 1_749_087_000 * 10**9
    assert [(item.down_ns - begin, item.up_ns - begin) for item in read_link_log(path)] == [
        (low * 10**9, high * 10**9) for low, high in windows
    ]


@pytest.mark.parametrize("text", ["", "{", '{"event":"ping","ts":1}', '{"event":"down","ts":"noon"}', "[1]"])
def test_a_link_log_that_tells_nothing_is_an_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "link.jsonl"
    path.write_text(text)
    with pytest.raises(DataError) as caught:
        read_link_log(path)
    assert "ts_ns" in caught.value.hint


def test_provider_answers_are_read_and_wrong_ones_named(tmp_path: Path) -> None:
    path = tmp_path / "answers.json"
    path.write_text(
        '{"answers":[{"symbol":"SHFE.rb2510","trading_day":"2025-06-09","answer":"no_data"},{"start":1,"end":2,"rows":7}]}'
    )
    assert [(item.answer, item.trading_day, item.symbol) for item in read_provider_answers(path)] == [
        ("empty", "2025-06-09", RB), ("rows", "", ""),
    ]  # fmt: skip
    for text in ('[{"answer":"maybe"}]', '[{"answer":"empty","trading_day":"soon"}]', "[]"):
        path.write_text(text)
        with pytest.raises(DataError):
            read_provider_answers(path)
    with pytest.raises(DataError, match="no such file"):
        read_provider_answers(tmp_path / "nothing.json")
