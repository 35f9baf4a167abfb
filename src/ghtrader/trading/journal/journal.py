"""The journal of one account as its one writer sees it: append, sync, rotate, recover.

A record that `append` took survives the death of the process, one that `sync` covered survives a power cut: sync before an order leaves.
A segment ends with its trading day (a ``day`` record begins the next one) or when it is large, and is sealed. Opening cuts off a torn
tail and says so (`Recovery`); any other damage is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from ghtrader.core.errors import DataError
from ghtrader.ports.journal import JournalStore
from ghtrader.trading.journal.frames import FORMAT, SegmentHeader, TailState, encode, encode_header, encode_seal
from ghtrader.trading.journal.reading import last_scan, read_records, read_since_snapshot, segment_name
from ghtrader.trading.journal.records import Record, RecordKind

__all__ = ["SEGMENT_BYTES", "Journal", "Recovery"]

#: A segment that has grown beyond this is followed by another one of the same day. A start reads the last one whole.
SEGMENT_BYTES = 16 << 20


class Recovery(msgspec.Struct, frozen=True, kw_only=True):
    """What opening found. last_seq: 0 in a new journal. lost_bytes: of a torn tail that was cut off at ``offset`` of ``segment``."""

    segment: str
    last_seq: int
    offset: int
    lost_bytes: int
    closed_in_order: bool

    @property
    def is_new(self) -> bool:
        """Whether there was no journal at all."""
        return not self.segment


class Journal:
    """Opens the journal for writing: raises LockHeldError naming a writer that is there, DataError for damage, StoreError for the medium.

    Belongs to one thread. ``recovery`` says what was found.
    """

    def __init__(self, store: JournalStore, account: str, *, segment_bytes: int = SEGMENT_BYTES) -> None:
        self._store, self._account, self._segment_bytes = store, account, segment_bytes
        store.claim()
        try:
            self.recovery = self._recover()
        except BaseException:
            store.close()
            raise

    def _recover(self) -> Recovery:
        self._segment, self._trading_day, self._next = "", "", 1
        self._size = self._durable = 0
        last = last_scan(self._store)
        if last is None:
            return Recovery(segment="", last_seq=0, offset=0, lost_bytes=0, closed_in_order=True)
        self._segment, found = last
        assert found.header is not None
        if found.header.account != self._account:
            message = f"the journal in {self._store.place} is that of account {found.header.account}, not {self._account}"
            raise DataError(message, hint="ghtrader journal list", file=self._segment)
        self._store.resume(self._segment, found.end)
        self._trading_day, self._next = found.header.trading_day, found.next_seq
        self._size = self._durable = found.end
        return Recovery(
            segment=self._segment,
            last_seq=found.next_seq - 1,
            offset=found.end,
            lost_bytes=found.lost,
            closed_in_order=found.tail == TailState.SEALED,
        )

    @property
    def next_seq(self) -> int:
        """The seq that the next record must have."""
        return self._next

    def append(self, records: Sequence[Record]) -> None:
        """Append records, whose seqs go on from `next_seq`: all of them, or an error and `next_seq` says how far it came.

        Raises DataError for a seq out of turn, StoreError when the medium fails (a full disk), TypeError for a body that MessagePack does
        not know.
        """
        group: list[Record] = []
        for seq, record in enumerate(records, self._next):
            if record.seq != seq:
                raise DataError(f"record {record.seq} is out of turn: {seq} is next", seq=record.seq, expected=seq)
        for record in records:
            if record.kind == RecordKind.DAY and str(record.body.get("trading_day", "")) != self._trading_day:
                self._write(group)
                group = []
                self._rotate(str(record.body.get("trading_day", "")))
            group.append(record)
        self._write(group)

    def _write(self, group: Sequence[Record]) -> None:
        if not group:
            return
        if not self._segment or self._size >= self._segment_bytes:
            self._rotate(self._trading_day)
        content = b"".join([encode(record, self._durable) for record in group])
        self._store.append(content)
        self._size += len(content)
        self._next += len(group)

    def _rotate(self, trading_day: str) -> None:
        """Seal the current segment and begin the next one; an empty one of the same name (a crash before its first record) is replaced."""
        if self._segment:
            self._seal()
        name = segment_name(self._next, trading_day)
        header = encode_header(SegmentHeader(FORMAT, self._account, self._next, trading_day))
        self._store.create(name, header)
        self._segment, self._trading_day = name, trading_day
        self._size = self._durable = len(header)

    def _seal(self) -> None:
        self.sync()
        seal = encode_seal(self._durable)
        self._store.append(seal)
        self._size += len(seal)
        self.sync()

    def sync(self) -> None:
        """Everything appended is durable when this comes back (fdatasync). Nothing to do: no call."""
        if self._durable == self._size:
            return
        self._store.sync()
        self._durable = self._size

    def read(self, from_seq: int = 1) -> Iterator[Record]:
        """Records from ``from_seq`` on."""
        return read_records(self._store, from_seq)

    def read_since_snapshot(self) -> Iterator[Record]:
        """Records from the newest ``state`` record on, or all."""
        return read_since_snapshot(self._store)

    def close(self) -> None:
        """Seal, sync and give the claim back. Raises StoreError when the medium fails; the claim is given back all the same."""
        try:
            if self._segment:
                self._seal()
        finally:
            self._store.close()
