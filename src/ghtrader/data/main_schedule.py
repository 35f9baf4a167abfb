"""The main-contract schedule: which contract a continuous alias stands for on each trading day.

Dates in a continuous table are *effective trading days*: the night session before already trades the new contract.
A switch that we compute ourselves from the closing data of day T takes effect on the trading day after T.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from ghtrader.core.errors import DataError, ProvenanceError, UnknownInstrumentError
from ghtrader.core.ids import content_hash
from ghtrader.core.instruments import alias_of, product_of
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.calendar import Calendar

__all__ = [
    "ClosingRow",
    "MainSchedule",
    "Segment",
    "build_schedule",
    "mapping_hash",
    "read_continuous_table",
    "switches_from_closing",
]

TABLE_HINT = "a continuous table has two columns, trading day and contract: 2025-04-07,SHFE.rb2510"


class Segment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A contiguous run of one underlying. A contract that comes back later gets a new ``segment_id``."""

    segment_id: int
    contract: str
    first_day: str
    last_day: str


class MainSchedule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole mapping of one alias, from the first to the last day it covers. ``schedule_hash`` identifies it."""

    alias: str
    product: str
    segments: tuple[Segment, ...]
    schedule_hash: str
    source: str

    @property
    def first_day(self) -> TradingDay:
        """First trading day covered."""
        return TradingDay.parse(self.segments[0].first_day)

    @property
    def last_day(self) -> TradingDay:
        """Last trading day covered."""
        return TradingDay.parse(self.segments[-1].last_day)

    def segment_of(self, day: TradingDay) -> Segment:
        """The segment of a trading day; raises ProvenanceError when the schedule does not cover it."""
        iso = day.iso
        found = next((item for item in self.segments if item.first_day <= iso <= item.last_day), None)
        if found is None:
            raise ProvenanceError(
                f"the schedule of {self.alias} covers {self.first_day} to {self.last_day}, not {day}",
                hint=f"ghtrader main-schedule --var {self.product}",
                alias=self.alias,
                day=iso,
            )
        return found


class ClosingRow(msgspec.Struct, frozen=True):
    """Closing data of one contract on one trading day."""

    trading_day: TradingDay
    contract: str
    open_interest: float
    volume: float


def switches_from_closing(rows: Iterable[ClosingRow], calendar: Calendar) -> list[tuple[TradingDay, str]]:
    """Switches by largest open interest at the close, never back to an earlier month; effective one trading day later."""
    by_day: dict[TradingDay, list[ClosingRow]] = {}
    for row in rows:
        by_day.setdefault(row.trading_day, []).append(row)
    table: list[tuple[TradingDay, str]] = []
    for day in sorted(by_day):
        best = max(by_day[day], key=lambda row: (row.open_interest, row.volume, row.contract))
        current = table[-1][1] if table else ""
        if best.contract > current:
            table.append((calendar.next(day), best.contract))
    return table


def read_continuous_table(path: Path, product: str) -> list[tuple[TradingDay, str]]:
    """A continuous table from a file: CSV of (day, contract), JSON list of pairs, or a list of {date, to} records.

    Contracts may be written with or without the exchange. Raises DataError naming the line.
    """
    if not path.is_file():
        raise DataError(f"no such file: {path}", hint=TABLE_HINT, path=str(path))
    exchange = product.split(".", maxsplit=1)[0]
    rows: list[tuple[str, str]] = []
    if path.suffix == ".json":
        try:
            document = msgspec.json.decode(path.read_bytes())
        except msgspec.DecodeError as error:
            raise DataError(f"{path.name} is no JSON: {error}", hint=TABLE_HINT, path=str(path)) from error
        for item in document:
            rows.append((str(item["date"]), str(item["to"])) if isinstance(item, dict) else (str(item[0]), str(item[1])))
    else:
        with path.open(newline="", encoding="utf-8") as stream:
            for number, cells in enumerate(csv.reader(stream), 1):
                if not cells or cells[0].startswith("#") or (number == 1 and not cells[0][:4].isdigit()):
                    continue
                if len(cells) < 2:
                    raise DataError(f"{path.name} line {number}: expected two columns, but was {cells}", hint=TABLE_HINT)
                rows.append((cells[0], cells[1].strip()))
    return [(TradingDay.parse(day), text if "." in text else f"{exchange}.{text}") for day, text in rows]


def build_schedule(
    product: str, table: Sequence[tuple[TradingDay, str]], *, last_day: TradingDay, calendar: Calendar, source: str
) -> MainSchedule:
    """The schedule of a continuous table up to ``last_day``, after its health gate.

    The gate refuses (DataError) an empty table, days that do not ascend, days the calendar does not know, contracts of
    another product, contracts after their delivery month, and a last day before the first.
    """
    if not table:
        raise DataError(f"the continuous table of {product} is empty", hint=TABLE_HINT, product=product)
    entries: list[tuple[TradingDay, str]] = []
    for day, contract in table:
        calendar.require(day)
        if entries and day <= entries[-1][0]:
            raise DataError(f"days must ascend: {day} follows {entries[-1][0]}", hint=TABLE_HINT, product=product, day=day.iso)
        if product_of(contract) != product or contract == product:
            raise UnknownInstrumentError(f"{contract} is no contract of {product}", hint=TABLE_HINT, product=product, day=day.iso)
        if not entries or entries[-1][1] != contract:
            entries.append((day, contract))
    if last_day < entries[0][0]:
        raise DataError(f"the table of {product} begins on {entries[0][0]}, after {last_day}", hint=TABLE_HINT, product=product)
    entries = [entry for entry in entries if entry[0] <= last_day]
    segments: list[Segment] = []
    for number, (day, contract) in enumerate(entries):
        end = calendar.previous(entries[number + 1][0]) if number + 1 < len(entries) else last_day
        _check_delivery(contract, end)
        segments.append(Segment(segment_id=number + 1, contract=contract, first_day=day.iso, last_day=end.iso))
    alias = alias_of(product)
    identity = mapping_hash(alias, segments)
    return MainSchedule(alias=alias, product=product, segments=tuple(segments), schedule_hash=identity, source=source)


def mapping_hash(alias: str, segments: Sequence[Segment]) -> str:
    """The hash of a whole mapping: alias, segment ids, contracts, first and last days."""
    return content_hash([alias, [(item.segment_id, item.contract, item.first_day, item.last_day) for item in segments]])


def _check_delivery(contract: str, last: TradingDay) -> None:
    month = re.search(r"(\d{2})(\d{2})$", contract)
    if month is None:
        return
    delivery = f"{last.date.year // 100}{month[1]}-{month[2]}"
    if last.iso[:7] > delivery:
        raise DataError(
            f"{contract} would be the main contract until {last}, after its delivery month {delivery}",
            hint="the continuous table misses a switch",
            contract=contract,
            day=last.iso,
        )
