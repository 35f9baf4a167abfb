"""P0-A3 and P1-T3, the strategy's half: its state in every sink, what is degraded, revisions over restarts; Redis is never needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.conftest import processor_wait_s

from ghtrader.adapters.bus_inproc import InprocBus
from ghtrader.adapters.local.revisions import LocalRevisions
from ghtrader.app.account_media import LocalAccountMedia
from ghtrader.app.services import AppServices
from ghtrader.core.clock import Deadline, SystemClock
from ghtrader.core.errors import StoreError
from ghtrader.pipelines.trade import StateWatch
from ghtrader.testing.redis_server import RedisServer
from ghtrader.testing.state_media import state_document
from ghtrader.trading.gateway.outlets import StreamOutlets
from ghtrader.trading.state.revision import Revisions
from ghtrader.trading.strategy.halts import HaltReason, Halts
from ghtrader.trading.strategy.outlet import StrategyOutlet
from ghtrader.trading.strategy.report import StrategyDocument, StrategyEvent, StrategyReport

CLOCK = SystemClock()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path / "redis").start()
    yield server
    server.stop()


def document(state: str = "ready") -> StrategyDocument:
    report = StrategyReport(
        account="demo", session="s", now_ns=1, halts=(), contracts=(), ticks=0, targets=0, gaps=0, lost=0, link="healthy",
        ignored=0, withheld=0, last_tick_ns=0, stages={},
    )  # fmt: skip
    return StrategyDocument(
        account="demo", revision=0, updated_at=CLOCK.now_ns(), sender="strategy", degraded=(), counters={}, state=state, pid=1,
        started_ns=1, source="passive", report=report,
    )  # fmt: skip


class Turns:
    """What the strategy's process does: it looks four times a second at least, and publishes now and then."""

    def __init__(self, outlet: StrategyOutlet) -> None:
        self.outlet = outlet
        self.events: list[StrategyEvent] = []
        self.longest_s = 0.0
        self.revision = 0

    def __call__(self) -> tuple[str, ...]:
        began, waited_s = CLOCK.monotonic_ns(), processor_wait_s()
        self.events += self.outlet.look(began)
        self.revision = self.outlet.publish(document()).revision
        self.longest_s = max(self.longest_s, (CLOCK.monotonic_ns() - began) / 1e9 - processor_wait_s() + waited_s)
        return self.outlet.reasons


def eventually(what: Callable[[], bool], timeout_s: float = 60.0) -> float:
    """Seconds until ``what`` holds."""
    began, deadline = CLOCK.monotonic_ns(), Deadline(timeout_s)
    while not what():
        assert not deadline.passed, "not in time"
        deadline.pause(0.01)
    return (CLOCK.monotonic_ns() - began) / 1e9


def test_every_sink_has_the_state_and_a_lost_server_is_told_and_heals(tmp_path: Path, server: RedisServer) -> None:
    media = LocalAccountMedia(tmp_path / "trading", CLOCK, {"GHTRADER_REDIS_URL": server.url})
    turns, reader = Turns(media.strategy_outlet("demo")), media.strategy_reader("demo")
    eventually(lambda: not turns() and all(source.read() for source in reader._sources))
    assert [source.name for source in reader._sources] == ["file", "bus", "redis"]

    turns.longest_s = 0.0
    server.stop()
    assert eventually(lambda: turns() == ("redis_unavailable",)) < 2.0
    found = reader.read().document
    assert found is not None
    turns()
    told = reader.read()
    assert told.document is not None
    assert (told.document.warm_path_degraded, told.document.warm_path_reason) == (True, "redis_unavailable")
    assert told.document.degraded == ("redis_unavailable",)
    assert told.document.events[-1].name == "warm_path_state"
    assert set(told.failed) == {"redis"}

    server.start()
    eventually(lambda: not turns())
    assert [event.name for event in turns.events] == ["warm_path_state", "warm_path_recovered"]
    assert turns.longest_s < 0.25  # the thread of the ticks never waited for the server
    last = turns.revision
    turns.outlet.close()  # what waits is written
    kept = [media._strategy_reader("demo", [source]).read().document for source in reader._sources]
    assert [document and document.revision for document in kept] == [last] * 3
    assert kept[0] is not None
    assert (kept[0].warm_path_degraded, kept[0].warm_path_reason) == (False, "")
    reader.close()


