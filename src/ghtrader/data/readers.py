"""Files of ticks as source frames: canonical Parquet, TqSdk DataDownloader CSV, any CSV with a mapping file.

A source frame has `datetime` (int64 ns UTC) and the 27 market columns as float64 with the source's own absence turned
into null; what the file carries beyond that is named, never silently lost.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from ghtrader.core.clock import NS_PER_S, SHANGHAI
from ghtrader.core.errors import DataError, SchemaError
from ghtrader.core.ids import file_sha256
from ghtrader.core.phases import TickFlag
from ghtrader.data.schema import LEVELS, MARKET_COLUMNS, OPTIONAL_COLUMNS, PRICE_COLUMNS, TWO_SIDED_COLUMNS

if TYPE_CHECKING:
    import polars as pl

__all__ = ["ColumnMapping", "SourceTicks", "field_of_header", "load_mapping", "read_tick_batches", "read_ticks", "symbol_of_name"]

ABSENT_TEXTS = ["#N/A", "-", "", "nan", "NaN", "null", "None", "NA"]
REQUIRED = (
    "last_price",
    "bid_price1",
    "bid_volume1",
    "ask_price1",
    "ask_volume1",
    "volume",
    "amount",
    "open_interest",
)
#: Columns of a canonical file that ingest computes itself; read over when a store's own file is imported.
COMPUTED = {"symbol", "trading_day", "phase", "part", "flags", "row_hash", "underlying_symbol", "segment_id", "schedule_hash"}
STRIPPED = {"id", "datetime_nano"}
#: About three trading days of a liquid contract.
BATCH_ROWS = 131_072
FIRST_NS = 946_684_800 * NS_PER_S  # 2000-01-01
LAST_NS = 4_102_444_800 * NS_PER_S  # 2100-01-01
_SYMBOL_IN_NAME = re.compile(r"^([A-Z]+\.[A-Za-z]+\d{3,4})(?=[._-]|$)")
_TQSDK_COLUMN = re.compile(r"^(?P<symbol>[A-Z]+\.[A-Za-z0-9@.]+)\.(?P<field>[a-z_]+\d?)$")
FORMATS_HINT = "see `ghtrader data import --help` for the formats that are read"


class ColumnMapping(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a foreign CSV's columns become ours.

    columns: our name -> the file's. time_column: the stamp; time_unit ns, us, ms, s or ``text``; time_format for text
    (strptime); timezone of text stamps. price_scale: CNY of one unit of the file's prices (0.01 for cents). separator: of
    the CSV. symbol: when the file does not carry one.
    """

    columns: dict[str, str]
    time_column: str
    time_unit: str = "text"
    time_format: str = "%Y-%m-%d %H:%M:%S%.f"
    timezone: str = "Asia/Shanghai"
    price_scale: float = 1.0
    separator: str = ","
    symbol: str = ""


@dataclass(frozen=True)
class SourceTicks:
    """One file's rows in arrival order.

    ignored: columns that are neither market nor optional. notes: what else should be known about how it was read.
    """

    path: Path
    symbol: str
    frame: pl.DataFrame
    ignored: tuple[str, ...]
    sha256: str
    notes: tuple[str, ...] = ()


def load_mapping(path: Path) -> ColumnMapping:
    """Read a mapping file (TOML or JSON); raises SchemaError naming what is wrong in it."""
    try:
        if path.suffix == ".toml":
            return msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), ColumnMapping)
        return msgspec.json.decode(path.read_bytes(), type=ColumnMapping)
    except (OSError, tomllib.TOMLDecodeError, msgspec.DecodeError) as error:
        hint = "ghtrader data import --help shows a mapping"
        raise SchemaError(f"the mapping file {path} cannot be used: {error}", hint=hint, path=str(path)) from error


def read_ticks(path: Path, *, symbol: str | None = None, mapping: ColumnMapping | None = None) -> SourceTicks:
    """Read one file. The symbol: given, else in the file's metadata or columns, else in its name, else an error.

    Raises DataError (no file, unreadable, no or mixed symbols) and SchemaError (columns missing or of a wrong type).
    """
    if not path.is_file():
        raise DataError(f"no such file: {path}", hint="ghtrader data import FILE...", path=str(path))
    import polars as pl

    try:
        frame, found = _read_source(path, mapping)
        if frame.is_empty():
            raise DataError(f"{path.name} holds no rows", hint="check how the file was made", path=str(path))
        resolved = symbol or found or symbol_of_name(path)
        if not resolved:
            hint = "give it with --symbol SHFE.rb2510, or name the file SHFE.rb2510.20250605.parquet"
            raise DataError(f"{path.name} does not say which contract it holds", hint=hint, path=str(path))
        typed = _two_sided(frame, _typed(frame, path))
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError) as error:
        raise _unreadable(path, error) from error
    known = {*MARKET_COLUMNS, *OPTIONAL_COLUMNS, "datetime"}
    ignored = tuple(sorted(name for name in frame.columns if name not in known | COMPUTED))
    notes = (f"{path.name} says {found}, imported as {resolved}",) if found and found != resolved else ()
    return SourceTicks(path, resolved, typed, ignored, file_sha256(str(path)), notes)


