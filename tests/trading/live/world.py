"""A feed and a venue that do what the test says, behind the services of a real process."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
from tests.conftest import SAMPLES, environment_of

from ghtrader.app.paths import resolve_paths
from ghtrader.app.services import AppServices
from ghtrader.core.clock import Deadline
from ghtrader.core.errors import ProviderTransientError
from ghtrader.core.messages import Command, CommandAnswer, ExecutionStyle, Heartbeat, Style, Target, Verb
from ghtrader.data.schema import MARKET_COLUMNS
from ghtrader.pipelines.gateway import GatewayRequest
from ghtrader.pipelines.gateway_live import LiveGateway
from ghtrader.pipelines.stopping import StopWish
from ghtrader.ports.live_feed import FeedState, FeedStatus, LiveTick
from ghtrader.testing.fakes import FakeBroker, FakeVenue

RB = "SHFE.rb2510"
FIRST_ROW = 400


def sample_ticks(rows: int, first: int = FIRST_ROW, day: str = "20250605") -> list[LiveTick]:
    frame = pl.read_parquet(SAMPLES / f"SHFE.rb2510.{day}.parquet").slice(first, rows)
    names = [name for name in MARKET_COLUMNS if name in frame.columns]
    found = []
    for number, row in enumerate(frame.iter_rows(named=True)):
        values = tuple(float(row[name]) if name in names and row[name] is not None else float("nan") for name in MARKET_COLUMNS)
        found.append(LiveTick(RB, first + number, int(row["datetime"]), 1, values))
    return found


class QueueFeed:
    """Gives what the test put; ``begin``: what it was opened with."""

    def __init__(self, ticks: queue.SimpleQueue[LiveTick], symbols: tuple[str, ...], begin: dict[str, int]) -> None:
        self.ticks, self.symbols, self.begin, self.closed = ticks, symbols, begin, False
        self.state, self.given = FeedState.CONNECTING, 0

    def poll(self, timeout_s: float) -> list[LiveTick]:
        try:
            tick = self.ticks.get(timeout=min(timeout_s, 0.01))
        except queue.Empty:
            return []
        self.state, self.given = FeedState.LIVE, self.given + 1
        return [tick]

    @property
    def status(self) -> FeedStatus:
        return FeedStatus(state=self.state, ticks=self.given, rebuilds=0, lost=0, last_receive_ns=0)

    def close(self) -> None:
        self.closed = True


class World(AppServices):
    """Services whose provider and broker are the test's."""

    def __init__(self, folder: Path, kind: str = "sim") -> None:
        environment = environment_of(folder)
        super().__init__(resolve_paths(environment), environment)
        self.kind, self.venue, self.queued = kind, FakeVenue(ask=2960.0, bid=2950.0), queue.SimpleQueue[LiveTick]()
        self.feeds: list[QueueFeed] = []
        self.refusals = 0
        self.has_login = True

    def has_provider(self) -> bool:
        return self.has_login

    def broker_kind(self, name: str) -> str:
        return self.kind

    def live_feed(self, symbols: tuple[str, ...], begin: dict[str, int], in_session: Callable[[], bool]) -> Any:
        self.feeds.append(QueueFeed(self.queued, symbols, begin))
        return self.feeds[-1]

    def broker(self, name: str, *, for_research: bool = False) -> Any:
        if self.refusals:
            self.refusals -= 1
            raise ProviderTransientError("the front is closed")
        return FakeBroker(self.venue)


class Running:
    """A gateway that the test turns, and the strategy's end of its stream."""

    def __init__(self, world: AppServices, **request: Any) -> None:
        self.world, self.told = world, list[tuple[str, dict[str, Any]]]()
        options = {"account": "kq", "symbols": (RB,), "mode": "sim", "market_time": True, "record": False, "wait_s": 10.0}
        self.request = GatewayRequest(**{**options, **request})
        self.gateway = LiveGateway(world, self.request, lambda name, fields: self.told.append((name, fields)))
        self.gateway.start(StopWish())
        self.stream = world.trading().strategy_stream(self.request.account)
        self.number, self.session = 0, f"test-{id(self)}"

    @property
    def state(self) -> Any:
        return self.gateway.shell.state

    def until(self, holds: Callable[[], bool], what: str, each: Callable[[], None] = lambda: None) -> None:
        deadline = Deadline(120.0)  # kernels may have to be compiled
        while not holds():
            assert not deadline.passed, f"{what}: {self.told[-5:]} {self.state.halts()} {self.state.counters}"
            each()
            self.gateway.turn()

    def beat(self) -> None:
        self.stream.send(Heartbeat(1, self.session, self.number, self.state.marked_ns, "strategy", "ready"))

    def target(self, lots: int, style: Style = Style.TAKER) -> None:
        self.number += 1
        seen = self.state.markets[RB]
        execution = ExecutionStyle(style=style)
        self.stream.send(
            Target(1, self.session, self.number, self.request.account, RB, lots, execution, seen.seq, seen.ts_ns, seen.ts_ns, 0.5)
        )

    def desire(self, **params: Any) -> None:
        """Another wish for the account, as an operator has one; the answer is waited for."""
        way = dict(self.world.trading().command_ways(self.request.account))["mailbox"]()
        now = self.state.clock_ns
        wish = Command(
            command_id=f"wish-{now}", account=self.request.account, verb=Verb.SET_DESIRED, actor="test", ts_ns=now, params=params
        )
        answers: list[CommandAnswer] = []
        thread = threading.Thread(target=lambda: answers.append(way.request(wish, 20.0)))
        thread.start()
        self.until(lambda: bool(answers), "answered", self.beat)
        thread.join()
        way.close()
        assert answers[0].outcome == "accepted", answers

    def close(self) -> None:
        self.stream.close()
        self.gateway.close()