def test_a_full_server_is_told_by_its_own_code(tmp_path: Path, server: RedisServer) -> None:
    from ghtrader.adapters.redis.server import RedisSettings

    media = LocalAccountMedia(tmp_path / "trading", CLOCK, {"GHTRADER_REDIS_URL": server.url})
    turns = Turns(media.strategy_outlet("demo"))
    with RedisSettings(server.url).connect() as plain:
        eventually(lambda: not turns() and bool(plain.exists("ghtrader:{demo}:strategy")))
        plain.config_set("maxmemory", "1")
        assert eventually(lambda: turns() == ("redis_state_write_failed",)) < 2.0
        plain.config_set("maxmemory", "0")
        eventually(lambda: not turns())
    turns.outlet.close()


def test_a_file_that_cannot_be_written_is_told_and_stops_nothing(tmp_path: Path) -> None:
    media = LocalAccountMedia(tmp_path, CLOCK, {})
    turns = Turns(media.strategy_outlet("demo"))
    (tmp_path / "demo" / ".strategy.json.writing").mkdir(parents=True)
    (tmp_path / "demo" / "strategy.revision").mkdir()
    turns()
    assert [event.name for event in turns.outlet.look(1)] == ["revisions_not_reserved"]
    turns()
    assert turns() == ("file_state_write_failed",)
    assert turns.revision == 3
    turns.outlet.close()


def test_revisions_rise_over_restarts_and_over_what_was_lost(tmp_path: Path) -> None:
    media = LocalAccountMedia(tmp_path, CLOCK, {})
    revisions = []
    for lost in ("", "strategy.json", "strategy.revision", "torn"):
        if lost == "torn":
            (tmp_path / "demo" / "strategy.revision").write_bytes(b"12x")
        elif lost:
            (tmp_path / "demo" / lost).unlink()
        turns = Turns(media.strategy_outlet("demo"))  # and the one before is gone without a word
        for _ in range(3):
            turns()
            revisions.append(turns.revision)
    assert revisions == sorted(set(revisions))


def test_a_block_is_on_the_disk_before_its_first_number_is_used(tmp_path: Path) -> None:
    store = LocalRevisions(tmp_path / "deep" / "revision")
    revisions = Revisions(store, seen=7, count=2)
    assert [revisions.following() for _ in range(5)] == [8, 9, 10, 11, 12]
    assert Revisions(store, seen=0, count=2).following() == 14


def test_a_store_that_fails_is_tried_again_with_every_block() -> None:
    class Store:
        fails = True

        def reserve(self, count: int, least: int) -> int:
            if self.fails:
                raise StoreError("full")
            return max(least, 100)

    store = Store()
    revisions = Revisions(store, seen=3, count=2)
    assert ([revisions.following() for _ in range(2)], revisions.failure) == ([4, 5], "full")
    store.fails = False
    assert ([revisions.following() for _ in range(2)], revisions.failure) == ([100, 101], "")


def test_the_first_halt_and_the_last_are_told() -> None:
    halts = Halts()
    halts.set(HaltReason.LINK, "silent", 1)
    halts.set(HaltReason.NO_ACCOUNT, "unknown", 2, "SHFE.rb2510")
    halts.clear(HaltReason.LINK)
    halts.drop("SHFE.rb2510")
    halts.clear(HaltReason.LINK)
    told = [(change.name, change.reasons, change.message) for change in halts.changes()]
    assert told == [("safe_halt_entered", ("link",), "silent"), ("safe_halt_cleared", ("no_account",), "")]
    assert halts.changes() == []


def test_ages_are_by_this_machine_s_clock_whatever_market_the_gateway_goes_by(services: AppServices) -> None:
    """Under --market-time and in a replay the gateway's own stamps are those of another day."""
    market_ns, media = 1_749_173_400 * 10**9, services.trading()
    side, outlet = media.warm_side("demo"), media.strategy_outlet("demo")
    outlets = StreamOutlets(InprocBus().server, "g1", services.clock, publish=side.publish)
    heard = {"heard_ns": market_ns - 2 * 10**9}
    outlets.publish(state_document(1, updated_at=market_ns, strategy=heard, mode="paper"))
    outlet.publish(document())
    watch = StateWatch(services, "demo")
    found = watch.look()
    watch.close()
    assert found.state is not None
    assert found.strategy.state is not None
    assert (found.state.updated_at, found.heard_s) == (market_ns, 2.0)
    assert 0.0 <= found.age_s < 60.0
    assert 0.0 <= found.strategy.age_s < 60.0
    assert (found.gateway, found.strategy.process) == (None, None)
    side.close()
    outlet.close()
