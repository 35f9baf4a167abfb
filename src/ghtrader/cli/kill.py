"""`ghtrader kill`: stop an account, whether or not its gateway lives."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING

import typer

from ghtrader.cli.render import emit, table
from ghtrader.core.clock import iso_utc

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["app"]

LEFT_OVER = 8
app = typer.Typer(
    rich_markup_mode=None,
    add_completion=False,
    help="Stop an account: latched on disk, with or without a gateway.",
)


@app.command(
    epilog="Examples:  ghtrader kill --account demo --reason 'runaway quotes'  |  ghtrader journal tail --kind kill --kind kill_reset"
)
def kill(
    context: typer.Context,
    account: str = typer.Option(..., "--account", help="Account to stop."),
    reason: str = typer.Option(..., "--reason", help="Why; kept in the kill file and in the journal."),
    actor: str = typer.Option("", "--actor", help="Who; default: the login name."),
    cancel_only: bool = typer.Option(False, "--cancel-only", help="Cancel orders and keep positions; default: close them too."),
    wait_s: float = typer.Option(
        5.0, "--wait", min=0.0, help="Seconds to wait for a living gateway to obey and its orders to end."
    ),
    as_json: bool = typer.Option(False, "--json", help="One JSON object on the last line."),
) -> None:
    """Write the account's kill file, then say what is left: who trades it, whether that process obeyed, which orders may still work.

    Exit code 0: killed and nothing is left. 8: killed, but orders may still work at the venue, or the gateway has not obeyed.
    6: the kill file could not be written. Only a reset with actor, reason and confirmation clears a kill.
    """
    from ghtrader.pipelines.kill import kill_account

    report = kill_account(
        context.obj, account, reason=reason, actor=actor or getpass.getuser(), flatten=not cancel_only, wait_s=wait_s
    )
    record, gateway = report.record, report.gateway
    who = (
        f"process {gateway.pid} ({gateway.command})" if gateway else "none: nothing cancels its orders before it is started again"
    )
    rows: list[tuple[str, object]] = [
        ("account", report.account),
        (
            "killed",
            ("now" if report.written else "before") + f", {iso_utc(record.ts_ns)[:19]} UTC by {record.actor}: {record.reason}",
        ),
        ("policy", record.policy.value),
        ("gateway", who),
    ]
    if gateway:
        rows.append(("obeyed", "yes" if report.obeyed else f"NOT within {wait_s:g} s"))
    rows.append(("orders that may still work", report.journal_error or len(report.open_orders)))
    orders = [
        (order.order_id, order.exchange_order_id, order.symbol, order.state, order.lots - order.lots_filled)
        for order in report.open_orders
    ]

    def render(console: Console) -> None:
        table(console, "", ("", ""), rows)
        if orders:
            table(
                console,
                "could not be cancelled",
                ("order", "at the exchange", "contract", "state", "lots left"),
                orders,
                numbers=1,
            )

    emit({"done": report.is_done, "report": report}, as_json=as_json, render=render)
    if not report.is_done:
        raise typer.Exit(LEFT_OVER)
