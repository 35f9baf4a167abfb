"""The data contract held against a file of ticks and against a stored partition. Changes nothing.

Rules are judged one by one, so that a file that breaks several names them all; what cannot be judged because an earlier
rule is broken is not judged.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ghtrader.core.errors import DataError, GhtraderError
from ghtrader.core.phases import Phase
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.calendar import Calendar
from ghtrader.data.canonical import canonical_day
from ghtrader.data.contract_columns import check_columns, check_order, check_rates, check_stored_columns, null_rates
from ghtrader.data.contract_dataset import BUILT_IN_DAY, BUILT_IN_DIGEST, BUILT_IN_SYMBOL, built_in_frame
from ghtrader.data.contract_rules import Breach, ContractCheck, ContractLimits
from ghtrader.data.ingest import frame_arrays
from ghtrader.data.instruments import InstrumentTable
from ghtrader.data.manifests import compare_with_manifest
from ghtrader.data.readers import FIRST_NS, LAST_NS, read_ticks, symbol_of_name
from ghtrader.data.row_hash import ROW_HASH_VERSION, VERSIONS, day_digest, row_hashes
from ghtrader.data.schema import MARKET_COLUMNS, PRICE_COLUMNS
from ghtrader.data.sessions import classify, sessions_for, trading_days_of
from ghtrader.data.shipped_days import shipped_digest
from ghtrader.ports.tick_store import DayManifest

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Market", "check_built_in", "check_file", "check_partition", "frame_day_digest", "unreadable"]

ROWS_SHOWN = 20
MAGIC = b"PAR1"
_DAY_IN_NAME = re.compile(r"(?<!\d)(20\d{6})(?!\d)")


@dataclass(frozen=True)
class Market:
    """The tables that say when a contract trades."""

    calendar: Calendar
    instruments: InstrumentTable


@dataclass
class _File:
    """A file on its way through the rules."""

    path: Path
    market: Market
    limits: ContractLimits
    frame: pl.DataFrame
    symbol: str = ""
    product: str = ""
    day: TradingDay | None = None
    phase: npt.NDArray[np.uint8] | None = None
    digest: str = ""
    version: int = ROW_HASH_VERSION
    breaches: list[Breach] = field(default_factory=list)

    def broken(self, rule: str) -> bool:
        return any(breach.rule == rule for breach in self.breaches)


def unreadable(source: str, subject: str, detail: str, hint: str) -> ContractCheck:
    """The check of something that cannot be read at all."""
    breach = Breach(rule="readable", detail=detail, hint=hint or "fetch or export it again")
    return ContractCheck(source=source, subject=subject, ok=False, breaches=[breach])


def _open(path: Path) -> pl.DataFrame | str:
    """The file's rows, or what is wrong with it."""
    import polars as pl

    if not path.is_file():
        return "no such file"
    with path.open("rb") as stream:
        head = stream.read(len(MAGIC))
    if not head:
        return "the file is empty"
    if head != MAGIC:
        kind = "a text table" if path.suffix.lower() == ".csv" else "something else"
        return f"no Parquet file but {kind}: only Parquet has types that can be checked"
    try:
        return pl.read_parquet(path, use_statistics=False, hive_partitioning=False)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError) as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        return f"the file is torn or damaged: {lines[0]}"