def read_tick_batches(
    path: Path, *, symbol: str | None = None, mapping: ColumnMapping | None = None, rows: int = BATCH_ROWS
) -> tuple[str, Iterator[pl.DataFrame]]:
    """The symbol of a file and its rows as :func:`read_ticks` gives them, about ``rows`` at a time: memory does not grow with it.

    Errors as there; those of a row are raised when its batch is reached.
    """
    if not path.is_file():
        raise DataError(f"no such file: {path}", hint="ghtrader features compute FILE ...", path=str(path))
    import polars as pl

    try:
        frame, shaped = _scan_source(path, mapping)
        head, found = shaped(frame.head(1).collect())
        if head.is_empty():
            raise DataError(f"{path.name} holds no rows", hint="check how the file was made", path=str(path))
        _check_columns(head, path)
        found = _parquet_symbol(frame, path) if mapping is None and path.suffix == ".parquet" else found
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError) as error:
        raise _unreadable(path, error) from error
    resolved = symbol or found or symbol_of_name(path)
    if not resolved:
        hint = "give it with --symbol SHFE.rb2510, or name the file SHFE.rb2510.20250605.parquet"
        raise DataError(f"{path.name} does not say which contract it holds", hint=hint, path=str(path))

    def batches() -> Iterator[pl.DataFrame]:
        try:
            for batch in frame.collect_batches(chunk_size=rows, maintain_order=True):
                source = shaped(batch)[0]
                yield _two_sided(source, _typed(source, path))
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError) as error:
            raise _unreadable(path, error) from error

    return resolved, batches()


def _scan_source(
    path: Path, mapping: ColumnMapping | None
) -> tuple[pl.LazyFrame, Callable[[pl.DataFrame], tuple[pl.DataFrame, str]]]:
    """A file as a lazy frame, and what turns a batch of it into our columns."""
    import polars as pl

    if mapping is None and path.suffix == ".parquet":
        return pl.scan_parquet(path, use_statistics=False), lambda batch: (batch, "")
    if mapping is None and path.suffix != ".csv":
        raise SchemaError(f"{path.name}: neither .parquet nor .csv, and no mapping given", hint=FORMATS_HINT, path=str(path))
    separator = "," if mapping is None else mapping.separator
    try:
        frame = pl.scan_csv(path, separator=separator, null_values=ABSENT_TEXTS, infer_schema=False)
        frame.collect_schema()
    except pl.exceptions.NoDataError as error:
        raise DataError(f"{path.name} is empty", hint="check how the file was made", path=str(path)) from error
    if mapping is None:
        return frame, lambda batch: _downloader_columns(batch, path)
    return frame, lambda batch: _mapped_columns(batch, path, mapping)


def _read_source(path: Path, mapping: ColumnMapping | None) -> tuple[pl.DataFrame, str]:
    if mapping is not None:
        return _mapped_columns(_read_csv(path, mapping.separator), path, mapping)
    if path.suffix == ".parquet":
        return _read_parquet(path)
    if path.suffix == ".csv":
        return _downloader_columns(_read_csv(path, ","), path)
    raise SchemaError(f"{path.name}: neither .parquet nor .csv, and no mapping given", hint=FORMATS_HINT, path=str(path))


def _two_sided(source: pl.DataFrame, typed: pl.DataFrame) -> pl.DataFrame:
    """Rows of our own store that were halved once go back to what the exchange counted: ingest halves them again."""
    import polars as pl

    if "flags" not in source.columns or not source.schema["flags"].is_integer():
        return typed
    halved = (source["flags"].cast(pl.Int64) & int(TickFlag.HALVED)) != 0
    factor = halved.fill_null(value=False).cast(pl.Float64) + 1.0
    return typed.with_columns((typed[name] * factor).alias(name) for name in TWO_SIDED_COLUMNS)


def symbol_of_name(path: Path) -> str:
    """The contract that a file's name begins with; empty when it begins with none.

    >>> symbol_of_name(Path("SHFE.rb2510.20250605.parquet"))
    'SHFE.rb2510'
    """
    match = _SYMBOL_IN_NAME.match(path.name)
    return match[1] if match else ""


