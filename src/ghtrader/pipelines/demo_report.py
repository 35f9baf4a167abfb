"""From the main job's results to the report's values. Shares of labels are the only thing computed here."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ghtrader.data.main_schedule import MainSchedule
from ghtrader.data.row_hash import ROW_HASH_VERSION
from ghtrader.datasets.day_dataset import DayDataset
from ghtrader.datasets.labels.classes import classes, theta_from_train
from ghtrader.pipelines.backtest import Simulation
from ghtrader.pipelines.build import BuildReport
from ghtrader.pipelines.evaluate import Evaluation
from ghtrader.pipelines.ingest import ImportReport
from ghtrader.pipelines.main_series import MainL5Report
from ghtrader.pipelines.report.model import (
    DayTile,
    DecayPoint,
    EdgeBar,
    LabelBalance,
    MetricRow,
    ReliabilityCurve,
    ReportData,
    RunFact,
)
from ghtrader.pipelines.validate import ValidationReport

__all__ = ["compose_report"]


def _balance(datasets: Sequence[DayDataset], evaluation: Evaluation) -> list[LabelBalance]:
    balances: list[LabelBalance] = []
    for column, horizon in enumerate(datasets[0].horizons):
        fitted = evaluation.theta_ticks.get(str(horizon))
        trained = set(evaluation.folds[-1].train_days)
        known = np.concatenate([d.y[:, column] for d in datasets if d.trading_day.iso in trained])
        theta = fitted if fitted is not None else theta_from_train(known)
        counts = np.bincount(np.concatenate([classes(d.y[:, column], theta) for d in datasets]) + 1, minlength=4)
        void, down, flat, up = (float(value) for value in counts / counts.sum())
        balances.append(LabelBalance(horizon=str(horizon), down=down, flat=flat, up=up, void=void, theta_ticks=theta))
    return balances


def _tiles(verdicts: ValidationReport, evaluation: Evaluation) -> list[DayTile]:
    tested = {day for fold in evaluation.folds for day in fold.test_days}
    return [
        DayTile(
            trading_day=day.trading_day,
            state=day.overall_state,
            reason="" if day.reason_code == "ok" else day.reason_code,
            rows=day.rows,
            gaps=len(day.gaps),
            role="test" if day.trading_day in tested else "train",
            coverage={part.session_part: part.slots_filled for part in day.parts},
        )
        for day in verdicts.days
    ]


def _facts(
    tool_version: str, config_hash: str, schedule: MainSchedule, series: MainL5Report, built: BuildReport, imported: ImportReport
) -> list[RunFact]:
    dropped = ", ".join(f"{reason} {count:,}" for reason, count in imported.dropped.items()) or "nothing dropped"
    contracts = ", ".join(dict.fromkeys(segment.contract for segment in schedule.segments))
    return [
        RunFact("ghtrader", tool_version),
        RunFact("config hash", config_hash[:16], "every effective value stands in config.json beside this report"),
        RunFact("series", schedule.alias, f"{contracts}; schedule {schedule.schedule_hash[:16]} ({schedule.source})"),
        RunFact("rows", f"{imported.rows_in:,} read, {imported.deduped:,} there before or identical", dropped),
        RunFact("row hash", f"v{ROW_HASH_VERSION}", "; ".join(imported.conversions)),
        RunFact("factor set", built.factor_set, built.set_hash[:16]),
        RunFact("days", str(len(series.days)), f"{series.missing} without ticks, {len(built.left_out)} without provenance"),
    ]


def compose_report(
    *,
    symbol: str,
    command: str,
    tool_version: str,
    config_hash: str,
    schedule: MainSchedule,
    series: MainL5Report,
    verdicts: ValidationReport,
    datasets: Sequence[DayDataset],
    built: BuildReport,
    imported: ImportReport,
    evaluation: Evaluation,
    simulation: Simulation,
    truth: Sequence[tuple[str, str, str]],
    trials: int,
    next_commands: list[str],
    timings_s: dict[str, float],
) -> ReportData:
    """Values of the page; see `report.model.ReportData`."""
    days = [dataset.trading_day.iso for dataset in datasets]
    settled = (
        "Settlement is an estimate (volume-weighted price, truncated to the tick)." if simulation.settlement_estimated else ""
    )
    return ReportData(
        title=symbol,
        subtitle=f"{len(days)} trading days, {days[0]} to {days[-1]}",
        conclusion=simulation.verdict.conclusion,
        conclusion_text=simulation.verdict.text,
        facts=_facts(tool_version, config_hash, schedule, series, built, imported),
        days=_tiles(verdicts, evaluation),
        labels=_balance(datasets, evaluation),
        metrics=[
            MetricRow(model=m.model, horizon=m.horizon, metric=m.metric, value=m.value, low=m.low, high=m.high, rows=m.rows)
            for m in evaluation.metrics
        ],
        decay=[
            DecayPoint(model=p.model, horizon_ticks=p.horizon_ticks, ic=p.ic, low=p.low, high=p.high) for p in evaluation.decay
        ],
        reliability=[
            ReliabilityCurve(model=c.model, outcome=c.outcome, predicted=c.predicted, observed=c.observed, ece=c.ece)
            for c in evaluation.reliability
        ],
        curves=simulation.curves,
        fills=simulation.fills,
        edges=[
            EdgeBar(share=e.share, signals=e.signals, gross_ticks=e.gross_ticks, low=e.low, high=e.high) for e in evaluation.edges
        ],
        cost_taker_ticks=simulation.cost_taker_ticks,
        cost_passive_ticks=simulation.cost_passive_ticks,
        headline_horizon=evaluation.headline_horizon,
        trials=trials,
        split_note=evaluation.split_note,
        settlement_note=settled,
        truth=[RunFact(*fact) for fact in truth],
        next_commands=next_commands,
        reproduce=command,
        timings_s=timings_s,
    )
