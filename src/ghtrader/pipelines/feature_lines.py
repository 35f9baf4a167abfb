"""Ticks as lines of text, read one by one, and factors as lines written back: JSON or CSV."""

from __future__ import annotations

import csv
import datetime as dt
import json
import math
import re
from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from ghtrader.core.clock import NS_PER_S, SHANGHAI
from ghtrader.core.errors import SchemaError
from ghtrader.core.phases import TickFlag
from ghtrader.data.live_kernel import COLUMNS
from ghtrader.data.readers import ABSENT_TEXTS, FIRST_NS, LAST_NS, field_of_header
from ghtrader.data.schema import TWO_SIDED_COLUMNS
from ghtrader.pipelines.feature_session import Answer

__all__ = ["TickLines", "csv_answer", "csv_header", "json_answer", "stamp_of"]

F64 = npt.NDArray[np.float64]
ABSENT = frozenset(ABSENT_TEXTS)
TWO_SIDED = tuple(COLUMNS.index(name) for name in TWO_SIDED_COLUMNS)
FRACTION_DIGITS = 9
_STAMP = re.compile(r"(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:?\d\d)?")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?inf(inity)?", re.ASCII | re.IGNORECASE)
LINE_HINT = "a JSON object a line, or CSV after a header line: docs/reference/features.md"


def stamp_of(value: object) -> int:
    """A stamp as integer ns, UTC; text is ISO, without a zone the wall time of Shanghai. Raises SchemaError.

    >>> stamp_of("2025-06-05 09:00:00.5"), stamp_of("2025-06-05T01:00:00.500000000Z"), stamp_of(1749085200500000000)
    (1749085200500000000, 1749085200500000000, 1749085200500000000)
    """
    stamp: int | None = None
    if isinstance(value, int) and not isinstance(value, bool):
        stamp = value
    elif isinstance(value, float) and value == value and abs(value) < 2.0**63:  # noqa: PLR0124 - only NaN differs from itself
        stamp = int(value)
    elif isinstance(value, str):
        stamp = _stamp_of_text(value.strip())
    if stamp is None:
        raise SchemaError(f"datetime is {_short(value)}, neither integer nanoseconds nor an ISO time", hint=LINE_HINT)
    if not FIRST_NS <= stamp <= LAST_NS:
        hint = "stamps are epoch nanoseconds, UTC"
        raise SchemaError(f"datetime {stamp} is not in nanoseconds between 2000 and 2100", hint=hint)
    return stamp


