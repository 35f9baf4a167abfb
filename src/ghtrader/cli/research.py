"""`ghtrader train`, `backtest`, `trials` and `audit`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ghtrader.cli.build import show_days
from ghtrader.cli.progress import progress_for
from ghtrader.cli.render import emit, table
from ghtrader.core.clock import iso_utc

if TYPE_CHECKING:
    from rich.console import Console

    from ghtrader.pipelines.main_job import JobReport

__all__ = ["audit_app", "backtest_app", "train_app", "trials_app"]

DATA_ERROR = 4
JSON = typer.Option(False, "--json", help="One JSON object on the last line.")
VARIETY = typer.Option(..., "--var", help="Variety, for example rb or SHFE.rb.")
FACTOR_SET = typer.Option(None, "--set", help="Factor set; default: the key datasets.factor_set.")
FACTORS = typer.Option(None, "--factors", help="A file with factors and sets of your own.")
MODELS = typer.Option(None, "--models", help="Comma-separated; the last one trades. Default: the key research.models.")
HORIZONS = typer.Option(None, "--horizons", help="Comma-separated, 50t or 25s; the first is the headline.")
NON_STRICT = typer.Option(False, "--non-strict", help="Leave out days without provenance instead of refusing.")
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


def _run(context: typer.Context, variety: str, options: dict[str, Any], *, with_simulation: bool) -> JobReport:
    from ghtrader.pipelines.main_job import run_variety

    with progress_for(context.obj.clock) as progress:
        return run_variety(context.obj, variety, with_simulation=with_simulation, progress=progress, **options)


@train_app.command(
    epilog="Examples:  ghtrader train --var rb  |  ghtrader train --var rb --models logistic --horizons 25s --json  |  "
    "ghtrader train --var rb --factors my_factors.py --set mine"
)
def train(
    context: typer.Context,
    variety: str = VARIETY,
    set_name: str | None = FACTOR_SET,
    factors: Path | None = FACTORS,
    models: str | None = MODELS,
    horizons: str | None = HORIZONS,
    non_strict: bool = NON_STRICT,
    as_json: bool = JSON,
) -> None:
    """Train and judge models on the main-contract series, walk-forward by trading day with purge and embargo.

    Factors with fitted parts are fitted anew on each fold's training days.
    """
    options = {
        "set_name": set_name,
        "factors": None if factors is None else factors.absolute(),
        "models": _names(models),
        "horizons": _names(horizons),
        "strict": False if non_strict else None,
    }
    report = _run(context, variety, options, with_simulation=False)
    emit(report, as_json=as_json, render=lambda console: _show_metrics(console, report))


def _show_metrics(console: Console, report: JobReport) -> None:
    rows = [
        (
            m.model,
            m.horizon,
            m.metric,
            _number(m.value),
            "" if m.low is None else f"[{_number(m.low)}, {_number(m.high)}]",
            m.rows,
        )
        for m in report.evaluation.metrics
    ]
    table(console, report.alias, ("model", "horizon", "metric", "value", "95 % interval", "rows"), rows, numbers=3)
    console.print(report.evaluation.split_note)
    _show_fits(console, report)
    show_days(console, report.left_out, report.unvalidated_days)
    console.print(f"reused: {', '.join(report.reused) or 'nothing'}; trials so far: {report.trials}")


def _show_fits(console: Console, report: JobReport) -> None:
    """On which days each fold's factors were fitted; nothing for a set without fitted parts."""
    for fit in report.evaluation.fits:
        days = fit.fitted.days
        console.print(
            f"fold {fit.fold}: {', '.join(fit.factors)} fitted on {days[0]} to {days[-1]}, {fit.fitted.rows:,} rows until "
            f"{iso_utc(fit.fitted.last_ns)[:19]} UTC"
        )


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


