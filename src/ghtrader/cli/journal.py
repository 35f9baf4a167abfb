"""`ghtrader journal`: what a gateway decided and did."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

import typer

from ghtrader.cli.render import emit, finite, one_line, table
from ghtrader.core.clock import iso_utc

if TYPE_CHECKING:
    from rich.console import Console

    from ghtrader.pipelines.journal import AccountChain, ShownRecord

__all__ = ["app"]

app = typer.Typer(
    rich_markup_mode=None,
    no_args_is_help=True,
    help="What a gateway decided and did: follow it, look a record up, ask why an order was sent.",
    epilog="Examples:  ghtrader journal tail --follow  |  ghtrader journal list --open  |  ghtrader journal why ORDER --json",
)
JSON = typer.Option(False, "--json", help="One JSON object on the last line.")
ACCOUNT = typer.Option("", "--account", help="Account; may be left out where only one has a journal.")
COLUMNS = ("record", "cause", "UTC", "kind", "order", "")
WIDTH = 80


def _row(record: ShownRecord) -> tuple[object, ...]:
    said = one_line(record.body, WIDTH)
    return (str(record.seq), str(record.cause or ""), iso_utc(record.ts_ns)[:23], record.kind, record.order_id, said)


def _lines(records: Iterable[ShownRecord], *, as_json: bool) -> None:
    """Records as they come, a line each."""
    import msgspec

    for record in records:
        if as_json:
            line = msgspec.json.encode(finite(msgspec.to_builtins(record))).decode()
        else:
            line = "  ".join(str(cell) for cell in _row(record) if cell != "")
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


@app.command(
    "tail", epilog="Examples:  ghtrader journal tail --account demo --kind fill  |  ghtrader journal tail --follow --json"
)
def tail(
    context: typer.Context,
    account: str = ACCOUNT,
    count: int = typer.Option(20, "--count", "-n", min=0, help="How many of the last records."),
    kinds: list[str] = typer.Option([], "--kind", help="Only records of this kind (fill, verdict, kill, ...); repeatable."),
    follow: bool = typer.Option(False, "--follow", "-f", help="Go on as records are written, a line each, until Ctrl-C."),
    idle_s: float | None = typer.Option(
        None, "--idle", min=0.0, help="With --follow: end after so many seconds without a record."
    ),
    as_json: bool = JSON,
) -> None:
    """The last records, oldest first. With --follow and --json: one JSON object a line."""
    from ghtrader.pipelines.journal import follow_journal, kinds_named, tail_journal

    wanted = kinds_named(kinds)
    found = tail_journal(context.obj, account, count, wanted)
    if follow:
        _lines(found, as_json=as_json)
        _lines(
            follow_journal(context.obj, account, wanted, after=found[-1].seq if found else None, idle_s=idle_s), as_json=as_json
        )
        return
    emit(
        {"records": found},
        as_json=as_json,
        render=lambda console: table(console, "", COLUMNS, [_row(record) for record in found]),
    )


@app.command("show", epilog="Examples:  ghtrader journal show 17 --account demo  |  ghtrader journal show 17 --json")
def show(context: typer.Context, seq: int = typer.Argument(..., min=1), account: str = ACCOUNT, as_json: bool = JSON) -> None:
    """One record with everything in it."""
    from ghtrader.pipelines.journal import show_record

    record = show_record(context.obj, account, seq)
    rows: list[tuple[str, object]] = [("cause", str(record.cause or "")), ("UTC", iso_utc(record.ts_ns)), ("kind", record.kind)]
    rows += [(name, one_line(value, 10_000)) for name, value in record.body.items()]
    emit(record, as_json=as_json, render=lambda console: table(console, f"{record.account} {record.seq}", ("", ""), rows))


@app.command("list", epilog="Examples:  ghtrader journal list --open  |  ghtrader journal list --account demo --json")
def list_all(
    context: typer.Context,
    account: str = typer.Option("", "--account", help="Account; default: all."),
    only_open: bool = typer.Option(False, "--open", help="Only orders that may still work at the venue."),
    as_json: bool = JSON,
) -> None:
    """Orders, by first mention: what was wanted, what became of it."""
    from ghtrader.pipelines.journal import list_orders

    found = list_orders(context.obj, account, only_open=only_open)
    rows = []
    for item in found:
        order = item.order
        side = {1: "buy", -1: "sell"}.get(order.side, "")
        filled = f"{order.lots_filled}/{order.lots}"
        when = iso_utc(order.intended_ns or order.last_ns)[:23]
        rows.append((item.account, order.order_id, when, order.symbol, side, order.offset, order.origin, order.state, filled))
    columns = ("account", "order", "UTC", "contract", "side", "offset", "origin", "state", "filled")
    emit({"orders": found}, as_json=as_json, render=lambda console: table(console, "", columns, rows, numbers=1))


@app.command("why", epilog="Examples:  ghtrader journal why ORDER  |  ghtrader journal why ORDER --account demo --json")
def why(
    context: typer.Context,
    order: str = typer.Argument(..., help="An order's id; ghtrader journal list."),
    account: str = typer.Option("", "--account", help="Account; default: whichever journal knows the order."),
    as_json: bool = JSON,
) -> None:
    """The chain behind an order: tick, factors, score, target, verdict, order, fills."""
    from ghtrader.pipelines.journal import why_order

    found = why_order(context.obj, order, account)
    emit(found, as_json=as_json, render=lambda console: _draw_chain(console, found))


def _draw_chain(console: Console, found: AccountChain) -> None:
    chain = found.chain
    order, target, verdict = chain.order, chain.target, chain.verdict
    rows: list[tuple[str, object]] = [("account", found.account), ("began with", chain.root)]
    if chain.tick:
        quote = chain.tick.quote
        shown = f": bid {quote.bid_lots} at {quote.bid}, ask {quote.ask_lots} at {quote.ask}, last {quote.last}" if quote else ""
        rows.append(("tick", f"{chain.tick.symbol} no. {chain.tick.seq}, {iso_utc(chain.tick.ts_ns)[:23]} UTC{shown}"))
    if chain.factors:
        rows.append(("factors", ", ".join(f"{name} {value:.6g}" for name, value in chain.factors.items())))
    if chain.score is not None:
        rows.append(("score", f"{chain.score:.6g}, model {chain.model_hash or '-'}, factor set {chain.factor_set_hash or '-'}"))
    if target:
        rows.append(("target", f"{target.lots} lots, {target.style} {target.note}".strip()))
    if verdict:
        said = "approved" if verdict.approved else f"refused: {verdict.reason} {verdict.message}"
        rows.append(("verdict", f"{said}, nearly broken: {one_line(verdict.near, WIDTH)}" if verdict.near else said))
    side = {1: "buy", -1: "sell"}.get(order.side, "")
    price = "" if order.price_ticks is None else f" at {order.price_ticks} ticks"
    rows.append(("order", f"{side} {order.lots} {order.symbol} {order.offset}{price}: {order.state} {order.message}".strip()))
    rows.append(("fills", f"{order.fills} trades, {order.lots_filled} lots"))
    if chain.missing:
        rows.append(("missing", ", ".join(chain.missing)))
    table(console, order.order_id, ("", ""), rows)
    links = [
        (str(link.seq), str(link.cause or ""), iso_utc(link.ts_ns)[:23], link.kind, one_line(link.body, WIDTH))
        for link in chain.links
    ]
    table(console, "", ("record", "cause", "UTC", "kind", ""), links)


@app.command("check", epilog="Examples:  ghtrader journal check  |  ghtrader journal check --account demo --json")
def check(
    context: typer.Context, account: str = typer.Option("", "--account", help="Account; default: all."), as_json: bool = JSON
) -> None:
    """Read everything; exit code 4, naming file and byte, where the medium lost what was synced."""
    from ghtrader.pipelines.journal import check_journal

    found = check_journal(context.obj, account)
    rows = [(item.account, item.tail, item.segments, item.records, item.bytes, item.lost_bytes) for item in found]
    columns = ("account", "tail", "segments", "records", "bytes", "lost bytes")
    emit({"journals": found}, as_json=as_json, render=lambda console: table(console, "", columns, rows, numbers=4))
