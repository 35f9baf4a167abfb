"""`ghtrader features report`: the quality of every factor of a set on a series or on files, as JSON and as one HTML page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np

from ghtrader.core.clock import NS_PER_S, elapsed_s
from ghtrader.core.errors import UsageError
from ghtrader.core.phases import Phase
from ghtrader.core.progress import NO_PROGRESS, Progress
from ghtrader.data.atomic import write_atomically
from ghtrader.data.day_ticks import DayTicks
from ghtrader.data.sessions import DaySessions
from ghtrader.datasets.day_dataset import Horizon
from ghtrader.datasets.factors.catalogue import factor, factor_set
from ghtrader.datasets.factors.declaration import FactorSet
from ghtrader.datasets.factors.engine import compute_day
from ghtrader.datasets.factors.history import DaySummary, history_array
from ghtrader.datasets.labels.direction import direction_labels
from ghtrader.datasets.quality.battery import Battery, DayRows, blocks_of
from ghtrader.pipelines.feature_cost import GroupCost, measure_costs
from ghtrader.pipelines.feature_days import StudyDays, study_days
from ghtrader.pipelines.feature_quality import CONTROLS, FactorQuality, Redundancy, factor_qualities, redundancy
from ghtrader.pipelines.prepare import prepare_store
from ghtrader.pipelines.services import Services, Settings
from ghtrader.research.bootstrap import BLOCK_NS, DAYS_FOR_DAY_BLOCKS, Resampler
from ghtrader.research.trials import TrialLedger

__all__ = ["IC_HORIZONS", "FeatureReport", "HorizonPower", "StudyDay", "feature_report"]

#: Horizons of the ICs: the decay grid in snapshots, and seconds.
IC_HORIZONS = (
    *(Horizon("ticks", length) for length in (1, 2, 5, 10, 20, 50, 100, 200, 400)),
    *(Horizon("seconds", length) for length in (5, 25, 100)),
)
#: Horizons with session parts and marginal ICs.
CONTROLLED = ("10t", "50t", "200t")
#: More replicates would move bounds by less than what few blocks leave open.
MAX_REPLICATES = 500
#: Standard errors of 0 at which an effect is seen four times in five: 1.96 + 0.84.
SEEN = 2.8


class StudyDay(msgspec.Struct, frozen=True, kw_only=True):
    """One day: rows, and of these the ones with a two-sided book in continuous trading."""

    trading_day: str
    rows: int
    counted: int


class HorizonPower(msgspec.Struct, frozen=True, kw_only=True):
    """What a horizon's labels can show: rows, how many of them do not overlap, the smallest IC seen four times in five."""

    horizon: str
    rows: int
    effective: float
    smallest_ic: float


class FeatureReport(msgspec.Struct, frozen=True, kw_only=True):
    """Quality of a set on some days. ``evidence``: what these days can and cannot say. html, json: where it was written."""

    symbol: str
    factor_set: str
    set_hash: str
    days: list[StudyDay]
    reference_days: list[str]
    horizons: list[str]
    headline: str
    blocks: int
    evidence: list[str]
    power: list[HorizonPower]
    set_ns_per_row: float
    costs: list[GroupCost]
    factors: list[FactorQuality]
    redundancy: Redundancy
    notes: list[str]
    data: dict[str, str]
    trial: int
    seconds: float
    html: str = ""
    json: str = ""


def _controls(chosen: FactorSet) -> FactorSet:
    """The set, and the factors of the marginal ICs behind it where it lacks them."""
    more = tuple(factor(id_) for id_ in CONTROLS if id_ not in chosen.ids)
    return msgspec.structs.replace(chosen, factors=(*chosen.factors, *more))


