"""Simulate the declared policies on out-of-fold scores under every fill model, and conclude."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np

from ghtrader.core.orders import FillModel
from ghtrader.core.progress import NO_PROGRESS, Progress
from ghtrader.data.day_ticks import DayTicks
from ghtrader.data.sessions import DaySessions
from ghtrader.datasets.day_dataset import DayDataset
from ghtrader.datasets.factors.engine import part_ends
from ghtrader.pipelines.evaluate import Evaluation, JudgeSettings, Scores
from ghtrader.pipelines.report.model import Curve, FillRow
from ghtrader.pipelines.services import Settings
from ghtrader.research.trials import TrialLedger
from ghtrader.research.verdict import TradeEvidence, Verdict, conclude, trade_interval
from ghtrader.sim.costs import SimCosts
from ghtrader.sim.orders import trades_of
from ghtrader.sim.policy import PolicyDay, PolicyResult, PolicySpec, run_policy

__all__ = ["POLICIES", "DayMarket", "Simulation", "policies_of", "simulate"]

POLICIES = ("passive", "taker")
MODELS = (FillModel.BACK, FillModel.PRO_RATA, FillModel.FRONT, FillModel.FIRST)
CURVE_POINTS = 400


class DayMarket(msgspec.Struct, frozen=True):
    """What the simulator needs of a test day: ticks, sessions, costs."""

    ticks: DayTicks
    sessions: DaySessions
    costs: SimCosts


class PolicyDayPnl(msgspec.Struct, frozen=True, kw_only=True):
    """One policy's day under one fill model, CNY, marked to settlement."""

    policy: str
    fill_model: str
    trading_day: str
    realised_cny: float
    holding_cny: float
    fees_cny: float
    net_cny: float


class Simulation(msgspec.Struct, frozen=True, kw_only=True):
    """Every policy under every fill model, the evidence and the verdict."""

    fills: list[FillRow]
    days: list[PolicyDayPnl]
    curves: list[Curve]
    evidence: list[TradeEvidence]
    verdict: Verdict
    orders: dict[str, dict[str, int]]
    settlement_estimated: bool
    cost_taker_ticks: float
    cost_passive_ticks: float


def policies_of(settings: Settings) -> list[PolicySpec]:
    """The declared policies, from the keys ``sim.*``."""

    def ns(name: str, scale: float) -> int:
        return int(float(str(settings.get(name))) * scale)

    return [
        PolicySpec(
            name=name,
            lots=int(str(settings.get("sim.lots"))),
            latency_ns=ns("sim.latency_ms", 1e6),
            hold_ns=ns("sim.hold_s", 1e9),
            patience_ns=ns("sim.patience_s", 1e9),
        )
        for name in POLICIES
    ]


def simulate(
    datasets: Sequence[DayDataset],
    market: Callable[[str], DayMarket],
    scores: Scores,
    evaluation: Evaluation,
    policies: Sequence[PolicySpec],
    settings: JudgeSettings,
    *,
    trials: TrialLedger | None,
    progress: Progress = NO_PROGRESS,
) -> Simulation:
    """Run every policy under every fill model on the test days. ``market`` gives a test day by its ISO name."""
    test_days = [dataset.trading_day.iso for dataset in datasets if dataset.trading_day.iso in scores.score]
    progress.start("simulate", len(policies) * len(MODELS))
    days: list[PolicyDay] = []
    for name in test_days:
        part = market(name)
        days.append(
            PolicyDay(part.ticks, part_ends(part.ticks, part.sessions), scores.score[name], scores.threshold[name], part.costs)
        )
    trades = [trades_of(day.ticks) for day in days]
    results: list[PolicyResult] = []
    for policy in policies:
        for model in MODELS:
            results.append(run_policy(days, policy, model, trades))
            progress.advance(note=f"{policy.name} {model.name.lower()}")
    evidence, rows = [], []
    for result in results:
        row, proof = _judge_trades(result, test_days, len(policies), settings)
        rows.append(row)
        if not row.bound:
            evidence.append(proof)
    verdict = conclude(evidence, test_days=len(test_days), horizon=evaluation.headline_horizon)
    progress.finish(verdict.conclusion)
    if trials is not None:
        _record(trials, datasets, policies, rows, verdict, evaluation)
    fee, spread = _costs(days)
    return Simulation(
        fills=rows,
        days=[day for result in results for day in _daily(result)],
        curves=[_curve(result, days) for result in results],
        evidence=evidence,
        verdict=verdict,
        orders={f"{r.policy} {r.model.name.lower()}": _counts(r) for r in results},
        settlement_estimated=any(result.estimated for result in results),
        cost_taker_ticks=fee + spread,
        cost_passive_ticks=fee,
    )