def check_file(
    path: Path,
    market: Market,
    limits: ContractLimits,
    *,
    symbol: str | None = None,
    expected: str | None = None,
    published: Mapping[str, str] | None = None,
) -> ContractCheck:
    """Hold a Parquet file of ticks against every rule.

    symbol: the contract, when the file does not say it. expected: digest of the canonical day (as `ghtrader data digest`
    tells it) that the file must have. published: such digests by ``SYMBOL/DAY`` or ``DAY``. A day that ships with the project
    is recognised, and must have its own.
    """
    opened = _open(path)
    if isinstance(opened, str):
        hint = f"ghtrader data import {path.name}, then ghtrader data contract-check --symbol SYMBOL --day DAY"
        return unreadable("file", str(path), opened, hint if path.suffix.lower() == ".csv" else "")
    file = _File(path, market, limits, opened)
    file.breaches += check_columns(opened)
    _name_symbol(file, symbol)
    stamps = _stamps(file)
    if stamps is not None and len(stamps):
        file.breaches += check_order(stamps, strictly=False)
        if file.product:
            _name_day(file, stamps)
    rates = null_rates(opened, file.phase)
    found = check_rates(len(opened), rates, limits)
    file.breaches += [breach for breach in found if len(opened) or breach.rule == "min_rows"]
    _check_hashes(file, stamps)
    told = published or {}
    named = told.get(f"{file.symbol}/{file.day}") or told.get(str(file.day))
    _check_digest(file, expected or named or shipped_digest(opened, f"{file.symbol}/{file.day}"))
    return ContractCheck(
        source="file",
        subject=str(path),
        ok=not file.breaches,
        symbol=file.symbol,
        trading_day=file.day.iso if file.day else "",
        rows=len(opened),
        row_hash_version=file.version,
        digest=file.digest,
        null_rate_l1=rates[0],
        null_rate_l5=rates[1],
        breaches=file.breaches,
    )


def _name_symbol(file: _File, given: str | None) -> None:
    """Rule ``one_symbol``."""
    import polars as pl

    found: list[str] = []
    if "symbol" in file.frame.columns:
        found = [str(name) for name in file.frame["symbol"].drop_nulls().unique().sort().to_list()]
    hint = "one contract a file; --symbol SHFE.rb2510 says which one it is"
    if len(found) > 1:
        file.breaches.append(Breach(rule="one_symbol", detail=f"symbols are mixed: {', '.join(found)}", hint=hint))
        return
    told = found[0] if found else pl.read_parquet_metadata(file.path).get("symbol", "")
    file.symbol = given or told or symbol_of_name(file.path)
    if not file.symbol:
        detail = "neither a column, nor the file's metadata, nor its name says which contract it holds"
        file.breaches.append(Breach(rule="one_symbol", detail=detail, hint=hint))
        return
    try:
        file.product = file.market.instruments.product(file.symbol).product
    except GhtraderError as error:
        file.breaches.append(Breach(rule="one_symbol", detail=error.message, hint=error.hint or hint))


def _stamps(file: _File) -> npt.NDArray[np.int64] | None:
    """Stamps in ns, or None with the rule ``schema`` broken."""
    import polars as pl

    if "datetime" not in file.frame.columns:
        return None
    column = file.frame["datetime"]
    if isinstance(column.dtype, pl.Datetime) and column.dtype.time_zone:
        column = column.dt.convert_time_zone("UTC").dt.cast_time_unit("ns").cast(pl.Int64)
    if column.dtype != pl.Int64:
        return None  # the type is a breach already
    hint = "stamps are epoch nanoseconds, UTC"
    absent = column.is_null().arg_true().to_list()
    if absent:
        detail = f"{len(absent)} rows without a stamp"
        file.breaches.append(Breach(rule="schema", detail=detail, hint=hint, columns=["datetime"], rows=absent[:ROWS_SHOWN]))
        return None
    stamps: npt.NDArray[np.int64] = column.to_numpy()
    wild = np.flatnonzero((stamps < FIRST_NS) | (stamps > LAST_NS))
    if len(wild):
        detail = f"{len(wild)} stamps are not in nanoseconds between 2000 and 2100, the first is {stamps[wild[0]]}"
        rows = wild[:ROWS_SHOWN].tolist()
        file.breaches.append(Breach(rule="schema", detail=detail, hint=hint, columns=["datetime"], rows=rows))
        return None
    return stamps


