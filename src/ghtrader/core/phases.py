"""Phases of the market and flags of a tick row: small integers that every room shares.

The codes are stored; they are append-only and never renumbered.
"""

from __future__ import annotations

from enum import IntEnum, IntFlag

__all__ = ["PART_NAMES", "Phase", "SessionPart", "TickFlag"]


class Phase(IntEnum):
    """What the exchange does at a moment. Orders and cancels: ORDER_ENTRY and CONTINUOUS, BREAK only keeps GFD."""

    CLOSED = 0
    ORDER_ENTRY = 1
    MATCH = 2
    CONTINUOUS = 3
    BREAK = 4


class SessionPart(IntEnum):
    """The part of a trading day a row stands in; NONE outside every part."""

    NONE = -1
    NIGHT = 0
    AM1 = 1
    AM2 = 2
    PM = 3


PART_NAMES: dict[SessionPart, str] = {
    SessionPart.NIGHT: "night",
    SessionPart.AM1: "am1",
    SessionPart.AM2: "am2",
    SessionPart.PM: "pm",
}


class TickFlag(IntFlag):
    """What is remarkable about a row that is kept (bit mask, stored as ``flags``)."""

    NONE = 0
    ONE_SIDED = 1  # no bid or no ask (limit-lock)
    SHALLOW = 2  # fewer than five levels on a side
    CROSSED = 4  # best bid at or above best ask
    DISORDERED_LEVELS = 8  # levels not strictly away from the touch, or a hole between levels
    RESPACED = 16  # equal stamp moved by +1 us
    AUCTION = 32  # row of a call auction (order entry or match phase)
    OFF_TICK = 64  # a price that is no multiple of the price tick
    VOLUME_FELL = 128  # cumulative volume or amount lower than before, row kept
    HALVED = 256  # two-sided counting before 2020 was halved
    AT_LIMIT = 512  # best bid at the upper or best ask at the lower limit
    NO_LAST = 1024  # no last price
    LATE = 2048  # local receive time far after the exchange time
