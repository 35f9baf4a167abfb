"""The corpus of injected defects on the real sample days: each is found and named, nothing clean is flagged."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import polars as pl
import pytest

from ghtrader.data.verdict import State
from ghtrader.testing.defects import CLEAN, DEFECTS, Defect, judge

SAMPLES = Path(__file__).parent.parent.parent / "samples"
DAYS = ("2025-06-05", "2025-06-06", "2025-06-09", "2025-06-10")


@cache
def rows(day: str) -> pl.DataFrame:
    return pl.read_parquet(SAMPLES / f"SHFE.rb2510.{day.replace('-', '')}.parquet")


@pytest.mark.parametrize(("number", "defect"), list(enumerate(DEFECTS)), ids=[defect.name for defect in DEFECTS])
def test_a_defect_is_found_with_its_exact_gaps_its_cause_and_its_code(number: int, defect: Defect) -> None:
    day = DAYS[number % len(DAYS)]
    broken = defect.make(rows(day), day)
    verdict = judge(broken, "SHFE.rb2510")
    assert set(defect.codes) <= set(verdict.reasons)
    assert {gap.cause for gap in verdict.gaps} == ({defect.cause} if defect.cause else set())
    if defect.name != "rows spilled from another day's file":  # thirty rows tell little of where the others would be
        assert [(gap.start_ns, gap.end_ns) for gap in verdict.gaps] == list(broken.gaps)


@pytest.mark.parametrize("day", DAYS)
@pytest.mark.parametrize("control", CLEAN, ids=[control.name for control in CLEAN])
def test_nothing_is_found_in_what_is_clean(control: Defect, day: str) -> None:
    verdict = judge(control.make(rows(day), day), "SHFE.rb2510")
    assert verdict.gaps == []
    assert verdict.overall_state == State.OK, verdict.reasons
