"""Run manifests and reports, lineage, and the data calendar."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ghtrader.app.services import AppServices
from ghtrader.cli.main import run
from ghtrader.core.errors import DataError
from ghtrader.core.ids import file_sha256
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.calendar import Calendar
from ghtrader.data.ingest import Ingest
from ghtrader.data.instruments import InstrumentTable
from ghtrader.pipelines.build import build_datasets
from ghtrader.pipelines.data_calendar import LETTERS, DayStatus, data_calendar
from ghtrader.pipelines.ingest import import_files
from ghtrader.pipelines.lineage import lineage
from ghtrader.pipelines.lineage_tree import Node
from ghtrader.pipelines.main_series import build_main_l5, make_schedule
from ghtrader.pipelines.report.calendar import render_calendar
from ghtrader.pipelines.run_diff import diff_runs
from ghtrader.pipelines.run_report import Item, compact, list_runs, load_run
from ghtrader.pipelines.validate import validate_main_l5
from ghtrader.ports.market_data import HistoryChunk
from ghtrader.ports.tick_store import DayKey
from ghtrader.testing.builders import SYMBOL, source_frame

DAYS = ("2025-06-05", "2025-06-06", "2025-06-09")
ALIAS = "KQ.m@SHFE.rb"


def write(folder: Path, day: str, seed: int = 0) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / f"{SYMBOL}.{day}.parquet"
    source_frame(240, trading_day=day, seed=seed).write_parquet(path)
    return path


@pytest.fixture
def imported(services: AppServices, tmp_path: Path) -> AppServices:
    import_files(services, [write(tmp_path / "in", day) for day in DAYS])
    return services


@pytest.fixture
def series(imported: AppServices) -> AppServices:
    make_schedule(imported, "rb")
    build_main_l5(imported, "rb", enforce_health=False)
    return imported


def output(services: AppServices, capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> Any:
    assert run(services, ["data", *arguments, "--json"]) == code
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def walk(node: Node) -> list[Node]:
    return [node, *(found for child in node.children for found in walk(child))]


# --- manifests and reports --------------------------------------------------------------------------------------------


def test_an_import_leaves_its_files_its_days_and_its_counters(imported: AppServices, tmp_path: Path) -> None:
    folder, record = load_run(imported, "import")
    assert (record.kind, record.subject, record.state) == ("import", SYMBOL, "ok")
    files = sorted((tmp_path / "in").iterdir())
    assert [(item.name, item.identity, item.rows) for item in record.inputs] == [
        (f.name, file_sha256(str(f)), 240) for f in files
    ]
    store = imported.tick_store()
    digests = [store.manifest(DayKey("raw", SYMBOL, TradingDay.parse(day))).digest for day in DAYS]  # type: ignore[union-attr]
    assert [(item.identity, item.state) for item in record.outputs] == [(digest, "written") for digest in digests]
    assert {name: record.counters[name] for name in ("rows_in", "written", "deduped")} == {
        "rows_in": 720,
        "written": 720,
        "deduped": 0,
    }
    assert record.config_hash == imported.settings().config_hash
    assert record.seconds["total"] > 0
    assert json.loads((folder / "config.json").read_text())["values"]["data.report.samples"] == 20


def test_a_run_that_did_nothing_leaves_nothing_unless_asked(series: AppServices, tmp_path: Path) -> None:
    before = len(list_runs(series))
    again = import_files(series, sorted((tmp_path / "in").iterdir()))
    assert (again.deduped, again.run) == (720, "")
    assert build_main_l5(series, "rb", enforce_health=False).run == ""
    assert len(list_runs(series)) == before
    asked = AppServices(series.paths, {}, {"data.report.noop_runs": "true"})
    report = import_files(asked, sorted((tmp_path / "in").iterdir()))
    record = load_run(asked, report.run)[1]
    assert (record.noop, record.counters["deduped"], {item.state for item in record.outputs}) == (True, 720, {"unchanged"})


def test_a_file_that_cannot_be_used_is_a_finding(services: AppServices, tmp_path: Path) -> None:
    good, bad = write(tmp_path / "in", DAYS[0]), tmp_path / "in" / "bad.parquet"
    bad.write_bytes(b"PAR1")
    record = load_run(services, import_files(services, [good, bad]).run)[1]
    assert (record.state, [item.name for item in record.findings]) == ("error", [str(bad)])


def test_series_validation_and_build_leave_what_they_stand_on(series: AppServices) -> None:
    validate_main_l5(series, "rb")
    _, report = build_datasets(series, "rb", set_name="minimal16")
    main = load_run(series, "main_l5")[1]
    assert [item.name for item in main.inputs] == [f"schedule/{ALIAS}", *(f"raw/{SYMBOL}/{day}" for day in DAYS)]
    assert main.counters["written"] == main.counters["rows_in"] == 720
    build = load_run(series, report.run)[1]
    assert [item.identity for item in build.inputs] == [item.identity for item in main.outputs]
    assert [item.identity for item in build.outputs] == [day.build_hash for day in report.days]
    assert build_datasets(series, "rb", set_name="minimal16")[1].run == ""
    forced = validate_main_l5(series, "rb", force=True)
    judged = load_run(series, forced.run)[1]
    assert [(item.name, item.state) for item in judged.outputs] == [
        (f"verdict/{ALIAS}/{day.trading_day}", day.overall_state) for day in forced.days
    ]
    assert len(judged.findings) == sum(len(day.gaps) for day in forced.days)


def test_a_report_is_capped_and_says_what_it_leaves_out(imported: AppServices) -> None:
    folder, record = load_run(imported, "import")
    many = msgspec.structs.replace(record, outputs=[Item(name=str(n), state="error" if n == 7 else "ok") for n in range(9)])
    short = compact(many, 2)
    assert ([item.name for item in short.outputs], short.left_out) == (["7", "0"], {"inputs": 1, "outputs": 7})
    assert json.loads((folder / "report.json").read_text())["left_out"] == {}


def test_runs_are_listed_newest_first_and_named_by_their_beginning(
    series: AppServices, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = output(series, capsys, "report", "list")["runs"]
    assert [entry["kind"] for entry in runs] == ["main_l5", "import"]
    assert [entry["kind"] for entry in output(series, capsys, "report", "list", "--kind", "import")["runs"]] == ["import"]
    assert output(series, capsys, "report", "show", "latest")["run"] == runs[0]["run"]
    assert len(output(series, capsys, "report", "show", "import", "--whole")["outputs"]) == 3
    for words in (["report", "list"], ["report", "show", "import"]):
        assert run(series, ["data", *words]) == 0
    assert output(series, capsys, "report", "show", "nothing", code=4)["hint"] == "ghtrader data report list"
    (series.paths.runs / "train-x-20250605T010203123456").mkdir()
    (series.paths.runs / "train-x-20250605T010203123456" / "config.json").write_text("{}")
    assert output(series, capsys, "report", "show", "train", code=4)["message"]
    last = output(series, capsys, "report", "list")["runs"][-1]
    assert (last["kind"], last["started"], last["outputs"]) == ("train", "2025-06-05T01:02:03", None)


def test_a_diff_names_what_changed_in_inputs_rows_digests_and_configuration(
    imported: AppServices, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = list_runs(imported)[0].run
    other = AppServices(imported.paths, {}, {"data.report.samples": "3"})
    second = import_files(other, [write(tmp_path / "more", DAYS[0], seed=5), tmp_path / "in" / f"{SYMBOL}.{DAYS[1]}.parquet"]).run
    found = diff_runs(other, first, second)
    changes = {(change.part, change.name, change.what) for change in found.changes}
    assert ("inputs", f"{SYMBOL}.{DAYS[0]}.parquet", "identity") in changes
    assert ("inputs", f"{SYMBOL}.{DAYS[2]}.parquet", "presence") in changes
    assert ("outputs", f"raw/{SYMBOL}/{DAYS[0]}", "identity") in changes
    assert ("outputs", f"raw/{SYMBOL}/{DAYS[0]}", "rows") in changes
    assert ("outputs", f"raw/{SYMBOL}/{DAYS[1]}", "state") in changes
    assert [(c.name, c.left, c.right) for c in found.changes if c.part == "config"] == [("data.report.samples", 20, 3)]
    assert not [change for change in found.changes if change.part == "code"]
    assert found.changed["inputs"] == 2
    shown = output(imported, capsys, "report", "diff", first, second)
    assert (shown["same"], len(shown["changes"])) == (False, len(found.changes))
    assert output(imported, capsys, "report", "diff", first, first)["same"]
    assert run(imported, ["data", "report", "diff", first, second]) == 0


# --- lineage ----------------------------------------------------------------------------------------------------------


def test_a_feature_row_is_traced_to_its_file_in_one_command(
    series: AppServices, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, built = build_datasets(series, "rb", set_name="minimal16")
    report = lineage(series, ALIAS, DAYS[1], row=100)
    assert (report.complete, report.problems) == (True, [])
    nodes = {node.what: node for node in walk(report.tree)}
    path = tmp_path / "in" / f"{SYMBOL}.{DAYS[1]}.parquet"
    assert nodes["dataset"].facts["build_hash"] == built.days[1].build_hash
    assert nodes["main_l5"].facts["raw_digest"] == nodes["raw"].facts["digest"]
    assert nodes["schedule"].facts["segment"].startswith(f"1: {SYMBOL}")
    assert (nodes["source"].name, nodes["source"].facts["sha256"]) == (path.name, file_sha256(str(path)))
    runs = {node.name.split("-")[0] for node in walk(report.tree) if node.what == "run"}
    assert runs == {"import", "main_l5", "build"}
    frame = series.tick_store().read_day(DayKey("raw", SYMBOL, TradingDay.parse(DAYS[1])))
    assert report.row is not None
    assert (report.row.datetime_ns, report.row.row_hash) == (frame["datetime"][100], frame["row_hash"][100])
    same = output(series, capsys, "lineage", "--symbol", ALIAS, "--day", DAYS[1], "--at", str(report.row.datetime_ns + 1))
    assert same["row"]["row"] == 100
    assert (
        run(series, ["data", "lineage", "--symbol", ALIAS, "--day", DAYS[1], "--at", report.row.shanghai.replace(" ", "T")]) == 0
    )
    shown = capsys.readouterr().out
    assert f"row 100 at {report.row.shanghai}" in shown
    assert path.name in shown.replace("\n", "")


def test_a_downloaded_row_is_traced_to_the_request_that_was_answered(services: AppServices) -> None:
    from ghtrader.pipelines.prepare import prepare_store

    prepare_store(services.store())
    ingest = Ingest(services.tick_store(), Calendar.vendored(), InstrumentTable.vendored(), services.clock, "t")
    request = {"symbol": SYMBOL, "from": "2025-06-04T12:00", "to": "2025-06-05T08:00", "client": "tqsdk 3.10"}
    ingest.import_chunk(HistoryChunk(SYMBOL, TradingDay.parse(DAYS[0]), source_frame(240), "tqsdk history", "ab" * 32, request))
    report = lineage(services, SYMBOL, DAYS[0], row=-1)
    (node,) = [node for node in walk(report.tree) if node.what == "provider request"]
    assert node.name == "tqsdk history"
    assert {name: node.facts[name] for name in request} == request
    assert node.facts["received"] > "2025"
    assert report.row is not None
    assert report.row.row == 239


def _another_schedule(services: AppServices) -> None:
    make_schedule(services, "rb", until="2025-06-10")


def _changed_raw(services: AppServices) -> None:
    import_files(services, [write(services.paths.data.parent / "late", DAYS[1], seed=9)])


def _lost_raw(services: AppServices) -> None:
    services.tick_store().delete_day(DayKey("raw", SYMBOL, TradingDay.parse(DAYS[1])))


def _torn_dataset(services: AppServices) -> None:
    for path in services.paths.artifacts.rglob("*.npz"):
        path.write_bytes(b"PK")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_another_schedule, "another one now"),
        (_changed_raw, "changed after the series was built"),
        (_lost_raw, "not stored any more"),
        (_torn_dataset, "cannot be read"),
    ],
)
def test_a_broken_link_is_named(series: AppServices, change: Callable[[AppServices], None], words: str) -> None:
    build_datasets(series, "rb", set_name="minimal16")
    change(series)
    report = lineage(series, ALIAS, DAYS[1])
    assert not report.complete
    assert [problem for problem in report.problems if words in problem]


def test_a_dataset_of_an_earlier_state_says_so(series: AppServices) -> None:
    build_datasets(series, "rb", set_name="minimal16")
    _changed_raw(series)
    build_main_l5(series, "rb", enforce_health=False)
    assert ["earlier state" in problem for problem in lineage(series, ALIAS, DAYS[1]).problems] == [True]
    assert lineage(series, ALIAS, DAYS[0]).complete


def test_lineage_of_what_is_not_there_is_an_error(series: AppServices) -> None:
    for arguments, keywords in (
        ((ALIAS, "2025-06-10"), {}),
        ((SYMBOL, DAYS[0]), {"row": 240}),
        ((SYMBOL, DAYS[0]), {"at": "2025-06-01"}),
    ):
        with pytest.raises(DataError) as caught:
            lineage(series, *arguments, **keywords)  # type: ignore[arg-type]
        assert caught.value.hint
    with pytest.raises(DataError, match="no dataset"):
        lineage(series, ALIAS, DAYS[0], build="nothing")


# --- calendar ---------------------------------------------------------------------------------------------------------


def statuses(services: AppServices, symbol: str, **span: str) -> dict[str, DayStatus]:
    (found,) = [item for item in data_calendar(services, variety="rb", **span).series if item.symbol == symbol]
    return {day.trading_day: day.status for day in found.days}


def test_the_calendar_tells_stored_judged_missing_and_beyond(services: AppServices, tmp_path: Path) -> None:
    import_files(services, [write(tmp_path / "in", day) for day in (DAYS[0], DAYS[2])])
    make_schedule(services, "rb", until="2025-06-10")
    build_main_l5(services, "rb", enforce_health=False)
    span = {"first": "2025-06-04", "last": "2025-06-11"}
    assert statuses(services, SYMBOL, **span) == {
        "2025-06-04": DayStatus.BEYOND, "2025-06-05": statuses(services, ALIAS, **span)["2025-06-05"],
        "2025-06-06": DayStatus.MISSING, "2025-06-09": statuses(services, ALIAS, **span)["2025-06-09"],
        "2025-06-10": DayStatus.MISSING, "2025-06-11": DayStatus.BEYOND,
    }  # fmt: skip
    validate_main_l5(services, "rb")
    judged = statuses(services, ALIAS, **span)
    verdicts = {day.trading_day: day.overall_state for day in validate_main_l5(services, "rb").days}
    assert {day: judged[day] for day in verdicts} == {day: DayStatus(str(state)) for day, state in verdicts.items()}
    assert judged["2025-06-06"] == DayStatus.MISSING
    services.ledger().put("download_skips", f"{SYMBOL}/2025-06-06", {"cause": "provider_missing", "message": "none"})
    assert statuses(services, SYMBOL, **span)["2025-06-06"] == DayStatus.PROVIDER_MISSING


def test_a_day_that_was_written_anew_is_not_shown_as_judged(series: AppServices) -> None:
    validate_main_l5(series, "rb")
    before = statuses(series, SYMBOL)
    assert DayStatus.UNCHECKED not in before.values()
    _changed_raw(series)
    assert statuses(series, SYMBOL)[DAYS[1]] == DayStatus.UNCHECKED


def test_a_day_that_the_provider_lacks_keeps_the_verdict_on_its_absence(services: AppServices, tmp_path: Path) -> None:
    import_files(services, [write(tmp_path / "in", day) for day in (DAYS[0], DAYS[2])])
    make_schedule(services, "rb")
    build_main_l5(services, "rb", enforce_health=False)
    skip = {"symbol": SYMBOL, "trading_day": DAYS[1], "cause": "provider_missing", "message": "none", "first_seen_ns": 1}
    skip |= {"last_seen_ns": 1, "attempts": 1, "retry_after_ns": 1}
    services.ledger().put("download_skips", f"{SYMBOL}/{DAYS[1]}", skip)
    report = validate_main_l5(services, "rb")
    (verdict,) = [day for day in report.days if day.trading_day == DAYS[1]]
    (found,) = data_calendar(services, symbol=ALIAS).series
    (day,) = [day for day in found.days if day.trading_day == DAYS[1]]
    assert (day.status, day.reason_code) == (DayStatus.PROVIDER_MISSING, "provider_missing")
    assert day.gaps == {"provider_missing": len(verdict.gaps)}


def test_gaps_are_counted_by_cause(series: AppServices) -> None:
    report = validate_main_l5(series, "rb")
    (found,) = data_calendar(series, symbol=ALIAS).series
    by_day = {day.trading_day: sum(day.gaps.values()) for day in found.days}
    assert by_day == {day.trading_day: len(day.gaps) for day in report.days}
    assert sum(found.gaps.values()) == sum(by_day.values())


def test_the_terminal_reads_without_colour(series: AppServices, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    page = tmp_path / "out" / "calendar.html"
    assert run(series, ["data", "calendar", "--var", "rb", "--to", "2025-06-12", "--html", str(page)]) == 0
    shown = capsys.readouterr().out
    (found,) = data_calendar(series, symbol=SYMBOL, last="2025-06-12").series
    for day in found.days:
        assert re.search(rf"\b{day.trading_day[8:]}{re.escape(LETTERS[day.status])}", shown), day
    assert "2025-06" in shown
    assert page.read_text() == render_calendar(data_calendar(series, variety="rb", last="2025-06-12"))
    everything = output(series, capsys, "calendar")
    assert {item["symbol"] for item in everything["series"]} == {SYMBOL, ALIAS}


def test_missing_neighbours_are_told_as_one_span(
    services: AppServices, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    import_files(services, [write(tmp_path / "in", DAYS[0])])
    make_schedule(services, "rb", until="2025-06-11")
    assert run(services, ["data", "calendar", "--symbol", SYMBOL]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "2025-06-06 to 06-11 missing" in shown
    assert "06-06: ghtrader data import FILE" in shown


def test_the_page_is_self_contained_and_draws_in_a_browser(series: AppServices, tmp_path: Path) -> None:
    text = render_calendar(data_calendar(series, variety="rb", first="2025-05-26", last="2025-06-13"))
    assert not re.search(r"(src|href)=|<script|url\(|@import", text)
    assert text.count('class="day ') == 2 * 14  # fourteen trading days: 2 June was Dragon Boat, no cell
    page = tmp_path / "calendar.html"
    page.write_text(text)
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert browser, "a browser is needed: apt-get install chromium (make test installs it)"
    image = tmp_path / "calendar.png"
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--hide-scrollbars"]
    place = [f"--user-data-dir={tmp_path / 'profile'}", "--window-size=1200,700", f"--screenshot={image}", f"file://{page}"]
    subprocess.run([browser, *flags, *place], capture_output=True, timeout=120, check=True)
    assert image.stat().st_size > 10_000


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--var", "rb"], 4),
        (["--var", "rb", "--symbol", SYMBOL], 2),
        (["--symbol", SYMBOL], 4),
    ],
)
def test_a_calendar_of_nothing_is_an_error(
    services: AppServices, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int
) -> None:
    assert output(services, capsys, "calendar", *arguments, code=code)["hint"]


def test_a_span_that_ends_before_it_begins_is_refused(series: AppServices, capsys: pytest.CaptureFixture[str]) -> None:
    assert output(series, capsys, "calendar", "--from", DAYS[1], "--to", DAYS[0], code=2)["hint"]
