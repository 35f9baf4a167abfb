"""Merging of differences, one at a time; fault scripts; recorded packets."""

from __future__ import annotations

import copy
import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ghtrader.core.errors import CalendarError, DataError
from ghtrader.core.trading_day import TradingDay
from ghtrader.exchange.diff import DiffState
from ghtrader.exchange.faults import Fault, FaultBoard, load_script
from ghtrader.exchange.packets import read_packets

KEYS = st.sampled_from(["a", "b", "c"])
VALUES = st.one_of(st.none(), st.integers(0, 3), st.text("xy", max_size=1))
PATCHES = st.recursive(st.dictionaries(KEYS, VALUES, max_size=3), lambda inner: st.dictionaries(KEYS, VALUES | inner, max_size=3))


def apply(state: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    """A client's merge: objects field by field, null deletes, everything else replaces."""
    for key, value in patch.items():
        if value is None:
            state.pop(key, None)
        elif isinstance(value, dict):
            known = state.get(key)
            state[key] = apply(known if isinstance(known, dict) else {}, value)
        else:
            state[key] = value
    return state


@given(st.lists(PATCHES, min_size=1, max_size=6), PATCHES, st.lists(st.booleans(), min_size=6, max_size=6))
def test_a_client_that_peeks_when_it_likes_ends_with_the_state_of_one_that_saw_every_step(
    patches: list[dict[str, Any]], start: dict[str, Any], peeks: list[bool]
) -> None:
    patient, hasty, state = apply({}, copy.deepcopy(start)), apply({}, copy.deepcopy(start)), DiffState()
    for patch, peek in zip(patches, [*peeks[: len(patches) - 1], True], strict=False):
        apply(patient, copy.deepcopy(patch))
        state.push(copy.deepcopy(patch))
        state.peeked = peek or state.peeked
        packet = state.take()
        for part in packet["data"] if packet else []:
            apply(hasty, part)
    state.peeked = True
    packet = state.take()
    for part in packet["data"] if packet else []:
        apply(hasty, part)
    assert hasty == patient


def test_a_peek_is_answered_once_and_recorded_packets_come_first_one_by_one() -> None:
    state = DiffState([[{"a": 1}, {"b": 1}], [{"a": 2}]])
    state.push({"c": 3})
    answers = []
    for _ in range(4):
        state.peeked = True
        answers.append(state.take())
        assert state.take() is None
        if answers[-1] is None:
            break
    assert [answer["data"] if answer else None for answer in answers] == [[{"a": 1}, {"b": 1}], [{"a": 2}], [{"c": 3}], None]


def script(folder: Path, text: str) -> Path:
    path = folder / "faults.json"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "is no fault script"),
        ('{"faults": [{"do": "explode"}]}', "explode"),
        ('{"faults": [{"do": "abort", "dayz": []}]}', "unknown field `dayz`"),
        ('{"fault": []}', "unknown field `fault`"),
        ('{"faults": [{"do": "close", "code": 1006}]}', "1006"),
        ('{"faults": [{"do": "slow", "ms": -1}]}', "ms"),
        ('{"faults": [{"do": "abort", "times": 0}]}', "times"),
        ('{"faults": [{"do": "dash_fields", "fields": ["ask_pric1"]}]}', "ask_pric1"),
    ],
)
def test_a_mistake_in_a_script_is_named(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(DataError, match=words) as caught:
        load_script(script(tmp_path, text))
    assert caught.value.hint


def test_a_script_that_is_not_there_or_names_no_day(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        load_script(tmp_path / "nothing.json")
    with pytest.raises(DataError, match="cannot be read"):
        load_script(tmp_path)
    with pytest.raises(CalendarError):
        load_script(script(tmp_path, '{"faults": [{"do": "no_data", "days": ["yesterday"]}]}'))


def test_faults_strike_where_and_as_often_as_they_may(tmp_path: Path) -> None:
    text = (
        '{"faults": [{"do": "no_data", "days": ["20250606"], "times": 2}, {"do": "slow", "link": "td"}, {"do": "lose_cancel"}]}'
    )
    board = FaultBoard(load_script(script(tmp_path, text)))
    day, other = TradingDay.parse("2025-06-06"), TradingDay.parse("2025-06-05")
    assert [bool(board.strike("no_data", day=item)) for item in (other, day, None, day, day)] == [False, True, False, True, False]
    assert board.strike("slow", link="md") is None
    assert [bool(board.strike("slow", link="td")) for _ in range(5)] == [True] * 5
    assert [bool(board.strike("lose_cancel")) for _ in range(2)] == [True, False]
    links = FaultBoard((Fault(do="abort"), Fault(do="close", link="td"), Fault(do="slow")))
    assert [(index, fault.do) for index, fault in links.pending("md")] == [(0, "abort")]
    assert [links.count(0), links.count(0)] == [True, False]
    assert links.pending("md") == []


def test_recordings_are_read_line_by_line(tmp_path: Path) -> None:
    lines = [
        {"pack": json.dumps({"aid": "rtn_data", "data": [{"a": 1}]}), "url": "x"},
        {"pack": json.dumps({"aid": "rsp_login"})},
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (tmp_path / "plain.jsonl").write_text(text)
    with gzip.open(tmp_path / "packed.jsonl.gz", "wt") as packed:
        packed.write(text)
    assert read_packets(tmp_path / "plain.jsonl") == read_packets(tmp_path / "packed.jsonl.gz") == [[{"a": 1}]]
    (tmp_path / "plain.jsonl").write_text(text + "{}\n")
    with pytest.raises(DataError, match=r"line 3 of plain\.jsonl is no packet"):
        read_packets(tmp_path / "plain.jsonl")
    (tmp_path / "not.gz").write_text(text)
    for name in ("not.gz", "nothing.jsonl"):
        with pytest.raises(DataError, match="cannot be read"):
            read_packets(tmp_path / name)
