"""A command may lie in a stream or a folder for long: beyond the memory of answers it is refused, unless it does no harm."""

from __future__ import annotations

import pytest
from tests.trading.gateway.rig import RB, Rig

from ghtrader.core.messages import Command, CommandAnswer, Outcome, Verb
from ghtrader.trading.gateway import events as ev
from ghtrader.trading.gateway.commands_flow import HARMLESS


def given(rig: Rig, verb: Verb, *, age_ns: int) -> CommandAnswer:
    command = Command(
        command_id=f"{verb}{age_ns}", account="demo", verb=verb, actor="a", ts_ns=rig.now - age_ns, symbol=RB, lots=1
    )
    rig.handle(ev.CommandArrived(now_ns=rig.now, command=command, source="mailbox:1"))
    return rig.outlets.answers[-1]


def test_a_command_is_as_old_as_answers_are_remembered_and_no_older() -> None:
    rig = Rig()
    limit = rig.state.settings.dedupe_ttl_ns
    assert given(rig, Verb.SET_TARGET, age_ns=limit).outcome == Outcome.ACCEPTED
    assert given(rig, Verb.SET_TARGET, age_ns=-1).outcome == Outcome.ACCEPTED  # a sender whose clock runs ahead
    old = given(rig, Verb.SET_TARGET, age_ns=limit + 1)
    assert (old.outcome, old.reason) == (Outcome.REFUSED, "expired")
    assert rig.records("answer")[-1].body["answer"]["reason"] == "expired"


@pytest.mark.parametrize("verb", list(Verb))
def test_what_makes_safe_is_never_too_old(verb: Verb) -> None:
    rig = Rig()
    answer = given(rig, verb, age_ns=rig.state.settings.dedupe_ttl_ns + 1)
    assert (answer.reason == "expired") == (verb not in HARMLESS)
    assert {Verb.KILL, Verb.CANCEL_ALL, Verb.CANCEL_ORDER, Verb.DISARM_LIVE} == HARMLESS