def _stamp_of_text(text: str) -> int | None:
    if text.isascii() and text.isdigit():
        return int(text)
    match = _STAMP.fullmatch(text)
    if match is None:
        return None
    try:
        moment = dt.datetime.fromisoformat(match[1] + (match[3] or ""))
    except ValueError:
        return None
    moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=SHANGHAI)
    whole = (moment - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(seconds=1)
    return whole * NS_PER_S + int((match[2] or "0").ljust(FRACTION_DIGITS, "0"))


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _number(name: str, value: object) -> float:
    """A number or one of the ways in which a source says that there is none (NaN)."""
    if isinstance(value, float):
        return value
    if value is None:
        return float("nan")
    if isinstance(value, int) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            return float("inf")
    if isinstance(value, str):
        text = value.strip()
        if value in ABSENT or text in ABSENT:
            return float("nan")
        if _NUMBER.fullmatch(text):
            return float(text)
    raise SchemaError(f"{name} is {_short(value)}, which is no number", hint=LINE_HINT, column=name)


class TickLines:
    """Lines in, stamps and values out. JSON objects; or CSV, when the first line that can be read is a header.

    ``values`` holds the row of the last line that :meth:`read` accepted, float64 (29,), `live_kernel.COLUMNS`.
    """

    def __init__(self) -> None:
        self.values: F64 = np.empty(len(COLUMNS))
        self._header: list[str] | None = None
        self._json: bool | None = None
        self._symbol: object = None

    def read(self, line: bytes) -> int | None:
        """The stamp of a line's tick; None for the header line of CSV. Raises SchemaError saying what is wrong with the line."""
        text = line.strip()
        if not text:
            raise SchemaError("the line is empty", hint=LINE_HINT)
        if self._json is None and not text.startswith(b"{"):
            self._begin_csv(text)
            return None
        self._json = self._header is None
        return self._take(_json_fields(text) if self._json else self._csv_fields(text))

    def _begin_csv(self, text: bytes) -> None:
        names = [field_of_header(name.strip()) for name in _csv_cells(text)]
        twice = sorted({name for name in names if names.count(name) > 1})
        if not {"datetime", "datetime_nano"} & set(names) or twice:
            told = f"the header names {', '.join(twice)} twice" if twice else "the line is neither a JSON object nor a CSV header"
            raise SchemaError(told, hint=LINE_HINT)
        self._header, self._json = names, False

    def _csv_fields(self, text: bytes) -> dict[str, Any]:
        assert self._header is not None
        cells = _csv_cells(text)
        if len(cells) != len(self._header):
            raise SchemaError(f"the line has {len(cells)} fields, the header {len(self._header)}", hint=LINE_HINT)
        return dict(zip(self._header, cells, strict=True))

    def _take(self, fields: Mapping[str, Any]) -> int:
        symbol = fields.get("symbol")
        if symbol not in {None, "", self._symbol} and self._symbol is not None:
            raise SchemaError(f"the line is of {_short(symbol)}, the ones before of {self._symbol}", hint="one stream a contract")
        nano = fields.get("datetime_nano")
        stamp = stamp_of(fields.get("datetime") if nano in {None, ""} else nano)
        for place, name in enumerate(COLUMNS):
            self.values[place] = _number(name, fields.get(name))
        if _is_halved(fields.get("flags")):  # a row of our own store: back to what the exchange counted
            self.values[list(TWO_SIDED)] *= 2.0
        self._symbol = symbol or self._symbol
        return stamp


def _is_halved(flags: object) -> bool:
    number = int(flags) if isinstance(flags, str) and flags.isdigit() else flags
    return isinstance(number, int) and bool(number & TickFlag.HALVED)


def _json_fields(text: bytes) -> dict[str, Any]:
    found: object
    try:
        found = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError):
        try:
            found = json.loads(text)  # takes NaN and Infinity too
        except (ValueError, RecursionError) as error:
            raise SchemaError(f"the line is no JSON: {error}", hint=LINE_HINT) from None
    if not isinstance(found, dict):
        raise SchemaError(f"the line is {_short(found)}, no JSON object", hint=LINE_HINT)
    return found


def _csv_cells(text: bytes) -> list[str]:
    try:
        return next(csv.reader([text.decode("utf-8-sig")], strict=True), [])
    except (csv.Error, UnicodeDecodeError) as error:
        raise SchemaError(f"the line is no CSV: {error}", hint=LINE_HINT) from None


def json_answer(names: tuple[str, ...], answer: Answer) -> bytes:
    """One JSON object: ``datetime``, a number or null per factor, ``dropped`` (null: kept). Numbers read back bit for bit."""
    values = dict.fromkeys(names) if answer.values is None else dict(zip(names, answer.values.tolist(), strict=True))
    return msgspec.json.encode({"datetime": answer.datetime, **values, "dropped": answer.dropped or None}) + b"\n"


def csv_header(names: tuple[str, ...]) -> bytes:
    """The header of CSV answers."""
    return (",".join(("datetime", *names, "dropped", "error")) + "\n").encode()


def csv_answer(names: tuple[str, ...], answer: Answer) -> bytes:
    """One CSV line; absent numbers are empty. Numbers read back bit for bit."""
    values = [math.nan] * len(names) if answer.values is None else answer.values.tolist()
    cells = [repr(value) if math.isfinite(value) else "" for value in values]
    return (",".join((str(answer.datetime), *cells, answer.dropped, "")) + "\n").encode()