def _name_day(file: _File, stamps: npt.NDArray[np.int64]) -> None:
    """Rule ``one_trading_day``: the day of most rows, which rows lie outside it, and whether the names agree."""
    calendar, instruments = file.market.calendar, file.market.instruments
    hint = "one trading day a file, stamps in UTC; an import splits days and drops strays: ghtrader data import FILE"
    try:
        days, index = trading_days_of(stamps, file.product, calendar, instruments)
        file.day = days[int(np.bincount(index).argmax())]
        file.phase = classify(stamps, sessions_for(file.product, file.day, calendar, instruments))[0]
    except GhtraderError as error:
        file.breaches.append(Breach(rule="one_trading_day", detail=error.message, hint=error.hint or hint))
        return
    strays = np.flatnonzero((index != days.index(file.day)) | (file.phase == int(Phase.CLOSED)))
    if len(strays) > file.limits.stray_share_max * len(stamps):
        others = ", ".join(day.iso for day in days if day != file.day)
        detail = f"{len(strays)} rows lie outside the phases of {file.day}{f' (also there: {others})' if others else ''}"
        file.breaches.append(Breach(rule="one_trading_day", detail=detail, hint=hint, rows=strays[:ROWS_SHOWN].tolist()))
    named = _DAY_IN_NAME.findall(file.path.name)
    told = set(named[:1])
    if "trading_day" in file.frame.columns:
        told |= {str(day).replace("-", "")[:8] for day in file.frame["trading_day"].drop_nulls().unique().to_list()}
    if told - {file.day.compact}:
        detail = f"the rows are of {file.day}, name or column say {', '.join(sorted(told - {file.day.compact}))}"
        file.breaches.append(Breach(rule="one_trading_day", detail=detail, hint="the date is the trading day, not the evening's"))


def _cells(frame: pl.DataFrame) -> list[npt.NDArray[np.float64]]:
    """Market columns of a frame in hash order; null is the canonical absence of its column."""
    import polars as pl

    cells = []
    for name in MARKET_COLUMNS:
        absent = float("nan") if name in PRICE_COLUMNS else 0.0
        if name in frame.columns:
            cells.append(frame[name].cast(pl.Float64).fill_null(absent).to_numpy())
        else:
            cells.append(np.full(len(frame), absent))
    return cells


def _check_hashes(file: _File, stamps: npt.NDArray[np.int64] | None) -> None:
    """Rule ``hash_integrity`` for a file that carries row hashes: each one is recomputed from its cells."""
    if "row_hash" not in file.frame.columns or stamps is None or not len(stamps) or file.broken("schema"):
        return
    stored = file.frame["row_hash"]
    hint = "export the day again from where it was stored, or import it anew"
    if not stored.dtype.is_integer() or stored.null_count():
        detail = f"row_hash is {stored.dtype} with {stored.null_count()} nulls"
        file.breaches.append(Breach(rule="hash_integrity", detail=detail, hint=hint, columns=["row_hash"]))
        return
    cells = _cells(file.frame)
    wrong = {version: stored.to_numpy() != row_hashes(stamps, cells, version) for version in sorted(VERSIONS)}
    file.version = min(wrong, key=lambda version: int(wrong[version].sum()))
    rows = np.flatnonzero(wrong[file.version])
    if len(rows):
        detail = f"the cells of {len(rows)} rows do not give their row hash (v{file.version}), the first is row {rows[0]}"
        file.breaches.append(Breach(rule="hash_integrity", detail=detail, hint=hint, rows=rows[:ROWS_SHOWN].tolist()))


def frame_day_digest(symbol: str, source: pl.DataFrame, day: TradingDay, market: Market) -> str:
    """Digest of the canonical rows of one trading day in a source frame (`readers.read_ticks`): what an import would store."""
    product = market.instruments.product(symbol).product
    arrays = frame_arrays(source)
    days, index = trading_days_of(arrays.ts_ns, product, market.calendar, market.instruments)
    chosen = arrays.rows(np.flatnonzero(index == days.index(day)))
    canonical = canonical_day(
        chosen.ts_ns,
        chosen.columns,
        sessions=sessions_for(product, day, market.calendar, market.instruments),
        price_tick=market.instruments.spec(symbol, day).price_tick,
        local_nano=chosen.local_nano,
        upper_limit=chosen.upper_limit,
        lower_limit=chosen.lower_limit,
    )
    return day_digest("raw", symbol, day.iso, canonical.row_hash)


