"""Frames: a torn tail is cut off, a torn middle is refused."""

from __future__ import annotations

import pytest

from ghtrader.core.errors import DataError
from ghtrader.trading.journal.frames import FRAME_BYTES, SegmentHeader, TailState, encode, encode_header, encode_seal, scan
from ghtrader.trading.journal.records import Record, RecordKind

HEADER = encode_header(SegmentHeader(1, "demo", 7, "2025-06-05"))


def record(seq: int, **body: object) -> Record:
    return Record(seq, seq - 1, 10 * seq, RecordKind.NOTE, body)


def segment(count: int, *, synced: bool) -> tuple[bytes, list[int]]:
    """A segment with records 7, 8, ...; with ``synced`` each was durable before the next was written. Also where frames begin."""
    content, starts = HEADER, []
    for index in range(count):
        starts.append(len(content))
        content += encode(record(7 + index, text="x" * index), len(content) if synced else len(HEADER))
    return content, starts


def test_records_come_back() -> None:
    content, _ = segment(3, synced=False)
    found = scan(content, next_seq=7)
    assert found.header == SegmentHeader(1, "demo", 7, "2025-06-05")
    assert found.records == [record(7, text=""), record(8, text="x"), record(9, text="xx")]
    assert (found.end, found.lost, found.tail, found.next_seq) == (len(content), 0, TailState.CLEAN, 10)
    assert encode(record(7)) == encode(record(7), 0)


def test_every_torn_tail_is_cut_off_where_the_last_whole_record_ends() -> None:
    content, starts = segment(4, synced=True)
    for size in range(len(HEADER), len(content)):
        found = scan(content[:size])
        whole = [start for start in [*starts, len(content)] if start <= size]
        assert found.end == whole[-1]
        assert len(found.records) == len(whole) - 1
        assert (found.tail == TailState.CLEAN) == (size in starts)
        assert found.lost == size - found.end


def test_a_tail_of_garbage_is_torn_and_one_of_zeros_is_unused_space() -> None:
    content, _ = segment(2, synced=True)
    for size in (1, 19, 20, 100):
        found = scan(content + bytes(size))
        assert (found.end, found.tail, found.lost, len(found.records)) == (len(content), TailState.CLEAN, 0, 2)
    for tail in (bytes(100) + b"x", b"\xf5GHJ" * 20, b"x"):
        found = scan(content + tail)
        assert (found.end, found.tail, len(found.records)) == (len(content), TailState.TORN, 2)


@pytest.mark.parametrize("flip", [0x01, 0x80, 0xFF])
def test_every_flipped_byte_before_a_sync_is_refused_by_name_and_offset(flip: int) -> None:
    content, starts = segment(4, synced=True)
    for position in range(len(HEADER), starts[-1]):
        damaged = bytearray(content)
        damaged[position] ^= flip
        with pytest.raises(DataError, match=r"journal demo/7 is damaged at byte \d+") as caught:
            scan(bytes(damaged), "demo/7")
        assert caught.value.context["offset"] == max(start for start in starts if start <= position)


def test_a_flipped_byte_of_the_last_record_is_a_torn_tail_unless_the_segment_was_sealed() -> None:
    content, starts = segment(4, synced=True)
    sealed = content + encode_seal(len(content))
    assert scan(sealed).tail == TailState.SEALED
    for position in range(starts[-1], len(content)):
        damaged = bytearray(sealed)
        damaged[position] ^= 1
        assert scan(bytes(damaged[: len(content)])).end == starts[-1]
        with pytest.raises(DataError, match="had been synced"):
            scan(bytes(damaged))


def test_what_was_never_synced_may_be_torn_anywhere() -> None:
    content, starts = segment(4, synced=False)
    damaged = bytearray(content)
    damaged[starts[1] + FRAME_BYTES] ^= 1
    found = scan(bytes(damaged))
    assert (found.end, len(found.records), found.tail) == (starts[1], 1, TailState.TORN)


def test_the_first_record_behind_a_sync_was_not_promised() -> None:
    content, starts = segment(3, synced=False)
    damaged = bytearray(content)
    damaged[starts[0] + FRAME_BYTES] ^= 1
    assert (scan(bytes(damaged)).end, scan(bytes(damaged)).tail) == (len(HEADER), TailState.TORN)


def test_a_damaged_or_missing_header_is_refused() -> None:
    content, _ = segment(2, synced=True)
    for position in range(len(HEADER)):
        damaged = bytearray(content)
        damaged[position] ^= 1
        with pytest.raises(DataError):
            scan(bytes(damaged))
    with pytest.raises(DataError, match="damaged at byte 0: it has no header"):
        scan(b"")


def test_seqs_must_ascend_by_one() -> None:
    for other in (8, 10, 9):
        content = HEADER + encode(record(7)) + encode(record(8)) + encode(record(other))
        if other == 9:
            assert scan(content).next_seq == 10
        else:
            with pytest.raises(DataError, match=f"record {other} stands where 9"):
                scan(content)
    with pytest.raises(DataError, match="at byte 0: its first record is 7, expected 6: a segment is missing"):
        scan(HEADER, next_seq=6)


def test_an_intact_frame_that_is_no_record_is_refused() -> None:
    with pytest.raises(DataError, match="no record of this version"):
        scan(HEADER + HEADER)
    with pytest.raises(DataError, match="format 2, this version reads 1"):
        scan(encode_header(SegmentHeader(2, "demo", 1, "")))


def test_reading_goes_on_from_the_middle() -> None:
    content, starts = segment(4, synced=True)
    found = scan(content[starts[2] :], next_seq=9, base=starts[2])
    assert [item.seq for item in found.records] == [9, 10]
    assert (found.end, found.next_seq) == (len(content), 11)
    damaged = bytearray(content)
    damaged[starts[2] + 3] ^= 1
    assert scan(b"", next_seq=9, base=starts[2]).tail == TailState.CLEAN
    with pytest.raises(DataError, match=f"at byte {starts[2]}: an intact frame is no record"):
        scan(HEADER, next_seq=9, base=starts[2])
    with pytest.raises(DataError, match=f"at byte {len(content)}: an intact frame is no record"):
        scan(content[starts[2] :] + HEADER, next_seq=9, base=starts[2])
    with pytest.raises(DataError, match=f"at byte {starts[2]}: record 9 stands where 8"):
        scan(content[starts[2] :], next_seq=8, base=starts[2])
    with pytest.raises(DataError, match=f"at byte {starts[2]}: what"):
        scan(bytes(damaged[starts[2] :]), next_seq=9, base=starts[2])