@backtest_app.command(
    epilog="Examples:  ghtrader backtest --var rb  |  ghtrader --set sim.hold_s=60 backtest --var rb --json  |  "
    "ghtrader backtest --file mine.py --replay samples --param lots=2"
)
def backtest(
    context: typer.Context,
    variety: str | None = typer.Option(None, "--var", help="Variety, for example rb or SHFE.rb; needed without --file."),
    set_name: str | None = FACTOR_SET,
    factors: Path | None = FACTORS,
    models: str | None = MODELS,
    horizons: str | None = HORIZONS,
    non_strict: bool = NON_STRICT,
    file: Path | None = typer.Option(None, "--file", help="A strategy of your own: docs/how-to/write-a-strategy.md."),
    replay: Path | None = typer.Option(None, "--replay", help="With --file: the folder of tick files that it is tested on."),
    symbol: str | None = typer.Option(None, "--symbol", help="With --file: the contract, where the folder holds several."),
    params: list[str] = typer.Option([], "--param", metavar="NAME=VALUE", help="With --file: what your strategy is told."),
    as_json: bool = JSON,
) -> None:
    """Simulate the declared policies on out-of-fold scores, under every fill model, and conclude.

    With --file your own strategy runs instead, on the processes that trade live: what `ghtrader paper --replay` does.
    """
    from ghtrader.core.errors import UsageError

    if file is not None:
        if replay is None or variety is not None:
            raise UsageError(
                "a strategy of one's own is tested on tick files", hint=f"ghtrader backtest --file {file} --replay samples"
            )
        from ghtrader.cli.paper import run_replay

        run_replay(context, replay, symbol, file, tuple(params), as_json=as_json)
        return
    if variety is None or replay is not None or symbol is not None or params:
        raise UsageError("say which variety, or which strategy of your own", hint="--var rb, or --file mine.py --replay samples")
    options = {
        "set_name": set_name,
        "factors": None if factors is None else factors.absolute(),
        "models": _names(models),
        "horizons": _names(horizons),
        "strict": False if non_strict else None,
    }
    report = _run(context, variety, options, with_simulation=True)
    emit(report, as_json=as_json, render=lambda console: _show_fills(console, report))


def _show_fills(console: Console, report: JobReport) -> None:
    assert report.simulation is not None
    rows = [
        (
            f.policy,
            f.fill_model + (" (bound)" if f.bound else ""),
            f"{f.pnl_cny:,.0f}",
            f.fills,
            f.passive_fills,
            f.round_trips,
            f"{_number(f.net_ticks)} [{_number(f.low)}, {_number(f.high)}]",
        )
        for f in report.simulation.fills
    ]
    columns = ("policy", "fill model", "PnL CNY", "fills", "passive", "round trips", "net ticks per trade")
    table(console, report.alias, columns, rows, numbers=5)
    console.print(f"{report.simulation.verdict.conclusion}: {' '.join(report.simulation.verdict.text)}")
    _show_fits(console, report)
    show_days(console, report.left_out, report.unvalidated_days)
    console.print(f"reused: {', '.join(report.reused) or 'nothing'}; trials so far: {report.trials}")


@trials_app.command("list")
def list_trials(context: typer.Context, as_json: bool = JSON) -> None:
    """Every trial, oldest first."""
    from ghtrader.pipelines.trials import trials

    found = trials(context.obj)
    rows = [(t.number, iso_utc(t.created_ns)[:19], t.kind, t.spec_hash, t.data.get("symbol", "")) for t in found]
    columns = ("trial", "when (UTC)", "kind", "spec", "symbol")
    emit({"trials": found, "count": len(found)}, as_json=as_json, render=lambda console: table(console, "", columns, rows))


@trials_app.command("show")
def show_trial(context: typer.Context, number: int, as_json: bool = JSON) -> None:
    """One trial: what was tried, on what, with which result."""
    from ghtrader.pipelines.trials import trial

    found = trial(context.obj, number)
    rows = [(name, str(value)) for name, value in (("spec", found.spec), ("data", found.data), ("result", found.result))]
    emit(found, as_json=as_json, render=lambda console: table(console, f"{found.kind} {number}", ("", ""), rows))


@audit_app.command(epilog="Examples:  ghtrader audit  |  ghtrader audit --plant centred_window")
def audit(
    planted: str | None = typer.Option(None, "--plant", help="Build a leak in and see it caught; --plant list names them."),
    market: str = typer.Option("planted", "--market", help="Market that the audit runs on."),
    seed: int = typer.Option(1, "--seed"),
    days: int = typer.Option(4, "--days", help="Trading days; the last one is tested."),
    as_json: bool = JSON,
) -> None:
    """Does information of test rows reach anything fitted, or the future any factor? Exit code 4 when a leak is found."""
    from ghtrader.pipelines import audit as pipeline

    if planted == "list":
        names = pipeline.planted_leaks()
        emit({"leaks": names}, as_json=as_json, render=lambda console: console.print("\n".join(names)))
        return
    report = pipeline.audit_pipeline(planted, market=market, seed=seed, days=days)
    rows = [(leak.name, leak.evidence) for leak in report.leaks]
    title = "no leak found" if report.clean else "LEAKS"
    emit(report, as_json=as_json, render=lambda console: table(console, title, ("leak", "evidence"), rows))
    if not report.clean:
        raise typer.Exit(DATA_ERROR)