def field_of_header(name: str) -> str:
    """A column's name without the contract that a DataDownloader puts before it.

    >>> field_of_header("SHFE.rb2510.bid_price1"), field_of_header("volume")
    ('bid_price1', 'volume')
    """
    match = _TQSDK_COLUMN.match(name)
    return match["field"] if match else name


def _unreadable(path: Path, error: BaseException) -> DataError:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return DataError(f"{path.name} cannot be read: {lines[0]}", hint="fetch or export the file again", path=str(path))


def _read_parquet(path: Path) -> tuple[pl.DataFrame, str]:
    import polars as pl

    frame = pl.read_parquet(path, use_statistics=False)
    return frame, _parquet_symbol(frame.lazy(), path)


def _parquet_symbol(frame: pl.LazyFrame, path: Path) -> str:
    """The one contract of a Parquet file, from its column or its metadata; empty when it does not say."""
    import polars as pl

    symbol = ""
    if "symbol" in frame.collect_schema():
        symbols = frame.select(pl.col("symbol").drop_nulls().unique().sort()).collect()["symbol"].to_list()
        if len(symbols) > 1:
            raise DataError(
                f"{path.name} mixes symbols: {', '.join(map(str, symbols))}", hint="split it by symbol", path=str(path)
            )
        symbol = str(symbols[0]) if symbols else ""
    return symbol or pl.read_parquet_metadata(path).get("symbol", "")


def _read_csv(path: Path, separator: str) -> pl.DataFrame:
    import polars as pl

    try:
        return pl.read_csv(path, separator=separator, null_values=ABSENT_TEXTS, infer_schema=False)
    except pl.exceptions.NoDataError as error:
        raise DataError(f"{path.name} is empty", hint="check how the file was made", path=str(path)) from error


def _text_time(column: pl.Expr, time_format: str, timezone: str) -> pl.Expr:
    import polars as pl

    parsed = column.str.to_datetime(time_format, time_unit="ns", strict=False)
    return parsed.dt.replace_time_zone(timezone).dt.convert_time_zone("UTC").cast(pl.Int64)


def _downloader_columns(frame: pl.DataFrame, path: Path) -> tuple[pl.DataFrame, str]:
    """A DataDownloader's columns under our names, the stamp as integer; and the contract that its header names."""
    import polars as pl

    renames: dict[str, str] = {}
    symbols: set[str] = set()
    for name in frame.columns:
        match = _TQSDK_COLUMN.match(name)
        if match:
            symbols.add(match["symbol"])
            renames[name] = match["field"]
    if len(symbols) > 1:
        raise DataError(
            f"{path.name} mixes symbols: {', '.join(sorted(symbols))}", hint="download one contract a file", path=str(path)
        )
    fields = [renames.get(name, name) for name in frame.columns]
    twice = sorted({name for name in fields if fields.count(name) > 1})
    if twice:
        raise SchemaError(f"{path.name} has more than one column {', '.join(twice)}", hint=FORMATS_HINT, path=str(path))
    frame = frame.rename(renames)
    if "datetime_nano" in frame.columns:
        stamps = pl.col("datetime_nano").cast(pl.Int64, strict=False)
    elif "datetime" in frame.columns:
        stamps = _text_time(pl.col("datetime"), "%Y-%m-%d %H:%M:%S%.f", str(SHANGHAI))
    else:
        raise SchemaError(f"{path.name}: no column datetime or datetime_nano", hint=FORMATS_HINT, path=str(path))
    return frame.with_columns(stamps.alias("datetime")).drop("datetime_nano", strict=False), next(iter(symbols), "")


