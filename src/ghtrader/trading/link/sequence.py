"""Numbers of a stream: what is the next message, what was lost, what came twice or too late."""

from __future__ import annotations

from enum import StrEnum

import msgspec

__all__ = ["Arrival", "StreamPlace", "follow"]


class Arrival(StrEnum):
    """What a message is to a reader who counts."""

    BEGUN = "begun"  # first of its session that we saw
    WHOLE = "whole"  # the next one, or a beat that names the last one we have
    GAP = "gap"  # something before it was lost
    STALE = "stale"  # it was here before, or is of a session that is over


class StreamPlace(msgspec.Struct, frozen=True, kw_only=True):
    """Where a reader is: the sender's session, the number of its last message, the session before it, how many were lost in all."""

    session: str = ""
    seq: int = 0
    over: str = ""
    lost: int = 0


def follow(place: StreamPlace, session: str, seq: int, *, is_beat: bool) -> tuple[StreamPlace, Arrival]:
    """The place after a message. A beat has no number of its own: it repeats that of the last message.

    A reader who joins late does not know what was before: the first message of a session is never a gap.

    >>> place, _ = follow(StreamPlace(), "a", 7, is_beat=False)
    >>> follow(place, "a", 8, is_beat=False)[1].value, follow(place, "a", 8, is_beat=True)[1].value
    ('whole', 'gap')
    """
    if session == place.over and session:
        return place, Arrival.STALE
    if session != place.session:
        return StreamPlace(session=session, seq=seq, over=place.session, lost=place.lost), Arrival.BEGUN
    expected = place.seq if is_beat else place.seq + 1
    if seq < expected:
        return place, Arrival.STALE
    moved = StreamPlace(session=session, seq=seq, over=place.over, lost=place.lost + seq - expected)
    return moved, Arrival.GAP if seq > expected else Arrival.WHOLE
