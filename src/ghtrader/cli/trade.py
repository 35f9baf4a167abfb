"""`ghtrader trade`: how an account stands, and commands to its gateway."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING

import typer

from ghtrader.cli import trade_statement
from ghtrader.cli.render import emit, table

if TYPE_CHECKING:
    from rich.console import Console

    from ghtrader.pipelines.trade import CommandReport, StateDocument, StrategyStatus, TradeStatus

__all__ = ["app"]

REFUSED = 8
MOST_LOTS = 1_000_000
app = typer.Typer(
    rich_markup_mode=None,
    no_args_is_help=True,
    help="How a trading account stands, and commands to its gateway.",
    epilog="Examples:  ghtrader trade status --account demo  |  ghtrader trade command cancel_all --account demo  |  "
    "ghtrader trade statement --account demo",
)
trade_statement.attach(app)


@app.command(epilog="Examples:  ghtrader trade status --account demo --json  |  ghtrader trade status --account demo --watch")
def status(
    context: typer.Context,
    account: str = typer.Option("demo", "--account", help="The account."),
    watch: bool = typer.Option(False, "--watch", help="Again whenever it changes, until Ctrl-C."),
    as_json: bool = typer.Option(False, "--json", help="One JSON object a line."),
) -> None:
    """The freshest state that file, socket or Redis have: mode, halts, what is degraded, positions, working orders."""
    from ghtrader.core.clock import Deadline
    from ghtrader.pipelines.trade import StateWatch

    seen = StateWatch(context.obj, account)
    try:
        found = seen.look()
        _tell(found, as_json=as_json)
        while watch:
            Deadline(0.5).pause(0.5)
            newer = seen.look()
            if _content(newer) != _content(found):
                found = newer
                _tell(found, as_json=as_json)
    except KeyboardInterrupt:
        return
    finally:
        seen.close()


@app.command(
    epilog="Examples:  ghtrader trade command set_target --account demo --symbol SHFE.rb2510 --lots 1  |  "
    "ghtrader trade command reset_risk_kill --reason 'checked by hand' --confirm RESET_RISK_KILL  |  "
    "ghtrader trade command set_desired --param limits.max_position_lots=2 --reason 'thin market'"
)
def command(
    context: typer.Context,
    verb: str = typer.Argument(..., help="set_target, cancel_all, flatten, disarm_live, reset_risk_kill, reload, kill, ..."),
    account: str = typer.Option("demo", "--account", help="The account."),
    symbol: str = typer.Option("", "--symbol", help="Contract or alias of a target or an order."),
    lots: int = typer.Option(0, "--lots", min=-MOST_LOTS, max=MOST_LOTS, help="Signed lots of a target or an order."),
    reason: str = typer.Option("", "--reason", help="Why; kept in the journal."),
    actor: str = typer.Option("", "--actor", help="Who; default: the login name."),
    confirm: str = typer.Option("", "--confirm", help="What a dangerous verb wants spelled out: RESET_RISK_KILL."),
    params: list[str] = typer.Option([], "--param", help="NAME=VALUE, as the verb takes it: style=taker, mode=paper."),
    command_id: str = typer.Option("", "--id", help="Give the same command again: it is applied at most once."),
    wait_s: float = typer.Option(5.0, "--wait", min=0.05, help="Seconds to wait for an answer on each way."),
    as_json: bool = typer.Option(False, "--json", help="One JSON object on the last line."),
) -> None:
    """Give a command: over the gateway's socket, else Redis, else its mailbox of files. Always prints the answer.

    Exit code 8 when it is refused, or when no gateway answers.
    """
    from ghtrader.core.messages import Outcome
    from ghtrader.pipelines.trade import give_command

    report = give_command(
        context.obj,
        account,
        verb,
        actor=actor or getpass.getuser(),
        reason=reason,
        confirm=confirm,
        symbol=symbol,
        lots=lots,
        params=tuple(params),
        command_id=command_id,
        timeout_s=wait_s,
    )
    emit(report, as_json=as_json, render=lambda console: _show_answer(console, report))
    if report.answer.outcome == Outcome.REFUSED:
        raise typer.Exit(REFUSED)


def _show_answer(console: Console, report: CommandReport) -> None:
    answer = report.answer
    rows = [
        ("command", f"{report.verb} {answer.command_id}"),
        ("outcome", str(answer.outcome)),
        ("reason", answer.reason or "-"),
        ("message", answer.message or "-"),
        ("way", report.way),
    ]
    table(console, "", ("", ""), rows)


def _content(status: TradeStatus) -> tuple[object, ...]:
    """What makes a status another one: not its age."""
    strategy = status.strategy
    return status.state, status.gateway, status.failed, strategy.state, strategy.process, strategy.failed


def _limits(state: StateDocument) -> str:
    """Limits that commands made tighter than the configured ones."""
    tighter = state.desired.get("limits") or {}
    return ", ".join(f"{name} {value:g}" for name, value in sorted(tighter.items())) or "as configured"


def _tell(found: TradeStatus, *, as_json: bool) -> None:
    emit(found, as_json=as_json, render=lambda console: _show(console, found))


def _strategy_rows(strategy: StrategyStatus) -> list[tuple[str, str]]:
    state, process = strategy.state, strategy.process
    rows = [("strategy", f"process {process.pid}" if process else "none runs")]
    if state is not None:
        halts = "; ".join(f"{halt.reason}: {halt.message}" for halt in state.report.halts)
        rows += [
            ("  state", f"{state.state} {halts}".rstrip()),
            ("  degraded", ", ".join(state.degraded) or "nothing"),
            ("  revision", f"{state.revision:,}, {strategy.age_s:,.1f} s old, from {strategy.source}"),
        ]
    return rows + [(f"  cannot read {name}", message) for name, message in strategy.failed.items()]


def _show(console: Console, found: TradeStatus) -> None:
    from ghtrader.core.clock import iso_utc

    state, gateway = found.state, found.gateway
    rows = [("account", found.account), ("gateway", f"process {gateway.pid}" if gateway else "none runs")]
    if state is not None:
        rows += [
            ("mode", f"{state.mode} (wanted: {state.desired_mode}) {state.mode_reason}".rstrip()),
            ("life", state.life),
            ("killed", state.kill_reason or "yes" if state.killed else "no"),
            ("halts", ", ".join(state.halts) or "none"),
            ("degraded", ", ".join(state.degraded) or "nothing"),
            ("limits", _limits(state)),
            ("trading day", state.trading_day or "-"),
            ("market time", iso_utc(state.updated_at)),
            ("heard of the strategy", "never" if found.heard_s is None else f"{found.heard_s:,.1f} s before"),
            ("revision", f"{state.revision:,}, {found.age_s:,.1f} s old, from {found.source}"),
        ]
    else:
        rows.append(("state", "none was ever published"))
    rows += [(f"cannot read {name}", message) for name, message in found.failed.items()]
    rows += _strategy_rows(found.strategy)
    table(console, "", ("", ""), rows)
    if state is not None and state.working:
        orders = [
            (order["client_order_id"], order["symbol"], order["side"], order["phase"], order["lots"], order["filled"])
            for order in state.working
        ]
        table(console, "working orders", ("order", "contract", "side", "phase", "lots", "filled"), orders, numbers=2)
