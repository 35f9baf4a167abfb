"""The link machine: its table, its thresholds, and the laws of every trace."""

from __future__ import annotations

import random
from collections.abc import Iterable
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ghtrader.core.errors import ConfigError
from ghtrader.trading.link.machine import (
    LINK_TABLE,
    Arrived,
    Disconnected,
    Link,
    LinkEffect,
    LinkEvent,
    LinkLimits,
    LinkPhase,
    LinkSignal,
    SafeHaltCleared,
    SafeHaltEntered,
    TimePassed,
    _moved,
    _read,
    first_link,
    signal_of,
    step_link,
)
from ghtrader.trading.link.sequence import StreamPlace

#: Short times, counts all different, so that a mistaken threshold shows.
LIMITS = LinkLimits(suspect_ns=10, fail_ns=20, fail_after=3, clear_after=2, recover_after=4, recover_ns=30)

TABLE = """
healthy     whole         healthy
healthy     gap           suspect
healthy     late          suspect
healthy     struck_out    degraded
healthy     silent        degraded
healthy     disconnected  degraded
healthy     begun         recovering
suspect     whole         suspect
suspect     proven        healthy
suspect     gap           suspect
suspect     late          suspect
suspect     struck_out    degraded
suspect     silent        degraded
suspect     disconnected  degraded
suspect     begun         recovering
degraded    whole         recovering
degraded    begun         recovering
recovering  whole         recovering
recovering  proven        healthy
recovering  begun         recovering
recovering  gap           degraded
recovering  late          degraded
recovering  silent        degraded
recovering  disconnected  degraded
"""


def play(link: Link, events: Iterable[LinkEvent], limits: LinkLimits = LIMITS) -> tuple[Link, list[LinkEffect]]:
    effects: list[LinkEffect] = []
    for event in events:
        link, told = step_link(link, event, limits)
        effects += told
    return link, effects


def healthy(seq: int = 7, now_ns: int = 100) -> Link:
    place = StreamPlace(session="a", seq=seq)
    return Link(phase=LinkPhase.HEALTHY, place=place, heard_ns=now_ns, halted_ns=50, recovering_ns=60, whole=9)


def messages(first: int, count: int, at_ns: int, every_ns: int = 1) -> list[Arrived]:
    return [Arrived(at_ns + step * every_ns, "a", first + step) for step in range(count)]


def test_the_table_is_this_one() -> None:
    rows = [line.split() for line in TABLE.split("\n") if line]
    assert {(LinkPhase(a), LinkSignal(s)): LinkPhase(b) for a, s, b in rows} == LINK_TABLE


def test_what_is_halted() -> None:
    assert [phase.value for phase in LinkPhase if phase.is_halted] == ["degraded", "recovering"]
    assert not healthy().is_halted
    assert first_link(0).is_halted


# --- getting well ---------------------------------------------------------------------------------------------------------
def test_a_new_link_is_halted_until_enough_came_for_long_enough() -> None:
    link = first_link(5)
    assert (link.phase, link.heard_ns, link.halted_ns, link.recovering_ns) == (LinkPhase.DEGRADED, 5, 5, 5)
    assert (link.signal, Link()) == (LinkSignal.SILENT, first_link(0))
    link, told = play(link, [Arrived(10, "a", 3)])
    assert (link.phase, link.whole, link.recovering_ns, told) == (LinkPhase.RECOVERING, 1, 10, [])
    link, told = play(link, messages(4, 4, 15, 5))  # four more until 30: enough of them, not long enough
    assert (link.phase, link.whole, told) == (LinkPhase.RECOVERING, 5, [])
    assert play(link, [Arrived(39, "a", 8)])[0].phase == LinkPhase.RECOVERING
    link, told = play(link, [Arrived(40, "a", 8)])
    assert (link.phase, told) == (LinkPhase.HEALTHY, [SafeHaltCleared(35)])


def test_long_enough_is_not_enough_without_messages() -> None:
    link, _ = play(first_link(0), [Arrived(0, "a", 1), Arrived(9, "a", 2), Arrived(30, "a", 3)])
    assert (link.phase, link.whole) == (LinkPhase.RECOVERING, 3)
    assert play(link, [Arrived(31, "a", 4)])[0].phase == LinkPhase.HEALTHY


def test_a_suspicion_ends_by_its_own_count_not_by_that_of_a_halt() -> None:
    limits = LinkLimits(suspect_ns=10, fail_ns=20, fail_after=3, clear_after=5, recover_after=2, recover_ns=0)
    suspect, _ = play(healthy(7, 100), [Arrived(101, "a", 9)], limits)
    link, _ = play(suspect, messages(10, 4, 102), limits)
    assert (link.phase, link.whole) == (LinkPhase.SUSPECT, 4)
    assert play(link, messages(14, 1, 107), limits)[0].phase == LinkPhase.HEALTHY


