"""The journal as its writer and its readers see it: nothing synced is lost, damage is refused, a torn tail is cut off and said."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from ghtrader.core.errors import DataError, LockHeldError, StoreError
from ghtrader.testing.trading_stores import MemoryDisk, MemoryJournalStore
from ghtrader.trading.journal.frames import SegmentHeader, TailState, encode, encode_header
from ghtrader.trading.journal.journal import Journal, Recovery
from ghtrader.trading.journal.reading import (
    JournalFollower,
    JournalRecords,
    check_segments,
    first_seq_of,
    read_last,
    read_records,
    read_since_snapshot,
)
from ghtrader.trading.journal.records import Record, RecordKind


def note(seq: int, kind: RecordKind = RecordKind.NOTE, **body: object) -> Record:
    return Record(seq, 0, seq * 10, kind, body)


def opened(disk: MemoryDisk, **options: int) -> Journal:
    return Journal(MemoryJournalStore(disk), "demo", **options)


def write(journal: Journal, count: int, kind: RecordKind = RecordKind.NOTE, **body: object) -> None:
    journal.append([note(journal.next_seq + index, kind, **body) for index in range(count)])


def begin_day(journal: Journal, day: str) -> None:
    write(journal, 1, RecordKind.DAY, trading_day=day)


def seqs(disk: MemoryDisk, from_seq: int = 1) -> list[int]:
    return [record.seq for record in read_records(MemoryJournalStore(disk), from_seq)]


def two_days() -> MemoryDisk:
    """Records 1..3 before a day is known, 4..6 and 7..9 on two days, closed in order."""
    disk = MemoryDisk()
    journal = opened(disk)
    write(journal, 3)
    begin_day(journal, "2025-06-05")
    write(journal, 2)
    begin_day(journal, "2025-06-06")
    write(journal, 1, RecordKind.STATE, book={})
    write(journal, 1)
    journal.close()
    return disk


def test_a_new_journal_is_empty_and_makes_nothing_before_its_first_record() -> None:
    disk = MemoryDisk()
    journal = opened(disk)
    assert journal.recovery == Recovery(segment="", last_seq=0, offset=0, lost_bytes=0, closed_in_order=True)
    assert journal.recovery.is_new
    journal.append([])
    journal.sync()
    assert (disk.segments, journal.next_seq, list(journal.read())) == ({}, 1, [])
    journal.close()
    assert opened(disk).recovery.is_new


def test_records_come_back_over_days_and_openings() -> None:
    disk = two_days()
    assert sorted(disk.segments) == [
        "000000000001-.journal",
        "000000000004-2025-06-05.journal",
        "000000000007-2025-06-06.journal",
    ]
    journal = opened(disk)
    assert journal.recovery.segment == "000000000007-2025-06-06.journal"
    assert (journal.recovery.last_seq, journal.recovery.lost_bytes, journal.recovery.closed_in_order) == (9, 0, True)
    assert not journal.recovery.is_new
    assert [record.seq for record in journal.read()] == list(range(1, 10))
    begin_day(journal, "2025-06-06")
    write(journal, 1)
    assert len(disk.segments) == 3, "the same day goes on in its segment"
    assert seqs(disk) == list(range(1, 12))
    assert [seqs(disk, begin) for begin in (4, 6, 9, 12)] == [
        list(range(4, 12)), list(range(6, 12)), [9, 10, 11], [],
    ]  # fmt: skip


def test_every_segment_says_what_it_is() -> None:
    found = check_segments(MemoryJournalStore(two_days()))
    assert [(item.segment, item.records, item.tail, item.lost_bytes) for item in found] == [
        ("000000000001-.journal", 3, TailState.SEALED, 0),
        ("000000000004-2025-06-05.journal", 3, TailState.SEALED, 0),
        ("000000000007-2025-06-06.journal", 3, TailState.SEALED, 0),
    ]
    assert sum(item.bytes for item in found) == sum(len(content) for content in two_days().segments.values())


def test_a_large_segment_is_followed_by_another_of_the_same_day() -> None:
    disk = MemoryDisk()
    journal = opened(disk, segment_bytes=400)
    begin_day(journal, "2025-06-05")
    for _ in range(20):
        write(journal, 1, text="x" * 50)
    names = sorted(disk.segments)
    assert len(names) > 3
    assert {name.partition("-")[2] for name in names} == {"2025-06-05.journal"}
    assert all(len(disk.segments[name]) < 600 for name in names)
    assert seqs(disk) == list(range(1, 22))


def test_a_journal_that_is_opened_again_goes_on_with_the_size_of_its_segment_and_what_is_synced() -> None:
    disk = MemoryDisk()
    journal = opened(disk, segment_bytes=400)
    begin_day(journal, "2025-06-05")
    while len(disk.segments) == 1 and len(disk.segments[min(disk.segments)]) < 400:
        write(journal, 1, text="x" * 50)
    disk.crash(keep=10_000)
    again = opened(disk, segment_bytes=400)
    size = len(disk.segments[max(disk.segments)])
    again.sync()
    write(again, 1)
    assert len(disk.segments) == 2, "the first is full"
    write(again, 1, text="y" * 50)
    disk.segments[min(disk.segments)][size - 1] ^= 1
    with pytest.raises(DataError, match=r"is damaged at byte \d+"):
        seqs(disk)


def test_what_was_on_the_disk_when_a_journal_was_opened_is_not_torn_later() -> None:
    disk = MemoryDisk()
    write(opened(disk), 2, text="x" * 40)
    disk.writer = None
    again = opened(disk)
    write(again, 1)
    name = max(disk.segments)
    disk.segments[name][disk.segments[name].index(b"xxxx")] ^= 1
    disk.writer = None
    with pytest.raises(DataError, match="had been synced"):
        opened(disk)


def test_records_out_of_turn_are_refused_whole() -> None:
    journal = opened(MemoryDisk())
    write(journal, 2)
    for records in ([note(4)], [note(2)], [note(3), note(5)], [note(3), note(3)]):
        with pytest.raises(DataError, match="out of turn"):
            journal.append(records)
        assert [record.seq for record in journal.read()] == [1, 2]
    with pytest.raises(TypeError):
        journal.append([note(3), note(4, value=object())])
    write(journal, 1)
    assert [record.seq for record in journal.read()] == [1, 2, 3]


def test_the_journal_of_another_account_is_refused_and_the_claim_given_back() -> None:
    disk = two_days()
    with pytest.raises(DataError, match="account demo, not other"):
        Journal(MemoryJournalStore(disk), "other")
    opened(disk)
    with pytest.raises(LockHeldError):
        opened(disk)


def test_a_full_disk_stops_the_journal_where_it_stands_and_space_lets_it_go_on() -> None:
    disk = MemoryDisk()
    journal = opened(disk)
    write(journal, 2)
    disk.space = 60
    with pytest.raises(StoreError, match="No space left"):
        write(journal, 3)
    assert (journal.next_seq, seqs(disk)) == (3, [1, 2])
    disk.space = None
    write(journal, 1)
    journal.sync()
    disk.crash()
    assert seqs(disk) == [1, 2, 3]


def test_a_day_for_whose_segment_there_is_no_space_can_be_begun_later() -> None:
    disk = MemoryDisk()
    journal = opened(disk)
    write(journal, 1)
    for space in (0, 30):
        disk.space = space
        with pytest.raises(StoreError):
            begin_day(journal, "2025-06-05")
    disk.space = None
    begin_day(journal, "2025-06-05")
    journal.close()
    assert seqs(disk) == [1, 2]
    assert [name.partition("-")[2] for name in sorted(disk.segments)] == [".journal", "2025-06-05.journal"]


def test_a_crash_between_a_new_segment_and_its_first_record_is_no_damage() -> None:
    disk = MemoryDisk()
    journal = opened(disk)
    write(journal, 1)
    store = MemoryJournalStore(disk)
    with pytest.raises(StoreError):
        begin_day_without_space(journal, disk)
    disk.crash()
    assert store.segments() == ["000000000001-.journal", "000000000002-2025-06-05.journal"]
    disk.space = None
    again = opened(disk)
    assert (again.next_seq, again.recovery.segment) == (2, "000000000002-2025-06-05.journal")
    begin_day(again, "2025-06-05")
    write(again, 1)
    again.close()
    assert seqs(disk) == [1, 2, 3]


def begin_day_without_space(journal: Journal, disk: MemoryDisk) -> None:
    """Enough for the seal and the header of the next segment, not for its first record."""
    header = encode_header(SegmentHeader(1, "demo", 2, "2025-06-05"))
    disk.space = len(encode(note(1))) + len(header)
    begin_day(journal, "2025-06-05")


def test_a_failed_sync_stops_everything_until_the_journal_is_opened_again() -> None:
    disk = MemoryDisk()
    journal = opened(disk)
    write(journal, 1)
    disk.sync_fails = True
    with pytest.raises(StoreError):
        journal.sync()
    disk.sync_fails = False
    with pytest.raises(StoreError, match="failed before"):
        write(journal, 1)
    with pytest.raises(StoreError):
        journal.close()
    write(opened(disk), 1)


def test_sync_asks_the_medium_only_when_there_is_something() -> None:
    disk = MemoryDisk()
    journal = opened(disk)
    write(journal, 1)
    journal.sync()
    disk.sync_fails = True
    journal.sync()
    write(journal, 1)
    with pytest.raises(StoreError):
        journal.sync()


@settings(max_examples=150, deadline=None, derandomize=True)
@given(data=st.data())
def test_nothing_synced_is_ever_lost_and_nothing_is_invented(data: st.DataObject) -> None:
    """Any order of appends, syncs, days, full disks and crashes that spare any piece of what was not synced, torn or wrong."""
    disk = MemoryDisk()
    journal = opened(disk, segment_bytes=600)
    written: list[Record] = []
    synced, day = 0, 4
    for _ in range(data.draw(st.integers(5, 25))):
        action = data.draw(st.sampled_from(["append", "append", "sync", "day", "full", "crash", "close"]))
        records = [
            note(journal.next_seq + n, text="x" * data.draw(st.integers(0, 90))) for n in range(data.draw(st.integers(1, 4)))
        ]
        if action == "append":
            journal.append(records)
            written += records
        elif action == "day":
            day += 1
            first = note(journal.next_seq, RecordKind.DAY, trading_day=f"2025-06-{day:02d}")
            if written:
                synced = len(written)  # the day before is sealed
            journal.append([first])
            written.append(first)
        elif action == "sync":
            journal.sync()
            synced = len(written)
        elif action == "full":
            disk.space = data.draw(st.integers(0, 300))
            try:
                journal.append(records)
                written += records
            except StoreError:
                pass
            disk.space = None
        else:
            if action == "close":
                journal.close()
                synced = len(written)
            else:
                disk.crash(keep=data.draw(st.integers(0, 400)), garble=data.draw(st.booleans()))
            journal = opened(disk, segment_bytes=600)
            found = list(journal.read())
            assert found == written[: len(found)]
            assert len(found) >= synced
            assert journal.recovery.last_seq == len(found) == journal.next_seq - 1
            written, synced = found, len(found)
        assert list(journal.read()) == written
    check_segments(MemoryJournalStore(disk))


def test_a_flipped_byte_of_any_segment_but_the_last_is_refused_by_readers_of_it() -> None:
    whole = two_days()
    for name in sorted(whole.segments)[:2]:
        for position in range(len(whole.segments[name])):
            disk = two_days()
            disk.segments[name][position] ^= 0x10
            with pytest.raises(DataError, match=r"is damaged at byte \d+"):
                seqs(disk)
            with pytest.raises(DataError):
                check_segments(MemoryJournalStore(disk))


def test_a_flipped_byte_of_the_last_segment_is_refused_by_its_writer() -> None:
    last = max(two_days().segments)
    size = len(two_days().segments[last])
    seal = 20
    for position in range(size):
        disk = two_days()
        disk.segments[last][position] ^= 0x10
        if position < size - seal:
            with pytest.raises(DataError, match=r"is damaged at byte \d+"):
                opened(disk)
            assert disk.writer is None
        else:
            journal = opened(disk)
            assert (journal.recovery.lost_bytes, journal.recovery.last_seq, journal.recovery.closed_in_order) == (seal, 9, False)


def test_a_torn_end_of_a_segment_in_the_middle_is_refused() -> None:
    disk = two_days()
    name = sorted(disk.segments)[1]
    for cut in (1, 25):
        del disk.segments[name][-cut:]
        with pytest.raises(DataError, match=r"only the last segment may end|a segment is missing"):
            seqs(disk)
        follower = JournalFollower(MemoryJournalStore(disk))
        with pytest.raises(DataError):
            follower.poll()


@pytest.mark.parametrize("index", [0, 1])
def test_a_missing_segment_is_refused(index: int) -> None:
    disk = two_days()
    del disk.segments[sorted(disk.segments)[index]]
    with pytest.raises(DataError, match="segment is missing"):
        seqs(disk)
    with pytest.raises(DataError):
        check_segments(MemoryJournalStore(disk))
    assert seqs(disk, 8) == [8, 9], "what does not need it can be read"


def test_a_segment_under_the_name_of_another_is_refused() -> None:
    disk = two_days()
    names = sorted(disk.segments)
    disk.segments = {names[0]: disk.segments[names[1]]}
    with pytest.raises(DataError, match="its first record is 4, expected 1"):
        seqs(disk)


def test_a_new_segment_promises_nothing_that_was_not_synced() -> None:
    disk = MemoryDisk()
    journal = opened(disk)
    write(journal, 1, text="x" * 40)
    begin_day(journal, "2025-06-05")
    write(journal, 1, text="a" * 60)
    write(journal, 1, text="b" * 60)
    name = max(disk.segments)
    disk.segments[name][disk.segments[name].index(b"aaaa")] ^= 1
    disk.writer = None
    assert opened(disk).recovery.last_seq == 2


def test_every_way_to_read_bears_a_torn_tail_of_the_last_segment() -> None:
    disk = two_days()
    disk.segments[max(disk.segments)].extend(b"torn")
    store = MemoryJournalStore(disk)
    assert [record.seq for record in read_since_snapshot(store)] == [8, 9]
    assert [record.seq for record in read_last(store, 2)] == [8, 9]
    assert seqs(disk, 9) == [9]
    found = check_segments(store)[-1]
    assert (found.tail, found.lost_bytes) == (TailState.TORN, 4)
    assert found.bytes == len(store.read(found.segment))
    assert len(JournalFollower(store).poll()) == 9


def test_a_file_that_is_no_segment_is_refused() -> None:
    for name in ("notes.journal", "000000000001.journal", "0000000000x1-.journal", "1-.journal", "000000000001-a"):
        with pytest.raises(DataError, match="is no segment"):
            first_seq_of(name)


def test_reading_since_the_snapshot_begins_with_it() -> None:
    disk = two_days()
    assert [record.seq for record in read_since_snapshot(MemoryJournalStore(disk))] == [8, 9]
    journal = opened(disk)
    assert [record.seq for record in journal.read_since_snapshot()] == [8, 9]
    begin_day(journal, "2025-06-09")
    assert [record.seq for record in journal.read_since_snapshot()] == [8, 9, 10], "over the end of its segment"
    write(journal, 1, RecordKind.STATE)
    write(journal, 1, RecordKind.STATE)
    assert [record.seq for record in journal.read_since_snapshot()] == [12]
    fresh = MemoryDisk()
    write(opened(fresh), 2)
    assert [record.seq for record in read_since_snapshot(MemoryJournalStore(fresh))] == [1, 2]
    assert list(read_since_snapshot(MemoryJournalStore(MemoryDisk()))) == []


def test_the_last_records_are_read_from_the_end() -> None:
    store = MemoryJournalStore(two_days())
    assert [[record.seq for record in read_last(store, count)] for count in (0, 1, 3, 4, 99)] == [
        [], [9], [7, 8, 9], [6, 7, 8, 9], list(range(1, 10)),
    ]  # fmt: skip
    days = frozenset({RecordKind.DAY, RecordKind.STATE})
    assert [record.seq for record in read_last(store, 2, days)] == [7, 8]
    assert [record.seq for record in read_last(store, 9, days)] == [4, 7, 8]
    store.disk.segments["000000000001-.journal"][30] ^= 1
    assert [record.seq for record in read_last(store, 6)] == [4, 5, 6, 7, 8, 9]
    assert [record.seq for record in read_last(store, 4)] == [6, 7, 8, 9], "older segments are not looked at"


def test_a_follower_gives_every_record_once_and_waits_for_the_rest_of_a_torn_one() -> None:
    disk = MemoryDisk()
    store = MemoryJournalStore(disk)
    follower, late = JournalFollower(store), JournalFollower(store, 5)
    assert follower.poll() == []
    journal = opened(disk)
    write(journal, 2)
    assert [record.seq for record in follower.poll()] == [1, 2]
    assert follower.poll() == []
    frame = encode(note(3), 0)
    name = store.segments()[0]
    disk.segments[name].extend(frame[:15])
    assert follower.poll() == []
    disk.segments[name].extend(frame[15:])
    assert [record.seq for record in follower.poll()] == [3]
    del disk.segments[name][-len(frame) :]
    write(journal, 1)
    begin_day(journal, "2025-06-05")
    write(journal, 1)
    assert [record.seq for record in follower.poll()] == [4, 5]
    assert [record.seq for record in late.poll()] == [5]
    behind = JournalFollower(store, after=name)
    assert [record.seq for record in behind.poll()] == [4, 5]


def test_records_can_be_gone_through_again() -> None:
    records = JournalRecords(MemoryJournalStore(two_days()), 8)
    assert [record.seq for record in records] == [record.seq for record in records] == [8, 9]


def test_bodies_come_back_as_plain_values() -> None:
    disk = MemoryDisk()
    journal = opened(disk)
    body = {"text": "螺纹钢", "list": [1, 2.5, None, True], "deep": {"n": -(2**63), "m": 2**64 - 1}, "raw": b"\x00\xff"}
    write(journal, 1, **body)
    journal.close()
    (found,) = read_records(MemoryJournalStore(disk))
    assert found == note(1, **body)
