"""The whole behaviour of the kill switch: (stage, signal) -> (next stage, actions)."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["KILL_TABLE", "KillAction", "KillSignal", "KillStage"]


class KillStage(StrEnum):
    """Where the switch stands; killed is every stage but CLEAR.

    START: the file has not been read yet. FOUNDING, LATCHING, CLEARING: it is being written.
    """

    START = "start"
    FOUNDING = "founding"
    CLEAR = "clear"
    LATCHING = "latching"
    LATCHED = "latched"
    CLEARING = "clearing"
    UNREADABLE = "unreadable"


class KillSignal(StrEnum):
    """What an event amounts to in a state."""

    FOUND_NOTHING = "found_nothing"  # neither file nor journal: a new account
    FOUND_CLEAR = "found_clear"
    FOUND_LATCHED = "found_latched"
    FOUND_UNREADABLE = "found_unreadable"
    TRIGGER = "trigger"
    ESCALATE = "escalate"  # a kill that flattens, on top of one that only cancels
    PERSISTED = "persisted"
    PERSIST_FAILED = "persist_failed"
    RETRY = "retry"
    RESET = "reset"
    RESET_REFUSED = "reset_refused"
    STALE = "stale"  # no news, or the outcome of a write that no longer counts


class KillAction(StrEnum):
    """What a row does besides changing the stage, in its order."""

    ADOPT = "adopt"  # the file's record is ours
    DISTRUST = "distrust"  # the file says nothing that counts
    LATCH = "latch"  # a new kill is to be written
    RELATCH = "relatch"  # the kill that counts is to be written again
    FOUND = "found"  # the first clear record is to be written
    CLEAR = "clear"  # the clearing is to be written
    WRITE = "write"
    COMMIT = "commit"  # what was to be written stands
    JOURNAL = "journal"
    ENFORCE = "enforce"
    CANCEL_ONLY = "cancel_only"
    TELL = "tell"


_S, _G, _A = KillStage, KillSignal, KillAction
_Row = tuple[KillStage, tuple[KillAction, ...]]
_ADOPT_KILL: _Row = (_S.LATCHED, (_A.ADOPT, _A.JOURNAL, _A.ENFORCE, _A.TELL))
_DISTRUST: _Row = (_S.UNREADABLE, (_A.DISTRUST, _A.JOURNAL, _A.CANCEL_ONLY, _A.TELL))
_LATCH: _Row = (_S.LATCHING, (_A.LATCH, _A.WRITE))
_RELATCH: _Row = (_S.LATCHING, (_A.RELATCH, _A.WRITE, _A.TELL))
_CLEAR: _Row = (_S.CLEARING, (_A.CLEAR, _A.WRITE))

#: A pair that is missing changes nothing and has no effect.
KILL_TABLE: dict[tuple[KillStage, KillSignal], _Row] = {
    (_S.START, _G.FOUND_NOTHING): (_S.FOUNDING, (_A.FOUND, _A.WRITE)),
    (_S.START, _G.FOUND_CLEAR): (_S.CLEAR, (_A.ADOPT, _A.JOURNAL)),
    (_S.START, _G.FOUND_LATCHED): _ADOPT_KILL,
    (_S.START, _G.FOUND_UNREADABLE): _DISTRUST,
    (_S.FOUNDING, _G.PERSISTED): (_S.CLEAR, (_A.COMMIT, _A.JOURNAL)),
    (_S.FOUNDING, _G.PERSIST_FAILED): _RELATCH,
    (_S.FOUNDING, _G.TRIGGER): _LATCH,
    (_S.FOUNDING, _G.FOUND_LATCHED): _ADOPT_KILL,
    (_S.CLEAR, _G.FOUND_CLEAR): _DISTRUST,
    (_S.CLEAR, _G.FOUND_LATCHED): _ADOPT_KILL,
    (_S.CLEAR, _G.FOUND_UNREADABLE): _DISTRUST,
    (_S.CLEAR, _G.TRIGGER): _LATCH,
    (_S.LATCHING, _G.PERSISTED): (_S.LATCHED, (_A.COMMIT, _A.JOURNAL, _A.ENFORCE, _A.TELL)),
    (_S.LATCHING, _G.PERSIST_FAILED): (_S.LATCHING, (_A.CANCEL_ONLY, _A.TELL)),
    (_S.LATCHING, _G.RETRY): (_S.LATCHING, (_A.WRITE,)),
    (_S.LATCHING, _G.ESCALATE): _LATCH,
    (_S.LATCHED, _G.ESCALATE): _LATCH,
    (_S.LATCHED, _G.FOUND_LATCHED): _ADOPT_KILL,
    (_S.LATCHED, _G.FOUND_CLEAR): _RELATCH,
    (_S.LATCHED, _G.FOUND_UNREADABLE): _RELATCH,
    (_S.LATCHED, _G.RESET): _CLEAR,
    (_S.UNREADABLE, _G.TRIGGER): _LATCH,
    (_S.UNREADABLE, _G.FOUND_LATCHED): _ADOPT_KILL,
    (_S.UNREADABLE, _G.FOUND_CLEAR): _DISTRUST,
    (_S.UNREADABLE, _G.FOUND_UNREADABLE): _DISTRUST,
    (_S.UNREADABLE, _G.RESET): _CLEAR,
    (_S.CLEARING, _G.PERSISTED): (_S.CLEAR, (_A.COMMIT, _A.JOURNAL, _A.TELL)),
    (_S.CLEARING, _G.PERSIST_FAILED): _RELATCH,
    (_S.CLEARING, _G.TRIGGER): _LATCH,
    (_S.CLEARING, _G.FOUND_LATCHED): _ADOPT_KILL,
    **{(stage, _G.RESET_REFUSED): (stage, (_A.TELL,)) for stage in KillStage if stage != _S.START},
}
