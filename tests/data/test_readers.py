"""Files as source frames: the three formats, where the symbol comes from, and what each broken file says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from ghtrader.adapters.memory import MemoryTickStore
from ghtrader.core.clock import SystemClock, iso_utc
from ghtrader.core.errors import DataError, GhtraderError, SchemaError
from ghtrader.data.calendar import Calendar
from ghtrader.data.ingest import Ingest
from ghtrader.data.instruments import InstrumentTable
from ghtrader.data.readers import load_mapping, read_ticks
from ghtrader.data.schema import LEVELS, MARKET_COLUMNS
from ghtrader.testing.builders import SYMBOL, source_frame, tick_frame

SAMPLES = Path(__file__).parents[2] / "samples"
SHANGHAI_NS = 8 * 3600 * 10**9


def _digest(frame: pl.DataFrame, symbol: str = SYMBOL) -> str:
    store = MemoryTickStore()
    ingest = Ingest(store, Calendar.vendored(), InstrumentTable.vendored(), SystemClock(), "test")
    (day,) = ingest.import_frame(symbol, frame, source="x", sha256="")
    return day.digest


def _text(value: object) -> str:
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return "#N/A"
    return repr(value)


def _downloader_csv(path: Path, frame: pl.DataFrame, *, symbol: str = SYMBOL, levels: int = LEVELS, nano: bool = True) -> Path:
    names = ["last_price", "highest", "lowest", "average", "volume", "amount", "open_interest"]
    for level in range(1, levels + 1):
        names += [f"{side}_{what}{level}" for side in ("bid", "ask") for what in ("price", "volume")]
    header = ["datetime", *(["datetime_nano"] if nano else []), *(f"{symbol}.{name}" for name in names)]
    lines = [",".join(header)]
    for row in frame.iter_rows(named=True):
        local = row["datetime"] + SHANGHAI_NS
        stamp = iso_utc(local)[:19].replace("T", " ") + f".{local % 10**9:09d}"
        lines.append(",".join([stamp, *([str(row["datetime"])] if nano else []), *(_text(row[name]) for name in names)]))
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_sample_day_is_read_with_its_symbol_and_receive_time() -> None:
    source = read_ticks(SAMPLES / "SHFE.rb2510.20250605.parquet")
    assert (source.symbol, source.frame.height, source.ignored, source.notes) == (SYMBOL, 41_201, (), ())
    assert source.frame.columns == ["datetime", *MARKET_COLUMNS, "local_nano", "upper_limit", "lower_limit"]
    assert source.frame["highest"].null_count() == 41_201


@pytest.mark.parametrize("nano", [True, False])
def test_a_downloader_csv_gives_the_same_digest_as_parquet(tmp_path: Path, nano: bool) -> None:
    frame = source_frame(60)
    frame = frame.with_columns(pl.when(pl.int_range(60) == 7).then(None).otherwise("ask_price1").alias("ask_price1"))
    path = _downloader_csv(tmp_path / "download.csv", frame, nano=nano)
    source = read_ticks(path)
    assert source.symbol == SYMBOL
    assert source.ignored == ()
    assert _digest(source.frame) == _digest(frame)


def test_a_downloader_csv_with_one_level_is_read(tmp_path: Path) -> None:
    source = read_ticks(_downloader_csv(tmp_path / "d.csv", source_frame(8), levels=1))
    assert source.frame["bid_price2"].null_count() == 8


def test_columns_of_a_csv_may_come_in_any_order(tmp_path: Path) -> None:
    path = _downloader_csv(tmp_path / "d.csv", source_frame(8))
    table = pl.read_csv(path, infer_schema=False)
    table.select(reversed(table.columns)).write_csv(tmp_path / "r.csv")
    assert read_ticks(tmp_path / "r.csv").frame.equals(read_ticks(path).frame)


@pytest.mark.parametrize("absent", ["#N/A", "-", "", "nan", "NaN", "inf", " "])
def test_every_text_for_nothing_is_absent(tmp_path: Path, absent: str) -> None:
    path = _downloader_csv(tmp_path / "d.csv", source_frame(8))
    table = pl.read_csv(path, infer_schema=False)
    name = f"{SYMBOL}.ask_price1"
    table.with_columns(pl.when(pl.int_range(8) == 3).then(pl.lit(absent)).otherwise(name).alias(name)).write_csv(path)
    value = read_ticks(path).frame["ask_price1"][3]
    assert value is None or not np.isfinite(value)


def _mapping(tmp_path: Path, **changes: Any) -> Path:
    columns = {name: name.upper() for name in MARKET_COLUMNS}
    path = tmp_path / "mapping.json"
    path.write_text(json.dumps({"columns": columns, "time_column": "TS", "symbol": SYMBOL, **changes}))
    return path


@pytest.mark.parametrize(
    ("unit", "divisor"),
    [("ns", 1), ("us", 1_000), ("ms", 1_000_000), ("s", 1_000_000_000)],
)
def test_a_mapped_csv_reads_stamps_in_any_unit(tmp_path: Path, unit: str, divisor: int) -> None:
    frame = source_frame(8)
    stamps = [
        f"{value // divisor}" + (f".{value % divisor * 10 // divisor}" if divisor > 10**6 else "") for value in frame["datetime"]
    ]
    table = frame.rename({name: name.upper() for name in MARKET_COLUMNS})
    table.with_columns(pl.Series("TS", stamps)).drop("datetime").write_csv(tmp_path / "any.csv")
    source = read_ticks(tmp_path / "any.csv", mapping=load_mapping(_mapping(tmp_path, time_unit=unit)))
    assert source.frame["datetime"].to_list() == frame["datetime"].to_list()
    assert _digest(source.frame) == _digest(frame)


def test_a_mapped_csv_reads_local_text_time_scaled_prices_and_another_separator(tmp_path: Path) -> None:
    frame = source_frame(8)
    texts = [iso_utc(value)[:23].replace("T", " ").replace("-", "/") for value in frame["datetime"]]
    prices = [name for name in MARKET_COLUMNS if "price" in name or name in {"average", "highest", "lowest"}]
    table = frame.with_columns(pl.col(prices) * 100).rename({name: name.upper() for name in MARKET_COLUMNS})
    table = table.with_columns(pl.Series("TS", texts), pl.lit("x").alias("EXTRA")).drop("datetime")
    table.write_csv(tmp_path / "any.txt", separator=";")
    mapping = _mapping(tmp_path, time_format="%Y/%m/%d %H:%M:%S%.f", timezone="UTC", separator=";", price_scale=0.01)
    source = read_ticks(tmp_path / "any.txt", mapping=load_mapping(mapping))
    assert source.ignored == ("EXTRA (not mapped)",)
    read, plain = source.frame["last_price"].to_numpy(), frame["last_price"].to_numpy()
    assert np.allclose(read, plain, rtol=1e-12)
    assert source.frame["datetime"].to_list() == frame["datetime"].to_list()


def test_a_mapping_may_be_toml(tmp_path: Path) -> None:
    path = tmp_path / "mapping.toml"
    path.write_text('time_column = "ts"\ntime_unit = "ms"\n[columns]\nlast_price = "Last"\n')
    assert load_mapping(path).columns == {"last_price": "Last"}


@pytest.mark.parametrize("text", ["{", '{"columns": {}}', '{"columns": {}, "time_column": "t", "colour": 1}', ""])
def test_a_broken_mapping_says_what_is_wrong_in_it(tmp_path: Path, text: str) -> None:
    path = tmp_path / "mapping.json"
    path.write_text(text)
    with pytest.raises(SchemaError, match=r"mapping\.json"):
        load_mapping(path)


@pytest.mark.parametrize(
    "change",
    [{"time_unit": "weeks"}, {"columns": {"nonsense": "X"}}, {"time_column": "NOPE"}, {"timezone": "Mars/Olympus"}],
)
def test_a_mapping_that_does_not_fit_is_a_data_error(tmp_path: Path, change: dict[str, Any]) -> None:
    table = source_frame(4).rename({name: name.upper() for name in MARKET_COLUMNS}).rename({"datetime": "TS"})
    table.with_columns(pl.lit("2025-06-05 09:00:00").alias("TS")).write_csv(tmp_path / "any.csv")
    with pytest.raises(DataError):
        read_ticks(tmp_path / "any.csv", mapping=load_mapping(_mapping(tmp_path, **change)))


# --- where the symbol comes from -------------------------------------------------------------------------------------


def test_the_symbol_given_wins_and_a_contradiction_is_noted(tmp_path: Path) -> None:
    path = tmp_path / "SHFE.rb2510.20250605.parquet"
    source_frame(8).write_parquet(path, metadata={"symbol": "SHFE.rb2511"})
    assert read_ticks(path).symbol == "SHFE.rb2511"
    source = read_ticks(path, symbol="SHFE.rb2512")
    assert source.symbol == "SHFE.rb2512"
    assert "SHFE.rb2511" in source.notes[0]


def test_a_bare_file_is_named_by_its_name(tmp_path: Path) -> None:
    for name, symbol in (("SHFE.rb2510.20250605.parquet", "SHFE.rb2510"), ("SHFE.cu1909.20190916_tail.parquet", "SHFE.cu1909")):
        source_frame(8).write_parquet(tmp_path / name)
        assert read_ticks(tmp_path / name).symbol == symbol


def test_a_file_that_says_nothing_needs_the_symbol(tmp_path: Path) -> None:
    source_frame(8).write_parquet(tmp_path / "ticks.parquet")
    with pytest.raises(DataError, match="which contract") as caught:
        read_ticks(tmp_path / "ticks.parquet")
    assert "--symbol" in caught.value.hint


def test_mixed_symbols_are_refused_and_named(tmp_path: Path) -> None:
    frame = pl.concat([tick_frame(4), tick_frame(4, symbol="SHFE.rb2601")])
    frame.write_parquet(tmp_path / "two.parquet")
    with pytest.raises(DataError, match=r"SHFE\.rb2510, SHFE\.rb2601"):
        read_ticks(tmp_path / "two.parquet")
    table = pl.read_csv(_downloader_csv(tmp_path / "a.csv", source_frame(4)), infer_schema=False)
    table.rename({f"{SYMBOL}.volume": "SHFE.rb2601.volume"}).write_csv(tmp_path / "b.csv")
    with pytest.raises(DataError, match=r"SHFE\.rb2510, SHFE\.rb2601"):
        read_ticks(tmp_path / "b.csv")


# --- broken files ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["datetime", "bid_price1", "volume", "ask_volume3"])
def test_missing_columns_are_named(tmp_path: Path, name: str) -> None:
    path = tmp_path / "SHFE.rb2510.x.parquet"
    source_frame(8).drop(name).write_parquet(path)
    with pytest.raises(SchemaError, match=name) as caught:
        read_ticks(path)
    assert path.name in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("last_price", ["3000"] * 7 + ["three thousand"]),
        ("volume", [[1.0]] * 8),
        ("bid_price1", [True] * 8),
        ("datetime", ["2025-06-05 09:00:00"] * 8),
        ("datetime", [1.7e9] * 8),
        ("datetime", [None] * 8),
    ],
)
def test_wrong_types_are_named_with_the_column(tmp_path: Path, column: str, values: list[Any]) -> None:
    path = tmp_path / "SHFE.rb2510.x.parquet"
    source_frame(8).with_columns(pl.Series(column, values)).write_parquet(path)
    with pytest.raises(SchemaError, match=column):
        read_ticks(path)


def test_numbers_written_as_text_or_integers_are_numbers(tmp_path: Path) -> None:
    path = tmp_path / "SHFE.rb2510.x.parquet"
    frame = source_frame(8)
    frame.with_columns(pl.col("last_price").cast(pl.Int64).cast(pl.String), pl.col("volume").cast(pl.UInt32)).write_parquet(path)
    assert _digest(read_ticks(path).frame) == _digest(frame)


def test_a_zoned_datetime_column_is_read_and_a_naive_one_refused(tmp_path: Path) -> None:
    path = tmp_path / "SHFE.rb2510.x.parquet"
    frame = source_frame(8)
    naive = frame.with_columns(pl.col("datetime").cast(pl.Datetime("ns")))
    naive.with_columns(pl.col("datetime").dt.replace_time_zone("UTC").dt.convert_time_zone("Asia/Shanghai")).write_parquet(path)
    assert read_ticks(path).frame["datetime"].to_list() == frame["datetime"].to_list()
    naive.write_parquet(path)
    with pytest.raises(SchemaError, match="time zone"):
        read_ticks(path)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
def test_a_truncated_parquet_is_a_data_error_that_names_it(tmp_path: Path, share: float) -> None:
    content = (SAMPLES / "SHFE.rb2510.20250605.parquet").read_bytes()
    path = tmp_path / "SHFE.rb2510.cut.parquet"
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(DataError, match=r"SHFE\.rb2510\.cut\.parquet"):
        read_ticks(path)


def test_a_parquet_with_flipped_bytes_never_crashes(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    content = bytearray((SAMPLES / "SHFE.rb2510.20250605.parquet").read_bytes())
    path = tmp_path / "SHFE.rb2510.flipped.parquet"
    random = np.random.default_rng(0)
    messages = []
    for _ in range(25):
        broken = content.copy()
        for place in random.integers(len(content) - 9_000, len(content), 2):
            broken[place] ^= 0xFF
        path.write_bytes(broken)
        try:
            read_ticks(path)
        except GhtraderError as error:
            messages.append(error.message)
    assert messages
    assert all(path.name in message for message in messages)
    capfd.readouterr()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("SHFE.rb2510.a.csv", b""),
        ("SHFE.rb2510.b.csv", b"datetime,last_price\n"),
        ("SHFE.rb2510.c.csv", b"\xff\xfe\x00\x01"),
        ("SHFE.rb2510.d.parquet", b"PAR1PAR1"),
        ("SHFE.rb2510.e.txt", b"hello"),
    ],
)
def test_a_file_that_is_no_tick_file_is_a_data_error_that_names_it(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_ticks(path)
    assert name in caught.value.message
    assert caught.value.hint


def test_a_column_named_twice_is_refused(tmp_path: Path) -> None:
    table = pl.read_csv(_downloader_csv(tmp_path / "a.csv", source_frame(4)), infer_schema=False)
    table.with_columns(pl.lit("1").alias("volume")).write_csv(tmp_path / "b.csv")
    with pytest.raises(SchemaError, match="volume"):
        read_ticks(tmp_path / "b.csv")


def test_an_empty_table_and_a_missing_file_are_data_errors(tmp_path: Path) -> None:
    path = tmp_path / "SHFE.rb2510.x.parquet"
    source_frame(8).clear().write_parquet(path)
    with pytest.raises(DataError, match="no rows"):
        read_ticks(path)
    with pytest.raises(DataError, match="no such file"):
        read_ticks(tmp_path / "nowhere.parquet")


def test_rows_of_our_own_store_that_were_halved_are_not_halved_twice(tmp_path: Path) -> None:
    frame = source_frame(8, symbol="SHFE.cu2002", trading_day="2019-12-31", price_ticks=4900)
    stored = tick_frame(symbol="SHFE.cu2002", trading_day="2019-12-31", source=frame)
    stored.write_parquet(tmp_path / "out.parquet")
    source = read_ticks(tmp_path / "out.parquet")
    assert source.symbol == "SHFE.cu2002"
    assert _digest(source.frame, source.symbol) == _digest(frame, source.symbol)
