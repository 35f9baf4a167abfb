"""`ghtrader features fit`: parameters of fitted factors from named days, with their range, as a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from ghtrader.core.clock import elapsed_s
from ghtrader.core.errors import UsageError
from ghtrader.core.progress import NO_PROGRESS, Progress
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.atomic import write_atomically
from ghtrader.datasets.factors.fit import fit_parameters, fit_sample
from ghtrader.datasets.factors.parameters import FittedParameters
from ghtrader.pipelines.feature_days import study_days
from ghtrader.pipelines.services import Services

__all__ = ["FitReport", "fit_features"]


class FitReport(msgspec.Struct, frozen=True, kw_only=True):
    """What was fitted, and where it stands. params_hash: identity of values and range."""

    fitted: FittedParameters
    params_hash: str
    out: str
    seconds: float
    notes: tuple[str, ...] = ()


def _chosen(names: Sequence[str], days: str | None) -> list[str]:
    """Days of a range ``FIRST..LAST`` (both included), or all."""
    if days is None:
        return list(names)
    first, dots, last = days.partition("..")
    if not dots:
        last = first
    low, high = TradingDay.parse(first).iso, TradingDay.parse(last).iso
    found = [name for name in names if low <= name <= high]
    if not found:
        raise UsageError(f"no day within {days}; there are {names[0]} to {names[-1]}", hint="--days FIRST..LAST")
    return found


def fit_features(
    services: Services,
    variety: str | None,
    files: Sequence[Path],
    out: Path,
    *,
    symbol: str | None = None,
    days: str | None = None,
    progress: Progress = NO_PROGRESS,
) -> FitReport:
    """Fit every parameter on the named days of a series or of tick files and write them. Memory: one day of ticks.

    Raises UsageError for days that are not there, DataError for too little data.
    """
    started = services.clock.monotonic_ns()
    study = study_days(services, variety, files, symbol)
    chosen = _chosen(study.names, days)
    progress.start("fit", len(chosen))
    samples = []
    for name in chosen:
        samples.append(fit_sample(*study.read(name)))
        progress.advance(note=name)
    fitted = fit_parameters(study.symbol, samples)
    progress.finish(f"{fitted.rows:,} rows of {len(chosen)} days")

    def write(path: Path) -> None:
        path.write_bytes(msgspec.json.format(msgspec.json.encode(fitted), indent=2) + b"\n")

    write_atomically(out, write)
    seconds = round(elapsed_s(services.clock, started), 3)
    return FitReport(fitted=fitted, params_hash=fitted.params_hash, out=str(out), seconds=seconds, notes=study.notes)