def _mapped_columns(frame: pl.DataFrame, path: Path, mapping: ColumnMapping) -> tuple[pl.DataFrame, str]:
    """A foreign CSV's columns under our names, as its mapping says."""
    import polars as pl

    unknown = sorted(set(mapping.columns) - {*MARKET_COLUMNS, *OPTIONAL_COLUMNS})
    if unknown:
        raise SchemaError(f"the mapping names columns that do not exist here: {', '.join(unknown)}", hint=FORMATS_HINT)
    wanted = [mapping.time_column, *mapping.columns.values()]
    missing = [name for name in wanted if name not in frame.columns]
    if missing:
        raise SchemaError(f"{path.name} has no column {', '.join(missing)}; it has {', '.join(frame.columns)}", path=str(path))
    stamp = pl.col(mapping.time_column)
    factors = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": NS_PER_S}
    if mapping.time_unit == "text":
        time = _text_time(stamp, mapping.time_format, mapping.timezone)
    elif mapping.time_unit in factors:
        time = (stamp.cast(pl.Decimal(38, 9), strict=False) * factors[mapping.time_unit]).cast(pl.Int64, strict=False)
    else:
        raise SchemaError(f"time_unit {mapping.time_unit!r} is none of text, ns, us, ms, s", hint=FORMATS_HINT)
    columns = [pl.col(theirs).alias(ours) for ours, theirs in mapping.columns.items()]
    rest = pl.exclude(wanted).name.suffix(" (not mapped)")
    mapped = frame.select(time.alias("datetime"), *columns, rest)
    if mapping.price_scale != 1.0:
        priced = [name for name in (*PRICE_COLUMNS, "upper_limit", "lower_limit") if name in mapping.columns]
        mapped = mapped.with_columns((_number(mapped, name, path) * mapping.price_scale).alias(name) for name in priced)
    return mapped, mapping.symbol


def _check_columns(frame: pl.DataFrame, path: Path) -> None:
    missing = [name for name in ("datetime", *REQUIRED) if name not in frame.columns]
    depth = 1
    for level in range(2, LEVELS + 1):
        names = [f"{side}_{what}{level}" for side in ("bid", "ask") for what in ("price", "volume")]
        there = [name for name in names if name in frame.columns]
        if there and (len(there) < len(names) or depth < level - 1):
            missing += [name for name in names if name not in frame.columns]
        if there:
            depth = level
    if missing:
        raise SchemaError(
            f"{path.name}: columns missing: {', '.join(missing)}", hint=FORMATS_HINT, path=str(path), columns=missing
        )


def _typed(frame: pl.DataFrame, path: Path) -> pl.DataFrame:
    """``datetime`` int64, the 27 market columns float64 (absent ones null), optional columns when there."""
    import polars as pl

    _check_columns(frame, path)
    stamp = frame.schema["datetime"]
    if isinstance(stamp, pl.Datetime):
        if stamp.time_zone is None:
            raise SchemaError(f"{path.name}: datetime has no time zone", hint="write epoch nanoseconds, UTC", path=str(path))
        time = pl.col("datetime").dt.convert_time_zone("UTC").dt.cast_time_unit("ns").cast(pl.Int64)
    elif stamp.is_numeric():
        time = pl.col("datetime").cast(pl.Int64, strict=False)
    else:
        raise SchemaError(f"{path.name}: datetime is {stamp}, expected epoch nanoseconds (int64)", path=str(path))
    select: list[pl.Expr] = [time]
    absent = pl.lit(None, dtype=pl.Float64)
    select += [_number(frame, name, path) if name in frame.columns else absent.alias(name) for name in MARKET_COLUMNS]
    for name, kind in OPTIONAL_COLUMNS.items():
        if name in frame.columns:
            select.append(_number(frame, name, path).cast(pl.Int64 if kind == "i64" else pl.Float64, strict=False))
    typed = frame.select(select)
    _check_stamps(typed, path)
    return typed


def _number(frame: pl.DataFrame, name: str, path: Path) -> pl.Expr:
    import polars as pl

    kind = frame.schema[name]
    if kind.is_numeric() or kind == pl.Null:
        return pl.col(name) if name == "local_nano" else pl.col(name).cast(pl.Float64, strict=False)
    if kind != pl.String:
        raise SchemaError(f"{path.name}: column {name} is {kind}, expected numbers", path=str(path), column=name)
    target = pl.Int64 if name == "local_nano" else pl.Float64
    text = pl.col(name).str.strip_chars()
    bad = frame.select(
        text.filter(text.is_not_null() & ~text.is_in(ABSENT_TEXTS) & text.cast(target, strict=False).is_null()).first()
    ).item()
    if bad is not None:
        raise SchemaError(f"{path.name}: column {name} holds {bad!r}, which is no number", path=str(path), column=name)
    return text.cast(target, strict=False)


def _check_stamps(frame: pl.DataFrame, path: Path) -> None:
    absent = frame["datetime"].null_count()
    if absent:
        raise SchemaError(f"{path.name}: {absent} rows have no readable datetime", hint=FORMATS_HINT, path=str(path))
    low, high = frame.select(low=frame["datetime"].min(), high=frame["datetime"].max()).row(0)
    if low < FIRST_NS or high > LAST_NS:
        value = low if low < FIRST_NS else high
        raise SchemaError(
            f"{path.name}: datetime {value} is not in nanoseconds between 2000 and 2100",
            hint="stamps are epoch nanoseconds, UTC; a mapping file can say time_unit = 'ms'",
            path=str(path),
        )
