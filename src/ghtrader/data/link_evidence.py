"""What stands beside the ticks of a file: the log of our link, and answers of the provider. Readers and values.

A link log is JSON lines, one event each: ``{"event": "down", "ts_ns": 1749087000000000000}``, later ``"up"``; or one line per
outage: ``{"down_ns": ..., "up_ns": ...}``. Provider answers are a JSON list: ``{"symbol": "SHFE.rb2510", "start_ns": ...,
"end_ns": ..., "answer": "empty"}`` or ``"trading_day": "2025-06-05"`` for a whole day. Answers: ``empty`` (it has nothing
there), ``complete`` (the file holds all it has), ``rows`` (it has rows there). Times are ns since the epoch (s, ms and us are
told apart by magnitude) or ISO 8601; without an offset Shanghai wall time is meant. ``symbol`` may be left out: every symbol.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from ghtrader.core.clock import SHANGHAI
from ghtrader.core.errors import DataError
from ghtrader.data.sessions import DaySessions

__all__ = ["DayEvidence", "Evidence", "LinkWindow", "ProviderAnswer", "instant_ns", "read_link_log", "read_provider_answers"]

LINK_HINT = 'one JSON object a line: {"event": "down", "ts_ns": 1749087000000000000}, then {"event": "up", "ts_ns": ...}'
ANSWER_HINT = 'a JSON list: [{"symbol": "SHFE.rb2510", "start_ns": ..., "end_ns": ..., "answer": "empty"}]'
TIME_NAMES = ("ts_ns", "time_ns", "at_ns", "datetime_ns", "ns", "ts", "time", "at", "datetime", "timestamp")
EVENT_NAMES = ("event", "state", "status", "link", "type", "kind")
START_NAMES = ("down_ns", "start_ns", "from_ns", "down", "start", "from", "begin")
END_NAMES = ("up_ns", "end_ns", "to_ns", "up", "end", "to", "until")
DOWN = frozenset({"down", "disconnected", "disconnect", "lost", "closed", "offline", "link_down", "false"})
UP = frozenset({"up", "connected", "connect", "reconnected", "restored", "open", "opened", "online", "link_up", "true"})
ANSWERS: dict[str, Literal["empty", "complete", "rows"]] = {
    "empty": "empty", "none": "empty", "no_data": "empty", "missing": "empty", "provider_missing": "empty",
    "complete": "complete", "all": "complete", "full": "complete", "rows": "rows", "has_rows": "rows", "data": "rows",
}  # fmt: skip
OPEN_END = 2**62
#: An integer below a magnitude is in that unit: seconds, milliseconds, microseconds, else nanoseconds.
UNITS = ((10**11, 10**9), (10**14, 10**6), (10**17, 10**3))
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


class LinkWindow(msgspec.Struct, frozen=True, order=True):
    """Our link was down from ``down_ns`` to ``up_ns``; "" as symbol: for every symbol."""

    down_ns: int
    up_ns: int
    symbol: str = ""


class ProviderAnswer(msgspec.Struct, frozen=True, order=True):
    """What the provider said about a span; ``trading_day`` instead of a span for a whole day, neither for everything."""

    start_ns: int
    end_ns: int
    answer: Literal["empty", "complete", "rows"]
    symbol: str = ""
    trading_day: str = ""


class DayEvidence(msgspec.Struct, frozen=True):
    """What is known about one symbol's trading day beside its rows."""

    link: tuple[LinkWindow, ...] = ()
    answers: tuple[ProviderAnswer, ...] = ()

    def merged(self, other: DayEvidence) -> DayEvidence:
        """Both, each once, in order."""
        return DayEvidence(tuple(sorted({*self.link, *other.link})), tuple(sorted({*self.answers, *other.answers})))


class Evidence(msgspec.Struct, frozen=True):
    """What came with an import, for any symbols and days."""

    link: tuple[LinkWindow, ...] = ()
    answers: tuple[ProviderAnswer, ...] = ()

    def of_day(self, symbol: str, sessions: DaySessions) -> DayEvidence:
        """What of it speaks of one symbol's trading day."""
        first, last, day = sessions.first_ns, sessions.last_ns, sessions.trading_day.iso
        link = [item for item in self.link if item.symbol in {"", symbol} and item.down_ns <= last and item.up_ns >= first]
        answers = [
            item
            for item in self.answers
            if item.symbol in {"", symbol}
            and (item.trading_day == day if item.trading_day else item.start_ns <= last and item.end_ns >= first)
        ]
        return DayEvidence(tuple(sorted(link)), tuple(sorted(answers)))


def instant_ns(value: object) -> int:
    """A moment as ns since the epoch, UTC; raises ValueError.

    >>> instant_ns(1749087000000), instant_ns("2025-06-05T09:30:00+08:00"), instant_ns("2025-06-05 09:30:00.5")
    (1749087000000000000, 1749087000000000000, 1749087000500000000)
    """
    if isinstance(value, bool) or value is None:
        raise ValueError(f"{value!r} is no moment")
    text = str(value).strip()
    if isinstance(value, float) or text.lstrip("-").isdigit():
        number = float(value) if isinstance(value, float) else int(text)
        scale = next((factor for below, factor in UNITS if abs(number) < below), 1)
        return round(number * scale)
    moment = dt.datetime.fromisoformat(text)
    moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=SHANGHAI)
    since = moment - EPOCH
    return (since.days * 86_400 + since.seconds) * 10**9 + since.microseconds * 1000