def test_beats_are_messages_too() -> None:
    link, told = play(first_link(0), [Arrived(now, "a", 1, is_beat=True) for now in (0, 9, 18, 27, 36)])
    assert (link.phase, told) == (LinkPhase.HEALTHY, [SafeHaltCleared(36)])


def test_the_same_message_again_is_no_sign_of_life() -> None:
    link = healthy(7, 100)
    assert play(link, [Arrived(109, "a", 7), Arrived(109, "a", 6, is_beat=True)]) == (link, [])
    assert play(link, [Arrived(109, "a", 7), TimePassed(110)])[0].phase == LinkPhase.SUSPECT


@pytest.mark.parametrize(
    "trouble", [Arrived(20, "a", 9), TimePassed(25), TimePassed(36), Disconnected(16)], ids=["gap", "late", "silent", "gone"]
)
def test_trouble_on_the_way_back_begins_it_again(trouble: LinkEvent) -> None:
    recovering, _ = play(first_link(0), messages(1, 3, 13))
    assert (recovering.phase, recovering.heard_ns) == (LinkPhase.RECOVERING, 15)
    link, told = play(recovering, [trouble])
    assert (link.phase, link.whole, link.strikes, told) == (LinkPhase.DEGRADED, 0, 0, [])
    seq = link.place.seq
    link, told = play(link, [Arrived(50, "a", seq + 1), *(Arrived(51, "a", seq + 2 + n) for n in range(9))])
    assert (link.phase, link.recovering_ns, told) == (LinkPhase.RECOVERING, 50, [])
    assert play(link, [Arrived(80, "a", seq + 11)])[1] == [SafeHaltCleared(80)]


def test_a_new_session_on_the_way_back_begins_it_again() -> None:
    recovering, _ = play(first_link(0), messages(1, 3, 0))
    link, _ = play(recovering, [Arrived(29, "b", 1)])
    assert (link.phase, link.whole, link.recovering_ns, link.place.session) == (LinkPhase.RECOVERING, 1, 29, "b")
    assert play(link, [Arrived(30 + n, "b", 2 + n) for n in range(9)])[0].phase == LinkPhase.RECOVERING


# --- falling ill ----------------------------------------------------------------------------------------------------------
def test_silence_is_suspected_and_then_fails() -> None:
    link = healthy(now_ns=100)
    assert play(link, [TimePassed(109)]) == (link, [])
    suspect, told = play(link, [TimePassed(110)])
    assert (suspect.phase, suspect.strikes, suspect.whole, told) == (LinkPhase.SUSPECT, 1, 0, [])
    assert play(suspect, [TimePassed(now) for now in range(111, 120)]) == (suspect, [])  # one silence is one strike
    down, told = play(suspect, [TimePassed(120)])
    assert (down.phase, down.halted_ns, down.strikes, down.signal) == (LinkPhase.DEGRADED, 120, 0, LinkSignal.SILENT)
    assert told == [SafeHaltEntered(LinkSignal.SILENT, 0)]
    assert play(down, [TimePassed(200), TimePassed(300)])[1] == []
    assert play(down, [TimePassed(300)])[0].halted_ns == 120
    assert play(link, [TimePassed(500)])[1] == [SafeHaltEntered(LinkSignal.SILENT, 0)]  # a reader that slept itself


def test_a_suspicion_ends_with_whole_messages_and_forgives() -> None:
    link, _ = play(healthy(7, 100), [TimePassed(110), Arrived(111, "a", 8)])
    assert (link.phase, link.strikes, link.whole, link.struck) == (LinkPhase.SUSPECT, 1, 1, False)
    link, told = play(link, [Arrived(112, "a", 9)])
    assert (link.phase, link.strikes, link.signal, told) == (LinkPhase.HEALTHY, 0, LinkSignal.PROVEN, [])


@pytest.mark.parametrize("kind", ["late", "gap", "both"])
def test_strikes_without_pause_halt(kind: str) -> None:
    """Late three times with one message between: always alive, never well."""
    link, told, now, seq = healthy(7, 100), [], 100, 7
    for strike in range(3):
        assert told == []
        if kind == "late" or (kind == "both" and strike == 1):
            link, told = play(link, [TimePassed(now + 12), Arrived(now + 13, "a", seq + 1)])
            seq += 1
        else:
            link, told = play(link, [Arrived(now + 13, "a", seq + 2)])
            seq += 2
        now += 13
    lost = {"late": 0, "gap": 3, "both": 2}[kind]
    assert told == [SafeHaltEntered(LinkSignal.STRUCK_OUT, lost)]
    assert link.phase == (
        LinkPhase.RECOVERING if kind == "late" else LinkPhase.DEGRADED
    )  # a message came after the last lateness


