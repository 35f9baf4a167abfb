"""Importing files into a real store: counters, merges, interruptions, and verification of what is stored."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest

from ghtrader.adapters.local.tick_store import LocalTickStore
from ghtrader.app.services import AppServices
from ghtrader.cli.main import run
from ghtrader.core.clock import SystemClock
from ghtrader.core.errors import DataError, HashVersionError, StoreError
from ghtrader.core.phases import TickFlag
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.calendar import Calendar
from ghtrader.data.ingest import Ingest
from ghtrader.data.instruments import InstrumentTable
from ghtrader.data.loading import load_day_ticks
from ghtrader.data.schema import MARKET_COLUMNS
from ghtrader.pipelines.ingest import digest_store, import_files, list_store, verify_store
from ghtrader.ports.tick_store import DayKey
from ghtrader.testing.builders import DAY, SYMBOL, source_frame
from ghtrader.testing.faults import PowerCut, full_disk_at, interrupt_at, power_cut_at

ROOT = Path(__file__).parents[2]
SAMPLES = sorted((ROOT / "samples").glob("*.parquet"))
REAL_TAIL = ROOT.parent / "shared" / "data" / "ticks" / "SHFE.cu1909.20190916_tail.parquet"
KEY = DayKey("raw", SYMBOL, TradingDay.parse(DAY))
ALL_STEPS = 1_000_000
#: Digests of the sample days: they change with the samples, the canonical form or the row hash, and with nothing else.
SAMPLE_DIGESTS = {
    "2025-06-05": "2d06d55f75094c1c",
    "2025-06-06": "45072124b24d4b1e",
    "2025-06-09": "7d75ccf00e2543c3",
    "2025-06-10": "3d4442c86e0d232a",
}


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Two days of 40 rows."""
    folder = tmp_path / "in"
    folder.mkdir()
    paths = []
    for day in ("2025-06-05", "2025-06-06"):
        path = folder / f"{SYMBOL}.{day}.parquet"
        source_frame(40, trading_day=day, seed=int(day[-1])).write_parquet(path)
        paths.append(path)
    return paths


def _parts(services: AppServices) -> list[Path]:
    return sorted((services.paths.data / "ticks").rglob("part-*.parquet"))


def _leftovers(services: AppServices) -> list[Path]:
    return sorted(services.paths.data.rglob("*.writing"))


# --- counters and merges ---------------------------------------------------------------------------------------------


def test_the_sample_days_are_imported_whole_twice_with_one_digest(services: AppServices) -> None:
    first = import_files(services, SAMPLES)
    assert (first.rows_in, first.rows_written, first.deduped, first.dropped) == (164_969, 164_969, 0, {})
    digests = {day.trading_day: day.digest for day in digest_store(services).days}
    assert {day: digest[:16] for day, digest in digests.items()} == SAMPLE_DIGESTS
    stored = [(path, path.stat().st_mtime_ns) for path in _parts(services)]
    again = import_files(services, SAMPLES)
    assert (again.rows_in, again.rows_written, again.deduped) == (164_969, 0, 164_969)
    assert {day.trading_day: day.digest for day in digest_store(services).days} == digests
    assert [(path, path.stat().st_mtime_ns) for path in _parts(services)] == stored, "nothing was rewritten"
    assert verify_store(services).ok


def test_the_real_copper_tail_is_halved_and_keeps_its_thin_books(services: AppServices) -> None:
    if not REAL_TAIL.exists():
        pytest.skip("the shared real data is not on this machine: the generated twin of this test is in test_canonical.py")
    report = import_files(services, [REAL_TAIL])
    assert (report.rows_written, report.dropped) == (200, {})
    assert len(report.conversions) == 1
    frame = services.tick_store().read_day(DayKey("raw", "SHFE.cu1909", TradingDay.parse("2019-09-16")))
    source = pl.read_parquet(REAL_TAIL)
    assert (frame["volume"] * 2).to_list() == source["volume"].to_list()
    assert ((frame["flags"] & int(TickFlag.HALVED)) != 0).all()
    assert ((frame["flags"] & int(TickFlag.SHALLOW)) != 0).any()


def test_a_file_of_several_days_is_split(services: AppServices, tmp_path: Path, files: list[Path]) -> None:
    path = tmp_path / f"{SYMBOL}.both.parquet"
    pl.concat([pl.read_parquet(file) for file in files]).write_parquet(path)
    report = import_files(services, [path])
    assert [(day.trading_day, day.rows_written) for day in report.days] == [("2025-06-05", 40), ("2025-06-06", 40)]
    assert import_files(services, files).rows_written == 0


