"""The gateway's warm side and the ways to it, as the composition root makes them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ghtrader.adapters.bus_zmq import ZmqStateSink, ZmqStateSource
from ghtrader.app.account_media import LocalAccountMedia
from ghtrader.app.services import AppServices
from ghtrader.core.clock import Deadline, SystemClock
from ghtrader.core.errors import HaltedError, StoreError
from ghtrader.core.messages import Command, CommandAnswer, Outcome, Verb
from ghtrader.pipelines.gateway import GatewayRequest, run_gateway
from ghtrader.testing.redis_server import RedisServer
from ghtrader.testing.state_media import state_document
from ghtrader.trading.commands.ways import AnyWay
from ghtrader.trading.journal.reading import JournalRecords
from ghtrader.trading.journal.records import RecordKind

CLOCK = SystemClock()
SAMPLES = Path(__file__).parents[3] / "samples"


def command(identity: str = "c1") -> Command:
    return Command(command_id=identity, account="demo", verb=Verb.RELOAD, actor="test", ts_ns=CLOCK.now_ns())


def answer_to(given: Command) -> CommandAnswer:
    return CommandAnswer(command_id=given.command_id, outcome=Outcome.ACCEPTED, ts_ns=1)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path / "redis").start()
    yield server
    server.stop()


@pytest.mark.parametrize("with_redis", [False, True])
def test_state_goes_out_and_commands_come_in_by_every_way(tmp_path: Path, server: RedisServer, with_redis: bool) -> None:
    environment = {"GHTRADER_REDIS_URL": server.url} if with_redis else {}
    media = LocalAccountMedia(tmp_path / "trading", CLOCK, environment)
    side, reader = media.warm_side("demo"), media.state_reader("demo")
    stream = media.gateway_stream("demo")
    ways = dict(media.command_ways("demo"))
    assert list(ways) == (["socket", "redis", "mailbox"] if with_redis else ["socket", "mailbox"])
    assert side.ways == (("mailbox", "redis") if with_redis else ("mailbox",))
    answers: dict[str, CommandAnswer] = {}
    senders = [
        threading.Thread(
            target=lambda name=name, way=way: answers.update({name: AnyWay([(name, way)]).request(command(name), 60.0)})
        )
        for name, way in ways.items()
    ]
    for sender in senders:
        sender.start()
    revision, deadline, came = 0, Deadline(60.0), dict[str, str]()
    while any(sender.is_alive() for sender in senders):
        assert not deadline.passed
        for request in stream.receive(0.005):
            came[request.command.command_id] = request.source.partition(":")[0]
            stream.answer(request.source, answer_to(request.command))
        for request in side.receive():
            came[request.command.command_id] = request.source.partition(":")[0]
            side.reply(request.source, answer_to(request.command))
        side.reply("inproc:1", answer_to(command()))
        revision += 1
        assert side.publish(state_document(revision)) == ()
    assert came == {name: name for name in ways}
    assert answers == {name: answer_to(command(name)) for name in ways}
    side.publish(state_document(revision + 1))
    side.close()  # what waits is written
    stream.close()
    view = reader.read()
    assert view.document is not None
    assert (view.document.revision, view.source, view.failed) == (revision + 1, "file", {})
    reader.close()
    (tmp_path / "trading/demo/state/state.json").unlink()
    fresh = media.state_reader("demo")
    found = fresh.read()
    assert (found.source, found.document is not None) == (("redis", True) if with_redis else ("", False))
    fresh.close()


def test_the_provider_hanging_up_is_told_at_once_and_taken_back_at_once(tmp_path: Path) -> None:
    side = LocalAccountMedia(tmp_path, CLOCK, {}).warm_side("demo")
    assert side.socket_changed(is_up=False, message="closed", now_ns=1) == ("ws_disconnected",)
    assert side.publish(state_document(1)) == ("ws_disconnected",)
    assert side.socket_changed(is_up=True, message="", now_ns=2) == ()
    side.close()


def test_the_bus_shows_the_newest_state_and_says_when_it_cannot(tmp_path: Path) -> None:
    sink, source = ZmqStateSink(tmp_path / "ipc"), ZmqStateSource(tmp_path / "ipc")
    assert source.read() is None
    number, deadline = 0, Deadline(60.0)
    while source.read() is None:
        assert not deadline.passed
        number += 1
        sink.put(number, b"%d" % number)
        deadline.pause(0.005)
    sink.put(number + 1, b"last")
    while source.read() != b"last":
        assert not deadline.passed
        deadline.pause(0.005)
    assert source.read() == b"last"
    (tmp_path / "blocked").write_text("in the way")
    blocked = ZmqStateSink(tmp_path / "blocked")
    blocked.put(1, b"x")
    assert [outcome.ok for outcome in blocked.outcomes()] == [False]
    (tmp_path / "blocked").unlink()
    blocked.put(1, b"x")
    assert [outcome.ok for outcome in blocked.outcomes()] == [True]
    assert all(outcome.ok for outcome in sink.outcomes())
    for end in (sink, source, blocked):
        end.close()


class Fake:
    """A way that answers, or raises."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error, self.asked, self.closed = error, 0, 0

    def request(self, given: Command, timeout_s: float) -> CommandAnswer:
        self.asked += 1
        if self.error is not None:
            raise self.error
        return answer_to(given)

    def close(self) -> None:
        self.closed += 1