def _first(record: Mapping[str, Any], names: Iterable[str]) -> Any:
    return next((record[name] for name in names if record.get(name) is not None), None)


def _records(path: Path, hint: str) -> list[tuple[int, Mapping[str, Any]]]:
    """(line or position, object) of a JSON list, an object with one list, or JSON lines."""
    if not path.is_file():
        raise DataError(f"no such file: {path}", hint=hint, path=str(path))
    text = path.read_bytes().strip()
    found: list[tuple[int, Any]] = []
    try:
        document = msgspec.json.decode(text) if text else []
        if isinstance(document, dict):
            lists = [value for value in document.values() if isinstance(value, list)]
            document = lists[0] if len(lists) == 1 else [document]
        found = list(enumerate(document, 1))
    except msgspec.DecodeError:
        for number, line in enumerate(text.splitlines(), 1):
            if line.strip():
                try:
                    found.append((number, msgspec.json.decode(line)))
                except msgspec.DecodeError as error:
                    raise DataError(f"{path.name} line {number} is no JSON: {error}", hint=hint, path=str(path)) from error
    for number, record in found:
        if not isinstance(record, dict):
            raise DataError(f"{path.name} entry {number} is no object: {record!r}", hint=hint, path=str(path))
    return found


def _moment(path: Path, number: int, value: object, hint: str) -> int:
    try:
        return instant_ns(value)
    except (ValueError, OverflowError) as error:
        raise DataError(f"{path.name} entry {number}: {value!r} is no moment", hint=hint, path=str(path)) from error


def read_link_log(path: Path) -> tuple[LinkWindow, ...]:
    """When our link was down, from a log of events or of outages; raises DataError naming the entry.

    Events of other kinds are passed over; a link that never comes up again stays down.
    """
    windows: list[LinkWindow] = []
    events: list[tuple[int, str, bool]] = []
    for number, record in _records(path, LINK_HINT):
        symbol = str(record.get("symbol") or "")
        start, end = _first(record, START_NAMES), _first(record, END_NAMES)
        word = str(_first(record, EVENT_NAMES)).strip().lower()
        if start is not None and not isinstance(start, bool):
            until = OPEN_END if end is None else _moment(path, number, end, LINK_HINT)
            windows.append(LinkWindow(_moment(path, number, start, LINK_HINT), until, symbol))
        elif word in DOWN or word in UP:
            events.append((_moment(path, number, _first(record, TIME_NAMES), LINK_HINT), symbol, word in DOWN))
    if not windows and not events:
        raise DataError(f"{path.name} tells of no link that went down or up", hint=LINK_HINT, path=str(path))
    since: dict[str, int] = {}
    for at, symbol, down in sorted(events):
        if down:
            since.setdefault(symbol, at)
        elif symbol in since:
            windows.append(LinkWindow(since.pop(symbol), at, symbol))
    windows += [LinkWindow(at, OPEN_END, symbol) for symbol, at in since.items()]
    return tuple(sorted(windows))


def _answer(path: Path, number: int, record: Mapping[str, Any]) -> ProviderAnswer:
    given = record.get("answer", record.get("status", record.get("rows")))
    if isinstance(given, int) and not isinstance(given, bool):
        given = "rows" if given else "empty"
    answer = ANSWERS.get(str(given).strip().lower())
    if answer is None:
        message = f"{path.name} entry {number}: answer {given!r}, expected empty, complete or rows"
        raise DataError(message, hint=ANSWER_HINT, path=str(path))
    day = record.get("trading_day", record.get("day"))
    start, end = _first(record, START_NAMES), _first(record, END_NAMES)
    return ProviderAnswer(
        0 if start is None else _moment(path, number, start, ANSWER_HINT),
        OPEN_END if end is None else _moment(path, number, end, ANSWER_HINT),
        answer,
        str(record.get("symbol") or ""),
        "" if day is None or start is not None else _iso_day(path, number, day),
    )


def _iso_day(path: Path, number: int, value: object) -> str:
    try:
        return dt.date.fromisoformat(str(value)).isoformat()
    except ValueError as error:
        raise DataError(f"{path.name} entry {number}: {value!r} is no day", hint=ANSWER_HINT, path=str(path)) from error


def read_provider_answers(path: Path) -> tuple[ProviderAnswer, ...]:
    """What the provider answered about spans and days; raises DataError naming the entry."""
    records: Sequence[tuple[int, Mapping[str, Any]]] = _records(path, ANSWER_HINT)
    if not records:
        raise DataError(f"{path.name} holds no answer", hint=ANSWER_HINT, path=str(path))
    return tuple(sorted(_answer(path, number, record) for number, record in records))