def _counts(result: PolicyResult) -> dict[str, int]:
    return {"orders": result.orders, "cancels": result.cancels, "unfilled": result.unfilled, "rejects": result.rejects}


def _judge_trades(
    result: PolicyResult, test_days: list[str], policies: int, settings: JudgeSettings
) -> tuple[FillRow, TradeEvidence]:
    interval, effective = trade_interval(
        [trip.net_ticks for trip in result.trips],
        [trip.lots for trip in result.trips],
        [trip.entry_ns for trip in result.trips],
        [trip.trading_day for trip in result.trips],
        test_days=test_days,
        policies=policies,
        replicates=settings.replicates,
        seed=settings.seed,
    )

    def known(value: float) -> float | None:
        return float(value) if np.isfinite(value) else None

    bounds = {"net_ticks": known(interval.value), "low": known(interval.low), "high": known(interval.high)}
    name = result.model.name.lower()
    row = FillRow(
        policy=result.policy,
        fill_model=name,
        pnl_cny=round(result.pnl_cny, 2),
        fees_cny=round(result.fees_cny, 2),
        fills=result.fills,
        passive_fills=result.passive_fills,
        round_trips=len(result.trips),
        bound=result.model == FillModel.FIRST,
        **bounds,
    )
    proof = TradeEvidence(
        policy=result.policy, fill_model=name, trades=len(result.trips), effective_trades=known(effective), **bounds
    )
    return row, proof


def _daily(result: PolicyResult) -> list[PolicyDayPnl]:
    return [
        PolicyDayPnl(
            policy=result.policy,
            fill_model=result.model.name.lower(),
            trading_day=day,
            realised_cny=round(pnl.realised_cny, 2),
            holding_cny=round(pnl.holding_cny, 2),
            fees_cny=round(pnl.fees_cny, 2),
            net_cny=round(pnl.net_cny, 2),
        )
        for day, pnl in result.days.items()
    ]


def _curve(result: PolicyResult, days: Sequence[PolicyDay]) -> Curve:
    """Net equity by trade time on a common grid of snapshots."""
    stamps = np.concatenate([day.ticks.ts_ns for day in days])
    grid = stamps[np.unique(np.linspace(0, len(stamps) - 1, min(CURVE_POINTS, len(stamps))).astype(np.int64))]
    value = days[0].costs.tick_value_cny if days else 0.0
    exits = np.array([trip.exit_ns for trip in result.trips], dtype=np.int64)
    gains = np.cumsum([trip.net_ticks * trip.lots * value for trip in result.trips]) if result.trips else np.zeros(0)
    position = np.searchsorted(exits, grid, side="right")
    equity = np.where(position > 0, gains[np.maximum(position - 1, 0)], 0.0) if len(gains) else np.zeros(len(grid))
    return Curve(
        policy=result.policy,
        fill_model=result.model.name.lower(),
        ts_ns=grid.tolist(),
        equity_cny=np.round(equity, 2).tolist(),
        bound=result.model == FillModel.FIRST,
    )


def _costs(days: Sequence[PolicyDay]) -> tuple[float, float]:
    """(fees of a round trip, mean spread), in ticks."""
    day = days[-1]
    mid = day.ticks.mid_ticks
    known = ~np.isnan(mid)
    spread = float((day.ticks.ask_px[known, 0] - day.ticks.bid_px[known, 0]).mean())
    return day.costs.round_trip_fee_ticks(float(mid[known].mean())), spread


def _record(
    trials: TrialLedger,
    datasets: Sequence[DayDataset],
    policies: Sequence[PolicySpec],
    rows: Sequence[FillRow],
    verdict: Verdict,
    evaluation: Evaluation,
) -> None:
    data = {"symbol": datasets[0].symbol, "builds": [dataset.build_hash for dataset in datasets]}
    for policy in policies:
        spec: dict[str, Any] = {
            "policy": msgspec.to_builtins(policy),
            "model": evaluation.trading_model,
            "horizon": evaluation.headline_horizon,
        }
        result = {
            row.fill_model: {"pnl_cny": row.pnl_cny, "net_ticks": row.net_ticks} for row in rows if row.policy == policy.name
        }
        trials.record("backtest", spec=spec, data=data, result={**result, "conclusion": verdict.conclusion})
