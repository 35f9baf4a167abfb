"""Numbers of a stream."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ghtrader.trading.link.sequence import Arrival, StreamPlace, follow


def at(seq: int, session: str = "a", over: str = "", lost: int = 0) -> StreamPlace:
    return StreamPlace(session=session, seq=seq, over=over, lost=lost)


def test_the_first_message_of_a_session_is_never_a_gap() -> None:
    assert follow(StreamPlace(), "a", 7, is_beat=False) == (at(7), Arrival.BEGUN)
    assert follow(StreamPlace(), "a", 7, is_beat=True) == (at(7), Arrival.BEGUN)
    assert follow(StreamPlace(), "", 1, is_beat=False) == (at(1, ""), Arrival.WHOLE)


def test_messages_are_numbered_by_one() -> None:
    assert follow(at(7), "a", 8, is_beat=False) == (at(8), Arrival.WHOLE)
    assert follow(at(7), "a", 9, is_beat=False) == (at(9, lost=1), Arrival.GAP)
    assert follow(at(7, lost=2), "a", 12, is_beat=False) == (at(12, lost=6), Arrival.GAP)
    assert follow(at(7), "a", 7, is_beat=False) == (at(7), Arrival.STALE)
    assert follow(at(7), "a", 6, is_beat=False) == (at(7), Arrival.STALE)


def test_a_beat_repeats_the_number_of_the_last_message() -> None:
    assert follow(at(7), "a", 7, is_beat=True) == (at(7), Arrival.WHOLE)
    assert follow(at(7), "a", 8, is_beat=True) == (at(8, lost=1), Arrival.GAP)
    assert follow(at(7), "a", 6, is_beat=True) == (at(7), Arrival.STALE)


def test_a_session_that_is_over_does_not_come_back() -> None:
    moved = at(1, "b", over="a", lost=3)
    assert follow(at(7, lost=3), "b", 1, is_beat=False) == (moved, Arrival.BEGUN)
    assert follow(moved, "a", 8, is_beat=False) == (moved, Arrival.STALE)
    assert follow(moved, "b", 2, is_beat=False) == (at(2, "b", over="a", lost=3), Arrival.WHOLE)
    assert follow(moved, "c", 5, is_beat=False) == (at(5, "c", over="b", lost=3), Arrival.BEGUN)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=60))
def test_every_loss_is_found_and_counted_whatever_was_lost(sent: list[tuple[bool, bool]]) -> None:
    """sent: (is a beat, was lost). Beats that are lost are no loss; the last beat names what the end of the stream lost."""
    place, _ = follow(StreamPlace(), "a", 1, is_beat=False)
    seq, lost, gaps, seen_gaps, open_loss = 1, 0, 0, 0, False
    for is_beat, is_lost in [*sent, (True, False)]:
        seq += not is_beat
        if is_lost:
            lost += not is_beat
            open_loss |= not is_beat
            continue
        gaps += open_loss
        open_loss = False
        place, arrival = follow(place, "a", seq, is_beat=is_beat)
        seen_gaps += arrival == Arrival.GAP
        assert arrival != Arrival.STALE
    assert (place.lost, seen_gaps, place.seq) == (lost, gaps, seq)
