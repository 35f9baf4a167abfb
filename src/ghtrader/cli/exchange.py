"""`ghtrader serve-exchange`: an exchange on loopback that unmodified TqSdk scripts run against."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import typer

__all__ = ["app"]

app = typer.Typer(rich_markup_mode=None, add_completion=False)
EXAMPLES = (
    "Examples:  ghtrader serve-exchange --ticks samples --speed 50 --accounts demo:secret --print-env  |  "
    "ghtrader serve-exchange --market rich --seed 1 --days 5 --contract SHFE.cu2006 --contract SHFE.cu2007  |  "
    'ghtrader serve-exchange --ticks samples --script faults.json   with {"faults": [{"do": "maintenance", "days": ["2025-06-06"]}]}'
)


@app.command(epilog=EXAMPLES)
def serve_exchange(
    context: typer.Context,
    ticks: Path | None = typer.Option(None, "--ticks", help="Folder of tick files to serve."),
    market: str | None = typer.Option(
        None, "--market", help="A generated market instead: planted, rich, null ... (ghtrader market list)."
    ),
    seed: int = typer.Option(1, "--seed", help="Seed of a generated market."),
    days: int = typer.Option(4, "--days", min=1, help="Trading days of each generated contract."),
    contracts: list[str] = typer.Option([], "--contract", help="Generated contracts; a second one follows the first (a roll)."),
    first_day: str = typer.Option("2020-02-04", "--first-day", help="First trading day of a generated market."),
    table: Path | None = typer.Option(
        None, "--table", help="Main-contract table (CSV: trading day, contract); default: from the ticks."
    ),
    speed: float = typer.Option(1.0, "--speed", min=0.0, help="Market seconds per wall second; 0 stands still."),
    start: str | None = typer.Option(
        None, "--from", help="Trading day at which the live market begins; default: the second one served."
    ),
    accounts: str = typer.Option("demo:secret", "--accounts", help="user:password, more separated by commas."),
    port: int = typer.Option(0, "--port", min=0, max=65535, help="0: any free one."),
    script: Path | None = typer.Option(None, "--script", help="Faults to play, JSON; docs/how-to/loopback-exchange.md."),
    packets: Path | None = typer.Option(
        None, "--packets", help="Recorded packets (JSON lines) that every connection is given before the market."
    ),
    print_env: bool = typer.Option(
        False, "--print-env", help="Print the environment that a TqSdk script needs, as shell exports."
    ),
) -> None:
    """Serve stored or generated ticks over Shinny's login, market-data and trade protocols, on 127.0.0.1.

    Prints the exports (with --print-env), then one line `ready`. Ends with Ctrl-C or SIGTERM.
    """
    from ghtrader.pipelines.exchange import ExchangeRequest, run_exchange

    request = ExchangeRequest(
        ticks=ticks,
        market=market,
        seed=seed,
        days=days,
        contracts=tuple(contracts),
        first_day=first_day,
        table=table,
        speed=speed,
        start=start,
        accounts=accounts,
        port=port,
        script=script,
        packets=packets,
    )

    def ready(environment: dict[str, str]) -> None:
        if print_env:
            sys.stdout.write("".join(f"export {name}={shlex.quote(value)}\n" for name, value in environment.items()))
        sys.stdout.write("ready\n")
        sys.stdout.flush()

    run_exchange(context.obj, request, ready)
