"""Build datasets of a variety's main-contract series: provenance gate, gaps as hard segments, reuse by content."""

from __future__ import annotations

import msgspec
import numpy as np
import numpy.typing as npt

from ghtrader.core.errors import DataError, ProvenanceError, SchemaError, StoreError
from ghtrader.core.progress import NO_PROGRESS, Progress
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.day_ticks import DayTicks
from ghtrader.data.instruments import InstrumentTable
from ghtrader.data.main_schedule import MainSchedule
from ghtrader.data.manifests import require_one_hash_version
from ghtrader.data.sessions import sessions_for
from ghtrader.datasets.build import DatasetStore, build_day, build_identity
from ghtrader.datasets.day_dataset import DayDataset
from ghtrader.datasets.factors.catalogue import factor_set
from ghtrader.datasets.labels.direction import DEFAULT_HORIZONS
from ghtrader.datasets.provenance import provenance_problem, require_provenance
from ghtrader.pipelines.day_history import day_histories
from ghtrader.pipelines.ingest import calendar_of
from ghtrader.pipelines.known_gaps import gaps_of_day, stored_ticks
from ghtrader.pipelines.main_series import current_schedule
from ghtrader.pipelines.prepare import prepare_store
from ghtrader.pipelines.run_records import record_build
from ghtrader.pipelines.services import Services
from ghtrader.ports.tick_store import DayKey, DayManifest

__all__ = ["BuildReport", "BuiltDay", "build_datasets", "clean_series", "require_unchanged", "series_ticks"]


class BuiltDay(msgspec.Struct, frozen=True, kw_only=True):
    """One day's dataset: rows, rows a model may predict at, share of labels by horizon, known gaps, whether it was reused."""

    trading_day: str
    rows: int
    eligible: int
    labelled: dict[str, float]
    build_hash: str
    reused: bool
    gaps: int = 0


class BuildReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a build did. ``left_out``: days without clean provenance (non-strict only). ``run``: its folder under ``runs/``.

    unvalidated_days: days of which nobody judged these rows, so that no gap of theirs is known.
    """

    alias: str
    factor_set: str
    set_hash: str
    days: list[BuiltDay]
    reused: int
    left_out: list[str]
    unvalidated_days: list[str] = []
    run: str = ""


def _manifests(services: Services, schedule: MainSchedule) -> dict[TradingDay, DayManifest]:
    store = services.tick_store()
    found = ((day, store.manifest(DayKey("main_l5", schedule.alias, day))) for day in store.days("main_l5", schedule.alias))
    return {day: manifest for day, manifest in found if manifest is not None}


def _clean_days(services: Services, schedule: MainSchedule, days: list[TradingDay], strict: bool) -> list[str]:
    """The provenance gate: days to leave out."""
    reader = services.day_reader()
    if not days:
        raise DataError(f"no days of {schedule.alias} are materialised", hint=f"ghtrader main-l5 --var {schedule.product}")
    require_one_hash_version(reader, [DayKey("main_l5", schedule.alias, day) for day in days])
    problems: dict[str, str] = {}
    hashes: dict[str, str] = {}
    for day in days:
        key = DayKey("main_l5", schedule.alias, day)
        try:
            frame = reader.read_day(key, ["segment_id", "schedule_hash"])
        except (SchemaError, StoreError):  # the columns may be absent altogether, which is what the gate is for
            frame = reader.read_day(key)
        problems[day.iso] = provenance_problem(frame)
        if not problems[day.iso]:
            hashes[day.iso] = str(frame["schedule_hash"][0])
    return require_provenance(problems, hashes, strict=strict)


def clean_series(services: Services, schedule: MainSchedule, strict: bool) -> tuple[dict[TradingDay, DayManifest], list[str]]:
    """The provenance gate: days of the series that may be built, and those that are left out (strict: ProvenanceError)."""
    manifests = _manifests(services, schedule)
    try:
        left_out = _clean_days(services, schedule, list(manifests), strict)
    except ProvenanceError:
        require_unchanged(services, "main_l5", schedule.alias, manifests)  # days of two states are no fault of the data
        raise
    return {day: manifest for day, manifest in manifests.items() if day.iso not in left_out}, left_out


def series_ticks(services: Services, schedule: MainSchedule, day: TradingDay) -> DayTicks:
    """One day of the series as arrays, known gaps as hard segments."""
    return stored_ticks(services, DayKey("main_l5", schedule.alias, day))


def build_datasets(
    services: Services,
    variety: str,
    *,
    set_name: str,
    strict: bool = True,
    factors: str = "",
    progress: Progress = NO_PROGRESS,
) -> tuple[list[DayDataset], BuildReport]:
    """Datasets of every clean day of the series, built or reused, and the report on them.

    factors: the file that declares factors and sets of one's own.
    """
    started = services.clock.monotonic_ns()
    prepare_store(services.store())
    schedule, chosen = current_schedule(services, variety), factor_set(set_name, factors)
    calendar, instruments = calendar_of(services), InstrumentTable.vendored()
    manifests, left_out = clean_series(services, schedule, strict)
    days = list(manifests)
    cache = DatasetStore(services.paths.artifacts / "datasets")
    histories = day_histories(services, "main_l5", schedule.alias, schedule.product, manifests, chosen)
    progress.start("build", len(days))
    datasets: list[DayDataset] = []
    built: list[BuiltDay] = []
    unvalidated: list[str] = []
    for day in days:
        manifest = manifests[day]
        gaps = gaps_of_day(services.ledger(), manifest)
        if gaps is None:
            unvalidated.append(day.iso)
        known = [] if gaps is None else gaps.tolist()
        schedule_hash = manifest.lineage.get("schedule_hash", "")
        history = histories.get(day.iso, ())
        identity = build_identity(manifest.digest, chosen, DEFAULT_HORIZONS, known, schedule_hash, history)
        dataset = cache.load(schedule.alias, day, identity)
        reused = dataset is not None
        if dataset is None:
            sessions = sessions_for(schedule.product, day, calendar, instruments)
            ticks = series_ticks(services, schedule, day)
            dataset = build_day(ticks, sessions, chosen, build_hash=identity, history=history)
            require_unchanged(services, "main_l5", schedule.alias, {day: manifest})
            cache.save(dataset)
        datasets.append(dataset)
        built.append(_built(dataset, reused, len(known)))
        progress.advance(note=f"{day} {'reused' if reused else 'built'}")
    require_unchanged(services, "main_l5", schedule.alias, manifests)
    count = sum(day.reused for day in built)
    progress.finish(f"{len(days)} days, {count} reused")
    report = BuildReport(
        alias=schedule.alias,
        factor_set=chosen.name,
        set_hash=chosen.set_hash,
        days=built,
        reused=count,
        left_out=left_out,
        unvalidated_days=unvalidated,
    )
    return datasets, msgspec.structs.replace(report, run=record_build(services, report, started, strict=strict))


def require_unchanged(services: Services, kind: str, symbol: str, manifests: dict[TradingDay, DayManifest]) -> None:
    """Days read one after the other belong to one state of the ticks, or nobody gets them (DataError)."""
    store = services.tick_store()
    if any(store.manifest(DayKey(kind, symbol, day)) != manifest for day, manifest in manifests.items()):
        raise DataError(f"{symbol} was replaced while it was read", hint="run the same command again", retryable=True)


def _built(dataset: DayDataset, reused: bool, gaps: int) -> BuiltDay:
    known: npt.NDArray[np.float64] = (dataset.void == 0).mean(axis=0)
    return BuiltDay(
        trading_day=dataset.trading_day.iso,
        rows=len(dataset),
        eligible=int(dataset.eligible.sum()),
        labelled={str(h): round(float(share), 6) for h, share in zip(dataset.horizons, known, strict=True)},
        build_hash=dataset.build_hash,
        reused=reused,
        gaps=gaps,
    )
