"""What can differ between an account as the journal has it and as the venue has it, and what is done about each.

`CASES` is the whole of it: the comparison names a case, the table says what happens. docs/concepts/reconciliation.md prints it.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

__all__ = ["CASES", "ActionKind", "Case", "CaseName"]


class ActionKind(StrEnum):
    """What is done. All but CANCEL_AGAIN, WAIT and REFUSE change our own state only, and doing them twice is doing them once."""

    NONE = "none"
    ROLL_DAY = "roll_day"
    UPDATE = "update"
    OVERRULE = "overrule"
    ADOPT = "adopt"
    LOSE = "lose"
    MISS = "miss"
    DOUBT = "doubt"
    EXPIRE = "expire"
    CANCEL_AGAIN = "cancel_again"
    TAKE_FILL = "take_fill"
    MAKE_FILL = "make_fill"
    TAKE_POSITION = "take_position"
    WAIT = "wait"
    REFUSE = "refuse"


class CaseName(StrEnum):
    """Every case, in the order in which they are looked for."""

    DAY_BEHIND = "day_behind"
    DAY_CHANGED = "day_changed"
    ORDER_VENUE_ONLY = "order_venue_only"
    FILL_VENUE_ONLY = "fill_venue_only"
    FILL_MISSING = "fill_missing"
    FILL_FORGOTTEN = "fill_forgotten"
    FILL_CONTRADICTS = "fill_contradicts"
    ORDER_AGREES = "order_agrees"
    ORDER_BEHIND = "order_behind"
    ORDER_CONTRADICTS = "order_contradicts"
    ORDER_UNKNOWN = "order_unknown"
    ORDER_FORGOTTEN = "order_forgotten"
    ORDER_YOUNG = "order_young"
    ORDER_UNLISTED = "order_unlisted"
    ORDER_LOST = "order_lost"
    ORDER_EXPIRED = "order_expired"
    CANCEL_UNHEARD = "cancel_unheard"
    FILLS_AWAITED = "fills_awaited"
    POSITION_FIRST = "position_first"
    POSITION_EXPLAINED = "position_explained"
    POSITION_INCLUDED = "position_included"
    SPLIT_DIFFERS = "split_differs"
    POSITION_DIFFERS = "position_differs"
    FUNDS_UNKNOWN = "funds_unknown"


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One row: when it holds, what is done, and why that is right. blocks: no position is opened until it is gone."""

    name: CaseName
    when: str
    action: ActionKind
    why: str
    blocks: bool = False


