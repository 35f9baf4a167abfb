"""The data contract: the samples and the built-in day hold it, and each way to break it is named."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ghtrader.app.services import AppServices
from ghtrader.cli.main import run
from ghtrader.data.calendar import Calendar
from ghtrader.data.contract_check import Market, check_built_in, check_file
from ghtrader.data.contract_dataset import BUILT_IN_DIGEST, built_in_frame
from ghtrader.data.contract_rules import RULES, ContractLimits
from ghtrader.data.instruments import InstrumentTable
from ghtrader.data.row_hash import VERSIONS, column_hash
from ghtrader.data.shipped_days import TELLING, shipped_days
from ghtrader.pipelines.ingest import import_files
from ghtrader.testing.builders import source_frame, tick_frame

SAMPLES = sorted((Path(__file__).parents[2] / "samples").glob("*.parquet"))
MARKET = Market(Calendar.vendored(), InstrumentTable.vendored())
NAME = "SHFE.rb2510.20250605.parquet"
Change = Callable[[pl.DataFrame], pl.DataFrame]


def good() -> pl.DataFrame:
    return built_in_frame(MARKET.calendar, MARKET.instruments)


def hashed() -> pl.DataFrame:
    """Canonical rows with their hashes, as an export of the store has them."""
    return tick_frame(source=good())


def contract(services: AppServices, capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> Any:
    assert run(services, ["data", "contract-check", *arguments, "--json"]) == code
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def rules_of(report: Any) -> set[str]:
    assert all(breach["detail"] and breach["hint"] for breach in report["breaches"])
    return {breach["rule"] for breach in report["breaches"]}


def when(row: int | None, name: str, value: Any) -> pl.Expr:
    """The column with another value in one row (None: in every fifth row)."""
    chosen = pl.int_range(pl.len()) % 5 == 0 if row is None else pl.int_range(pl.len()) == row
    return pl.when(chosen).then(pl.lit(value)).otherwise(pl.col(name)).alias(name)


def test_the_built_in_day_is_what_was_pinned(services: AppServices, capsys: pytest.CaptureFixture[str]) -> None:
    report = contract(services, capsys)
    assert (report["ok"], report["checked"], report["checks"][0]["digest"]) == (True, 1, BUILT_IN_DIGEST)
    assert contract(services, capsys) == report
    assert run(services, ["data", "contract-check"]) == 0


def test_a_changed_algorithm_breaks_the_built_in_day(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = VERSIONS[1]
    monkeypatch.setitem(VERSIONS, 1, lambda stamps, columns: plain(stamps, columns) ^ 1)
    assert [breach.rule for breach in check_built_in(MARKET).breaches] == ["hash_integrity"]


def test_the_sample_days_hold_the_contract_with_their_published_digests(
    services: AppServices, capsys: pytest.CaptureFixture[str]
) -> None:
    report = contract(services, capsys, *map(str, SAMPLES))
    published = json.loads((SAMPLES[0].parent / "digests.json").read_text())
    assert {check["trading_day"]: check["digest"] for check in report["checks"]} == published
    assert (report["ok"], report["breaches"]) == (True, [])


@pytest.mark.parametrize(
    ("column", "more"), [("bid_volume3", 1), ("last_price", 1), ("datetime", 100_000_000), ("volume", 1), ("open_interest", 1)]
)
def test_a_changed_copy_of_a_shipped_day_is_recognised(tmp_path: Path, column: str, more: int) -> None:
    frame = pl.read_parquet(SAMPLES[0])
    frame.write_parquet(tmp_path / SAMPLES[0].name)
    assert check_file(tmp_path / SAMPLES[0].name, MARKET, ContractLimits()).breaches == []
    frame.with_columns(
        pl.when(pl.int_range(pl.len()) == 20_000).then(pl.col(column) + more).otherwise(pl.col(column))
    ).write_parquet(tmp_path / SAMPLES[0].name)
    found = check_file(tmp_path / SAMPLES[0].name, MARKET, ContractLimits())
    assert [breach.rule for breach in found.breaches] == ["hash_integrity"]


def test_another_recording_of_a_shipped_day_is_not_taken_for_it(tmp_path: Path) -> None:
    frame = pl.read_parquet(SAMPLES[0]).with_columns(pl.col("last_price").alias("highest"), pl.col("last_price").alias("lowest"))
    frame.write_parquet(tmp_path / SAMPLES[0].name)
    assert check_file(tmp_path / SAMPLES[0].name, MARKET, ContractLimits()).breaches == []
    good().write_parquet(tmp_path / SAMPLES[0].name)
    assert check_file(tmp_path / SAMPLES[0].name, MARKET, ContractLimits()).breaches == []


def test_the_shipped_days_are_those_of_the_samples() -> None:
    published = json.loads((SAMPLES[0].parent / "digests.json").read_text())
    assert {name.partition("/")[2]: day.digest for name, day in shipped_days().items()} == published
    for path in SAMPLES:
        frame = pl.read_parquet(path)
        day = next(day for name, day in shipped_days().items() if name.replace("-", "")[-8:] in path.name)
        assert day.columns == {name: column_hash(frame[name].to_numpy()) for name in TELLING}


BROKEN: list[tuple[str, Change, set[str]]] = [
    ("dropped column", lambda f: f.drop("bid_price3"), {"schema", "null_rate_l5"}),
    ("dropped best bid", lambda f: f.drop("bid_price1"), {"schema", "null_rate_l1", "null_rate_l5"}),
    ("dropped stamp", lambda f: f.drop("datetime"), {"schema"}),
    ("renamed column", lambda f: f.rename({"volume": "Volume"}), {"schema", "extra_columns"}),
    ("text instead of numbers", lambda f: f.with_columns(pl.col("open_interest").cast(pl.String)), {"schema"}),
    ("narrow floats", lambda f: f.with_columns(pl.col("amount").cast(pl.Float32)), {"schema"}),
    ("stamp through a float", lambda f: f.with_columns(pl.col("datetime").cast(pl.Float64)), {"schema"}),
    ("stamp without zone", lambda f: f.with_columns(pl.col("datetime").cast(pl.Datetime("ns"))), {"schema"}),
    ("stamp in ms", lambda f: f.with_columns(pl.col("datetime") // 1_000_000), {"schema"}),
    ("absent stamp", lambda f: f.with_columns(when(7, "datetime", None)), {"schema"}),
    ("extra column", lambda f: f.with_columns(pl.lit(1.0).alias("src_extra")), {"extra_columns"}),
    ("too few rows", lambda f: f.head(300), {"min_rows"}),
    ("no rows", lambda f: f.head(0), {"min_rows"}),
    ("nulls in L1", lambda f: f.with_columns(when(None, "ask_price1", None)), {"null_rate_l1", "null_rate_l5"}),
    ("zeros in L1", lambda f: f.with_columns(when(None, "bid_price1", 0.0)), {"null_rate_l1", "null_rate_l5"}),
    ("level without size", lambda f: f.with_columns(when(None, "bid_volume5", 0.0)), {"null_rate_l5"}),
    ("nulls in L5", lambda f: f.with_columns(when(None, "bid_price5", None)), {"null_rate_l5"}),
    ("level one only", lambda f: f.drop([f"{s}_{w}{n}" for s in ("bid", "ask") for w in ("price", "volume") for n in range(2, 6)]), {"null_rate_l5"}),
    ("shuffled rows", lambda f: f.sample(fraction=1.0, shuffle=True, seed=1), {"time_increasing"}),
    ("two symbols", lambda f: f.with_columns(when(9, "bid_price1", 1.0).alias("x"), pl.lit("SHFE.rb2510").alias("symbol")).drop("x").with_columns(when(9, "symbol", "SHFE.rb2601")), {"one_symbol"}),
    ("a product nobody declared", lambda f: f.with_columns(pl.lit("SHFE.zz2510").alias("symbol")), {"one_symbol"}),
    ("local time taken for UTC", lambda f: f.with_columns(pl.col("datetime") + 8 * 3600 * 10**9), {"one_trading_day", "null_rate_l1", "null_rate_l5"}),
    ("another day's column", lambda f: f.with_columns(pl.lit("2025-06-06").alias("trading_day")), {"one_trading_day"}),
    ("half of the rows a day later", lambda f: f.with_columns(pl.col("datetime") + pl.when(pl.int_range(pl.len()) > 1500).then(86_400 * 10**9).otherwise(0)), {"one_trading_day"}),
]  # fmt: skip


@pytest.mark.parametrize(("change", "expected"), [row[1:] for row in BROKEN], ids=[row[0] for row in BROKEN])
def test_each_breach_of_a_file_is_named(tmp_path: Path, change: Change, expected: set[str]) -> None:
    change(good()).write_parquet(tmp_path / NAME)
    check = check_file(tmp_path / NAME, MARKET, ContractLimits())
    assert {breach.rule for breach in check.breaches} == expected
    assert not check.ok


HASH_BREAKS: list[tuple[str, Change, list[int]]] = [
    ("changed cell", lambda f: f.with_columns(when(11, "ask_volume4", 7.0)), [11]),
    ("changed hash", lambda f: f.with_columns(when(12, "row_hash", 5)), [12]),
    ("moved stamp", lambda f: f.with_columns(when(13, "datetime", int(f["datetime"][13]) + 1000)), [13]),
    ("absent hash", lambda f: f.with_columns(when(14, "row_hash", None)), []),
    ("hash as text", lambda f: f.with_columns(pl.col("row_hash").cast(pl.String)), []),
]


@pytest.mark.parametrize(("change", "rows"), [row[1:] for row in HASH_BREAKS], ids=[row[0] for row in HASH_BREAKS])
def test_row_hashes_in_a_file_are_recomputed(tmp_path: Path, change: Change, rows: list[int]) -> None:
    hashed().write_parquet(tmp_path / NAME)
    assert check_file(tmp_path / NAME, MARKET, ContractLimits()).breaches == []
    change(hashed()).write_parquet(tmp_path / NAME)
    (breach,) = check_file(tmp_path / NAME, MARKET, ContractLimits()).breaches
    assert (breach.rule, breach.rows) == ("hash_integrity", rows)


BYTES: list[tuple[str, Callable[[bytes], bytes], str]] = [
    ("truncated file", lambda data: data[: len(data) // 2], NAME),
    ("empty file", lambda data: b"", NAME),
    ("not a Parquet", lambda data: b"datetime,last_price\n1,2\n", NAME),
    ("csv", lambda data: b"datetime,last_price\n1,2\n", NAME.replace("parquet", "csv")),
    ("damaged footer", lambda data: data[:-12] + b"\xff" * 8 + data[-4:], NAME),
]


@pytest.mark.parametrize(("change", "name"), [row[1:] for row in BYTES], ids=[row[0] for row in BYTES])
def test_what_is_no_whole_parquet_file_is_named(
    services: AppServices, capsys: pytest.CaptureFixture[str], tmp_path: Path, change: Callable[[bytes], bytes], name: str
) -> None:
    good().write_parquet(tmp_path / "good.parquet")
    (tmp_path / name).write_bytes(change((tmp_path / "good.parquet").read_bytes()))
    assert rules_of(contract(services, capsys, str(tmp_path / name), code=4)) == {"readable"}


def test_a_changed_cell_differs_from_the_expected_and_from_the_published_digest(
    services: AppServices, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / NAME
    good().write_parquet(path)
    contract(services, capsys, str(path), "--expect", BUILT_IN_DIGEST)
    good().with_columns(when(11, "last_price", 3001.0)).write_parquet(path)
    contract(services, capsys, str(path))
    assert rules_of(contract(services, capsys, str(path), "--expect", BUILT_IN_DIGEST, code=4)) == {"hash_integrity"}
    (tmp_path / "digests.json").write_text(json.dumps({"SHFE.rb2510/2025-06-05": BUILT_IN_DIGEST}))
    assert rules_of(contract(services, capsys, str(path), code=4)) == {"hash_integrity"}
    (tmp_path / "digests.json").write_text("[1]")
    assert contract(services, capsys, str(path), code=4)["error"] == "DataError"


def test_a_file_that_does_not_say_its_contract_may_be_told(
    services: AppServices, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    good().write_parquet(tmp_path / "ticks.parquet")
    assert rules_of(contract(services, capsys, str(tmp_path / "ticks.parquet"), code=4)) == {"one_symbol"}
    report = contract(services, capsys, str(tmp_path / "ticks.parquet"), "--symbol", "SHFE.rb2510")
    assert report["checks"][0]["digest"] == BUILT_IN_DIGEST


def test_limits_come_from_the_configuration(services: AppServices, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    good().head(300).write_parquet(tmp_path / NAME)
    services.override({"data.contract.min_rows": "100"})
    assert contract(services, capsys, str(tmp_path / NAME))["limits"]["min_rows"] == 100


@pytest.fixture
def stored(services: AppServices, tmp_path: Path) -> AppServices:
    good().write_parquet(tmp_path / NAME)
    import_files(services, [tmp_path / NAME])
    return services


DAY = ("--symbol", "SHFE.rb2510", "--day", "2025-06-05")


def test_a_stored_day_holds_the_contract(stored: AppServices, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    report = contract(stored, capsys, *DAY)
    assert (report["checks"][0]["subject"], report["checks"][0]["digest"]) == ("raw/SHFE.rb2510/2025-06-05", BUILT_IN_DIGEST)
    assert run(stored, ["data", "contract-check", "--symbol", "SHFE.rb2510"]) == 0
    (tmp_path / "published.json").write_text(json.dumps({"2025-06-05": "0" * 64}))
    capsys.readouterr()
    table = ("--digests", str(tmp_path / "published.json"))
    assert rules_of(contract(stored, capsys, *DAY, *table, code=4)) == {"hash_integrity"}


STORED_BREAKS: list[tuple[str, Change, set[str]]] = [
    ("changed cell", lambda f: f.with_columns(when(11, "ask_volume4", 7.0)), {"hash_integrity"}),
    ("changed receive time", lambda f: f.with_columns(when(11, "local_nano", 7)), {"hash_integrity"}),
    ("dropped column", lambda f: f.drop("phase"), {"schema"}),
    ("wrong type", lambda f: f.with_columns(pl.col("part").cast(pl.Int64)), {"schema"}),
    ("extra column", lambda f: f.with_columns(pl.lit(1).alias("x")), {"extra_columns"}),
    ("lost rows", lambda f: f.head(300), {"min_rows", "hash_integrity"}),
    ("rows out of order", lambda f: f.reverse(), {"time_increasing", "hash_integrity"}),
    ("rows outside sessions", lambda f: f.with_columns(when(None, "phase", 0).cast(pl.UInt8)), {"one_trading_day", "hash_integrity"}),
]  # fmt: skip


@pytest.mark.parametrize(("change", "expected"), [row[1:] for row in STORED_BREAKS], ids=[row[0] for row in STORED_BREAKS])
def test_each_breach_of_a_stored_day_is_named(
    stored: AppServices, capsys: pytest.CaptureFixture[str], change: Change, expected: set[str]
) -> None:
    (data,) = stored.paths.data.rglob("part-*.parquet")
    change(pl.read_parquet(data, hive_partitioning=False)).write_parquet(data)
    assert rules_of(contract(stored, capsys, *DAY, code=4)) == expected


def test_a_stored_day_that_cannot_be_read_is_named(stored: AppServices, capsys: pytest.CaptureFixture[str]) -> None:
    (data,) = stored.paths.data.rglob("part-*.parquet")
    data.write_bytes(data.read_bytes()[:500])
    assert rules_of(contract(stored, capsys, *DAY, code=4)) == {"readable"}


def test_people_are_shown_the_rule_and_what_to_do(
    services: AppServices, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    source_frame(50).write_parquet(tmp_path / NAME)
    assert run(services, ["data", "contract-check", str(tmp_path / NAME)]) == 4
    shown = " ".join(capsys.readouterr().out.split())
    assert "min_rows" in shown
    assert "next:" in shown
    assert run(services, ["data", "contract-check", "--rules"]) == 0
    listed = capsys.readouterr().out
    assert [rule.name for rule in RULES if rule.name not in listed] == []


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--day", "2025-06-05"], 2),
        (["x.parquet", "--day", "2025-06-05"], 2),
        (["--expect", "00"], 2),
        (["--symbol", "SHFE.rb2510", "--kind", "cooked"], 2),
        (["--symbol", "SHFE.rb2510"], 4),
    ],
)
def test_options_that_do_not_meet_are_refused(
    services: AppServices, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int
) -> None:
    assert contract(services, capsys, *arguments, code=code)["hint"]
