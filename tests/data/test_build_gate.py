"""`ghtrader main-l5` promotes a series only when it is no error; what it finds flows into builds."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import polars as pl
import pytest
from tests.conftest import SAMPLES, environment_of

from ghtrader.app.paths import resolve_paths
from ghtrader.app.services import AppServices
from ghtrader.cli.main import run
from ghtrader.core.errors import DataError
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.main_schedule import MainSchedule, Segment, mapping_hash
from ghtrader.datasets.day_dataset import VoidReason
from ghtrader.pipelines import build
from ghtrader.pipelines.build import build_datasets
from ghtrader.pipelines.ingest import import_files
from ghtrader.pipelines.known_gaps import GATE, gaps_of_day, stored_ticks
from ghtrader.pipelines.main_job import market_of_series
from ghtrader.pipelines.main_series import build_main_l5, current_schedule, make_schedule, save_schedule
from ghtrader.pipelines.validate import validate_main_l5
from ghtrader.ports.tick_store import DayKey
from ghtrader.testing.builders import day_manifest

ALIAS, CONTRACT = "KQ.m@SHFE.rb", "SHFE.rb2510"
DAYS = ("2025-06-05", "2025-06-06")


def key_of(day: str, kind: str = "main_l5") -> DayKey:
    return DayKey(kind, ALIAS if kind == "main_l5" else CONTRACT, TradingDay.parse(day))


@pytest.fixture
def series(services: AppServices) -> AppServices:
    import_files(services, sorted(SAMPLES.glob("*.parquet"))[:2])
    make_schedule(services, "rb")
    build_main_l5(services, "rb")
    return services


def replace_raw(services: AppServices, day: str, frame: pl.DataFrame) -> None:
    key, manifest = day_manifest(frame, created_ns=services.clock.now_ns())
    assert key == key_of(day, "raw")
    services.tick_store().write_day(key, frame, manifest)


def without_afternoon(services: AppServices, day: str) -> None:
    frame = services.tick_store().read_day(key_of(day, "raw"))
    replace_raw(services, day, frame.filter(pl.col("part") != 3))


def with_outage(services: AppServices, day: str, first: int = 5000, rows: int = 140) -> tuple[int, int]:
    """Seventy seconds of a busy night are missing; the gap's true ends."""
    frame = services.tick_store().read_day(key_of(day, "raw"))
    replace_raw(services, day, pl.concat([frame[:first], frame[first + rows :]]))
    return int(frame["datetime"][first - 1]), int(frame["datetime"][first + rows])


def everything(services: AppServices) -> dict[str, tuple[str, bytes]]:
    """Every file of the stored series: name and content."""
    root = services.paths.data / "ticks" / "kind=main_l5"
    return {
        str(path.relative_to(root)): ("", path.read_bytes()) for path in root.rglob("*") if path.suffix in {".json", ".parquet"}
    }


def test_a_day_in_error_stops_the_build_and_the_old_series_is_served_byte_for_byte(
    series: AppServices, capsys: pytest.CaptureFixture[str]
) -> None:
    old = everything(series)
    assert len(old) == 4
    without_afternoon(series, DAYS[1])
    with_outage(series, DAYS[0])  # a change that would be fine by itself waits as well: the series changes as a whole
    with pytest.raises(DataError) as caught:
        build_main_l5(series, "rb")
    error = caught.value
    assert (error.context["reason_code"], error.hint) == ("part_missing", error.context["action_hint"])
    assert [(day["trading_day"], day["contract"], day["reason_code"]) for day in error.context["days"]] == [
        (DAYS[1], CONTRACT, "part_missing")
    ]
    assert "2025-06-06" in error.message
    assert error.context["days"][0]["action_hint"]
    assert everything(series) == old
    capsys.readouterr()
    assert run(series, ["main-l5", "--var", "rb", "--source", "local", "--json"]) == 4
    shown = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (shown["context"]["reason_code"], shown["context"]["days"][0]["trading_day"]) == ("part_missing", DAYS[1])
    assert everything(series) == old
    assert [d.trading_day.iso for d in build_datasets(series, "rb", set_name="minimal16")[0]] == list(DAYS)
    recorded = sorted(path.name for path in series.paths.runs.iterdir() if path.name.startswith("main_l5"))
    refused = json.loads((series.paths.runs / recorded[-1] / "manifest.json").read_bytes())
    assert (refused["state"], refused["findings"][0]["state"]) == ("error", "error")