_ROWS: tuple[tuple[CaseName, ActionKind, bool, str, str], ...] = (
    (
        CaseName.DAY_BEHIND, ActionKind.REFUSE, True,
        "the venue speaks of an earlier trading day than ours",
        "an old answer explains nothing; nothing else is compared",
    ),
    (
        CaseName.DAY_CHANGED, ActionKind.ROLL_DAY, False,
        "the venue speaks of a later trading day than ours",
        "today's lots have become history",
    ),
    (
        CaseName.ORDER_VENUE_ONLY, ActionKind.ADOPT, False,
        "the venue has an order that we do not know, or one that we adopted is larger than its trades showed, or goes the other way",
        "it can change the position, so it counts as in flight; its id is made of what the venue says, the same after every restart",
    ),
    (
        CaseName.FILL_VENUE_ONLY, ActionKind.ADOPT, False,
        "the venue has trades of an order that neither side has",
        "they did change the position; an order of their lots is made to carry them",
    ),
    (
        CaseName.FILL_MISSING, ActionKind.TAKE_FILL, False,
        "the venue has a trade that we do not have",
        "trades are facts, and each is applied once by its id",
    ),
    (
        CaseName.FILL_FORGOTTEN, ActionKind.NONE, False,
        "we have a trade of this day that the venue does not list",
        "a trade that was told happened; if it did not, the position says so",
    ),
    (
        CaseName.FILL_CONTRADICTS, ActionKind.REFUSE, True,
        "a trade of the venue has another contract or side than its order, or no lots",
        "nobody knows which of the two is true",
    ),
    (
        CaseName.ORDER_AGREES, ActionKind.NONE, False,
        "both say the same, or ours is filled by its trades",
        "nothing is to be done",
    ),
    (
        CaseName.ORDER_BEHIND, ActionKind.UPDATE, False,
        "the venue is further on with an order than we are",
        "an update was missed",
    ),
    (
        CaseName.ORDER_CONTRADICTS, ActionKind.OVERRULE, False,
        "ours ended and the venue's works, or both ended with other lots left, or less is filled there than was told",
        "the venue's word counts, unless trades have filled the order",
    ),
    (
        CaseName.ORDER_UNKNOWN, ActionKind.DOUBT, True,
        "the venue itself does not know how an order stands",
        "it counts as in flight until the venue knows",
    ),
    (
        CaseName.ORDER_FORGOTTEN, ActionKind.DOUBT, True,
        "the venue had an order in its book this day and does not list it any more",
        "an acknowledged order cannot be lost: it counts as in flight, and the venue is asked again",
    ),
    (
        CaseName.ORDER_YOUNG, ActionKind.WAIT, True,
        "the venue does not list an order that it never acknowledged, and it was sent a moment ago",
        "it may still be on its way",
    ),
    (
        CaseName.ORDER_UNLISTED, ActionKind.MISS, True,
        "the venue does not list an order that it never acknowledged, long after it was sent",
        "one answer may be incomplete: it counts as in flight until a second says the same",
    ),
    (
        CaseName.ORDER_LOST, ActionKind.LOSE, False,
        "a second answer of the venue does not list it either",
        "it never arrived; an order is sent at most once, so its id is not used again",
    ),
    (
        CaseName.ORDER_EXPIRED, ActionKind.EXPIRE, False,
        "an order of an earlier trading day is not settled, or is over by hearsay only, and nothing above blocks its contract",
        "no order outlives its trading day; what it may have traded shows in the position",
    ),
    (
        CaseName.CANCEL_UNHEARD, ActionKind.CANCEL_AGAIN, False,
        "we asked for a cancel and the venue's order works",
        "the cancel was lost; asking twice does no harm",
    ),
    (
        CaseName.FILLS_AWAITED, ActionKind.WAIT, True,
        "the venue says that lots were traded and does not list the trades",
        "the position cannot be right before they are here",
    ),
    (
        CaseName.POSITION_FIRST, ActionKind.TAKE_POSITION, False,
        "our ledger was never compared with this account, nothing above blocks, and the venue lists every trade that we have",
        "what was held before the journal began is the venue's to say",
    ),
    (
        CaseName.POSITION_EXPLAINED, ActionKind.MAKE_FILL, False,
        "lots differ by no more than orders of an earlier trading day left open, or that were taken for lost or refused then",
        "their trades are no longer told; the position proves them, oldest order first, at the order's limit",
    ),
    (
        CaseName.POSITION_INCLUDED, ActionKind.TAKE_POSITION, False,
        "lots agree without the trades of others that are told only now and are older than our first comparison",
        "the answer that the position was taken from had them in its position and not in its list",
    ),
    (
        CaseName.SPLIT_DIFFERS, ActionKind.TAKE_POSITION, False,
        "lots agree by side, today's and history do not",
        "which lots a close took is the exchange's rule",
    ),
    (
        CaseName.POSITION_DIFFERS, ActionKind.REFUSE, True,
        "lots differ and no trade explains it",
        "somebody must look: the account is used elsewhere, or one side is wrong",
    ),
    (
        CaseName.FUNDS_UNKNOWN, ActionKind.NONE, False,
        "the venue names no balance",
        "risk halts openings on unknown equity",
    ),
)  # fmt: skip

#: Every case by name.
CASES: dict[CaseName, Case] = {
    name: Case(name=name, when=when, action=action, why=why, blocks=blocks) for name, action, blocks, when, why in _ROWS
}
