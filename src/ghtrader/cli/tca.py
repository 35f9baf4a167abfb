"""`ghtrader tca`: what trading cost, and where it was lost."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from ghtrader.cli.render import emit, table

if TYPE_CHECKING:
    from rich.console import Console

    from ghtrader.pipelines.tca import TcaReport
    from ghtrader.trading.tca.summary import CostSummary

__all__ = ["tca_app"]

tca_app = typer.Typer(rich_markup_mode=None, add_completion=False)


@tca_app.command(
    epilog="Examples:  ghtrader tca  |  ghtrader tca --account demo --day 2025-06-05 --orders 0  |  "
    "ghtrader tca --account demo --ticks samples --json"
)
def tca(
    context: typer.Context,
    account: str = typer.Option("", "--account", help="Account; may be left out where only one has a journal."),
    day: str = typer.Option("", "--day", help="One trading day (2025-06-05); default: all."),
    ticks: Path | None = typer.Option(
        None, "--ticks", help="A folder of tick files; default: what the gateway replayed, else the store."
    ),
    orders: int = typer.Option(20, "--orders", min=0, help="How many orders to show, the dearest first; 0: all."),
    as_json: bool = typer.Option(False, "--json", help="One JSON object on the last line, with every order."),
) -> None:
    """Arrival, timing, impact, spread, fees and opportunity of every order, in ticks; expected beside realised."""
    from ghtrader.pipelines.tca import trading_costs

    report = trading_costs(context.obj, account, day=day, ticks=ticks)
    emit(report, as_json=as_json, render=lambda console: _show(console, report, orders))


def _number(value: float, digits: int = 3) -> str:
    return "-" if math.isnan(value) else f"{value:,.{digits}f}"


def _total(part: CostSummary) -> list[tuple[str, object]]:
    return [
        ("targets, orders", f"{part.targets:,}, {part.orders:,}"),
        ("lots", f"{part.filled:,} filled of {part.wanted:,} wanted, {part.unfilled:,} missing"),
        ("timing", f"{_number(part.timing)} ticks a filled lot"),
        ("impact", _number(part.impact)),
        ("spread", _number(part.spread)),
        ("fees", _number(part.fees)),
        ("opportunity", f"{_number(part.opportunity)} ticks a missing lot"),
        ("shortfall", f"{_number(part.shortfall)} ticks a wanted lot, {_number(part.shortfall_cny, 2)} CNY"),
        ("realised, expected", f"{_number(part.realised)}, {_number(part.expected)} ticks a filled lot, without fees"),
    ]


def _groups(report: TcaReport) -> Iterable[tuple[object, ...]]:
    for parts in (report.by_contract, report.by_day, report.by_style):
        for name, part in parts.items():
            values = (part.timing, part.impact, part.spread, part.fees, part.realised - part.expected)
            yield (name, part.filled, *(_number(value) for value in values), _number(part.shortfall_cny, 2))


def _show(console: Console, report: TcaReport, limit: int) -> None:
    table(console, f"{report.account}, {len(report.days)} trading days", ("", ""), _total(report.total))
    columns = ("", "lots", "timing", "impact", "spread", "fees", "surprise", "CNY")
    table(console, "ticks a filled lot", columns, list(_groups(report)), numbers=7)
    if report.total.without_arrival:
        console.print(f"{report.total.without_arrival} targets were decided on a one-sided book: counted, not measured")
    shown = sorted(report.orders, key=lambda order: (math.isnan(order.shortfall), -order.shortfall_cny, order.order_id))
    shown = shown[:limit] if limit else shown
    rows = [
        (
            order.order_id, order.side, f"{order.filled}/{order.lots}", _number(order.arrival, 1), _number(order.timing, 1),
            _number(order.impact, 1), _number(order.spread, 1), _number(order.fees, 1), _number(order.missed, 1),
            _number(order.shortfall_cny, 1),
        )
        for order in shown
    ]  # fmt: skip
    heads = (
        "order", "side", "lots", "arrival", "timing", "impact", "spread", "fees", "missed", "CNY",
    )  # fmt: skip
    title = f"orders, ticks times lots ({len(rows):,} of {len(report.orders):,}, the dearest first)"
    table(console, title, heads, rows, numbers=7)
    console.print("measured against: " + ", ".join(report.ticks), soft_wrap=True)
