"""`ghtrader calendar` and `ghtrader instruments`: the facts of the market."""

from __future__ import annotations

import typer

from ghtrader.cli.render import emit, table

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
    rows = [(day,) for day in report["closed_weekdays"]]
    title = f"{year}: {len(report['trading_days'])} trading days; closed weekdays ({report['source']})"
    emit(report, as_json=as_json, render=lambda console: table(console, title, ("closed",), rows))


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
    rows = [(w["phase"], w["part"], w["start"], w["end"]) for w in report["windows"]]
    title = f"{report['product']} {report['trading_day']}"
    emit(report, as_json=as_json, render=lambda console: table(console, title, ("phase", "part", "from", "to"), rows))


@calendar_app.command("refresh")
def refresh(
    context: typer.Context,
    source: str = typer.Option(..., "--from", help="A file of trading days (CSV or JSON), or exchange_calendars."),
    as_json: bool = JSON,
) -> None:
    """Replace the calendar of this data folder, checked against the present one."""
    from ghtrader.pipelines.market_facts import refresh_calendar

    report = refresh_calendar(context.obj, source)
    rows = [("added", len(report.added)), ("removed", ", ".join(report.removed) or "none"), ("last day", report.last_day)]
    emit(report, as_json=as_json, render=lambda console: table(console, report.path, ("", ""), rows))


@instruments_app.command("list")
def list_products(as_json: bool = JSON) -> None:
    """Every declared product."""
    from ghtrader.pipelines import market_facts

    products = market_facts.list_products()
    rows = [tuple(product.values()) for product in products]
    columns = ("product", "name", "price tick", "multiplier", "night")
    emit({"products": products}, as_json=as_json, render=lambda console: table(console, "", columns, rows))


@instruments_app.command("show")
def show_instrument(
    symbol: str, trading_day: str = typer.Option(..., "--day", help="Trading day, YYYY-MM-DD."), as_json: bool = JSON
) -> None:
    """What holds for a contract on a trading day, with sources; values carried past their source say so."""
    from ghtrader.pipelines.market_facts import instrument_spec

    spec = instrument_spec(symbol, trading_day)
    rows: list[tuple[str, object, str]] = [
        ("price tick", spec.price_tick, spec.sources["price_tick"]),
        ("multiplier", spec.multiplier, ""),
        ("fee", str(spec.fee), spec.sources["fee"]),
        ("margin", spec.margin_rate, spec.sources["margin"]),
        ("order limits", str(spec.limits), spec.sources["order_limits"]),
        ("carried forward", ", ".join(spec.carried_forward) or "nothing", ""),
    ]
    emit(spec, as_json=as_json, render=lambda console: table(console, f"{symbol} {trading_day}", ("", "", "source"), rows))
