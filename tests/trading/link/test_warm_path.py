"""Streaks of attempts become reason codes and are taken back, each channel by itself."""

from __future__ import annotations

import itertools

import pytest

from ghtrader.ports.warm_path import Outcome, WarmReason
from ghtrader.trading.link.warm_path import WARM_TABLE, Channel, ChannelState, WarmEvent, WarmLimits, WarmPath, step_channel

WRITE, SERVER, SOCKET = WarmReason.REDIS_STATE_WRITE_FAILED, WarmReason.REDIS_UNAVAILABLE, WarmReason.WS_DISCONNECTED
LIMITS = WarmLimits(fail_after=2, recover_after=2)


def states(reason: WarmReason, attempts: str, limits: WarmLimits = LIMITS) -> list[str]:
    """The channel after each attempt: ``+`` went well, ``-`` failed."""
    channel, found = Channel(), []
    for attempt in attempts:
        channel = step_channel(channel, Outcome(reason, attempt == "+"), 1, limits)
        found.append(str(channel.state))
    return found


@pytest.mark.parametrize(
    ("reason", "attempts", "expected"),
    [
        (WRITE, "+++-", ["up", "up", "up", "failing"]),
        (WRITE, "+-+--", ["up", "failing", "up", "failing", "down"]),
        (WRITE, "--+-+-", ["failing", "down", "mending", "down", "mending", "down"]),
        (WRITE, "---++", ["failing", "down", "down", "mending", "up"]),
        (SERVER, "-+-++", ["down", "mending", "down", "mending", "up"]),
        (SOCKET, "-+-+", ["down", "up", "down", "up"]),
    ],
)
def test_streaks(reason: WarmReason, attempts: str, expected: list[str]) -> None:
    assert states(reason, attempts) == expected


def test_longer_streaks_and_defaults() -> None:
    assert states(WRITE, "---+++", WarmLimits(fail_after=3, recover_after=3)) == [
        "failing",
        "failing",
        "down",
        "mending",
        "mending",
        "up",
    ]
    assert states(WRITE, "--++", WarmLimits()) == ["failing", "down", "mending", "up"]
    assert states(WRITE, "-", WarmLimits(fail_after=1)) == ["down"]  # the first attempt begins a streak of one


def test_every_pair_has_a_row_and_every_row_is_reached() -> None:
    assert set(WARM_TABLE) == set(itertools.product(ChannelState, (True, False)))
    reached = set()
    for attempts in itertools.product("+-", repeat=5):
        found = ["up", *states(WRITE, "".join(attempts))]
        reached |= {(ChannelState(state), attempt == "+") for state, attempt in zip(found, attempts, strict=False)}
    assert reached == set(WARM_TABLE)
    assert [state for state in ChannelState if state.is_degraded] == [ChannelState.DOWN, ChannelState.MENDING]


def test_a_channel_counts_and_remembers_since_when_and_why() -> None:
    channel = Channel()
    assert (channel.streak, channel.attempts, channel.failures, channel.since_ns, channel.message) == (0, 0, 0, 0, "")
    seen = []
    for now, (ok, message) in enumerate([(True, ""), (False, "one"), (False, "two"), (True, ""), (True, "")], 1):
        channel = step_channel(channel, Outcome(WRITE, ok, message), now, LIMITS)
        seen.append((channel.streak, channel.since_ns, channel.failures, channel.message))
    assert seen == [(1, 0, 0, ""), (1, 0, 1, "one"), (2, 3, 2, "two"), (1, 3, 2, "two"), (2, 5, 2, "two")]
    assert channel.attempts == 5


def test_operators_hear_what_came_and_went_and_how_long_it_stood() -> None:
    path = WarmPath(LIMITS)
    assert path.observe([Outcome(SERVER, True)], 1) == []
    assert path.observe([Outcome(SOCKET, False, "closed"), Outcome(SERVER, False, "refused"), Outcome(SERVER, False)], 2) == [
        WarmEvent(name="warm_path_state", reasons=("ws_disconnected",), changed="ws_disconnected", message="closed"),
        WarmEvent(
            name="warm_path_state",
            reasons=("redis_unavailable", "ws_disconnected"),
            changed="redis_unavailable",
            message="refused",
        ),
    ]
    assert path.observe([Outcome(SERVER, True)] * 2, 7) == [
        WarmEvent(name="warm_path_state", reasons=("ws_disconnected",), changed="redis_unavailable", message="", lasted_ns=5)
    ]
    assert path.observe([Outcome(SOCKET, True)], 9) == [
        WarmEvent(name="warm_path_recovered", reasons=(), changed="ws_disconnected", message="closed", lasted_ns=7)
    ]
    assert path.reasons == ()
    assert path.counters == {
        "redis_unavailable.attempts": 5,
        "redis_unavailable.failures": 2,
        "ws_disconnected.attempts": 2,
        "ws_disconnected.failures": 1,
    }
