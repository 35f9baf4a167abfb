"""A journal by trading day. A day's records are those from its ``day`` record to that of the next one; the first ``state`` among them
says how the day began."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ghtrader.ports.journal import JournalStore
from ghtrader.trading.journal.reading import SUFFIX, JournalRecords, first_seq_of
from ghtrader.trading.journal.records import Record, RecordKind

__all__ = ["before_last_day", "day_blocks", "days_of", "records_of_day", "records_since_day"]


def day_blocks(records: Iterable[Record]) -> Iterator[tuple[str, list[Record]]]:
    """(trading day, its records), in order; what comes before the first day is in none.

    >>> body = {"trading_day": "2025-06-05"}
    >>> records = [Record(1, 0, 0, RecordKind.START, {}), Record(2, 0, 0, RecordKind.DAY, body), Record(3, 0, 0, RecordKind.NOTE, {})]
    >>> [(day, [record.seq for record in found]) for day, found in day_blocks(records)]
    [('2025-06-05', [2, 3])]
    """
    day, block = "", list[Record]()
    for record in records:
        if record.kind == RecordKind.DAY and str(record.body["trading_day"]) != day:
            if day:
                yield day, block
            day, block = str(record.body["trading_day"]), []
        if day:
            block.append(record)
    if day:
        yield day, block


def days_of(records: Iterable[Record]) -> list[str]:
    """Trading days that a journal lived through, in order."""
    return list(dict.fromkeys(str(record.body["trading_day"]) for record in records if record.kind == RecordKind.DAY))


def records_since_day(store: JournalStore, trading_day: str) -> JournalRecords:
    """Records from the beginning of a day's own segments on; all of them where no segment is of that day."""
    own = [first_seq_of(name) for name in store.segments() if name.endswith(f"-{trading_day}{SUFFIX}")]
    return JournalRecords(store, min(own, default=1))


def before_last_day(store: JournalStore) -> str:
    """The segment behind which the newest trading day begins, empty for the beginning: what still works is not older."""
    names = store.segments()
    day = names[-1].partition("-")[2] if names else ""
    return next((name for name in reversed(names) if name.partition("-")[2] != day), "")


def records_of_day(store: JournalStore, trading_day: str) -> list[Record]:
    """The records of a day, empty when the journal has none; segments before the day's own are not read."""
    for day, block in day_blocks(records_since_day(store, trading_day)):
        if day == trading_day:
            return block
    return []
