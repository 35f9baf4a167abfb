"""Reading a journal beside its writer: all of it, from the newest snapshot, or as it grows. Readers cut nothing off.

Segments are named ``<seq of the first record>-<trading day>.journal``, so that their order and their span stand in their names.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain

import msgspec

from ghtrader.core.errors import DataError
from ghtrader.ports.journal import JournalStore
from ghtrader.trading.journal.frames import Scan, TailState, scan
from ghtrader.trading.journal.records import Record, RecordKind

__all__ = [
    "JournalFollower",
    "JournalRecords",
    "SegmentCheck",
    "check_segments",
    "first_seq_of",
    "last_scan",
    "read_last",
    "read_records",
    "read_since_snapshot",
    "segment_name",
]

SUFFIX = ".journal"
_DIGITS = 12


def segment_name(first_seq: int, trading_day: str) -> str:
    """Name of a segment; trading_day empty: not known yet.

    >>> segment_name(17, "2025-06-05"), segment_name(1, "")
    ('000000000017-2025-06-05.journal', '000000000001-.journal')
    """
    return f"{first_seq:0{_DIGITS}d}-{trading_day}{SUFFIX}"


def first_seq_of(segment: str) -> int:
    """Seq of a segment's first record. Raises DataError for a name that is none of ours.

    >>> first_seq_of("000000000017-2025-06-05.journal")
    17
    """
    digits, dash, _ = segment.partition("-")
    if not (dash and len(digits) == _DIGITS and digits.isdecimal() and segment.endswith(SUFFIX)):
        raise DataError(f"{segment} is no segment of a journal", hint="move it out of the journal's folder", file=segment)
    return int(digits)


def _scan(store: JournalStore, segment: str, next_seq: int, *, last: bool) -> Scan:
    found = scan(store.read(segment), f"{store.place}/{segment}", next_seq=next_seq)
    if found.tail == TailState.TORN and not last:
        message = (
            f"journal {store.place}/{segment} is damaged at byte {found.end}: only the last segment may end in a torn record"
        )
        raise DataError(message, hint="restore the segment from a backup", file=f"{store.place}/{segment}", offset=found.end)
    return found


def last_scan(store: JournalStore) -> tuple[str, Scan] | None:
    """The last segment with its content; None when there is no segment."""
    names = store.segments()
    return (names[-1], _scan(store, names[-1], first_seq_of(names[-1]), last=True)) if names else None


def _read(store: JournalStore, names: Sequence[str], next_seq: int = 0) -> Iterator[Record]:
    next_seq = next_seq or (first_seq_of(names[0]) if names else 0)
    for name in names:
        found = _scan(store, name, next_seq, last=name == names[-1])
        next_seq = found.next_seq
        yield from found.records


def read_records(store: JournalStore, from_seq: int = 1) -> Iterator[Record]:
    """Records from ``from_seq`` (1 or more) on, in order, a segment at a time.

    Raises DataError for any damage but a torn tail of the last segment.
    """
    names = store.segments()
    if names and first_seq_of(names[0]) > from_seq:
        raise DataError(f"the journal in {store.place} begins at record {first_seq_of(names[0])}: the first segment is missing")
    begin = max((index for index, name in enumerate(names) if first_seq_of(name) <= from_seq), default=0)
    return (record for record in _read(store, names[begin:]) if record.seq >= from_seq)


def read_since_snapshot(store: JournalStore) -> Iterator[Record]:
    """Records from the newest ``state`` record on (itself first), or all when there is none."""
    names = store.segments()
    for index in range(len(names) - 1, -1, -1):
        found = _scan(store, names[index], first_seq_of(names[index]), last=index == len(names) - 1)
        snapshot = max((record.seq for record in found.records if record.kind == RecordKind.STATE), default=0)
        if snapshot:
            newest = (record for record in found.records if record.seq >= snapshot)
            return chain(newest, _read(store, names[index + 1 :], found.next_seq))
    return read_records(store)


def read_last(store: JournalStore, count: int, kinds: frozenset[RecordKind] = frozenset()) -> list[Record]:
    """The last ``count`` records of these kinds (none given: any), oldest first; read from the end."""
    names = store.segments()
    found: list[Record] = []
    for index in range(len(names) - 1, -1, -1):
        if len(found) >= count:
            break
        records = _scan(store, names[index], first_seq_of(names[index]), last=index == len(names) - 1).records
        fitting = [record for record in records if not kinds or record.kind in kinds]
        found = fitting[max(0, len(fitting) - (count - len(found))) :] + found
    return found


class SegmentCheck(msgspec.Struct, frozen=True, kw_only=True):
    """A segment that is whole: its records and bytes, how it ends, and the bytes of a torn tail."""

    segment: str
    records: int
    bytes: int
    tail: TailState
    lost_bytes: int


def check_segments(store: JournalStore) -> list[SegmentCheck]:
    """Read every segment. Raises DataError for any damage but a torn tail of the last one."""
    names, found = store.segments(), []
    next_seq = 1
    for name in names:
        segment = _scan(store, name, next_seq, last=name == names[-1])
        next_seq = segment.next_seq
        size = segment.end + segment.lost
        count = len(segment.records)
        found.append(SegmentCheck(segment=name, records=count, bytes=size, tail=segment.tail, lost_bytes=segment.lost))
    return found


class JournalFollower:
    """What was appended since the last call, for as long as somebody writes.

    A record is given once it is whole; one that is being written comes with a later `poll`. from_seq: the first record of interest.
    after: the segment behind which reading begins; empty: with the first one.
    """

    def __init__(self, store: JournalStore, from_seq: int = 1, *, after: str = "") -> None:
        self._store, self._from, self._after = store, from_seq, after
        self._segment = ""
        self._offset = self._next = 0

    def poll(self) -> list[Record]:
        """New records, in order; empty when there are none. Raises DataError for damage."""
        given: list[Record] = []
        while True:
            newer = [name for name in self._store.segments() if name > (self._segment or self._after)]
            if self._segment:
                given += self._rest(is_last=not newer)
            if not newer:
                return [record for record in given if record.seq >= self._from]
            self._segment, self._offset = newer[0], 0

    def _rest(self, *, is_last: bool) -> Sequence[Record]:
        name = self._segment
        found = scan(self._store.read(name, self._offset), f"{self._store.place}/{name}", next_seq=self._next, base=self._offset)
        if found.tail == TailState.TORN and not is_last:
            message = f"journal {self._store.place}/{name} is damaged at byte {found.end}: only the last segment may end so"
            raise DataError(message, hint="restore the segment from a backup", file=name, offset=found.end)
        self._offset, self._next = found.end, found.next_seq
        return found.records


class JournalRecords:
    """All records of a journal, read anew by every ``iter``."""

    def __init__(self, store: JournalStore, from_seq: int = 1) -> None:
        self._store, self._from = store, from_seq

    def __iter__(self) -> Iterator[Record]:
        return read_records(self._store, self._from)
