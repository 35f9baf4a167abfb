"""`ghtrader trade`: state and commands from the command line."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

import pytest

from ghtrader.app.main import run
from ghtrader.app.services import AppServices
from ghtrader.core.clock import Deadline
from ghtrader.core.messages import Command, CommandAnswer, Outcome
from ghtrader.ports.bus import Request
from ghtrader.testing.state_media import state_document


@contextmanager
def gateway(services: AppServices, outcome: Outcome) -> Iterator[list[Command]]:
    """Answers one command on the socket."""
    server, seen = services.trading().gateway_stream("demo"), []

    def serve() -> None:
        deadline = Deadline(60.0)
        while not seen and not deadline.passed:
            for request in server.receive(0.05):
                assert isinstance(request, Request)
                seen.append(request.command)
                server.answer(
                    request.source,
                    CommandAnswer(command_id=request.command.command_id, outcome=outcome, ts_ns=1, reason="why", message="said"),
                )

    thread = threading.Thread(target=serve)
    thread.start()
    yield seen
    thread.join()
    server.close()


def test_a_command_carries_everything_and_its_answer_is_printed(services: AppServices, capfd: pytest.CaptureFixture[str]) -> None:
    line = "trade command set_desired --id c1 --actor me --reason because --confirm X --symbol SHFE.rb2510 --lots -2"
    with gateway(services, Outcome.ACCEPTED) as seen:
        assert run(services, [*line.split(), "--param", "symbols=a,b", "--param", "mode=paper", "--json"]) == 0
    (given,) = seen
    assert (given.command_id, given.account, given.verb, given.actor) == ("c1", "demo", "set_desired", "me")
    assert (given.reason, given.confirm, given.symbol, given.lots) == ("because", "X", "SHFE.rb2510", -2)
    assert given.params == {"symbols": ["a", "b"], "mode": "paper"}
    told = json.loads(capfd.readouterr().out.splitlines()[-1])
    assert (told["way"], told["answer"]["outcome"], told["answer"]["command_id"]) == ("socket", "accepted", "c1")


def test_a_refusal_is_printed_and_told_by_the_exit_code(services: AppServices, capfd: pytest.CaptureFixture[str]) -> None:
    with gateway(services, Outcome.REFUSED):
        assert run(services, ["trade", "command", "cancel_all"]) == 8
    out = capfd.readouterr().out
    assert "refused" in out
    assert "why" in out


def test_without_a_gateway_there_is_an_error_that_says_so(services: AppServices, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(services, ["trade", "command", "cancel_all", "--wait", "0.05", "--json"]) == 8
    assert json.loads(capfd.readouterr().out.splitlines()[-1])["context"]["reason"] == "gateway_away"
    assert run(services, ["trade", "command", "nonsense"]) == 2


def test_status_with_and_without_a_state(services: AppServices, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(services, ["trade", "status", "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["state"] is None
    side = services.trading().warm_side("demo")
    side.publish(state_document(7))
    side.close()
    assert run(services, ["trade", "status", "--json"]) == 0
    told = json.loads(capfd.readouterr().out)
    assert (told["state"]["revision"], told["source"], told["gateway"]) == (7, "file", None)
    assert run(services, ["trade", "status"]) == 0
    assert "none runs" in capfd.readouterr().out


def test_watching_tells_every_new_state_once_until_it_is_interrupted(
    services: AppServices, capfd: pytest.CaptureFixture[str]
) -> None:
    def publish(revision: int) -> None:
        side = services.trading().warm_side("demo")
        side.publish(state_document(revision))
        side.close()

    pauses: list[float] = []

    def pause(deadline: Deadline, seconds: float) -> None:
        del deadline
        pauses.append(seconds)
        if len(pauses) in {1, 3}:
            publish(7 + len(pauses))
        elif len(pauses) == 5:
            raise KeyboardInterrupt

    publish(7)
    with mock.patch.object(Deadline, "pause", pause):
        assert run(services, ["trade", "status", "--watch", "--json"]) == 0
    lines = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert [line["state"]["revision"] for line in lines] == [7, 8, 10]
    assert len(pauses) == 5
    assert max(pauses) <= 1.0
