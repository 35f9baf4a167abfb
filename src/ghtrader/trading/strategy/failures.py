"""What a user's code did when it failed: in one line, with the place in its file."""

from __future__ import annotations

__all__ = ["STRATEGY_MODULE", "failure_of"]

#: How the names of modules begin that strategies of users are loaded as.
STRATEGY_MODULE = "ghtrader_strategy_"
LONGEST = 300


def failure_of(name: str, error: BaseException) -> str:
    """Why a strategy failed; of an error that cannot be shown, its type. The line is that of its own file, where it was reached.

    >>> failure_of("Mine", ValueError("no such thing"))
    'Mine raised ValueError: no such thing'
    """
    try:
        words = " ".join(str(error).split())[:LONGEST]
    except Exception:  # noqa: BLE001 - a user's error may raise anything
        words = "an error that cannot be shown"
    line, trace = 0, error.__traceback__
    while trace is not None:
        if str(trace.tb_frame.f_globals.get("__name__", "")).startswith(STRATEGY_MODULE):
            line = trace.tb_lineno
        trace = trace.tb_next
    return f"{name} raised {type(error).__name__}: {words}" + (f" (line {line})" if line else "")