class _Run:
    """Days through the battery, one in memory at a time."""

    def __init__(self, days: StudyDays, chosen: FactorSet, horizons: Sequence[Horizon], reference_days: int, seed: int) -> None:
        self.days, self.chosen, self.horizons = days, chosen, tuple(horizons)
        self._wide = _controls(chosen)
        self._block_ns = BLOCK_NS if len(days.names) < DAYS_FOR_DAY_BLOCKS else None
        self._earlier: list[DaySummary] = []
        self._contract = ""
        self.step_ns, self.steps = 0, 0
        places = {str(horizon): at for at, horizon in enumerate(self.horizons)}
        controlled = tuple(places[name] for name in CONTROLLED)
        self.battery = Battery(len(chosen.factors), len(days.names), controlled, reference_days=reference_days, seed=seed)

    def add(self, name: str) -> tuple[DayTicks, DaySessions]:
        """Take one day in."""
        ticks, sessions = self.days.read(name)
        if ticks.underlying_symbol != self._contract:  # what another contract left says nothing
            self._earlier, self._contract = [], ticks.underlying_symbol
        values, summary = compute_day(ticks, sessions, self._wide, history=history_array(self._earlier))
        self._earlier.append(summary)
        continuous = ticks.phase == int(Phase.CONTINUOUS)
        counted = continuous & ~np.isnan(ticks.mid_ticks)
        inside = counted[1:] & counted[:-1] & ~ticks.break_before[1:]
        self.step_ns += int(np.diff(ticks.ts_ns)[inside].sum())
        self.steps += int(inside.sum())
        block, blocks = blocks_of(ticks.ts_ns, self._block_ns)
        width = len(self.chosen.factors)
        places = [self._wide.ids.index(id_) for id_ in CONTROLS]
        self.battery.add(
            DayRows(
                name, values[:, :width], values[:, places], direction_labels(ticks, self.horizons)[0],
                continuous, counted, ticks.part, block, blocks,
            )
        )  # fmt: skip
        return ticks, sessions

    @property
    def blocks(self) -> int:
        """Blocks of all days so far."""
        return int(self.battery.sums.spearman.shape[-1])

    def power(self) -> list[HorizonPower]:
        """Effective rows and the smallest IC by horizon."""
        step_s = self.step_ns / NS_PER_S / max(self.steps, 1)
        out = []
        for at, horizon in enumerate(self.horizons):
            rows = int(np.array(self.battery.labelled)[:, at].sum())
            overlap = float(horizon.length) if horizon.unit == "ticks" else max(1.0, horizon.length / max(step_s, 1e-9))
            effective = rows / overlap
            smallest = min(1.0, SEEN / max(effective, 1e-9) ** 0.5)
            out.append(
                HorizonPower(horizon=str(horizon), rows=rows, effective=round(effective, 1), smallest_ic=round(smallest, 4))
            )
        return out


def _evidence(days: int, blocks: int, factors: int, power: HorizonPower) -> list[str]:
    """What these days can and cannot say."""
    seen = (
        f"{days} trading day{'s' * (days != 1)}, {blocks} blocks of {'30 minutes' if days < DAYS_FOR_DAY_BLOCKS else 'one day'}; at "
        f"{power.horizon} {power.effective:,.0f} labels do not overlap, and an IC below {power.smallest_ic:.3f} would mostly go unseen."
    )
    lines = [seen]
    if days < DAYS_FOR_DAY_BLOCKS:
        lines.append(
            f"Fewer than {DAYS_FOR_DAY_BLOCKS} days: undecidable. Intervals from blocks within days do not see how much days differ."
        )
    lines.append(
        f"Of {factors} factors without any effect, about {max(1, round(0.05 * factors))} have intervals that leave out 0."
    )
    return lines


