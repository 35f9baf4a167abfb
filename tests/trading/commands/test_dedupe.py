"""The window of commands that were answered already."""

from __future__ import annotations

import random
import tracemalloc

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ghtrader.core.messages import CommandAnswer, Outcome
from ghtrader.trading.commands.dedupe import DedupeWindow

HOUR_NS = 3_600_000_000_000


def answer(command_id: str, message: str = "", ts_ns: int = 0) -> CommandAnswer:
    return CommandAnswer(command_id=command_id, outcome=Outcome.ACCEPTED, ts_ns=ts_ns, message=message)


def window(max_ids: int = 3, ttl_ns: int = 100) -> DedupeWindow:
    return DedupeWindow(max_ids=max_ids, ttl_ns=ttl_ns)


def known(held: DedupeWindow, now_ns: int, ids: str = "abcde") -> str:
    return "".join(name for name in ids if held.first_answer(name, now_ns) or held.is_under_way(name, now_ns))


def test_the_first_answer_stays() -> None:
    held = window()
    held.remember(answer("a", "first"), 0)
    held.remember(answer("a", "second"), 1)
    assert held.first_answer("a", 2) == answer("a", "first")
    assert held.first_answer("b", 2) is None
    assert len(held) == 1


def test_an_id_is_known_to_the_last_ns_of_its_time_and_new_afterwards() -> None:
    held = window()
    held.remember(answer("a", "first"), 5)
    assert held.first_answer("a", 105) is not None
    assert held.first_answer("a", 106) is None
    held.remember(answer("a", "second"), 106)
    assert held.first_answer("a", 106) == answer("a", "second")


def test_the_oldest_leave_when_there_are_too_many() -> None:
    held = window(max_ids=3)
    for now, name in enumerate("abcd"):
        held.remember(answer(name), now)
    assert (known(held, 4), len(held)) == ("bcd", 3)


def test_looking_changes_nothing_and_coming_again_makes_it_new() -> None:
    held = window(max_ids=2)
    held.remember(answer("a", "first"), 0)
    held.remember(answer("b"), 1)
    before = held.to_document()
    assert held.first_answer("a", 50) is not None
    assert held.is_under_way("a", 50) is False
    held.touch("x", 60)
    assert held.to_document() == before
    held.touch("a", 60)
    held.remember(answer("c"), 61)
    assert known(held, 61) == "ac"
    assert held.first_answer("a", 160) == answer("a", "first")
    assert held.first_answer("a", 161) is None
    held.touch("a", 161)  # too late: it is new
    assert known(held, 161) == "c"


def test_a_command_is_known_before_it_is_answered() -> None:
    held = window()
    held.begin("a", 0)
    assert (held.first_answer("a", 0), held.is_under_way("a", 100), held.is_under_way("a", 101)) == (None, True, False)
    assert not held.is_under_way("b", 0)
    held.begin("b", 1)
    assert held.under_way == ("a", "b")
    held.remember(answer("a"), 50)
    assert (held.under_way, held.is_under_way("a", 50), held.first_answer("a", 150)) == (("b",), False, answer("a"))
    held.begin("a", 60)  # is answered: stays so
    assert held.first_answer("a", 150) == answer("a")
    assert held.first_answer("a", 151) is None
    held.touch("b", 90)
    assert held.is_under_way("b", 190)
    held.begin("b", 95)  # is known: begins only once
    assert not held.is_under_way("b", 191)
    held.begin("b", 191)
    assert held.is_under_way("b", 291)


def test_what_is_too_old_leaves_the_memory() -> None:
    held = window(max_ids=100)
    held.remember(answer("a"), 0)
    held.begin("b", 1)
    held.remember(answer("c"), 100)
    assert len(held) == 3
    held.remember(answer("d"), 101)
    assert len(held) == 3
    held.begin("e", 102)
    assert (len(held), known(held, 102)) == (3, "cde")


def test_a_clock_that_goes_back_forgets_nothing_and_keeps_the_bound() -> None:
    held = window(max_ids=3)
    held.remember(answer("a"), 1000)
    held.remember(answer("b"), 10)
    assert known(held, 10) == "ab"
    assert known(held, 111) == "a"  # behind a younger one: too old all the same
    held.remember(answer("b", "second"), 111)
    assert held.first_answer("b", 111) == answer("b", "second")
    for name in "cde":
        held.remember(answer(name), 11)
    assert (len(held), known(held, 11)) == (3, "cde")


