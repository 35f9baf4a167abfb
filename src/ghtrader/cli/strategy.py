"""`ghtrader strategy`: run a strategy on an account's stream of ticks."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from ghtrader.cli.render import emit
from ghtrader.core.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from ghtrader.trading.strategy.report import StrategyDocument, StrategyEvent

__all__ = ["app"]

POLICIES = ("passive", "taker")
app = typer.Typer(
    rich_markup_mode=None,
    no_args_is_help=True,
    help="Run a strategy: ticks in, factors and model, targets out.",
    epilog="Examples:  ghtrader strategy run --account demo  |  ghtrader strategy run --account demo --symbol rb --file mine.py",
)


@app.callback()
def _group() -> None:
    """Keep `run` a verb of its own, also while it is the only one."""


def _line(status: StrategyDocument) -> str:
    """One status in one line."""
    report = status.report
    traded = ", ".join(f"{item.symbol} {item.position:+d} -> {item.target:+d}" for item in report.contracts) or "no contract yet"
    done = f"{traded}; {report.ticks:,} ticks, {report.targets:,} targets"
    missing = "; ".join(f"{halt.reason}: {halt.message}" for halt in report.halts)
    degraded = f" (degraded: {', '.join(status.degraded)})" if status.degraded else ""
    return f"{status.state}: {missing or done if status.state == 'halted' else done}{degraded}"


@app.command(
    epilog="Examples:  ghtrader strategy run --account demo  |  ghtrader strategy run --account demo --symbol SHFE.rb2510 "
    "--policy taker  |  ghtrader strategy run --account demo --symbol rb --file mine.py --param edge=0.3 --json"
)
def run(
    context: typer.Context,
    account: str = typer.Option("demo", "--account", help="The account whose gateway it talks to; demo is built in."),
    symbol: str | None = typer.Option(
        None, "--symbol", help="A contract, or a variety whose main contract is followed; default: what the model was trained on."
    ),
    file: Path | None = typer.Option(None, "--file", help="A strategy of your own: docs/how-to/write-a-strategy.md."),
    policy: str = typer.Option("passive", "--policy", help="The built-in strategy without --file: passive or taker."),
    model: str | None = typer.Option(None, "--model", help="The model's artefact hash, 16 digits or more; default: the newest."),
    factors: Path | None = typer.Option(None, "--factors", help="The file with your own factors, where the model reads some."),
    in_sample: bool = typer.Option(False, "--in-sample", help="Trade days that the model was trained on too: a rehearsal."),
    lockstep: bool = typer.Option(False, "--lockstep", help="For a gateway that replays in lockstep: silence means nothing."),
    params: list[str] = typer.Option(
        [], "--param", metavar="NAME=VALUE", help="What your strategy is told; more than one allowed."
    ),
    as_json: bool = typer.Option(False, "--json", help="Every status as one JSON object on a line."),
) -> None:
    """Run until Ctrl-C or SIGTERM. One per account: a second one ends at once with exit code 3 and names the holder.

    Without a model or a gateway it stays halted, says what is missing, and goes on when it is there. Its state stands in
    strategy.json in the account's folder.
    """
    from ghtrader.pipelines.strategy import StrategyRequest, run_strategy

    if policy not in POLICIES:
        raise UsageError(f"no policy {policy!r}", hint=f"one of {', '.join(POLICIES)}")
    request = StrategyRequest(
        account=account,
        symbol=symbol,
        file=file,
        policy=policy,
        model=model,
        factors=factors,
        in_sample=in_sample,
        lockstep=lockstep,
        params=tuple(params),
    )

    out, errors = sys.stdout, sys.stderr

    def show(status: StrategyDocument) -> None:
        def render(console: Console) -> None:
            console.print(_line(status), highlight=False, soft_wrap=True)

        with contextlib.redirect_stdout(out):
            emit(status, as_json=as_json, render=render)
            out.flush()

    def say(event: StrategyEvent) -> None:
        words = "  ".join(f"{name}={value}" for name, value in event.fields.items() if value)
        errors.write(f"{event.name}  {words}\n")

    with contextlib.redirect_stdout(errors):  # what the strategy's code prints is none of our lines
        last = run_strategy(context.obj, request, show, say)
    show(last)
