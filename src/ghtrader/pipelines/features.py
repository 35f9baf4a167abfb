"""The catalogue of factors for people: lists and cards."""

from __future__ import annotations

from pathlib import Path

from ghtrader.datasets.factors.cards import declare
from ghtrader.datasets.factors.catalogue import CATALOGUE, SETS, factor, factor_set
from ghtrader.datasets.factors.declaration import Factor
from ghtrader.datasets.factors.user import user_file

__all__ = ["card", "card_rows", "catalogue", "reference_page"]


def catalogue(set_name: str | None = None, file: Path | None = None) -> list[Factor]:
    """Every declared factor, or those of a named set; ``file`` declares factors and sets of one's own."""
    own = "" if file is None else str(file)
    if set_name is None:
        return [*CATALOGUE, *(user_file(own).cards if own else ())]
    return list(factor_set(set_name, own).factors)


def card(factor_id: str, file: Path | None = None) -> Factor:
    """One factor's declaration, built-in or of a file of one's own."""
    return factor(factor_id, "" if file is None else str(file))


def card_rows(item: Factor) -> list[tuple[str, str]]:
    """A card line by line, for people: what it is, how it is computed, when it is absent."""
    flips = {"odd": "odd: changes sign", "even": "even: stays", "swap": f"swaps with {item.partner}"}
    rows = [
        ("formula", item.formula),
        ("unit", item.unit),
        ("lookback", item.lookback),
        ("reads", ", ".join(item.columns)),
        ("bid/ask flip", flips[item.flip]),
        ("absent", item.nan_policy),
        ("always absent when", item.absent_reason),
        ("fitted", ", ".join(item.fitted)),
        ("without a fit", item.neutral),
        ("sees a level because", item.level_exempt),
        ("group", item.group),
        ("version", str(item.version)),
        ("source", item.source),
        ("in sets", ", ".join(name for name, ids in SETS.items() if item.id in ids)),
    ]
    return [(name, text) for name, text in rows if text]


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
