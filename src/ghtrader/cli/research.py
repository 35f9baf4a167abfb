"""`ghtrader train`, `backtest`, `trials` and `audit`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from ghtrader.cli.progress import progress_for
from ghtrader.cli.render import emit, table

if TYPE_CHECKING:
    from rich.console import Console

    from ghtrader.pipelines.audit import AuditReport
    from ghtrader.pipelines.main_job import JobReport

__all__ = ["audit_app", "backtest_app", "train_app", "trials_app"]

JSON = typer.Option(False, "--json", help="One JSON object on the last line.")
VARIETY = typer.Option(..., "--var", help="Variety, for example rb or SHFE.rb.")
SET = typer.Option(None, "--set", help="Factor set; default: the key datasets.factor_set.")
MODELS = typer.Option(None, "--models", help="Comma-separated families; default: the key research.models. The last one trades.")
HORIZONS = typer.Option(None, "--horizons", help="Comma-separated, 50t or 25s; the first is the headline.")
SHOWN_METRICS = ("log_loss_skill", "directional_auc", "ece", "brier")
DATA_ERROR = 4

train_app = typer.Typer(rich_markup_mode=None, add_completion=False)
backtest_app = typer.Typer(rich_markup_mode=None, add_completion=False)
audit_app = typer.Typer(rich_markup_mode=None, add_completion=False)
trials_app = typer.Typer(
    rich_markup_mode=None,
    no_args_is_help=True,
    help="What was tried, on what, with which result.",
    epilog="Examples:  ghtrader trials list  |  ghtrader trials show 3 --json",
)


def _names(text: str | None) -> list[str] | None:
    return None if text is None else [name.strip() for name in text.split(",") if name.strip()]


def _run_job(
    context: typer.Context,
    variety: str,
    set_name: str | None,
    models: str | None,
    horizons: str | None,
    as_json: bool,
    *,
    with_simulation: bool,
) -> None:
    from ghtrader.pipelines.main_job import run_variety

    with progress_for(context.obj.clock) as progress:
        report = run_variety(
            context.obj,
            variety,
            set_name=set_name,
            models=_names(models),
            horizons=_names(horizons),
            with_simulation=with_simulation,
            progress=progress,
        )
    emit(report, as_json=as_json, render=lambda console: _show_job(console, report))


@train_app.command(
    epilog="Examples:  ghtrader train --var rb  |  ghtrader train --var rb --models logistic --horizons 50t,25s --json"
)
def train(
    context: typer.Context,
    variety: str = VARIETY,
    set_name: str | None = SET,
    models: str | None = MODELS,
    horizons: str | None = HORIZONS,
    as_json: bool = JSON,
) -> None:
    """Train and judge models, walk-forward by day with purge and embargo. Same data, settings and code: reused."""
    _run_job(context, variety, set_name, models, horizons, as_json, with_simulation=False)


@backtest_app.command(epilog="Examples:  ghtrader backtest --var rb  |  ghtrader --set sim.latency_ms=500 backtest --var rb")
def backtest(
    context: typer.Context,
    variety: str = VARIETY,
    set_name: str | None = SET,
    models: str | None = MODELS,
    horizons: str | None = HORIZONS,
    as_json: bool = JSON,
) -> None:
    """Simulate the policies on out-of-fold scores under every fill model, and conclude. Trains what is missing."""
    _run_job(context, variety, set_name, models, horizons, as_json, with_simulation=True)


def _number(value: float | None, digits: int = 4) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _show_job(console: Console, report: JobReport) -> None:
    rows = [
        (m.model, m.horizon, m.metric, m.rows, _number(m.value), _number(m.low), _number(m.high))
        for m in report.evaluation.metrics
        if m.metric in SHOWN_METRICS and m.model != "prior"
    ]
    table(console, report.alias, ("model", "horizon", "metric", "rows", "value", "low", "high"), rows, numbers=4)
    console.print(report.evaluation.split_note)
    if report.simulation is not None:
        fills = [
            (row.policy, row.fill_model + (" (bound)" if row.bound else ""), row.round_trips, row.fills, row.passive_fills,
             f"{row.pnl_cny:,.0f}", _number(row.net_ticks, 3), _number(row.low, 3), _number(row.high, 3))
            for row in report.simulation.fills
        ]  # fmt: skip
        columns = ("policy", "fill model", "trips", "fills", "passive", "PnL CNY", "net ticks", "low", "high")
        table(console, "", columns, fills, numbers=7)
        verdict = report.simulation.verdict
        console.print(f"{verdict.conclusion}: {' '.join(verdict.text)}", soft_wrap=True)
    reused = ", ".join(report.reused) or "nothing"
    console.print(f"reused: {reused}; trials so far: {report.trials}")


@trials_app.command("list")
def list_(
    context: typer.Context,
    kind: str | None = typer.Option(None, "--kind", help="Only evaluation, or only backtest."),
    limit: int | None = typer.Option(None, "--limit", min=1, help="Only the latest ones."),
    as_json: bool = JSON,
) -> None:
    """Every trial, oldest first, and how many there were."""
    from ghtrader.pipelines.trials import list_trials

    report = list_trials(context.obj, kind=kind, limit=limit)
    rows = [(t.number, t.created[:19], t.kind, t.symbol, t.idea, t.repeats) for t in report.trials]
    title = f"{report.count} trials of {report.ideas} ideas"
    columns = ("trial", "when (UTC)", "kind", "symbol", "what", "repeat")
    emit(report, as_json=as_json, render=lambda console: table(console, title, columns, rows, numbers=1))


@trials_app.command("show")
def show(context: typer.Context, number: int, as_json: bool = JSON) -> None:
    """One trial with its data and result."""
    from ghtrader.pipelines.trials import show_trial

    trial = show_trial(context.obj, number)
    rows = [(name, str(getattr(trial, name))) for name in ("number", "kind", "spec_hash", "spec", "data", "result")]
    emit(trial, as_json=as_json, render=lambda console: table(console, "", ("", ""), rows))


@audit_app.command(epilog="Examples:  ghtrader audit  |  ghtrader audit --plant scaler_all_data  |  ghtrader audit --json")
def audit(
    context: typer.Context,
    plant: str | None = typer.Option(None, "--plant", help="Plant a leak first: " + "random_split, scaler_all_data, ..."),
    seed: int = typer.Option(1, "--seed", help="Seed of the generated days and of the perturbations."),
    as_json: bool = JSON,
) -> None:
    """Look for leaks in the research pipeline on generated days, or plant one and see it named.

    Exit code 0: nothing to accuse. 4: leaks were found; the report names each with its proof.
    """
    from ghtrader.pipelines.audit import run_audit

    with progress_for(context.obj.clock) as progress:
        report = run_audit(context.obj, plant=plant, seed=seed, progress=progress)
    emit(report, as_json=as_json, render=lambda console: _show_audit(console, report))
    if not report.clean:
        raise typer.Exit(DATA_ERROR)


def _show_audit(console: Console, report: AuditReport) -> None:
    rows = [("ok" if check.passed else "LEAK", check.name, check.leak, check.proof) for check in report.checks]
    table(console, report.pipeline, ("", "check", "leak", "proof"), rows)
    console.print("nothing to accuse" if report.clean else f"leaks: {', '.join(report.leaks)}")