def test_everything_survives_a_restart_in_its_order() -> None:
    held = window()
    for now, name in enumerate("ab"):
        held.remember(answer(name, f"to {name}", now), now)
    held.begin("c", 7)
    held.touch("a", 8)
    document = msgspec.json.decode(msgspec.json.encode(held.to_document()))
    again = DedupeWindow.from_document(document, max_ids=3, ttl_ns=100)
    assert again.to_document() == held.to_document()
    assert (again.first_answer("a", 108), again.under_way) == (answer("a", "to a", 0), ("c",))
    again.remember(answer("d"), 9)
    assert known(again, 9) == "acd"
    smaller = DedupeWindow.from_document(document, max_ids=2, ttl_ns=100)
    assert known(smaller, 9) == "ac"
    assert known(DedupeWindow.from_document(document, max_ids=3, ttl_ns=0), 8) == "a"


@pytest.mark.parametrize("document", [{"entries": [["a", 1]]}, {"entries": [["a", "x", None]]}, {"entries": 7}])
def test_a_document_that_is_none_is_refused(document: dict) -> None:
    with pytest.raises(msgspec.ValidationError):
        DedupeWindow.from_document(document, max_ids=3, ttl_ns=100)


calls = st.tuples(st.sampled_from(("begin", "remember", "touch", "restart")), st.sampled_from("abcd"), st.integers(0, 40))


@given(st.lists(calls, max_size=60), st.integers(1, 3))
@settings(max_examples=150, deadline=None)
def test_it_is_a_list_of_the_newest(made: list[tuple[str, str, int]], max_ids: int) -> None:
    """Against the plainest model: a list of (id, stamp, answer), newest last, cut at its beginning."""
    held, model, now = window(max_ids), [], 0
    for number, (call, name, step) in enumerate(made):
        now += step
        entry = next((row for row in model if row[0] == name and now - row[1] <= 100), None)
        new = None
        match call:
            case "restart":
                held = DedupeWindow.from_document(held.to_document(), max_ids=max_ids, ttl_ns=100)
            case "begin":
                held.begin(name, now)
                new = (name, now, None) if entry is None else None
            case "remember":
                given_answer = answer(name, str(number))
                held.remember(given_answer, now)
                new = (name, now, given_answer) if entry is None or entry[2] is None else None
            case "touch":
                held.touch(name, now)
                new = (name, now, entry[2]) if entry is not None else None
        if new is not None:
            model = [row for row in model if row[0] != name] + [new]
            model = [row for row in model if now - row[1] <= 100][-max_ids:]
        for one in "abcd":
            row = next((row for row in model if row[0] == one and now - row[1] <= 100), None)
            assert held.first_answer(one, now) == (row[2] if row else None)
            assert held.is_under_way(one, now) == bool(row and row[2] is None)
        assert len(held) == len(model) <= max_ids


def test_memory_is_flat_over_a_day_and_the_window_is_kept() -> None:
    """A day of virtual time, 40 times the window; each command once more a little later, and once beyond the window.

    `ghtrader bench dedupe` does this with ten million commands.
    """
    held, rng = DedupeWindow(max_ids=200, ttl_ns=HOUR_NS), random.Random(3)
    count, sizes, repeats, step = 8_000, [], 0, 24 * HOUR_NS // 8_000
    tracemalloc.start()
    for number in range(count):
        now = number * step
        name = f"command-{number:08d}"
        assert held.first_answer(name, now) is None
        held.begin(name, now)
        held.remember(answer(name, ts_ns=now), now)
        near = f"command-{number - rng.randrange(1, 150):08d}"
        if number > 200:
            assert held.first_answer(near, now) is not None
            repeats += 1
            assert held.first_answer(f"command-{number - 201:08d}", now) is None
        if number % 500 == 499:
            sizes.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    assert repeats == count - 201
    assert len(held) == 200
    assert max(sizes[2:]) < 1.05 * min(sizes[2:])


def test_a_quiet_day_is_bounded_by_time() -> None:
    held = DedupeWindow(max_ids=10_000, ttl_ns=HOUR_NS)
    for minute in range(24 * 60):
        held.remember(answer(str(minute)), minute * 60_000_000_000)
        assert len(held) <= 61