def test_one_strike_is_enough_where_one_is_the_limit() -> None:
    strict = LinkLimits(suspect_ns=10, fail_ns=20, fail_after=1)
    assert play(healthy(), [TimePassed(110)], strict)[1] == [SafeHaltEntered(LinkSignal.STRUCK_OUT, 0)]
    assert play(healthy(), [Arrived(101, "a", 10)], strict)[1] == [SafeHaltEntered(LinkSignal.STRUCK_OUT, 2)]


def test_a_gap_is_suspected() -> None:
    link, told = play(healthy(7), [Arrived(101, "a", 9)])
    assert (link.phase, link.strikes, link.whole, link.place.lost, told) == (LinkPhase.SUSPECT, 1, 0, 1, [])
    assert (link.heard_ns, link.struck) == (101, False)  # it speaks: the silence after it is a new one
    assert play(link, [TimePassed(111)])[0].strikes == 2


def test_an_end_that_is_gone_halts_at_once_and_for_good() -> None:
    link, told = play(healthy(), [Disconnected(101)])
    assert (link.phase, told) == (LinkPhase.DEGRADED, [SafeHaltEntered(LinkSignal.DISCONNECTED, 0)])
    assert play(link, [Disconnected(102)]) == (link, [])
    assert play(play(healthy(), [TimePassed(110)])[0], [Disconnected(111)])[1] == told


@pytest.mark.parametrize("late", [False, True])
def test_another_run_of_the_gateway_halts_until_it_is_proven(late: bool) -> None:
    begun = play(healthy(7, 100), [TimePassed(110)])[0] if late else healthy(7, 100)
    link, told = play(begun, [Arrived(112, "b", 1)])
    assert (link.phase, link.whole, link.recovering_ns, link.halted_ns) == (LinkPhase.RECOVERING, 1, 112, 112)
    assert told == [SafeHaltEntered(LinkSignal.BEGUN, 0)]
    assert link.strikes == 0
    link, told = play(link, [Arrived(now, "b", 2 + n) for n, now in enumerate(range(120, 143, 2))])
    assert told == [SafeHaltCleared(30)]


def test_gaps_while_down_do_not_count_as_getting_well() -> None:
    down, _ = play(healthy(7, 100), [Disconnected(101)])
    link, told = play(down, [Arrived(102, "a", 12)])
    assert (link.phase, link.whole, link.place.seq, link.heard_ns, told) == (LinkPhase.DEGRADED, 0, 12, 102, [])
    assert play(link, [Arrived(103, "a", 13)])[0].phase == LinkPhase.RECOVERING


# --- clocks ---------------------------------------------------------------------------------------------------------------
def test_a_clock_that_goes_back_hides_no_silence_for_longer_than_the_limit() -> None:
    link, told = play(healthy(7, 10_000), [TimePassed(100), TimePassed(109)])
    assert (link.phase, link.heard_ns, link.halted_ns, told) == (LinkPhase.HEALTHY, 100, 50, [])
    assert play(link, [TimePassed(110)])[0].phase == LinkPhase.SUSPECT
    down, _ = play(healthy(7, 10_000), [Disconnected(10_000)])
    link, told = play(down, [Arrived(100 + 9 * n, "a", 8 + n) for n in range(6)])
    assert told == [SafeHaltCleared(36)]
    link, _ = play(Link(phase=LinkPhase.RECOVERING, recovering_ns=9_000), [TimePassed(5)])
    assert link.recovering_ns == 5


# --- limits ---------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "wrong",
    [
        {"suspect_ns": 0},
        {"suspect_ns": 20, "fail_ns": 20},
        {"fail_after": 0},
        {"clear_after": 0},
        {"recover_after": 0},
        {"recover_ns": -1},
    ],
)
def test_limits_that_make_no_sense_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ConfigError):
        LinkLimits(**wrong)


def test_limits_at_their_bounds_are_taken_and_silence_shows_within_two_seconds() -> None:
    assert LinkLimits(suspect_ns=1, fail_ns=2, fail_after=1, clear_after=1, recover_after=1, recover_ns=0).fail_ns == 2
    own = LinkLimits()
    assert (own.suspect_ns, own.fail_ns, own.recover_ns) == (1_250_000_000, 2_000_000_000, 1_000_000_000)
    assert (own.fail_after, own.clear_after, own.recover_after) == (3, 3, 3)


