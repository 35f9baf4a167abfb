"""The page prints the table of cases as it is in the code."""

from __future__ import annotations

from pathlib import Path

from ghtrader.trading.reconcile import CASES, LOST_AFTER_NS, ActionKind, CaseName

PAGE = (Path(__file__).parents[3] / "docs" / "concepts" / "reconciliation.md").read_text()


def rows(columns: int) -> list[list[str]]:
    """Rows of the page's table with so many columns, without its head."""
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in PAGE.splitlines() if line.startswith("|")]
    return [row for row in cells if len(row) == columns and row[0].startswith("`")]


def test_the_page_prints_every_case_as_the_table_has_it() -> None:
    expected = [
        [f"`{case.name}`", case.when, f"`{case.action}`", "yes" if case.blocks else "", case.why] for case in CASES.values()
    ]
    assert rows(5) == expected
    assert list(CASES) == list(CaseName)


def test_the_page_explains_every_action_and_names_the_age_of_a_lost_order() -> None:
    assert [row[0] for row in rows(3)] == [f"`{kind}`" for kind in ActionKind]
    assert {case.action for case in CASES.values()} == set(ActionKind)
    assert f"before {LOST_AFTER_NS // 10**9} seconds" in PAGE