def _check_digest(file: _File, expected: str | None) -> None:
    """Rule ``hash_integrity`` against a digest that is known from elsewhere."""
    hint = "the file is not the one that was published: fetch it again"
    problem = ""
    if file.broken("schema") or file.day is None or "schedule_hash" in file.frame.columns:
        problem = "it cannot be computed before the other rules hold"
    else:
        try:
            source = read_ticks(file.path, symbol=file.symbol)
            file.digest = frame_day_digest(file.symbol, source.frame, file.day, file.market)
        except DataError as error:
            problem = error.message
    if expected is None or (file.digest and file.digest == expected.lower()):
        return
    found = f"{file.digest[:16]}..." if file.digest else problem
    detail = f"the digest should be {expected[:16]}..., found: {found}"
    file.breaches.append(Breach(rule="hash_integrity", detail=detail, hint=hint))


def check_built_in(market: Market) -> ContractCheck:
    """Hold the built-in day against every rule, with the default limits and its pinned digest."""
    frame = built_in_frame(market.calendar, market.instruments)
    product = market.instruments.product(BUILT_IN_SYMBOL).product
    stamps = frame["datetime"].to_numpy()
    phase = classify(stamps, sessions_for(product, BUILT_IN_DAY, market.calendar, market.instruments))[0]
    rates = null_rates(frame, phase)
    breaches = [*check_columns(frame), *check_order(stamps, strictly=False), *check_rates(len(frame), rates, ContractLimits())]
    digest = frame_day_digest(BUILT_IN_SYMBOL, frame, BUILT_IN_DAY, market)
    if digest != BUILT_IN_DIGEST:
        detail = f"the built-in day became {digest}, pinned is {BUILT_IN_DIGEST}"
        hint = "ingest, the canonical form or the row hash changed: that needs a new row hash or schema version"
        breaches.append(Breach(rule="hash_integrity", detail=detail, hint=hint))
    return ContractCheck(
        source="built-in",
        subject="built-in day",
        ok=not breaches,
        symbol=BUILT_IN_SYMBOL,
        trading_day=BUILT_IN_DAY.iso,
        rows=len(frame),
        row_hash_version=ROW_HASH_VERSION,
        digest=digest,
        null_rate_l1=rates[0],
        null_rate_l5=rates[1],
        breaches=breaches,
    )


def check_partition(
    manifest: DayManifest, frame: pl.DataFrame, limits: ContractLimits, *, subject: str, expected: str = ""
) -> ContractCheck:
    """Hold a stored partition against every rule: exact columns, rising stamps, sessions, hashes, manifest.

    expected: the digest that the day must have, empty for whatever its manifest says.
    """
    breaches = check_stored_columns(frame, manifest.kind)
    sound = not any(breach.rule == "schema" for breach in breaches)
    rates: tuple[float | None, float | None] = (None, None)
    if sound:
        breaches += check_order(frame["datetime"].to_numpy(), strictly=True)
        phase = frame["phase"].to_numpy()
        strays = np.flatnonzero(phase == int(Phase.CLOSED))
        if len(strays) > limits.stray_share_max * len(frame):
            detail = f"{len(strays)} rows lie outside the phases of {manifest.trading_day}"
            rows = strays[:ROWS_SHOWN].tolist()
            breaches.append(Breach(rule="one_trading_day", detail=detail, hint="import the day again", rows=rows))
        rates = null_rates(frame, phase)
        breaches += check_rates(len(frame), rates, limits)
    for difference in compare_with_manifest(manifest, frame):
        rule = "schema" if difference.problem in {"columns_missing", "column_types"} else "hash_integrity"
        if rule == "schema" and not sound:
            continue  # named above
        detail = f"{difference.problem} {difference.detail}".strip()
        hint = "ghtrader data verify names rows and columns; then import the day again"
        breaches.append(
            Breach(rule=rule, detail=detail, hint=hint, columns=difference.columns, rows=difference.rows[:ROWS_SHOWN])
        )
    if expected and manifest.digest != expected.lower():
        detail = f"the digest should be {expected[:16]}..., the manifest says {manifest.digest[:16]}..."
        breaches.append(Breach(rule="hash_integrity", detail=detail, hint="import the published file again"))
    return ContractCheck(
        source="partition",
        subject=subject,
        ok=not breaches,
        symbol=manifest.symbol,
        trading_day=manifest.trading_day,
        rows=len(frame),
        row_hash_version=manifest.row_hash_version,
        digest=manifest.digest,
        null_rate_l1=rates[0],
        null_rate_l5=rates[1],
        breaches=breaches,
    )