# --- laws -----------------------------------------------------------------------------------------------------------------
KINDS = ("next", "beat", "gap", "again", "restart", "wait", "wait", "gone", "old")
moves = st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 12)), max_size=120)


def events_of(moved: Iterable[tuple[str, int]]) -> list[LinkEvent]:
    now, seq, run, events = 0, 0, 0, []
    for kind, step in moved:
        now += step
        match kind:
            case "wait":
                events.append(TimePassed(now))
                continue
            case "gone":
                events.append(Disconnected(now))
                continue
            case "restart":
                run, seq = run + 1, 1
            case "next":
                seq += 1
            case "gap":
                seq += 2
        session = f"run-{run - (kind == 'old')}"
        events.append(Arrived(now, session, seq, is_beat=kind == "beat"))
    return events


def check_trace(moved: Iterable[tuple[str, int]], limits: LinkLimits = LIMITS) -> set[tuple[LinkPhase, LinkSignal]]:
    """Play a trace under every law; the steps of the table that were taken."""
    link, halted, cleared, seen = first_link(0), True, [], set()
    for event in events_of(moved):
        signal, before = signal_of(link, event, limits), link.phase
        longer = _moved(_read(link, event, limits)[0], signal, event.now_ns) if signal is not None else None
        link, told = step_link(link, event, limits)
        assert longer in {None, (link, told)}  # the short way of a healthy link gives what the long one does
        if signal is None:
            assert (link.phase, told) == (before, ())
            continue
        assert link.phase == LINK_TABLE.get((before, signal), before)
        seen.add((before, signal))
        assert len(told) <= 1
        for effect in told:  # entered and cleared take turns, and say what the phase says
            assert isinstance(effect, SafeHaltCleared) == halted
            halted = not halted
            if isinstance(effect, SafeHaltCleared):
                cleared.append(event.now_ns)
                assert isinstance(event, Arrived)
                assert effect.halted_ns >= limits.recover_ns
        assert link.is_halted == halted
        if not link.is_halted and isinstance(event, TimePassed):
            assert event.now_ns - link.heard_ns < limits.fail_ns  # silence is never longer than its limit without a halt
        assert link.strikes < limits.fail_after
    assert all(later - earlier >= limits.recover_ns for earlier, later in pairwise(cleared))
    return seen


@given(moves)
@settings(max_examples=150, deadline=None)
def test_every_trace_follows_the_table(moved: list[tuple[str, int]]) -> None:
    check_trace(moved)


def test_long_seeded_traces_follow_the_table_and_take_every_step() -> None:
    seen = set()
    for seed in range(20):
        rng = random.Random(seed)
        weights = [rng.random() ** 2 * (10 if kind in {"next", "beat", "wait"} else 1) + 0.02 for kind in KINDS]
        moved = [(rng.choices(KINDS, weights)[0], rng.choice((1, 1, 2, 3, 9, 12))) for _ in range(800)]
        seen |= check_trace(moved, LIMITS if seed % 2 else msgspec.structs.replace(LIMITS, fail_after=1))
        first, second = (play(first_link(0), events_of(moved)) for _ in range(2))
        assert first == second  # same seed, same trace
    assert set(LINK_TABLE) <= seen


@given(st.lists(st.integers(1, 9), min_size=1, max_size=200))
@settings(deadline=None)
def test_a_quiet_market_with_beats_stays_healthy(pauses: list[int]) -> None:
    link, now = healthy(7, 100), 100
    for pause in pauses:
        now += pause
        link, told = play(link, [TimePassed(now), Arrived(now, "a", 7, is_beat=True)])
        assert (link.phase, told) == (LinkPhase.HEALTHY, [])


@given(moves)
@settings(max_examples=80, deadline=None)
def test_after_the_trouble_it_is_well_again_within_a_bound(moved: list[tuple[str, int]]) -> None:
    link, _ = play(first_link(0), events_of(moved))
    now = max(link.heard_ns, 2000)
    tail = [Arrived(now + 3 * step, "fresh", 1 + step) for step in range(12)]
    assert play(link, tail)[0].phase == LinkPhase.HEALTHY


def test_lateness_that_ended_a_link_is_told_once() -> None:
    link, _ = play(healthy(), [*messages(9, 1, 101), *messages(11, 1, 102), TimePassed(112)])
    assert (link.phase, link.signal, link.struck) == (LinkPhase.DEGRADED, LinkSignal.STRUCK_OUT, True)
    assert signal_of(link, TimePassed(113), LIMITS) is None
