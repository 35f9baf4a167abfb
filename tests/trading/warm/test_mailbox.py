"""Commands as files: with a living gateway, a dead one, and one that dies in between."""

from __future__ import annotations

import threading
from pathlib import Path

import msgspec
import pytest

from ghtrader.adapters.local import mailbox as module
from ghtrader.adapters.local.mailbox import LocalMailbox, MailboxClient
from ghtrader.core.clock import Deadline
from ghtrader.core.errors import HaltedError, StoreError
from ghtrader.core.messages import Command, CommandAnswer, Outcome, Verb


def command(number: int) -> Command:
    return Command(command_id=f"../c{number}", account="demo", verb=Verb.RELOAD, actor="test", ts_ns=number)


def answer_to(given: Command) -> CommandAnswer:
    return CommandAnswer(command_id=given.command_id, outcome=Outcome.ACCEPTED, ts_ns=7)


def files(folder: Path) -> dict[str, int]:
    return {name: len(list((folder / name).iterdir())) for name in ("in", "taken", "out")}


def asked(folder: Path, given: Command, answers: list[CommandAnswer]) -> threading.Thread:
    thread = threading.Thread(target=lambda: answers.append(MailboxClient(folder).request(given, 60.0)))
    thread.start()
    return thread


def test_a_command_is_answered_and_nothing_is_left(tmp_path: Path) -> None:
    box, answers = LocalMailbox(tmp_path), list[CommandAnswer]()
    assert box.receive() == []
    sender, deadline = asked(tmp_path, command(1), answers), Deadline(60.0)
    while sender.is_alive() and not deadline.passed:
        for request in box.receive():
            assert request.command == command(1)
            assert request.source.startswith("mailbox:")
            box.answer("redis:1", answer_to(command(9)))
            box.answer(request.source, answer_to(request.command))
        deadline.pause(0.005)
    assert answers == [answer_to(command(1))]
    assert files(tmp_path) == {"in": 0, "taken": 0, "out": 0}
    assert all(outcome.ok for outcome in box.outcomes())
    assert box.outcomes() == []


def test_a_dead_gateway_is_told_and_the_command_taken_back(tmp_path: Path) -> None:
    with pytest.raises(HaltedError, match="taken back") as caught:
        MailboxClient(tmp_path).request(command(1), 0.0)
    assert caught.value.context["reason"] == "gateway_away"
    assert LocalMailbox(tmp_path).receive() == []


def test_a_kept_command_waits_and_its_answer_too(tmp_path: Path) -> None:
    client = MailboxClient(tmp_path, keep=True)
    for number in (2, 1):
        with pytest.raises(HaltedError, match="waits"):
            client.request(command(number), 0.0)
    box = LocalMailbox(tmp_path)
    found = box.receive()
    assert [request.command.ts_ns for request in found] == [1, 2]
    for request in found:
        box.answer(request.source, answer_to(request.command))
    assert client.request(command(2), 0.0) == answer_to(command(2))


def test_what_a_dead_gateway_took_its_next_run_takes_first(tmp_path: Path) -> None:
    with pytest.raises(HaltedError):
        MailboxClient(tmp_path, keep=True).request(command(1), 0.0)
    assert len(LocalMailbox(tmp_path).receive()) == 1  # dies without an answer
    with pytest.raises(HaltedError, match="has taken") as caught:
        taken_meanwhile(tmp_path)
    assert caught.value.context["reason"] == "outcome_unknown"
    again = LocalMailbox(tmp_path)
    assert [request.command.ts_ns for request in again.receive()] == [1, 2]
    assert again.receive() == []


def taken_meanwhile(folder: Path) -> None:
    """A command that a gateway takes while its sender waits."""
    client, box = MailboxClient(folder), LocalMailbox(folder)
    box._is_ready = True
    fetch = client._fetch
    client._fetch = lambda name: (box.receive(), fetch(name))[1]  # type: ignore[method-assign]
    client.request(command(2), 0.0)


def test_what_is_no_command_is_dropped_and_counted(tmp_path: Path) -> None:
    box = LocalMailbox(tmp_path)
    box.receive()
    (tmp_path / "in" / "0.json").mkdir()
    (tmp_path / "in" / "a.json").write_bytes(b"{")
    (tmp_path / "in" / "b.json").write_bytes(msgspec.json.encode(command(1)))
    (tmp_path / "in" / ".c.json.writing").write_bytes(b"half")
    whole = msgspec.json.encode(command(2))
    (tmp_path / "in" / "d.json").write_bytes(whole.replace(b'"lots":0', b'"lots":' + b"9" * 30))  # no journal could keep it
    (tmp_path / "in" / "e.json").write_bytes(whole.replace(b'"reason":""', b'"reason":"\xff"'))
    assert [request.source for request in box.receive()] == ["mailbox:b.json"]
    assert box.unreadable == 3
    assert [request.source for request in LocalMailbox(tmp_path).receive()] == ["mailbox:b.json"]  # nor at the next start
    assert files(tmp_path) == {"in": 2, "taken": 1, "out": 0}
    assert all(outcome.ok for outcome in box.outcomes())


def test_answers_that_nobody_fetches_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT_ANSWERS", 3)
    box = LocalMailbox(tmp_path)
    box.receive()
    for number in range(6):
        box.answer(f"mailbox:{number}.json", answer_to(command(number)))
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["3.json", "4.json", "5.json"]


def test_a_folder_that_fails_is_an_outcome_and_heals(tmp_path: Path) -> None:
    (tmp_path / "box").write_text("in the way")
    box = LocalMailbox(tmp_path / "box")
    assert box.receive() == []
    box.answer("mailbox:a.json", answer_to(command(1)))
    assert [outcome.ok for outcome in box.outcomes()] == [False, False]
    with pytest.raises(StoreError):
        MailboxClient(tmp_path / "box").request(command(1), 0.0)
    (tmp_path / "box").unlink()
    assert box.receive() == []
    assert [outcome.ok for outcome in box.outcomes()] == [True]
