"""Records as bytes, and what is left of them after a crash.

A frame is magic (4 bytes), length of the payload (u32), CRC-32 of everything else in it (u32), ``durable`` (u64: how many bytes of the
segment were synced when the frame was written), payload (MessagePack). The first frame of a segment holds its `SegmentHeader`, a frame
without payload is a seal: everything before it is synced.

`durable` tells a torn tail from a torn middle. A damaged frame whose offset some later intact frame calls durable was good once: the
medium lost it, and `scan` refuses (DataError naming segment and offset). Otherwise the damage and what follows it was never promised to
anybody: a torn tail, to be cut off. Zeros to the end are space that was never used.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from enum import StrEnum

import msgspec

from ghtrader.core.errors import DataError
from ghtrader.trading.journal.records import Record

__all__ = [
    "FORMAT",
    "FRAME_BYTES",
    "MAGIC",
    "Scan",
    "SegmentHeader",
    "TailState",
    "encode",
    "encode_header",
    "encode_seal",
    "scan",
]

MAGIC = b"\xf5GHJ"
#: Version of the frames; another one is refused.
FORMAT = 1
_HEAD = struct.Struct("<4sIIQ")
_LENGTHS = struct.Struct("<IQ")
#: Bytes that a frame adds to its payload.
FRAME_BYTES = _HEAD.size

_encoder = msgspec.msgpack.Encoder()


class SegmentHeader(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What a segment is: format, account, seq of its first record, trading day (ISO, empty before the first one is known)."""

    format: int
    account: str
    first_seq: int
    trading_day: str


_headers = msgspec.msgpack.Decoder(SegmentHeader)
_records = msgspec.msgpack.Decoder(Record)


class TailState(StrEnum):
    """How a segment ends. TORN: in bytes that are no frame, never promised to anybody. SEALED: closed in order."""

    CLEAN = "clean"
    SEALED = "sealed"
    TORN = "torn"


class Scan(msgspec.Struct, frozen=True, kw_only=True):
    """A segment's content. header: None when reading began behind it. end: bytes that count, the offset to append at; lost: bytes after it.
    next_seq: that of the record that would come next.
    """

    header: SegmentHeader | None
    records: Sequence[Record]
    end: int
    lost: int
    tail: TailState
    next_seq: int


def _frame(payload: bytes, durable: int) -> bytes:
    crc = zlib.crc32(payload, zlib.crc32(_LENGTHS.pack(len(payload), durable)))
    return _HEAD.pack(MAGIC, len(payload), crc, durable) + payload


def encode(record: Record, durable: int = 0) -> bytes:
    """A record's frame."""
    return _frame(_encoder.encode(record), durable)


def encode_header(header: SegmentHeader) -> bytes:
    """The frame that begins a segment."""
    return _frame(_encoder.encode(header), 0)


def encode_seal(durable: int) -> bytes:
    """The frame that says that everything before it is synced."""
    return _frame(b"", durable)


def _payload_at(content: bytes, offset: int) -> tuple[bytes, int] | None:
    """Payload and ``durable`` of the frame at ``offset``; None when there is no intact one."""
    if offset + FRAME_BYTES > len(content):
        return None
    magic, length, crc, durable = _HEAD.unpack_from(content, offset)
    start = offset + FRAME_BYTES
    if magic != MAGIC or start + length > len(content):
        return None
    payload = content[start : start + length]
    return (payload, durable) if zlib.crc32(payload, zlib.crc32(_LENGTHS.pack(length, durable))) == crc else None


def _durable_after(content: bytes, damage: int, base: int) -> int:
    """The largest ``durable`` that an intact frame after the damage speaks of."""
    largest, offset = 0, damage
    while (offset := content.find(MAGIC, offset + 1)) >= 0:
        found = _payload_at(content, offset)
        if found is not None and found[1] <= base + offset:
            largest = max(largest, found[1])
    return largest


def _damaged(name: str, offset: int, what: str) -> DataError:
    hint = "restore the segment from a backup; to go on without it, move the account's journal away and reconcile with the venue"
    return DataError(f"journal {name} is damaged at byte {offset}: {what}", hint=hint, file=name, offset=offset)


def _header_of(payload: bytes, next_seq: int, name: str) -> SegmentHeader:
    header = _headers.decode(payload)
    if header.format != FORMAT:
        raise _damaged(name, 0, f"format {header.format}, this version reads {FORMAT}")
    if next_seq and header.first_seq != next_seq:
        raise _damaged(name, 0, f"its first record is {header.first_seq}, expected {next_seq}: a segment is missing")
    return header


def scan(content: bytes, name: str = "", *, next_seq: int = 0, base: int = 0) -> Scan:
    """Read a segment, or its rest from byte ``base`` (the end of a frame) on.

    name: for messages. next_seq: seq that the first record must have; 0, at the begin only: whatever the header says. Raises DataError
    for a torn middle, a missing header, an intact frame that is no record, and seqs that do not ascend by one.
    """
    header: SegmentHeader | None = None
    records: list[Record] = []
    offset, sealed = 0, False
    while (found := _payload_at(content, offset)) is not None:
        payload, _ = found
        try:
            if header is None and base == 0:
                header = _header_of(payload, next_seq, name)
                next_seq = header.first_seq
            elif payload:
                record = _records.decode(payload)
                if record.seq != next_seq:
                    raise _damaged(name, base + offset, f"record {record.seq} stands where {next_seq} was expected")
                records.append(record)
                next_seq += 1
        except msgspec.MsgspecError as error:
            raise _damaged(name, base + offset, f"an intact frame is no record of this version ({error})") from error
        sealed = not payload
        offset += FRAME_BYTES + len(payload)
    if header is None and base == 0:
        raise _damaged(name, 0, "it has no header")
    lost = len(content) - offset
    if lost and not content[offset:].strip(b"\0"):
        lost = 0  # space that was taken ahead and never used
    if lost and _durable_after(content, offset, base) > base + offset:
        raise _damaged(name, base + offset, "what stood there had been synced")
    tail = TailState.TORN if lost else TailState.SEALED if sealed else TailState.CLEAN
    return Scan(header=header, records=records, end=base + offset, lost=lost, tail=tail, next_seq=next_seq)