def test_without_enforcement_the_series_changes_and_says_what_the_gate_saw(series: AppServices, tmp_path: Path) -> None:
    without_afternoon(series, DAYS[1])
    report = build_main_l5(series, "rb", enforce_health=False)
    gate = report.gate
    assert (report.written, gate.enforced, gate.promoted, gate.overall_state, gate.reason_code) == (
        1,
        False,
        True,
        "error",
        "part_missing",
    )
    assert (gate.judged, gate.kept) == (1, 1)  # the other day's rows were judged before
    assert set(series.tick_store().read_day(key_of(DAYS[1]))["part"].unique()) == {0, 1, 2}
    # nothing to change: nothing is judged and nothing refused
    again = build_main_l5(series, "rb")
    assert (again.noop, again.gate.overall_state, again.gate.promoted) == (True, "noop", False)
    # but a change of another day is one of a series that has an error
    with_outage(series, DAYS[0])
    with pytest.raises(DataError) as caught:
        build_main_l5(series, "rb")
    assert [day["trading_day"] for day in caught.value.context["days"]] == [DAYS[1]]


def test_the_command_line_follows_the_key_and_its_own_option(series: AppServices, capsys: pytest.CaptureFixture[str]) -> None:
    without_afternoon(series, DAYS[1])
    arguments = ["main-l5", "--var", "rb", "--source", "local"]
    assert run(series, [*arguments]) == 4
    assert "part_missing" in capsys.readouterr().err
    relaxed = AppServices(series.paths, environment_of(series.paths.data.parent), {"data.main_l5.enforce_health": "false"})
    assert run(relaxed, [*arguments, "--enforce-health"]) == 4
    assert run(relaxed, [*arguments]) == 0
    assert "not enforced" in capsys.readouterr().out
    without_afternoon(series, DAYS[0])
    assert run(series, [*arguments, "--no-enforce-health", "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["gate"]["overall_state"] == "error"


def test_gaps_that_the_gate_found_are_known_to_builds_until_the_day_is_validated(series: AppServices) -> None:
    start, end = with_outage(series, DAYS[0])
    report = build_main_l5(series, "rb")
    assert (report.gate.overall_state, [day.trading_day for day in report.gate.days]) == ("warn", [DAYS[0]])
    datasets, built = build_datasets(series, "rb", set_name="minimal16")
    assert (built.unvalidated_days, [day.gaps for day in built.days]) == ([], [1, 0])
    first = datasets[0]
    row = int((first.ts_ns == end).nonzero()[0][0])
    assert first.break_before[row]
    assert set(first.void[row - 50 : row, first.column(first.horizons[1])]) == {int(VoidReason.GAP)}
    ticks = stored_ticks(series, key_of(DAYS[0]))
    assert ticks.ts_ns[ticks.gap_after != 0].tolist() == [start]
    # a validation by itself says the same, and the build is reused
    assert not validate_main_l5(series, "rb").noop
    assert build_datasets(series, "rb", set_name="minimal16")[1].reused == 2


def test_a_new_verdict_on_the_same_rows_builds_again(series: AppServices) -> None:
    validate_main_l5(series, "rb")
    _, before = build_datasets(series, "rb", set_name="minimal16")
    ledger, name = series.ledger(), f"{ALIAS}/{DAYS[0]}"
    document = ledger.get("validation", name)
    assert document is not None
    stamps = series.tick_store().read_day(key_of(DAYS[0]))["datetime"]
    hashes = {before.days[0].build_hash}
    for last in (2001, 2002):
        gap = {
            "start_ns": stamps[2000],
            "end_ns": stamps[last],
            "session_part": "night",
            "seconds": 0.5,
            "cause": "our_outage",
            "evidence": "link log",
        }
        ledger.put("validation", name, {**document, "verdict": {**document["verdict"], "gaps": [gap]}})
        _, after = build_datasets(series, "rb", set_name="minimal16")
        assert [day.reused for day in after.days] == [False, True]
        hashes.add(after.days[0].build_hash)
    assert len(hashes) == 3  # the end counts as well


def test_days_whose_rows_nobody_judged_are_named(series: AppServices, capsys: pytest.CaptureFixture[str]) -> None:
    for key, _ in series.ledger().items(GATE):
        series.ledger().delete(GATE, key)
    _, report = build_datasets(series, "rb", set_name="minimal16")
    assert report.unvalidated_days == list(DAYS)
    capsys.readouterr()
    assert run(series, ["build", "--var", "rb"]) == 0
    assert "never validated, gaps unknown: 2025-06-05, 2025-06-06" in " ".join(capsys.readouterr().out.split())
    validate_main_l5(series, "rb")
    assert build_datasets(series, "rb", set_name="minimal16")[1].unvalidated_days == []
    # a verdict on other rows is none on these
    manifest = series.tick_store().manifest(key_of(DAYS[0]))
    assert manifest is not None
    known = gaps_of_day(series.ledger(), manifest)
    assert known is not None
    assert known.shape == (0, 2)
    assert gaps_of_day(series.ledger(), msgspec.structs.replace(manifest, rows=manifest.rows - 1)) is None


@pytest.mark.parametrize("where", ["reading provenance", "building"])
def test_a_series_that_is_replaced_while_a_build_reads_it_gives_no_dataset(
    series: AppServices, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """Between two days of a build another process promotes a new schedule: no mix of both comes out."""
    honest, target = {"reading provenance": build.provenance_problem, "building": build.gaps_of_day}[where], []

    def beside(*arguments: object) -> object:
        found = honest(*arguments)
        if not target:
            other = AppServices(series.paths, series._environment)
            target.append(make_schedule(other, "rb", until="2025-06-13").schedule.schedule_hash)
            build_main_l5(other, "rb")
        return found

    monkeypatch.setattr(build, honest.__name__, beside)
    with pytest.raises(DataError, match="was replaced while it was read") as caught:
        build_datasets(series, "rb", set_name="minimal16")
    assert caught.value.retryable
    datasets, _ = build_datasets(series, "rb", set_name="minimal16")
    assert {dataset.schedule_hash for dataset in datasets} == set(target)


def test_days_are_simulated_as_they_were_scored_or_not_at_all(series: AppServices) -> None:
    datasets, _ = build_datasets(series, "rb", set_name="minimal16")
    assert len(market_of_series(series, "rb", datasets)(DAYS[0]).ticks) == len(datasets[0])
    with_outage(series, DAYS[0])
    build_main_l5(series, "rb")
    with pytest.raises(DataError, match="changed after its dataset was built"):
        market_of_series(series, "rb", datasets)(DAYS[0])


def test_the_gaps_of_a_raw_day_are_known_as_well(series: AppServices) -> None:
    start, end = with_outage(series, DAYS[0])
    build_main_l5(series, "rb")
    document = next(document for name, document in series.ledger().items(GATE) if document["verdict"]["gaps"])
    raw = series.tick_store().manifest(key_of(DAYS[0], "raw"))
    assert raw is not None
    assert gaps_of_day(series.ledger(), raw) is None
    series.ledger().put("validation", f"{CONTRACT}/{DAYS[0]}", {**document, "digest": raw.digest})
    ticks = stored_ticks(series, key_of(DAYS[0], "raw"))
    assert ticks.ts_ns[ticks.gap_after != 0].tolist() == [start]
    assert ticks.break_before[ticks.ts_ns == end].all()
    # the series' day is these rows: it knows them from the contract when nobody judged it by itself
    for name, _ in series.ledger().items(GATE):
        series.ledger().delete(GATE, name)
    ticks = stored_ticks(series, key_of(DAYS[0]))
    assert ticks.ts_ns[ticks.gap_after != 0].tolist() == [start]


def test_an_unhealthy_schedule_is_refused_and_making_it_again_mends_it(series: AppServices) -> None:
    old = everything(series)
    schedule = current_schedule(series, "rb")
    with_outage(series, DAYS[0])
    rows = series.tables().rows("main_schedule_v2", ALIAS)
    series.tables().replace("main_schedule_v2", ALIAS, [*rows, {**rows[0], "segment_id": 2}])
    with pytest.raises(DataError) as caught:
        build_main_l5(series, "rb")
    assert caught.value.context["reason_code"] == "schedule_rows_mismatch"
    assert caught.value.hint == "ghtrader main-schedule --var SHFE.rb"
    assert everything(series) == old
    assert not make_schedule(series, "rb").changed
    assert build_main_l5(series, "rb").written == 1
    # a mapping that was written by something else
    forged = [Segment(segment_id=1, contract="SHFE.rb2510", first_day="2025-06-07", last_day="2025-06-08")]
    document = MainSchedule(
        alias=ALIAS, product="SHFE.rb", segments=tuple(forged), schedule_hash=mapping_hash(ALIAS, forged), source="forged"
    )
    save_schedule(series, document)
    with pytest.raises(DataError) as caught:
        build_main_l5(series, "rb")
    assert caught.value.context["reason_code"] == "schedule_day_not_trading"
    save_schedule(series, schedule)
    assert build_main_l5(series, "rb").noop


def test_a_first_build_in_error_leaves_no_series(tmp_path: Path) -> None:
    environment = environment_of(tmp_path)
    services = AppServices(resolve_paths(environment), environment)
    import_files(services, sorted(SAMPLES.glob("*.parquet"))[:1])
    without_afternoon(services, DAYS[0])
    make_schedule(services, "rb")
    with pytest.raises(DataError):
        build_main_l5(services, "rb")
    assert services.tick_store().days("main_l5", ALIAS) == []
    forced = build_main_l5(services, "rb", enforce_health=False)
    assert (forced.written, forced.gate.judged, forced.gate.kept) == (1, 0, 1)  # the refused build had judged these rows
