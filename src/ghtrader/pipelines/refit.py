"""Refitting factors for the folds of a stored series: its days as they were built, and parameters kept by content."""

from __future__ import annotations

from collections.abc import Sequence

from ghtrader.core.errors import DataError
from ghtrader.data.instruments import InstrumentTable
from ghtrader.data.sessions import sessions_for
from ghtrader.datasets.build import build_identity
from ghtrader.datasets.day_dataset import DayDataset
from ghtrader.datasets.factors.declaration import FactorSet
from ghtrader.datasets.factors.parameters import FittedParameters
from ghtrader.datasets.labels.direction import DEFAULT_HORIZONS
from ghtrader.datasets.refit import Compute, FoldRefit, RefitDay, fitted_part
from ghtrader.pipelines.build import require_unchanged, series_ticks
from ghtrader.pipelines.day_history import day_histories
from ghtrader.pipelines.feature_table import CODE_ROOMS
from ghtrader.pipelines.ingest import calendar_of
from ghtrader.pipelines.known_gaps import gaps_of_day
from ghtrader.pipelines.main_series import current_schedule
from ghtrader.pipelines.services import Services
from ghtrader.pipelines.stages import StageStore, code_hash
from ghtrader.ports.tick_store import DayKey

__all__ = ["refit_of_series"]


def refit_of_series(
    services: Services, variety: str, chosen: FactorSet, datasets: Sequence[DayDataset], stages: StageStore
) -> FoldRefit | None:
    """What refits the fitted factors of ``chosen``; None without any. Parameters of the same builds and code are read back.

    Its reader raises DataError for a day that is no longer the one that its dataset was built from.
    """
    part = fitted_part(chosen)
    if not part.factors:
        return None
    schedule, store = current_schedule(services, variety), services.tick_store()
    calendar, instruments = calendar_of(services), InstrumentTable.vendored()
    built = {dataset.trading_day.iso: dataset for dataset in datasets}
    keys = {name: DayKey("main_l5", schedule.alias, dataset.trading_day) for name, dataset in built.items()}
    found = {key.trading_day: store.manifest(key) for key in keys.values()}
    manifests = {day: manifest for day, manifest in found.items() if manifest is not None}
    histories = day_histories(services, "main_l5", schedule.alias, schedule.product, manifests, chosen)

    def read(name: str) -> RefitDay:
        day, history = keys[name].trading_day, histories.get(name, ())
        manifest = manifests.get(day)
        if manifest is not None:
            gaps = gaps_of_day(services.ledger(), manifest)
            known = [] if gaps is None else gaps.tolist()
            lineage = manifest.lineage.get("schedule_hash", "")
            if build_identity(manifest.digest, chosen, DEFAULT_HORIZONS, known, lineage, history) == built[name].build_hash:
                ticks = series_ticks(services, schedule, day)
                require_unchanged(services, "main_l5", schedule.alias, {day: manifest})
                return ticks, sessions_for(schedule.product, day, calendar, instruments), history
        raise DataError(
            f"{name} of {schedule.alias} changed after its dataset was built",
            hint="run the same command again",
            day=name,
            retryable=True,
        )

    def keep(days: Sequence[str], compute: Compute) -> FittedParameters:
        inputs = {
            "symbol": schedule.alias,
            "builds": [(name, built[name].build_hash) for name in days],
            "code": code_hash(*CODE_ROOMS),
        }
        return stages.run("fit", inputs, FittedParameters, compute)

    return FoldRefit(schedule.alias, part, read, keep)
