"""Write generated markets as tick files, without their truth."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np

from ghtrader.core.errors import UsageError
from ghtrader.core.ids import file_sha256
from ghtrader.core.progress import NO_PROGRESS, Progress
from ghtrader.data.atomic import write_atomically
from ghtrader.pipelines.ingest import calendar_of
from ghtrader.pipelines.services import Services
from ghtrader.sim.market.generate import DEFAULT_CONTRACT, DEFAULT_DAYS, DEFAULT_FIRST_DAY, GeneratedDay, generate_market
from ghtrader.sim.market.params import MARKETS

__all__ = ["MarketReport", "list_markets", "write_market"]


class MarketReport(msgspec.Struct, frozen=True, kw_only=True):
    """Files written, with rows and content hashes."""

    market: str
    seed: int
    contract: str
    files: list[str]
    sha256: list[str]
    rows: int
    truth_files: list[str]


def list_markets() -> list[dict[str, object]]:
    """Every market in short."""
    return [{"name": m.name, "summary": m.summary, "kappa": m.kappa, "eta": m.eta} for m in MARKETS.values()]


def write_market(
    services: Services,
    name: str,
    *,
    seed: int,
    out: Path,
    days: int = DEFAULT_DAYS,
    contract: str = DEFAULT_CONTRACT,
    first_day: str = DEFAULT_FIRST_DAY,
    truth: Path | None = None,
    progress: Progress = NO_PROGRESS,
) -> MarketReport:
    """One Parquet file per trading day in ``out``; the truth only where asked for, never beside the ticks.

    Existing files of the same names are replaced whole. The files say who made them, not which market they are.
    """
    if truth is not None and truth.absolute() == out.absolute():
        raise UsageError("the truth may not lie beside the ticks", hint="give --with-truth another folder")
    for folder in (out, *(() if truth is None else (truth,))):
        folder.mkdir(parents=True, exist_ok=True)
    progress.start("generate", days)
    files: list[str] = []
    truths: list[str] = []
    rows = 0
    generated = generate_market(name, seed, days=days, contract=contract, first_day=first_day, calendar=calendar_of(services))
    for day in generated:
        path = out / f"{day.symbol}.{day.trading_day.compact}.parquet"
        _write_day(day, path, f"ghtrader {services.tool_version} market generator")
        files.append(str(path))
        rows += len(day.ts_ns)
        if truth is not None:
            truths.append(_write_truth(day, truth))
        progress.advance(note=str(day.trading_day))
    progress.finish(f"{len(files)} files, {rows:,} rows")
    hashes = [file_sha256(path) for path in files]
    return MarketReport(market=name, seed=seed, contract=contract, files=files, sha256=hashes, rows=rows, truth_files=truths)


def _write_day(day: GeneratedDay, path: Path, source: str) -> None:
    import polars as pl

    frame = pl.DataFrame({"datetime": day.ts_ns, **day.columns, "upper_limit": day.upper_limit, "lower_limit": day.lower_limit})
    metadata = {
        "symbol": day.symbol,
        "price_tick": f"{day.price_tick:g}",
        "volume_multiple": f"{day.multiplier:g}",
        "source": source,
    }
    write_atomically(path, lambda target: frame.write_parquet(target, compression="zstd", metadata=metadata))


def _write_truth(day: GeneratedDay, folder: Path) -> str:
    import polars as pl

    path = folder / f"{day.symbol}.{day.trading_day.compact}.truth.parquet"
    frame = pl.DataFrame({"datetime": day.ts_ns, "alpha": day.truth_alpha, "phase": day.truth_phase.astype(np.int8)})
    write_atomically(path, lambda target: frame.write_parquet(target, compression="zstd"))
    return str(path)
