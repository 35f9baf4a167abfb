"""`ghtrader features`: the catalogue of factors."""

from __future__ import annotations

import typer

from ghtrader.cli.feature_report import attach
from ghtrader.cli.render import emit, table

__all__ = ["features_app"]

JSON = typer.Option(False, "--json", help="One JSON object on the last line.")
features_app = typer.Typer(
    rich_markup_mode=None,
    no_args_is_help=True,
    help="The catalogue of factors.",
    epilog="Examples:  ghtrader features list --set minimal16  |  ghtrader features show F31",
)


@features_app.command("list")
def list_features(
    name: str | None = typer.Option(None, "--set", help="Only the factors of a named set."), as_json: bool = JSON
) -> None:
    """Factors with formula, unit and flip class."""
    from ghtrader.pipelines.features import catalogue

    factors = catalogue(name)
    rows = [(item.id, item.name, item.formula, item.unit, item.flip, item.lookback) for item in factors]
    columns = ("id", "name", "formula", "unit", "flip", "lookback")
    emit({"factors": factors}, as_json=as_json, render=lambda console: table(console, "", columns, rows))


@features_app.command("show")
def show_feature(factor_id: str, as_json: bool = JSON) -> None:
    """A factor's card."""
    from ghtrader.pipelines.features import card

    item = card(factor_id)
    fields = ("id", "name", "formula", "unit", "lookback", "columns", "flip", "nan_policy", "group", "version", "source")
    rows = [(field, str(getattr(item, field))) for field in fields]
    emit(item, as_json=as_json, render=lambda console: table(console, "", ("", ""), rows))


attach(features_app)
