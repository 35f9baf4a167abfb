"""Schema, extra columns, order and null rates of the data contract: what a frame alone can tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ghtrader.core.phases import Phase
from ghtrader.data.canonical import canonical_values
from ghtrader.data.contract_rules import Breach, ContractLimits
from ghtrader.data.schema import (
    ASK_PRICES,
    ASK_SIZES,
    BID_PRICES,
    BID_SIZES,
    MAIN_L5_COLUMNS,
    MARKET_COLUMNS,
    OPTIONAL_COLUMNS,
    RAW_COLUMNS,
    ColumnType,
)
from ghtrader.data.validation import null_rate

if TYPE_CHECKING:
    import polars as pl

__all__ = ["check_columns", "check_order", "check_rates", "check_stored_columns", "null_rates"]

ROWS_SHOWN = 20
#: Feeds leave these out, or send them empty; every other market column is required.
NOT_ALWAYS_SENT = ("highest", "lowest")
#: What the provider's own files carry besides; ingest drops them.
TOLERATED = ("id", "datetime_nano")
DEEP = tuple(name for names in (BID_PRICES, BID_SIZES, ASK_PRICES, ASK_SIZES) for name in names[1:])
IMPORT_HINT = "export the file again, or import it with --mapping: ghtrader data import --help"


def _holds_numbers(kind: pl.DataType, optional: bool) -> bool:
    import polars as pl

    return bool(kind == pl.Float64 or kind.is_integer() or (optional and kind == pl.Null))


def check_columns(frame: pl.DataFrame) -> list[Breach]:
    """Rules ``schema`` and ``extra_columns`` for a source file.

    Levels 2-5 are there all or none: a file without any of them is a level-1 file, which the null rate of five levels
    judges. Numbers are 64-bit floats or integers; a 32-bit float does not hold a day's amount.
    """
    import polars as pl

    deep = any(name in frame.columns for name in DEEP)
    required = [name for name in MARKET_COLUMNS if name not in NOT_ALWAYS_SENT and (deep or name not in DEEP)]
    missing = [name for name in ("datetime", *required) if name not in frame.columns]
    wrong = {
        name: str(frame.schema[name])
        for name in (*MARKET_COLUMNS, *OPTIONAL_COLUMNS)
        if name in frame.columns
        and not _holds_numbers(frame.schema[name], optional=name in NOT_ALWAYS_SENT or name in OPTIONAL_COLUMNS)
    }
    stamp = frame.schema.get("datetime")
    zoned = isinstance(stamp, pl.Datetime) and stamp.time_zone is not None
    if stamp is not None and not (stamp == pl.Int64 or zoned):
        wrong["datetime"] = str(stamp)
    return [*_schema_breaches(missing, wrong), *_extra(frame, {*MAIN_L5_COLUMNS, *TOLERATED})]


def _schema_breaches(missing: list[str], wrong: dict[str, str]) -> list[Breach]:
    found = []
    if missing:
        detail = f"columns missing: {', '.join(missing)}"
        found.append(Breach(rule="schema", detail=detail, hint=IMPORT_HINT, columns=missing))
    if wrong:
        detail = "wrong types: " + ", ".join(f"{name} is {kind}" for name, kind in wrong.items())
        found.append(Breach(rule="schema", detail=detail, hint=IMPORT_HINT, columns=list(wrong)))
    return found


def _extra(frame: pl.DataFrame, known: set[str]) -> list[Breach]:
    extra = [name for name in frame.columns if name not in known]
    if not extra:
        return []
    detail = f"columns that nobody declared: {', '.join(extra)}"
    hint = "leave them out of the file; an import drops them and says so: ghtrader data import FILE"
    return [Breach(rule="extra_columns", detail=detail, hint=hint, columns=extra)]


def check_stored_columns(frame: pl.DataFrame, kind: str) -> list[Breach]:
    """Rules ``schema`` and ``extra_columns`` for a stored partition: exactly the declared columns and types."""
    import polars as pl

    types: dict[ColumnType, object] = {
        "i64": pl.Int64,
        "f64": pl.Float64,
        "str": pl.String,
        "u8": pl.UInt8,
        "u32": pl.UInt32,
        "i8": pl.Int8,
    }
    declared = RAW_COLUMNS if kind == "raw" else MAIN_L5_COLUMNS
    missing = [name for name in declared if name not in frame.columns]
    wrong = {
        name: f"{frame.schema[name]}, declared {declared[name]}"
        for name in declared
        if name in frame.columns and frame.schema[name] != types[declared[name]]
    }
    return [*_schema_breaches(missing, wrong), *_extra(frame, set(declared))]


def check_order(stamps: npt.NDArray[np.int64], *, strictly: bool) -> list[Breach]:
    """Rule ``time_increasing``."""
    steps = np.diff(stamps)
    wrong = np.flatnonzero(steps <= 0 if strictly else steps < 0) + 1
    if not len(wrong):
        return []
    detail = f"{len(wrong)} rows stand after a later stamp{' or an equal one' if strictly else ''}, the first is row {wrong[0]}"
    hint = "import sorts late rows and counts them as reordered: ghtrader data import FILE"
    return [Breach(rule="time_increasing", detail=detail, hint=hint, rows=wrong[:ROWS_SHOWN].tolist())]


def null_rates(frame: pl.DataFrame, phase: npt.NDArray[np.uint8] | None) -> tuple[float | None, float | None]:
    """Null rates of the best level and of all five, over continuous rows that are not locked at a price limit.

    phase: of each row, None where it is not known (then all rows count). A column that is missing, or is no number, is
    absent in every row; a level without size is absent as a whole.
    """
    import polars as pl

    if frame.is_empty():
        return None, None
    absent = np.full(len(frame), np.nan)

    def numbers(name: str) -> npt.NDArray[np.float64]:
        if name not in frame.columns or not frame.schema[name].is_numeric():
            return absent
        return frame[name].cast(pl.Float64).fill_null(float("nan")).to_numpy()

    values, _ = canonical_values({name: numbers(name) for name in MARKET_COLUMNS})
    with np.errstate(invalid="ignore"):
        locked = (values[BID_PRICES[0]] >= numbers("upper_limit")) | (values[ASK_PRICES[0]] <= numbers("lower_limit"))
    judged = ~locked if phase is None else ~locked & (phase == int(Phase.CONTINUOUS))
    prices = pl.DataFrame({name: values[name][judged] for name in (*BID_PRICES, *ASK_PRICES)})
    return null_rate(prices, (BID_PRICES[0], ASK_PRICES[0])), null_rate(prices, (*BID_PRICES, *ASK_PRICES))


def check_rates(rows: int, rates: tuple[float | None, float | None], limits: ContractLimits) -> list[Breach]:
    """Rules ``min_rows``, ``null_rate_l1`` and ``null_rate_l5``; without a row to judge both rates are broken."""
    found: list[Breach] = []
    if rows < limits.min_rows:
        detail = f"{rows} rows, at least {limits.min_rows} are demanded"
        found.append(
            Breach(rule="min_rows", detail=detail, hint="fetch the day again; for a thin contract lower data.contract.min_rows")
        )
    named = (
        ("null_rate_l1", "best bid or ask", rates[0], limits.null_rate_l1_max),
        ("null_rate_l5", "one of five levels", rates[1], limits.null_rate_l5_max),
    )
    for rule, what, rate, most in named:
        if rate is None or rate > most:
            share = (
                "there is no row of continuous trading to judge"
                if rate is None
                else f"{what} is absent in {rate:.2%} of the rows"
            )
            hint = f"another source, or another limit: ghtrader config set data.contract.{rule}_max VALUE"
            found.append(Breach(rule=rule, detail=f"{share}, allowed are {most:.2%}", hint=hint))
    return found
