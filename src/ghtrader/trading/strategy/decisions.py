"""What a strategy returned, taken only as what the gateway can take: whole lots, a style that there is, words of a bounded length."""

from __future__ import annotations

import contextlib
import operator

import msgspec

from ghtrader.core.messages import ExecutionStyle
from ghtrader.trading.strategy.api import Decision

__all__ = ["MOST_LOTS", "checked"]

#: More lots than any account holds: a number beyond it is a mistake of the strategy, not a wish.
MOST_LOTS = 1_000_000
LONGEST_NOTE = 200

_encode = msgspec.msgpack.Encoder().encode
_styles = msgspec.msgpack.Decoder(ExecutionStyle)


def checked(returned: object, known: ExecutionStyle | None = None) -> Decision:
    """The decision, its lots an ``int``. known: a style that was checked before. Raises TypeError or ValueError that say what is wrong.

    >>> import numpy as np
    >>> checked(Decision(np.int64(2))).lots
    2
    >>> checked(Decision(float("nan")))
    Traceback (most recent call last):
    TypeError: it wants nan lots: whole numbers only
    >>> checked(1)
    Traceback (most recent call last):
    TypeError: it returned 1, neither a Decision nor None
    """
    if not isinstance(returned, Decision):
        raise TypeError(f"it returned {_shown(returned)}, neither a Decision nor None")
    lots, execution = _whole(returned.lots), returned.execution
    if lots is not returned.lots:
        returned = msgspec.structs.replace(returned, lots=lots)
    if not -MOST_LOTS <= lots <= MOST_LOTS:
        raise ValueError(f"it wants {_shown(lots)} lots: at most {MOST_LOTS:,} either way")
    if execution is not known:
        _check_style(execution)
    note = returned.note
    if type(note) is not str:
        raise TypeError(f"the note of its decision is {_shown(note)}, not text")
    if len(note) > LONGEST_NOTE:
        returned = msgspec.structs.replace(returned, note=note[:LONGEST_NOTE])
    return returned


def _whole(lots: object) -> int:
    if type(lots) is int:
        return lots
    if not isinstance(lots, bool):
        with contextlib.suppress(TypeError):
            return operator.index(lots)  # type: ignore[arg-type]
    raise TypeError(f"it wants {_shown(lots)} lots: whole numbers only")


def _check_style(execution: object) -> None:
    if not isinstance(execution, ExecutionStyle):
        raise TypeError(f"the execution of its decision is {_shown(execution)}, not an ExecutionStyle")
    try:
        _styles.decode(_encode(execution))
    except (msgspec.MsgspecError, TypeError, ValueError, OverflowError) as error:
        raise TypeError(f"the execution of its decision is {_shown(execution)}: {error}") from error
    if execution.patience_ns < 0 or execution.duration_ns < 0 or execution.slices < 1:
        raise ValueError(f"the execution of its decision is {_shown(execution)}: no negative time, and at least one slice")


def _shown(value: object) -> str:
    """A value in few letters; of one that cannot be shown, its type."""
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001 - a user's object may raise anything
        text = f"a {type(value).__name__}"
    return text if len(text) <= 80 else text[:79] + "…"
