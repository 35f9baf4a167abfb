"""Whether a persisted schedule is one that a series may follow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from itertools import pairwise
from typing import Any

import msgspec

from ghtrader.core.errors import DataError
from ghtrader.core.instruments import product_of
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.calendar import Calendar
from ghtrader.data.instruments import InstrumentTable
from ghtrader.data.main_schedule import MainSchedule, Segment, mapping_hash

__all__ = ["ScheduleProblem", "ScheduleReason", "schedule_problems"]


class ScheduleReason(StrEnum):
    """What is wrong with a schedule. Append-only."""

    NO_SEGMENTS = "schedule_no_segments"  # it maps nothing
    HASH = "schedule_hash_mismatch"  # its hash, or that of a stored row, is not that of its mapping
    ROWS = "schedule_rows_mismatch"  # the stored rows are not its segments, one each
    DAY = "schedule_day_not_trading"  # an effective day is no trading day
    OVERLAP = "schedule_overlap"  # two segments claim a day
    HOLE = "schedule_not_continuous"  # a trading day between two segments belongs to none, or segment ids do not count up
    CONTRACT = "schedule_contract_unknown"  # nobody declared the contract, or it is of another product


class ScheduleProblem(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is wrong, in words."""

    reason_code: ScheduleReason
    detail: str


def schedule_problems(
    schedule: MainSchedule, rows: Sequence[Mapping[str, Any]], calendar: Calendar, instruments: InstrumentTable
) -> list[ScheduleProblem]:
    """Everything that is wrong with a schedule and its stored ``rows`` (table main_schedule_v2); empty when it is healthy."""
    if not schedule.segments:
        return [ScheduleProblem(reason_code=ScheduleReason.NO_SEGMENTS, detail=f"{schedule.alias} has no segments")]
    found = [*_identity(schedule, rows), *_days(schedule, calendar), *_contracts(schedule, instruments)]
    return [ScheduleProblem(reason_code=code, detail=detail) for code, detail in found]


Found = Iterator[tuple[ScheduleReason, str]]


def _identity(schedule: MainSchedule, rows: Sequence[Mapping[str, Any]]) -> Found:
    expected = mapping_hash(schedule.alias, schedule.segments)
    if schedule.schedule_hash != expected:
        yield ScheduleReason.HASH, f"the mapping hashes to {expected[:16]}, the schedule says {schedule.schedule_hash[:16]}"
    others = sorted({str(row["schedule_hash"]) for row in rows} - {schedule.schedule_hash})
    if others:
        yield ScheduleReason.HASH, f"stored rows carry {', '.join(value[:16] for value in others)}"
    stored = [(row["segment_id"], row["underlying_symbol"], row["first_day"], row["last_day"]) for row in rows]
    if stored != [(item.segment_id, item.contract, item.first_day, item.last_day) for item in schedule.segments]:
        yield ScheduleReason.ROWS, f"{len(rows)} stored rows do not say what the {len(schedule.segments)} segments say"


def _days(schedule: MainSchedule, calendar: Calendar) -> Found:
    def trades(iso: str) -> bool:
        try:
            return calendar.is_trading_day(TradingDay.parse(iso))
        except (DataError, ValueError):
            return False

    for item in schedule.segments:
        for iso in (item.first_day, item.last_day):
            if not trades(iso):
                yield ScheduleReason.DAY, f"segment {item.segment_id}: {iso} is no trading day"
        if item.first_day > item.last_day:
            yield ScheduleReason.HOLE, f"segment {item.segment_id} ends on {item.last_day}, before it begins on {item.first_day}"
    for number, item in enumerate(schedule.segments, 1):
        if item.segment_id != number:
            yield ScheduleReason.HOLE, f"segment {number} carries the id {item.segment_id}"
    for before, after in pairwise(schedule.segments):
        if after.first_day <= before.last_day:
            yield (
                ScheduleReason.OVERLAP,
                f"segment {after.segment_id} begins on {after.first_day}, before {before.last_day} is over",
            )
        elif trades(before.last_day) and trades(after.first_day):
            yield from _hole(before, after, calendar)


def _hole(before: Segment, after: Segment, calendar: Calendar) -> Found:
    between = calendar.between(TradingDay.parse(before.last_day), TradingDay.parse(after.first_day))[1:-1]
    if between:
        yield ScheduleReason.HOLE, f"{len(between)} trading days from {between[0]} on belong to no segment"


def _contracts(schedule: MainSchedule, instruments: InstrumentTable) -> Found:
    for item in schedule.segments:
        try:
            known = product_of(item.contract) == schedule.product and item.contract != schedule.product
            instruments.spec(item.contract, TradingDay.parse(item.first_day))
        except DataError as error:
            yield ScheduleReason.CONTRACT, f"segment {item.segment_id}: {error.message}"
        else:
            if not known:
                yield ScheduleReason.CONTRACT, f"segment {item.segment_id}: {item.contract} is no contract of {schedule.product}"
