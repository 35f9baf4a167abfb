"""`ghtrader calendar` and `ghtrader instruments`: the facts of the market."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from ghtrader.cli.render import emit, table

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["calendar_app", "instruments_app"]

JSON = typer.Option(False, "--json", help="One JSON object on the last line.")
calendar_app = typer.Typer(
    rich_markup_mode=None,
    no_args_is_help=True,
    help="Trading days, sessions and phases.",
    epilog="Examples:  ghtrader calendar day 2025-06-05 --product rb  |  ghtrader calendar refresh --from days.csv",
)
instruments_app = typer.Typer(
    rich_markup_mode=None,
    no_args_is_help=True,
    help="Products with their dated facts.",
    epilog="Examples:  ghtrader instruments list  |  ghtrader instruments show SHFE.au2006 --day 2020-03-02",
)


@calendar_app.command("show")
def show(context: typer.Context, year: int = typer.Option(..., "--year"), as_json: bool = JSON) -> None:
    """Closed weekdays of a year and the number of trading days."""
    from ghtrader.pipelines.market_facts import trading_days

    report = trading_days(context.obj, year)
    closed: dict[str, list[str]] = {}
    for closed_day in report.closed_weekdays:
        closed.setdefault(closed_day[:7], []).append(closed_day[8:])
    rows = [("trading days", len(report.trading_days)), *(("closed " + month, " ".join(days)) for month, days in closed.items())]
    rows += [("source", report.source), ("known until", report.horizon)]
    emit(report, as_json=as_json, render=lambda console: table(console, str(year), ("", ""), rows))


@calendar_app.command("day")
def day(
    context: typer.Context,
    trading_day: str,
    product: str = typer.Option("rb", "--product", help="Product or contract."),
    as_json: bool = JSON,
) -> None:
    """Phases of a product's trading day, Shanghai time."""
    from ghtrader.pipelines.market_facts import trading_day_windows

    report = trading_day_windows(context.obj, product, trading_day)
    rows = [(w.phase, w.part, w.start, w.end) for w in report.windows]
    title = f"{report.product} {report.trading_day}{'' if report.has_night else ' (no night session)'}"
    emit(report, as_json=as_json, render=lambda console: table(console, title, ("phase", "part", "from", "to"), rows))


@calendar_app.command("refresh")
def refresh(
    context: typer.Context,
    source: str = typer.Option(..., "--from", help="A file of trading days (CSV or JSON), or exchange_calendars."),
    allow_removed: bool = typer.Option(False, "--allow-removed", help="Let the list close days on which the calendar trades."),
    as_json: bool = JSON,
) -> None:
    """Lay a newer list of trading days over the calendar of this data folder, checked against the present one."""
    from ghtrader.pipelines.market_facts import refresh_calendar

    report = refresh_calendar(context.obj, source, allow_removed=allow_removed)
    rows = [
        ("from", report.first_day),
        ("to", report.last_day),
        ("added", _short(report.added)),
        ("removed", _short(report.removed)),
    ]
    emit(report, as_json=as_json, render=lambda console: table(console, report.path, ("", ""), rows))


def _short(days: list[str]) -> str:
    """A list of days in one cell."""
    if len(days) <= 5:
        return ", ".join(days) or "none"
    return f"{len(days)} days: {days[0]}, {days[1]} ... {days[-1]}"


@instruments_app.command("list")
def list_products(as_json: bool = JSON) -> None:
    """Every declared product."""
    from ghtrader.pipelines import market_facts

    products = market_facts.list_products()
    rows = [(p.product, p.name, f"{p.price_tick:g}", f"{p.multiplier:g}", p.night, p.listed) for p in products]
    columns = ("product", "name", "price tick", "multiplier", "night", "listed")
    emit({"products": products}, as_json=as_json, render=lambda console: table(console, "", columns, rows))


@instruments_app.command("show")
def show_instrument(
    symbol: str, trading_day: str = typer.Option(..., "--day", help="Trading day, YYYY-MM-DD."), as_json: bool = JSON
) -> None:
    """What holds for a contract on a trading day, with sources; values carried past their source say so."""
    from ghtrader.pipelines.market_facts import instrument_spec

    spec = instrument_spec(symbol, trading_day)
    fee, limits = spec.fee, spec.limits
    values = {
        "price_tick": f"{spec.price_tick:g}",
        "multiplier": f"{spec.multiplier:g}",
        "fee": "; ".join(
            f"{name} {rate:g} x turnover + {cny:g} CNY a lot"
            for name, rate, cny in (
                ("open", fee.open_rate, fee.open_cny),
                ("close", fee.close_rate, fee.close_cny),
                ("close today", fee.close_today_rate, fee.close_today_cny),
            )
        ),
        "margin": f"{spec.margin_rate:.1%}",
        "order_limits": f"{limits.min_lots} to {limits.max_limit_lots} lots; "
        + (f"market orders to {limits.max_market_lots}" if spec.has_market_orders else "no market orders"),
    }
    rows: list[tuple[str, ...]] = []
    for name, value in values.items():
        since, until = spec.validity[name]
        remark = [word for word, names in (("carried", spec.carried_forward), ("unverified", spec.unverified)) if name in names]
        rows.append((name.replace("_", " "), value, since, until or "now", ", ".join(remark)))
    sources = [(name.replace("_", " "), text) for name, text in spec.sources.items()]

    def render(console: Console) -> None:
        table(console, f"{symbol} {trading_day}", ("", "value", "from", "to", ""), rows)
        table(console, "", ("", "source"), sources)

    emit(spec, as_json=as_json, render=render)
