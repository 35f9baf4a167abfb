"""`ghtrader account`: declared trading accounts and a read-only check."""

from __future__ import annotations

import typer

from ghtrader.cli.render import emit, table

__all__ = ["app"]

PROVIDER_ERROR = 5
app = typer.Typer(
    rich_markup_mode=None,
    no_args_is_help=True,
    help="Trading accounts: what is declared, and whether they can be used.",
    epilog="Examples:  ghtrader account list  |  ghtrader account verify kq --json",
)
JSON = typer.Option(False, "--json", help="One JSON object on the last line.")


@app.command("list")
def list_declared(context: typer.Context, as_json: bool = JSON) -> None:
    """Accounts that the environment or accounts.env declares, numbers masked.

    TQ_BROKER_ID_<NAME>, TQ_ACCOUNT_ID_<NAME> and TQ_ACCOUNT_PASSWORD_<NAME> declare one; sim and kq are always there.
    """
    from ghtrader.pipelines.accounts import list_accounts

    found = list_accounts(context.obj)
    rows = [(item.name, item.kind, item.broker, item.number, item.note) for item in found]
    emit(
        {"accounts": found},
        as_json=as_json,
        render=lambda console: table(console, "", ("account", "kind", "broker", "number", ""), rows),
    )


@app.command("verify")
def verify(
    context: typer.Context,
    name: str = typer.Argument(..., help="A declared account; ghtrader account list."),
    fresh: bool = typer.Option(False, "--fresh", help="Ask again even when a check of the last five minutes is there."),
    as_json: bool = JSON,
) -> None:
    """Log in, read funds, positions and orders, hang up: nothing is traded. Exit code 5 when the account cannot be used."""
    from ghtrader.pipelines.accounts import verify_account

    check = verify_account(context.obj, name, fresh=fresh)
    rows = [
        ("account", f"{check.account.name} ({check.account.kind} {check.account.broker} {check.account.number})"),
        ("usable", "yes" if check.ok else "NO"),
        ("message", check.message),
        ("balance", "" if check.balance is None else f"{check.balance:,.2f} CNY"),
        ("available", "" if check.available is None else f"{check.available:,.2f} CNY"),
        ("positions", check.positions),
        ("open orders", check.open_orders),
    ]
    emit(check, as_json=as_json, render=lambda console: table(console, "cached" if check.cached else "", ("", ""), rows))
    if not check.ok:
        raise typer.Exit(PROVIDER_ERROR)