def feature_report(
    services: Services,
    *,
    variety: str | None = None,
    files: Sequence[Path] = (),
    symbol: str | None = None,
    set_name: str = "full",
    factors_file: Path | None = None,
    reference_days: int = 1,
    out: Path | None = None,
    progress: Progress = NO_PROGRESS,
) -> FeatureReport:
    """Judge every factor of a set on a variety's series or on files, and write the page with its JSON beside it.

    reference_days: how many of the first days the others are compared with. out: the page, default in the artifacts folder.
    factors_file: factors and sets of one's own. Records one trial. Memory: one day (one file), a sample of rows, sums by block.
    """
    started = services.clock.monotonic_ns()
    chosen = factor_set(set_name, "" if factors_file is None else str(factors_file))
    days = study_days(services, variety, files, symbol)
    if not 1 <= reference_days <= len(days.names):
        raise UsageError(f"{reference_days} reference days of {len(days.names)}", hint="--reference-days 1")
    prepare_store(services.store())
    settings = services.settings()
    seed, replicates = int(str(settings.get("research.seed"))), int(str(settings.get("research.bootstrap_replicates")))
    run = _Run(days, chosen, IC_HORIZONS, reference_days, seed)
    progress.start("days", len(days.names))
    ticks, sessions = run.add(days.names[0])
    progress.advance(note=days.names[0])
    costs, set_cost = measure_costs(services.clock, ticks, sessions, chosen)
    for name in days.names[1:]:
        run.add(name)
        progress.advance(note=name)
    progress.finish(f"{len(days.names)} days")
    draw = Resampler(run.blocks, replicates=min(replicates, MAX_REPLICATES), seed=seed)
    report = msgspec.structs.replace(_judged(run, draw, costs, _headline(settings)), set_ns_per_row=round(set_cost, 1))
    return _written(services, msgspec.structs.replace(report, trial=_recorded(services, report)), out, started, progress)


def _headline(settings: Settings) -> str:
    """The horizon that the table shows: the first of ``research.horizons``."""
    horizons = settings.get("research.horizons")
    assert isinstance(horizons, list)
    return str(horizons[0])


def _judged(run: _Run, draw: Resampler, costs: list[GroupCost], headline: str) -> FeatureReport:
    """Everything that the days say."""
    battery, chosen, power, days = run.battery, run.chosen, run.power(), run.days
    doubles = redundancy(chosen.factors, battery.sample)
    qualities = factor_qualities(chosen.factors, run.horizons, battery, costs, doubles, draw)
    fitted = [item.id for item in chosen.factors if item.fitted]
    neutral = (f"with the neutral parameters of their cards: {', '.join(fitted)}",) if fitted else ()
    at_headline = next(item for item in power if item.horizon == headline)
    return FeatureReport(
        symbol=days.symbol,
        factor_set=chosen.name,
        set_hash=chosen.set_hash,
        days=[
            StudyDay(trading_day=name, rows=rows, counted=counted)
            for name, (rows, counted) in zip(days.names, battery.rows, strict=True)
        ],
        reference_days=list(days.names[: battery.reference_days]),
        horizons=[str(horizon) for horizon in run.horizons],
        headline=headline,
        blocks=draw.blocks,
        evidence=_evidence(len(days.names), draw.blocks, len(qualities), at_headline),
        power=power,
        set_ns_per_row=0.0,
        costs=costs,
        factors=qualities,
        redundancy=doubles,
        notes=[*days.notes, *neutral],
        data=days.data,
        trial=0,
        seconds=0.0,
    )


def _recorded(services: Services, report: FeatureReport) -> int:
    """Looking at ICs is trying: one trial."""
    spec = {"set": report.factor_set, "set_hash": report.set_hash, "horizons": report.horizons}
    result = {item.id: next(ic.ic for ic in item.ic if ic.horizon == report.headline) for item in report.factors}
    data = {"symbol": report.symbol, "digests": report.data}
    return TrialLedger(services.ledger(), services.clock).record("feature_report", spec=spec, data=data, result=result)


def _written(services: Services, report: FeatureReport, out: Path | None, started: int, progress: Progress) -> FeatureReport:
    """Draw and write page and JSON."""
    from ghtrader.pipelines.report.features import render_features

    page = out or services.paths.artifacts / "features" / f"{report.symbol}-{report.factor_set}.html"
    beside = page.with_suffix(".json")
    if page.is_dir() or beside == page:
        raise UsageError(f"{page} cannot be a page", hint="--out REPORT.html")
    page.parent.mkdir(parents=True, exist_ok=True)
    progress.start("page", 1)
    report = msgspec.structs.replace(
        report, html=str(page), json=str(beside), seconds=round(elapsed_s(services.clock, started), 2)
    )
    text = render_features(report)
    write_atomically(page, text.encode())
    report = msgspec.structs.replace(report, seconds=round(elapsed_s(services.clock, started), 2))
    write_atomically(beside, msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n")
    progress.advance()
    progress.finish(str(page))
    return report
