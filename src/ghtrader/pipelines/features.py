"""The catalogue of factors for people: lists and cards."""

from __future__ import annotations

from ghtrader.datasets.factors.catalogue import CATALOGUE, factor, factor_set
from ghtrader.datasets.factors.declaration import Factor

__all__ = ["card", "catalogue", "reference_page"]


def catalogue(set_name: str | None = None) -> list[Factor]:
    """Every declared factor, or those of a named set."""
    return list(CATALOGUE if set_name is None else factor_set(set_name).factors)


def card(factor_id: str) -> Factor:
    """One factor's declaration."""
    return factor(factor_id)


def reference_page() -> str:
    """docs/reference/factors.md, made from the declarations."""
    lines = [
        "# Factors",
        "",
        "Made from the catalogue by `make reference`; a test keeps it up to date.",
        "",
        "| id | name | formula | unit | lookback | flip | absent |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [f"| {f.id} | {f.name} | {f.formula} | {f.unit} | {f.lookback} | {f.flip} | {f.nan_policy} |" for f in CATALOGUE]
    return "\n".join(lines) + "\n"
