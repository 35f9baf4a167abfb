"""The catalogue of factors for people: lists and cards."""

from __future__ import annotations

from ghtrader.datasets.factors.cards import declare
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
        *(line.strip() for line in (declare.__doc__ or "").splitlines()[2:]),
        "",
        "| id | name | formula | unit | lookback | state | flip | absent | fitted |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for f in CATALOGUE:
        absent = f"{f.nan_policy}; {f.absent_reason}" if f.absent_reason else f.nan_policy
        fitted = f"{', '.join(f.fitted)}; without a fit {f.neutral}" if f.fitted else ""
        flip = f"{f.flip} with {f.partner}" if f.partner else f.flip
        cells = (f.id, f.name, f.formula, f.unit, f.lookback, f.scope, flip, absent, fitted)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"
