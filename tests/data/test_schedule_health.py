from __future__ import annotations

from typing import Any

import pytest

from ghtrader.data.calendar import Calendar
from ghtrader.data.instruments import InstrumentTable
from ghtrader.data.main_schedule import MainSchedule, Segment, mapping_hash
from ghtrader.data.schedule_health import ScheduleReason, schedule_problems
from ghtrader.pipelines.main_series import schedule_rows

GOOD = [(1, "SHFE.rb2510", "2025-06-03", "2025-06-05"), (2, "SHFE.rb2601", "2025-06-06", "2025-06-10")]


def schedule(*segments: tuple[int, str, str, str], hash_: str = "") -> MainSchedule:
    found = tuple(Segment(segment_id=n, contract=c, first_day=f, last_day=last) for n, c, f, last in segments)
    return MainSchedule(
        alias="KQ.m@SHFE.rb",
        product="SHFE.rb",
        segments=found,
        schedule_hash=hash_ or mapping_hash("KQ.m@SHFE.rb", found),
        source="test",
    )


def codes(made: MainSchedule, rows: list[dict[str, Any]] | None = None) -> set[ScheduleReason]:
    stored = schedule_rows(made) if rows is None else rows
    found = schedule_problems(made, stored, Calendar.vendored(), InstrumentTable.vendored())
    assert all(problem.detail for problem in found)
    return {problem.reason_code for problem in found}


def test_a_whole_mapping_is_healthy() -> None:
    assert codes(schedule(*GOOD)) == set()


@pytest.mark.parametrize(
    ("segments", "reason"),
    [
        ([], ScheduleReason.NO_SEGMENTS),
        ([GOOD[0], (2, "SHFE.rb2601", "2025-06-09", "2025-06-10")], ScheduleReason.HOLE),
        ([GOOD[0], (2, "SHFE.rb2601", "2025-06-05", "2025-06-10")], ScheduleReason.OVERLAP),
        ([GOOD[0], (3, "SHFE.rb2601", "2025-06-06", "2025-06-10")], ScheduleReason.HOLE),
        ([(1, "SHFE.rb2510", "2025-06-05", "2025-06-03")], ScheduleReason.HOLE),
        ([GOOD[0], (2, "SHFE.rb2601", "2025-06-07", "2025-06-10")], ScheduleReason.DAY),
        ([(1, "SHFE.rb2510", "2025-06-03", "not a day")], ScheduleReason.DAY),
        ([(1, "SHFE.xx2510", "2025-06-03", "2025-06-05")], ScheduleReason.CONTRACT),
        ([(1, "SHFE.cu2510", "2025-06-03", "2025-06-05")], ScheduleReason.CONTRACT),
        ([(1, "SHFE.rb", "2025-06-03", "2025-06-05")], ScheduleReason.CONTRACT),
    ],
)
def test_each_way_to_be_wrong_has_its_reason(segments: list[tuple[int, str, str, str]], reason: ScheduleReason) -> None:
    made = schedule(*segments)
    assert codes(made, [] if not segments else [dict(row) for row in rows_of(made)]) == {reason}


def rows_of(made: MainSchedule) -> list[dict[str, Any]]:
    return [
        {
            "segment_id": item.segment_id,
            "underlying_symbol": item.contract,
            "first_day": item.first_day,
            "last_day": item.last_day,
            "schedule_hash": made.schedule_hash,
        }
        for item in made.segments
    ]


def test_hash_and_rows_are_held_against_the_mapping() -> None:
    made = schedule(*GOOD)
    assert codes(schedule(*GOOD, hash_="f" * 64)) == {ScheduleReason.HASH}
    rows = rows_of(made)
    assert codes(made, rows[:1]) == {ScheduleReason.ROWS}
    assert codes(made, []) == {ScheduleReason.ROWS}
    assert codes(made, [rows[0], {**rows[1], "underlying_symbol": "SHFE.rb2605"}]) == {ScheduleReason.ROWS}
    assert codes(made, [rows[0], {**rows[1], "schedule_hash": "other"}]) == {ScheduleReason.HASH}
