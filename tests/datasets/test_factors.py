"""Names and sets of factors, and the page that is made from them. Their laws: test_factor_laws.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from ghtrader.core.errors import UsageError
from ghtrader.datasets.factors.catalogue import SETS, factor, factor_set
from ghtrader.pipelines.features import reference_page


def test_the_minimal_sets_differ_by_depth_beyond_level_1() -> None:
    assert len(SETS["minimal16"]) == 16
    assert set(SETS["minimal16"]) - set(SETS["minimal15"]) == {"F10"}


def test_an_unknown_factor_or_set_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(UsageError, match="F109"):
        factor("F109")
    with pytest.raises(UsageError) as refused:
        factor_set("minimal17")
    assert "minimal16" in str(refused.value.hint)


def test_the_reference_page_is_made_from_the_declarations() -> None:
    page = Path(__file__).parent.parent.parent / "docs" / "reference" / "factors.md"
    assert page.read_text(encoding="utf-8") == reference_page(), "run `make reference`"