def test_ways_are_tried_in_order_until_one_answers() -> None:
    away, broken, good, never = Fake(HaltedError("away", reason="gateway_away")), Fake(StoreError("no server")), Fake(), Fake()
    client = AnyWay([("a", lambda: away), ("b", lambda: broken), ("c", lambda: good), ("d", lambda: never)])
    assert client.answered_by == ""
    assert client.request(command(), 1.0) == answer_to(command())
    assert client.answered_by == "c"
    assert [(way.asked, way.closed) for way in (away, broken, good, never)] == [(1, 1), (1, 1), (1, 1), (0, 0)]


def test_a_command_that_was_taken_is_not_sent_by_another_way() -> None:
    away, taken, never = (
        Fake(HaltedError("away", reason="gateway_away")),
        Fake(HaltedError("has it", reason="outcome_unknown")),
        Fake(),
    )
    with pytest.raises(HaltedError, match="a: away; b: has it") as caught:
        AnyWay([("a", lambda: away), ("b", lambda: taken), ("c", lambda: never)]).request(command(), 1.0)
    assert caught.value.context["reason"] == "outcome_unknown"
    assert never.asked == 0
    with pytest.raises(HaltedError) as caught:
        AnyWay([("a", lambda: away)]).request(command(), 1.0)
    assert caught.value.context["reason"] == "gateway_away"


def test_a_real_gateway_answers_by_every_way(services: AppServices, server: RedisServer) -> None:
    """It waits for a strategy meanwhile, and gives up when none comes."""
    live = AppServices(services.paths, {**services._environment, "GHTRADER_REDIS_URL": server.url})
    request, ended, told = GatewayRequest(account="demo", replay=SAMPLES, wait_s=6.0), list[HaltedError](), list[str]()

    def run() -> None:
        with pytest.raises(HaltedError) as caught:
            run_gateway(live, request, lambda name, fields: told.append(name))
        ended.append(caught.value)

    gateway = threading.Thread(target=run)
    gateway.start()
    media = live.trading()
    for name, way in media.command_ways("demo"):
        first = AnyWay([(name, way)]).request(command(name), 30.0)
        assert (first.outcome, first.command_id) == (Outcome.ACCEPTED, name)
    again = AnyWay(media.command_ways("demo")[:1]).request(command("mailbox"), 30.0)
    assert again.outcome == Outcome.DUPLICATE  # whatever way it came first
    gateway.join(60.0)
    assert ended[0].context["reason"] == "no_strategy"
    records = [record for record in JournalRecords(media.journal("demo")) if record.kind == RecordKind.COMMAND]
    assert [record.body["command"]["command_id"] for record in records][-3:] == ["socket", "redis", "mailbox"]