def test_halves_of_a_day_merge_to_the_whole_and_every_source_is_named(services: AppServices, tmp_path: Path) -> None:
    frame = source_frame(60)
    for name, rows in (("late", frame[30:]), ("early", frame[:40])):
        rows.write_parquet(tmp_path / f"{SYMBOL}.{name}.parquet")
        import_files(services, [tmp_path / f"{SYMBOL}.{name}.parquet"])
    frame.write_parquet(tmp_path / f"{SYMBOL}.whole.parquet")
    report = import_files(services, [tmp_path / f"{SYMBOL}.whole.parquet"])
    assert (report.rows_written, report.deduped) == (0, 60)
    (day,) = list_store(services)
    assert day.sources == [f"{SYMBOL}.late.parquet", f"{SYMBOL}.early.parquet"]
    manifest = services.tick_store().manifest(KEY)
    assert manifest is not None
    assert (manifest.rows, manifest.rows_in, manifest.deduped) == (60, 70, 10)


def test_a_bad_file_among_good_ones_is_named_and_the_others_are_imported(
    services: AppServices, files: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / f"{SYMBOL}.bad.parquet"
    bad.write_bytes(b"PAR1 no more")
    assert run(services, ["data", "import", str(files[0]), str(bad), str(files[1]), "--json"]) == 4
    report = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert report["rows_written"] == 80
    assert [error["file"] for error in report["errors"]] == [str(bad)]


@pytest.mark.parametrize(
    ("name", "frame", "code", "words"),
    [
        ("SHFE.rb3010.x", source_frame(4).with_columns(pl.col("datetime") + 5 * 365 * 86_400 * 10**9), 4, "calendar refresh"),
        ("SHFE.xx2510.x", source_frame(4), 4, "instruments list"),
        ("SHFE.rb2510.x", source_frame(4).drop("volume"), 4, "volume"),
        ("SHFE.rb2510.x", source_frame(4).clear(), 4, "no rows"),
    ],
)
def test_a_file_that_cannot_be_used_ends_with_its_exit_code_and_writes_nothing(
    services: AppServices,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    frame: pl.DataFrame,
    code: int,
    words: str,
) -> None:
    path = tmp_path / f"{name}.parquet"
    frame.write_parquet(path)
    assert run(services, ["data", "import", str(path)]) == code
    assert words in capsys.readouterr().err
    assert _parts(services) == []


# --- interruptions ---------------------------------------------------------------------------------------------------


def _steps(services: AppServices, files: list[Path]) -> int:
    with power_cut_at(ALL_STEPS) as count:
        import_files(services.workspace("count"), files)
    return count()


def test_killed_at_any_disk_operation_and_run_again_gives_the_digest_of_one_run(services: AppServices, files: list[Path]) -> None:
    steps = _steps(services, files)
    assert steps > 8
    expected = digest_store(services.workspace("count")).digest
    for step in range(1, steps + 1):
        space = services.workspace(f"cut{step}")
        with power_cut_at(step), pytest.raises(PowerCut):
            import_files(space, files)
        again = import_files(space, files)
        assert again.rows_in == 80
        assert digest_store(space).digest == expected
        assert verify_store(space).ok
        assert sorted(space.paths.data.rglob("*.writing")) == []


def test_ctrl_c_at_any_disk_operation_exits_130_with_nothing_half_written(
    services: AppServices, files: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    names = [str(path) for path in files]
    for step in range(1, _steps(services, files) + 1):
        space = services.workspace(f"int{step}")
        with interrupt_at(step):
            assert run(space, ["data", "import", *names]) == 130  # type: ignore[arg-type]
        assert sorted(space.paths.data.rglob("*.writing")) == []
        for finding in verify_store(space).findings:
            assert finding.problem == "no_manifest"
    assert "interrupted" in capsys.readouterr().err


def test_a_full_disk_exits_6_says_so_and_leaves_what_was_there(
    services: AppServices, files: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    import_files(services, files[:1])
    before = digest_store(services).digest
    for step in (1, 2, 3):
        with full_disk_at(step):
            assert run(services, ["data", "import", str(files[1])]) == 6
        assert "No space left" in capsys.readouterr().err
        assert digest_store(services).digest == before
        assert _leftovers(services) == []
    assert import_files(services, files).rows_written == 40


def test_a_process_killed_outright_and_run_again_gives_the_digests_of_one_run(cli: Any, tmp_path: Path) -> None:
    names = [str(path) for path in SAMPLES]
    command = [sys.executable, "-m", "ghtrader.app", "data", "import", *names]
    process = subprocess.Popen(command, env=cli.environment, stderr=subprocess.DEVNULL)
    while process.poll() is None and not list(tmp_path.rglob("*.writing")):
        pass
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    cli.json("data", "import", *names)
    days = cli.json("data", "digest")["days"]
    assert {day["trading_day"]: day["digest"][:16] for day in days} == SAMPLE_DIGESTS
    assert list(tmp_path.rglob("*.writing")) == []


def test_two_processes_that_import_halves_of_a_day_at_once_lose_no_row(cli: Any, tmp_path: Path) -> None:
    frame = source_frame(4_000)
    frame.write_parquet(tmp_path / f"{SYMBOL}.whole.parquet")
    commands = []
    for name, rows in (("early", frame[:2_500]), ("late", frame[1_500:])):
        rows.write_parquet(tmp_path / f"{SYMBOL}.{name}.parquet")
        commands.append([sys.executable, "-m", "ghtrader.app", "data", "import", str(tmp_path / f"{SYMBOL}.{name}.parquet")])
    processes = [subprocess.Popen(command, env=cli.environment, stderr=subprocess.DEVNULL) for command in commands]
    assert [process.wait() for process in processes] == [0, 0]
    report = cli.json("data", "import", str(tmp_path / f"{SYMBOL}.whole.parquet"))
    assert (report["rows_written"], report["deduped"]) == (0, 4_000)
    assert cli.json("data", "verify")["ok"]


# --- verification ----------------------------------------------------------------------------------------------------


def _edit(path: Path, change: Callable[[pl.DataFrame], pl.DataFrame]) -> None:
    change(pl.read_parquet(path, hive_partitioning=False)).write_parquet(path)


def _cell(name: str, row: int, value: float | int) -> Callable[[pl.DataFrame], pl.DataFrame]:
    def change(frame: pl.DataFrame) -> pl.DataFrame:
        cells = frame[name].to_list()
        cells[row] = value
        return frame.with_columns(pl.Series(name, cells, dtype=frame.schema[name]))

    return change


@pytest.mark.parametrize("name", ["datetime", *MARKET_COLUMNS])
def test_a_changed_market_cell_is_named_by_day_row_stamp_and_column(services: AppServices, files: list[Path], name: str) -> None:
    import_files(services, files)
    frame = services.tick_store().read_day(KEY)
    value = frame[name][17] + 1 if name == "datetime" else 1234.5
    _edit(_parts(services)[0], _cell(name, 17, value))
    report = verify_store(services)
    assert not report.ok
    (finding,) = report.findings
    assert (finding.problem, finding.symbol, finding.trading_day) == ("cell_changed", SYMBOL, DAY)
    assert (finding.rows, finding.columns) == ([17], [name])
    assert finding.stamps_ns == [value if name == "datetime" else frame["datetime"][17]]


@pytest.mark.parametrize("name", ["last_price", "local_nano", "flags"])
def test_importing_a_damaged_day_again_gives_it_back_and_never_merges_with_the_damage(
    services: AppServices, files: list[Path], name: str
) -> None:
    import_files(services, files)
    whole = digest_store(services)
    _edit(_parts(services)[0], _cell(name, 17, 2))
    assert not verify_store(services).ok
    report = import_files(services, files)
    assert [day.rows_stored for day in report.days] == [40, 40]
    assert verify_store(services).ok
    assert digest_store(services) == whole


def test_a_damaged_day_is_not_replaced_by_half_of_it(services: AppServices, files: list[Path], tmp_path: Path) -> None:
    import_files(services, files)
    _edit(_parts(services)[0], _cell("last_price", 17, 1234.5))
    half = tmp_path / f"{SYMBOL}.half.parquet"
    pl.read_parquet(files[0]).head(20).write_parquet(half)
    with pytest.raises(DataError, match="are not as their manifest says") as caught:
        import_files(services, [half], symbol=SYMBOL)
    assert caught.value.hint
    assert services.tick_store().read_day(KEY).height == 40


@pytest.mark.parametrize("name", ["local_nano", "upper_limit", "phase", "part", "flags"])
def test_a_changed_cell_outside_the_row_hash_is_named_by_column(services: AppServices, files: list[Path], name: str) -> None:
    import_files(services, files)
    _edit(_parts(services)[0], _cell(name, 17, 2))
    (finding,) = verify_store(services).findings
    assert (finding.problem, finding.rows, finding.columns) == ("cell_changed", [], [name])


def test_a_changed_cell_with_a_matching_row_hash_is_still_found(services: AppServices, files: list[Path]) -> None:
    import_files(services, files)

    def forge(frame: pl.DataFrame) -> pl.DataFrame:
        from ghtrader.data.row_hash import frame_columns, row_hashes

        frame = _cell("volume", 17, 1e9)(frame)
        return frame.with_columns(pl.Series("row_hash", row_hashes(frame["datetime"].to_numpy(), frame_columns(frame))))

    _edit(_parts(services)[0], forge)
    (finding,) = verify_store(services).findings
    assert finding.columns == ["volume", "row_hash"]


@pytest.mark.parametrize(
    ("problem", "damage"),
    [
        ("row_count", lambda path: _edit(path, lambda frame: frame.tail(-1))),
        ("cell_changed", lambda path: _edit(path, lambda frame: frame.reverse())),
        ("columns_missing", lambda path: _edit(path, lambda frame: frame.drop("ask_price3"))),
        ("column_types", lambda path: _edit(path, lambda frame: frame.with_columns(pl.col("volume").cast(pl.String)))),
        ("unreadable", lambda path: path.unlink()),
        ("unreadable", lambda path: path.write_bytes(path.read_bytes()[:-100])),
        ("unreadable", lambda path: (path.parent / "manifest.json").write_text("{}")),
        ("no_manifest", lambda path: (path.parent / "manifest.json").unlink()),
    ],
)
def test_every_other_damage_is_named_and_exits_4(
    services: AppServices, files: list[Path], capsys: pytest.CaptureFixture[str], problem: str, damage: Callable[[Path], object]
) -> None:
    import_files(services, files)
    damage(_parts(services)[0])
    assert run(services, ["data", "verify", "--json"]) == 4
    report = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert not report["ok"]
    assert [(item["problem"], item["trading_day"]) for item in report["findings"]] == [(problem, DAY)]
    assert run(services, ["data", "verify", "--day", "2025-06-06"]) == 0


def test_a_digest_in_the_manifest_that_is_not_that_of_the_rows_is_named(services: AppServices, files: list[Path]) -> None:
    import_files(services, files)
    path = _parts(services)[0].parent / "manifest.json"
    path.write_text(path.read_text().replace('"digest":"', '"digest":"0'))
    (finding,) = verify_store(services).findings
    assert finding.problem == "digest"


# --- versions --------------------------------------------------------------------------------------------------------


def test_rows_of_another_hash_version_are_refused_everywhere(services: AppServices, files: list[Path]) -> None:
    import_files(services, files)
    store = services.tick_store()
    manifest = store.manifest(KEY)
    assert manifest is not None
    assert manifest.row_hash_version == 1
    store.write_day(KEY, store.read_day(KEY), msgspec.structs.replace(manifest, row_hash_version=99))
    with pytest.raises(HashVersionError):
        import_files(services, files[:1])
    with pytest.raises(HashVersionError):
        load_day_ticks(store, KEY, InstrumentTable.vendored())
    assert [finding.problem for finding in verify_store(services).findings] == ["hash_version"]


def test_digests_are_those_of_the_cells_not_of_the_stored_hashes(services: AppServices, files: list[Path]) -> None:
    import_files(services, files)
    before = digest_store(services, day=DAY).digest
    _edit(_parts(services)[0], _cell("volume", 17, 1e9))
    assert digest_store(services, day=DAY).digest != before
    with pytest.raises(DataError):
        digest_store(services, symbol="SHFE.au2508")


def test_a_provider_chunk_is_imported_like_a_file(tmp_path: Path, files: list[Path]) -> None:
    from ghtrader.adapters.replay import ReplayProvider

    calendar, instruments = Calendar.vendored(), InstrumentTable.vendored()
    provider = ReplayProvider(files[0].parent, calendar, instruments)
    store = LocalTickStore(tmp_path / "ticks")
    ingest = Ingest(store, calendar, instruments, SystemClock(), "test")
    for symbol in provider.symbols():
        for day in provider.trading_days(symbol):
            assert ingest.import_chunk(provider.ticks(symbol, day)).rows_written == 40
    assert store.days("raw", SYMBOL) == [TradingDay.parse("2025-06-05"), TradingDay.parse("2025-06-06")]


def test_a_chunk_whose_rows_belong_to_another_day_is_refused(tmp_path: Path) -> None:
    from ghtrader.ports.market_data import HistoryChunk

    ingest = Ingest(LocalTickStore(tmp_path / "ticks"), Calendar.vendored(), InstrumentTable.vendored(), SystemClock(), "test")
    chunk = HistoryChunk(SYMBOL, TradingDay.parse("2025-06-06"), source_frame(8), "test", "0")
    with pytest.raises(DataError, match="2025-06-05"):
        ingest.import_chunk(chunk)


def test_a_store_that_cannot_be_written_stops_the_import_at_once(services: AppServices, files: list[Path]) -> None:
    (services.paths.data / "ticks").mkdir(parents=True)
    (services.paths.data / "ticks" / "kind=raw").write_text("in the way")
    with pytest.raises(StoreError):
        import_files(services, files)
