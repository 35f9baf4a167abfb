"""P0-A3 on a real server: stopped, frozen, killed and started again under load."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from tests.conftest import processor_wait_s

from ghtrader.adapters.redis.client import RedisCommandClient, RedisStateSource
from ghtrader.adapters.redis.link import RedisLink
from ghtrader.adapters.redis.server import AccountKeys, RedisSettings
from ghtrader.core.clock import Deadline, SystemClock
from ghtrader.core.errors import ConfigError, HaltedError, StoreError
from ghtrader.core.messages import Command, CommandAnswer, Outcome, Verb
from ghtrader.testing.redis_server import RedisServer
from ghtrader.testing.state_media import state_document
from ghtrader.trading.commands.dedupe import DedupeWindow
from ghtrader.trading.state.publish import StatePublisher
from ghtrader.trading.state.revision import StateDocument
from ghtrader.trading.views import StateReader

CLOCK = SystemClock()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path / "redis").start()
    yield server
    server.stop()


def eventually(what: Callable[[], bool], timeout_s: float = 60.0) -> float:
    """Seconds until ``what`` holds."""
    began, deadline = CLOCK.monotonic_ns(), Deadline(timeout_s)
    while not what():
        assert not deadline.passed, "not in time"
        deadline.pause(0.01)
    return (CLOCK.monotonic_ns() - began) / 1e9


def command(number: int) -> Command:
    return Command(command_id=f"c{number}", account="demo", verb=Verb.SET_TARGET, actor="test", ts_ns=CLOCK.now_ns(), lots=number)


class Gateway:
    """The least that a gateway does: applies each command once, answers each, publishes its state."""

    def __init__(self, server: RedisServer) -> None:
        self.link = RedisLink(RedisSettings(server.url), "demo")
        self.publisher = StatePublisher([self.link], [])
        self.dedupe = DedupeWindow(max_ids=10_000, ttl_ns=3600 * 10**9)
        self.applied: list[str] = []
        self.events: list[str] = []
        self.revision = 0
        self.longest_s = 0.0

    def turn(self) -> None:
        began, waited_s = CLOCK.monotonic_ns(), processor_wait_s()
        for request in self.link.receive():
            identity = request.command.command_id
            first = self.dedupe.first_answer(identity, CLOCK.now_ns())
            if first is None:
                self.applied.append(identity)
                first = CommandAnswer(command_id=identity, outcome=Outcome.ACCEPTED, ts_ns=1)
                self.dedupe.remember(first, CLOCK.now_ns())
            self.link.answer(request.source, first)
        self.revision += 1
        self.publisher.publish(state_document(self.revision, updated_at=CLOCK.now_ns()))
        self.events += [event.name for event in self.publisher.events()]
        self.longest_s = max(self.longest_s, (CLOCK.monotonic_ns() - began) / 1e9 - processor_wait_s() + waited_s)

    @property
    def codes(self) -> tuple[str, ...]:
        self.turn()
        return self.publisher.reasons


@pytest.fixture
def gateway(server: RedisServer) -> Iterator[Gateway]:
    gateway = Gateway(server)
    yield gateway
    gateway.link.close()


class Senders:
    """Commands from several threads until told to stop; each keeps at a command until it is answered."""

    def __init__(self, server: RedisServer, count: int = 3) -> None:
        self.answers: dict[str, CommandAnswer] = {}
        self.failures: list[Exception] = []
        self._stop = threading.Event()
        self._server = server
        self._threads = [threading.Thread(target=self._send, args=(n * 100_000,)) for n in range(count)]
        for thread in self._threads:
            thread.start()

    def _send(self, number: int) -> None:
        client = RedisCommandClient(RedisSettings(self._server.url), "demo")
        while not self._stop.is_set():
            number += 1
            wanted = command(number)
            try:
                self.answers[wanted.command_id] = client.request(wanted, 60.0)
            except Exception as error:  # noqa: BLE001 - whatever it is, the test shows it
                self.failures.append(error)
        client.close()

    @property
    def running(self) -> bool:
        return any(thread.is_alive() for thread in self._threads)

    def stop(self) -> None:
        self._stop.set()


@pytest.mark.parametrize("how", ["stop", "kill", "pause"])
def test_a_server_lost_under_load_is_told_heals_and_loses_nothing(server: RedisServer, gateway: Gateway, how: str) -> None:
    senders = Senders(server)
    eventually(lambda: not gateway.codes and len(senders.answers) >= 30)
    gateway.longest_s = 0.0
    getattr(server, how)()
    assert eventually(lambda: "redis_unavailable" in gateway.codes) < 2.0
    assert gateway.events[-1] == "warm_path_state"
    answered = len(senders.answers)
    server.resume() if how == "pause" else server.start()
    eventually(lambda: not gateway.codes and len(senders.answers) >= answered + 30)
    assert gateway.events[-1] == "warm_path_recovered"
    senders.stop()
    eventually(lambda: not gateway.codes and not senders.running)
    assert senders.failures == []
    assert set(gateway.applied) == set(senders.answers)  # none lost ...
    assert len(gateway.applied) == len(set(gateway.applied))  # ... none twice
    assert gateway.longest_s < 0.5  # the gateway's thread never waited for the server
    reader = StateReader("demo", [RedisStateSource(RedisSettings(server.url), "demo")], StateDocument)
    eventually(lambda: gateway.codes == () and (reader.read().document or state_document(0)).degraded == ())
    assert reader.read().source == "redis"
    reader.close()


def test_a_gateway_that_dies_with_a_command_gets_it_again(server: RedisServer) -> None:
    keys, settings = AccountKeys("demo"), RedisSettings(server.url)
    with settings.connect() as plain:
        plain.xadd(keys.commands, {"command": msgspec.json.encode(command(1))})
        first = RedisLink(settings, "demo")
        got: list[str] = []
        eventually(lambda: bool(got.extend(request.command.command_id for request in first.receive()) or got))
        first.close()  # not answered
        second = RedisLink(settings, "demo")
        found = []
        eventually(lambda: bool(found.extend(second.receive()) or found))
        assert [request.command.command_id for request in found] == ["c1"] == got
        second.answer(found[0].source, CommandAnswer(command_id="c1", outcome=Outcome.ACCEPTED, ts_ns=1))
        second.answer("mailbox:x", CommandAnswer(command_id="c2", outcome=Outcome.ACCEPTED, ts_ns=1))
        second.close()  # what waits is still written
        assert plain.xlen(keys.commands) == 0
        assert plain.llen(keys.answer("c1")) == 1
        assert plain.llen(keys.answer("c2")) == 0


def test_a_flushed_server_is_taken_up_again_and_what_is_no_command_dropped(server: RedisServer, gateway: Gateway) -> None:
    client = RedisCommandClient(RedisSettings(server.url), "demo")
    with RedisSettings(server.url).connect() as plain:
        eventually(lambda: gateway.codes == () and bool(plain.exists("ghtrader:{demo}:state")))
        plain.flushall()
        plain.xadd(AccountKeys("demo").commands, {"command": b"{"})
        plain.xadd(AccountKeys("demo").commands, {"other": b"x"})
        eventually(lambda: gateway.codes == () and gateway.link.unreadable == 2)
        asking = threading.Thread(target=client.request, args=(command(1), 60.0))
        asking.start()
        eventually(lambda: gateway.codes == () and not asking.is_alive())
        assert gateway.applied == ["c1"]
        assert plain.xlen(AccountKeys("demo").commands) == 0
    client.close()


def test_a_server_that_refuses_writes_is_told_by_its_own_codes(server: RedisServer, gateway: Gateway) -> None:
    with RedisSettings(server.url).connect() as plain:
        eventually(lambda: gateway.codes == () and bool(plain.exists("ghtrader:{demo}:state")))
        plain.config_set("maxmemory", "1")
        assert eventually(lambda: "redis_state_write_failed" in gateway.codes) < 2.0
        assert "redis_unavailable" not in gateway.codes
        plain.config_set("maxmemory", "0")
        eventually(lambda: gateway.codes == ())
        plain.delete(AccountKeys("demo").commands)
        plain.set(AccountKeys("demo").commands, "no stream")
        assert eventually(lambda: "redis_stream_failed" in gateway.codes) < 2.0
        plain.delete(AccountKeys("demo").commands)
        eventually(lambda: gateway.codes == ())


def test_without_a_gateway_a_command_is_taken_back(server: RedisServer) -> None:
    settings, keys = RedisSettings(server.url), AccountKeys("demo")
    client = RedisCommandClient(settings, "demo")
    with pytest.raises(HaltedError, match="taken back") as caught:
        client.request(command(1), 0.1)
    assert caught.value.context["reason"] == "gateway_away"
    with settings.connect() as plain:
        assert plain.xlen(keys.commands) == 0
        silent = RedisLink(settings, "demo")  # reads, never answers
        with pytest.raises(HaltedError, match="may have read") as caught:
            client.request(command(2), 1.0)
        assert caught.value.context["reason"] == "outcome_unknown"
        silent.close()
    client.close()


def test_a_server_that_was_never_there(tmp_path: Path) -> None:
    server = RedisServer(tmp_path)  # not started
    settings = RedisSettings(server.url)
    client, source = RedisCommandClient(settings, "demo"), RedisStateSource(settings, "demo")
    with pytest.raises(StoreError, match="took no command"):
        client.request(command(1), 0.1)
    with pytest.raises(StoreError):
        source.read()
    gateway = Gateway(server)
    assert eventually(lambda: gateway.codes == ("redis_unavailable",)) < 2.0
    gateway.link.close()
    assert gateway.events == ["warm_path_state"]
    with pytest.raises(ConfigError):
        RedisLink(RedisSettings("http://nowhere"), "demo")


def test_answers_are_bounded_and_the_rest_is_asked_again(server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ghtrader.adapters.redis.link.ANSWERS", 2)
    settings = RedisSettings(server.url)
    with settings.connect() as plain:
        for number in range(4):
            plain.xadd(AccountKeys("demo").commands, {"command": msgspec.json.encode(command(number))})
    link, found = RedisLink(settings, "demo"), []
    eventually(lambda: len(found.extend(link.receive()) or found) == 4)
    server.pause()
    eventually(lambda: any(not outcome.ok for outcome in link.outcomes()))
    for request in found:
        link.answer(request.source, CommandAnswer(command_id=request.command.command_id, outcome=Outcome.ACCEPTED, ts_ns=1))
    assert link.dropped_answers == 2
    server.resume()
    again: list[str] = []
    eventually(lambda: len(again.extend(request.command.command_id for request in link.receive()) or again) == 2)
    assert sorted(again) == ["c0", "c1"]
    link.close()


def test_the_address_is_shown_without_its_password() -> None:
    settings = RedisSettings("redis://user:word@host:1/0")
    assert "word" not in repr(settings)
    assert settings.shown == "redis://host:1/0"
