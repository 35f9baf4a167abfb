"""Orders, fills and positions: the words of trading."""

from __future__ import annotations

from enum import IntEnum, StrEnum

__all__ = ["FillModel", "Offset", "OrderKind", "RejectReason", "Side"]


class Side(IntEnum):
    """Direction of an order or a position."""

    SELL = -1
    BUY = 1


class Offset(StrEnum):
    """What an order does to the position. SHFE and INE tell CLOSETODAY and CLOSE apart, with different fees."""

    OPEN = "open"
    CLOSE = "close"
    CLOSE_TODAY = "close_today"


class OrderKind(IntEnum):
    """GFD rests until the end of the trading day; FAK takes what is there and cancels the rest; FOK takes all or nothing."""

    GFD = 0
    FAK = 1
    FOK = 2


class FillModel(IntEnum):
    """What happens to the queue ahead of us when its displayed size falls without trades.

    BACK: nobody ahead of us cancels. PRO_RATA: cancels spread over the queue. FRONT: all cancels are ahead of us.
    FIRST: we stand at the head from the start; an unattainable bound, shown only as such.
    """

    BACK = 0
    PRO_RATA = 1
    FRONT = 2
    FIRST = 3


class RejectReason(IntEnum):
    """Why an order never worked."""

    NONE = 0
    PHASE = 1  # no order is taken in this phase
    BEYOND_DEPTH = 2  # it would rest outside the five visible levels, where no queue is known
    NOT_FILLABLE = 3  # FOK without enough displayed size
    AFTER_DATA = 4  # it would arrive after the last snapshot of the day
    LIMIT = 5  # price outside the day's price limits
    WOULD_TAKE = 6  # screening only: a passive order that would take on arrival is given up
