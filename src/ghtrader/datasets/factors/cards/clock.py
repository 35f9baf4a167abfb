"""Group F: the clock."""

from __future__ import annotations

from functools import partial

from ghtrader.datasets.factors.cards.declare import card

__all__ = ["CARDS"]

_core = partial(card, group="clock", kernel="core", columns=("datetime",), flip="even")
_clock = partial(card, group="clock", kernel="clock", columns=("datetime",), flip="even")

CARDS = (
    _clock("F92", "part of the session, sine", "sin(2 pi (t - start)/(end - start)) of the session part"),
    _clock("F93", "part of the session, cosine", "cos(2 pi (t - start)/(end - start)) of the session part"),
    _clock("F94", "minutes since the open", "ln(1 + max(0, t - start) / 60 s) of the session part", unit="ln min"),
    _core("F95", "minutes to close", "(end of the session part - t) / 60 s", unit="min"),
    _clock("F96", "session part", "0 night, 1 morning, 2 late morning, 3 afternoon: a category", unit="category"),
    _clock("F97", "after a break", "1 where t - start of the session part < 60 s, else 0"),
    _clock("F98", "time since the last row", "ln(max(dt, 1 ms) / 0.5 s), 0 on a run's first row", unit="ln", lookback="one row"),
    _clock(
        "F99", "activity against the same clock", "rows of the run with stamp > t - 60 s, over max(1, mean rows of earlier days (at most twenty) in the same minute of the same "
        "session part)",
        lookback="60 s; twenty days", nan="NaN where the 60 s hold more than 2,047 rows, which are not kept; state untouched", needs="history", absent="needs the activity of earlier trading days",
    ),
)  # fmt: skip
