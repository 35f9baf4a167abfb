"""Build datasets of a variety's main-contract series: provenance gate, gaps as breaks, reuse by content."""

from __future__ import annotations

import msgspec
import numpy as np
import numpy.typing as npt

from ghtrader.core.errors import DataError
from ghtrader.core.progress import NO_PROGRESS, Progress
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.day_ticks import DayTicks
from ghtrader.data.instruments import InstrumentTable
from ghtrader.data.loading import load_day_ticks
from ghtrader.data.main_schedule import MainSchedule
from ghtrader.data.manifests import require_one_hash_version
from ghtrader.data.sessions import sessions_for
from ghtrader.datasets.build import DatasetStore, build_day, build_identity
from ghtrader.datasets.day_dataset import DayDataset
from ghtrader.datasets.factors.catalogue import factor_set
from ghtrader.datasets.labels.direction import DEFAULT_HORIZONS
from ghtrader.datasets.provenance import provenance_problem, require_provenance
from ghtrader.pipelines.ingest import calendar_of
from ghtrader.pipelines.main_series import current_schedule
from ghtrader.pipelines.prepare import prepare_store
from ghtrader.pipelines.run_records import record_build
from ghtrader.pipelines.services import Services
from ghtrader.pipelines.validate import gap_starts
from ghtrader.ports.tick_store import DayKey

__all__ = ["BuildReport", "BuiltDay", "build_datasets", "build_variety", "series_ticks"]


class BuiltDay(msgspec.Struct, frozen=True, kw_only=True):
    """One day's dataset: rows, rows a model may predict at, share of labels by horizon, and whether it was reused."""

    trading_day: str
    rows: int
    eligible: int
    labelled: dict[str, float]
    build_hash: str
    reused: bool


class BuildReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a build did. ``left_out``: days without clean provenance (non-strict only). ``run``: its folder under ``runs/``."""

    alias: str
    factor_set: str
    set_hash: str
    days: list[BuiltDay]
    reused: int
    left_out: list[str]
    run: str = ""


def _clean_days(services: Services, schedule: MainSchedule, strict: bool) -> tuple[list[TradingDay], list[str]]:
    reader = services.day_reader()
    days = services.tick_store().days("main_l5", schedule.alias)
    if not days:
        raise DataError(f"no days of {schedule.alias} are materialised", hint=f"ghtrader main-l5 --var {schedule.product}")
    require_one_hash_version(reader, [DayKey("main_l5", schedule.alias, day) for day in days])
    problems: dict[str, str] = {}
    hashes: dict[str, str] = {}
    for day in days:
        frame = reader.read_day(DayKey("main_l5", schedule.alias, day), ["segment_id", "schedule_hash"])
        problems[day.iso] = provenance_problem(frame)
        if not problems[day.iso]:
            hashes[day.iso] = str(frame["schedule_hash"][0])
    left_out = require_provenance(problems, hashes, strict=strict)
    return [day for day in days if day.iso not in left_out], left_out


def series_ticks(services: Services, schedule: MainSchedule, day: TradingDay) -> DayTicks:
    """One day of the series as arrays, known gaps as breaks."""
    gaps = gap_starts(services.ledger(), schedule.alias, day)
    key = DayKey("main_l5", schedule.alias, day)
    return load_day_ticks(services.day_reader(), key, InstrumentTable.vendored(), gaps_ns=gaps)


def build_datasets(
    services: Services, variety: str, *, set_name: str, strict: bool = True, progress: Progress = NO_PROGRESS
) -> tuple[list[DayDataset], BuildReport]:
    """Datasets of every clean day of the series, built or reused, and the report on them."""
    started = services.clock.monotonic_ns()
    prepare_store(services.store())
    schedule, chosen = current_schedule(services, variety), factor_set(set_name)
    calendar, instruments = calendar_of(services), InstrumentTable.vendored()
    days, left_out = _clean_days(services, schedule, strict)
    cache = DatasetStore(services.paths.artifacts / "datasets")
    progress.start("build", len(days))
    datasets: list[DayDataset] = []
    built: list[BuiltDay] = []
    for day in days:
        manifest = services.tick_store().manifest(DayKey("main_l5", schedule.alias, day))
        assert manifest is not None
        gaps = gap_starts(services.ledger(), schedule.alias, day)
        identity = build_identity(manifest.digest + schedule.schedule_hash, chosen, DEFAULT_HORIZONS, gaps.tolist())
        dataset = cache.load(schedule.alias, day, identity)
        reused = dataset is not None
        if dataset is None:
            sessions = sessions_for(schedule.product, day, calendar, instruments)
            dataset = build_day(series_ticks(services, schedule, day), sessions, chosen, build_hash=identity)
            cache.save(dataset)
        datasets.append(dataset)
        built.append(_built(dataset, reused))
        progress.advance(note=f"{day} {'reused' if reused else 'built'}")
    count = sum(day.reused for day in built)
    progress.finish(f"{len(days)} days, {count} reused")
    report = BuildReport(
        alias=schedule.alias, factor_set=chosen.name, set_hash=chosen.set_hash, days=built, reused=count, left_out=left_out
    )
    return datasets, msgspec.structs.replace(report, run=record_build(services, report, started, strict=strict))


def _built(dataset: DayDataset, reused: bool) -> BuiltDay:
    known: npt.NDArray[np.float64] = (dataset.void == 0).mean(axis=0)
    return BuiltDay(
        trading_day=dataset.trading_day.iso,
        rows=len(dataset),
        eligible=int(dataset.eligible.sum()),
        labelled={str(h): round(float(share), 6) for h, share in zip(dataset.horizons, known, strict=True)},
        build_hash=dataset.build_hash,
        reused=reused,
    )


def build_variety(
    services: Services, variety: str, *, set_name: str | None = None, strict: bool | None = None, progress: Progress = NO_PROGRESS
) -> BuildReport:
    """`ghtrader build`: build what is missing and report."""
    settings = services.settings()
    chosen = set_name or str(settings.get("datasets.factor_set"))
    gate = bool(settings.get("datasets.strict_provenance")) if strict is None else strict
    return build_datasets(services, variety, set_name=chosen, strict=gate, progress=progress)[1]
