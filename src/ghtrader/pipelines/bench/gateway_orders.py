"""The gateway from a target's bytes to the order out: risk, journal and all, on the disk of this machine; the venue fills at once."""

from __future__ import annotations

import gc
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import numpy as np

from ghtrader.core.clock import NS_PER_S, Clock, Deadline
from ghtrader.core.messages import (
    MESSAGE_VERSION,
    AccountView,
    Command,
    CommandAnswer,
    ExecutionStyle,
    ParamValue,
    Style,
    Target,
    Verb,
)
from ghtrader.core.phases import Phase
from ghtrader.data.calendar import Calendar
from ghtrader.data.instruments import InstrumentTable
from ghtrader.pipelines.bench.media import BenchMedia
from ghtrader.ports.broker import AccountFunds, BrokerFill, BrokerOrder, OrderState
from ghtrader.ports.journal import JournalStore
from ghtrader.trading.gateway import events as ev
from ghtrader.trading.gateway.contract_days import contract_day
from ghtrader.trading.gateway.modes import Gates
from ghtrader.trading.gateway.shell import GatewayShell
from ghtrader.trading.gateway.state import GatewaySettings
from ghtrader.trading.journal.journal import Journal
from ghtrader.trading.reconcile import VenueSnapshot
from ghtrader.trading.risk.gate import ApprovedOrder
from ghtrader.trading.risk.limits import RiskLimits
from ghtrader.trading.state.revision import StateDocument
from ghtrader.trading.words import MarketView

__all__ = ["gateway_call", "gateway_figures"]

RB, DAY = "SHFE.rb2510", "2025-06-05"
FUNDS = AccountFunds(balance=1e7, available=1e7, margin=0.0, commission=0.0, close_profit=0.0, position_profit=0.0)
#: Market time between two targets: two a second, so that rates count what they count in life.
STEP_NS = NS_PER_S // 2
#: The rates of an account, and no bound on losses: every round trip loses a tick.
LIMITS = msgspec.structs.replace(RiskLimits.unbound(), orders_per_s=4, cancels_per_s=4)
#: Targets of a figure, fewer than the exchange lets out in a day: hot, hot with the disk, paced; how many warm up; seconds between paced
HOT, SYNCED, PACED, WARM = 2_500, 1_000, 200, 300
PACE_S = 0.02
#: Additions of the plain loop.
PLAIN = 2_400
FACTORS = {f"F{number}": number / 7 for number in range(1, 109)}


class _Unsynced:
    """A journal store whose sync does nothing, to see what a step costs beside the disk."""

    def __init__(self, store: JournalStore) -> None:
        self._store = store

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    def sync(self) -> None:
        """Nothing."""


class _Desk:
    """Every order is filled at once, at its price."""

    def __init__(self, clock: _MarketClock) -> None:
        self._clock = clock
        self._events: list[ev.Event] = []

    def submit(self, approved: ApprovedOrder) -> None:
        """Fill it."""
        request, now = approved.request(), self._clock.now_ns()
        fill = BrokerFill(
            client_order_id=request.client_order_id, trade_id=request.client_order_id, symbol=request.symbol, side=request.side,
            offset=request.offset, lots=request.lots, price=request.limit_price, ts_ns=now,
        )  # fmt: skip
        order = BrokerOrder(request=request, state=OrderState.FILLED, left=0)
        self._events += [ev.FillArrived(now_ns=now, fill=fill), ev.OrderChanged(now_ns=now, order=order)]

    def cancel(self, client_order_id: str) -> None:
        """Nothing works."""

    def query(self) -> None:
        """An account without orders: asked for when the day begins."""
        snapshot = VenueSnapshot(orders=(), fills=(), positions=(), funds=FUNDS, trading_day=DAY)
        self._events.append(ev.VenueAnswered(now_ns=self._clock.now_ns(), snapshot=snapshot))

    def events(self, timeout_s: float = 0.0) -> list[ev.Event]:
        """What happened."""
        del timeout_s
        found, self._events = self._events, []
        return found

    def close(self) -> None:
        """Nothing."""


class _Quiet:
    """Outlets that lead nowhere."""

    def view(self, view: AccountView) -> None:
        """Nothing."""

    def publish(self, document: StateDocument) -> tuple[str, ...]:
        """Nothing."""
        del document
        return ()

    def reply(self, source: str, answer: CommandAnswer) -> None:
        """Nothing."""

    def subscribe(self, symbols: tuple[str, ...]) -> None:
        """Nothing."""

    def tell(self, name: str, fields: dict[str, str | int | float | bool]) -> None:
        """Nothing."""


class _MarketClock:
    """The market's time, set by the benchmark; the stages are timed by the real clock."""

    def __init__(self, now_ns: int) -> None:
        self.ns = now_ns

    def now_ns(self) -> int:
        """As set."""
        return self.ns

    def monotonic_ns(self) -> int:
        """The same."""
        return self.ns


class _Gateway:
    """A gateway in the first continuous session of a day, ready to trade."""

    def __init__(self, media: BenchMedia, folder: Path, watch: Clock, *, synced: bool) -> None:
        calendar, instruments = Calendar.vendored(), InstrumentTable.vendored()
        facts = contract_day(RB, DAY, calendar, instruments)
        opening = next(window for window in facts.windows if window.phase == Phase.CONTINUOUS)
        self.clock, self._watch, self._end_ns = _MarketClock(opening.start_ns + 60 * NS_PER_S), watch, opening.end_ns
        desk, store = _Desk(self.clock), media.journal(folder / "journal", watch)
        journal = Journal(store if synced else _Unsynced(store), "demo")  # type: ignore[arg-type]
        settings = GatewaySettings(
            account="demo", gates=Gates(broker="paper"), limits=LIMITS, silence_ns=1 << 62, audit_ns=1 << 62
        )
        self.shell = GatewayShell(settings, journal, media.kill(folder), desk, _Quiet(), self.clock, stopwatch=watch)
        now, shell = self.clock.ns, self.shell
        params: dict[str, ParamValue] = {"mode": "paper", "symbols": [RB]}
        command = Command(command_id="x", account="demo", verb=Verb.SET_DESIRED, actor="bench", ts_ns=now, params=params)
        shell.handle(ev.CommandArrived(now_ns=now, command=command, source="self"))
        shell.handle(ev.PreflightDone(now_ns=now, red=()))
        shell.handle(ev.FeedLinkChanged(now_ns=now, up=True))
        shell.handle(ev.BrokerLinkChanged(now_ns=now, up=True))
        shell.handle(ev.DayBegan(now_ns=now, trading_day=DAY, contracts={RB: RB}, days={RB: facts}))
        shell.pump()
        self._facts, self._seq = facts, 0
        self._decode, self._encode = msgspec.msgpack.Decoder(Target).decode, msgspec.msgpack.Encoder().encode

    def _tick(self) -> None:
        self.clock.ns += STEP_NS
        now = self.clock.ns
        view = MarketView(
            symbol=RB, seq=self._seq, ts_ns=now, receive_ns=now, bid=3000, ask=3001, bid_lots=50, ask_lots=50, last=3000,
            upper=3300, lower=2700, continuous=True, accepts_orders=True, part_end_ns=self._end_ns, trading_day=DAY, price_tick=1.0,
        )  # fmt: skip
        self.shell.handle(ev.TickArrived(now_ns=now, market=view))

    def rounds(self, count: int) -> Iterator[tuple[int, int, int]]:
        """Ticks, each with a target that goes in or out: ns of (decoding, the core's step, until the order is out)."""
        shell, watch = self.shell, self._watch
        for _ in range(count):
            self._seq += 1
            self._tick()
            now, style = self.clock.ns, ExecutionStyle(style=Style.TAKER)
            target = Target(
                MESSAGE_VERSION, "s", self._seq, "demo", RB, self._seq % 2, style, self._seq, now, now, 0.25, "m" * 64, "f" * 64,
                FACTORS, "bench",
            )  # fmt: skip
            data = self._encode(target)
            begun = watch.monotonic_ns()
            decoded = self._decode(data)
            between = watch.monotonic_ns()
            shell.handle(ev.TargetArrived(now_ns=now, target=decoded))
            yield between - begun, shell.times.step[-1], shell.times.order_out[-1]
            shell.pump()

    @property
    def orders(self) -> int:
        """Orders that left."""
        return self.shell.state.counters.get("orders", 0)

    def close(self) -> None:
        """Seal the journal."""
        self.shell.close()


def gateway_call(rows: int, media: BenchMedia) -> Callable[[], float]:
    """Targets through a new gateway without fsync; gives the number of orders."""
    from ghtrader.core.clock import SystemClock

    def call() -> float:
        folder = Path(tempfile.mkdtemp())
        try:
            gateway = _Gateway(media, folder, SystemClock(), synced=False)
            for _ in gateway.rounds(rows):
                continue
            orders = gateway.orders
            gateway.close()
        finally:
            shutil.rmtree(folder)
        return float(orders)

    return call


def gateway_figures(clock: Clock, repeats: int, media: BenchMedia) -> dict[str, float]:
    """Microseconds from a target to its order, hot and paced, without and with fdatasync before the order leaves; and by stage.

    plain: a loop of additions about as long as a step, in the same process: what the machine alone does to a p99.
    """
    del repeats
    figures = _quantiles("plain", [_plain_loop(clock) for _ in range(HOT)])
    for name, synced, count, pace_s in (
        ("hot", False, HOT, 0.0), ("hot_synced", True, SYNCED, 0.0), ("paced", False, PACED, PACE_S), ("paced_synced", True, PACED, PACE_S)
    ):  # fmt: skip
        folder = Path(tempfile.mkdtemp())
        try:
            gateway = _Gateway(media, folder, clock, synced=synced)
            for _ in gateway.rounds(WARM):
                continue
            for kept in (gateway.shell.times.append, gateway.shell.times.sync, gateway.shell.times.step):
                kept.clear()
            gc.collect()
            gc.disable()  # as the process does, which collects between ticks
            found = []
            for spent in gateway.rounds(count):
                found.append(spent)
                if pace_s:
                    Deadline(pace_s).pause(pace_s)
            gc.enable()
            assert gateway.orders == count + WARM
            decode, step, out = np.asarray(found).T
            figures |= _quantiles(f"{name}_order", out) | _quantiles(f"{name}_step", step)
            figures |= _quantiles(f"{name}_decode", decode, (50, 99))
            times = gateway.shell.times
            figures |= _quantiles(f"{name}_append", times.append, (50, 99))
            if synced:
                figures |= _quantiles(f"{name}_sync", times.sync, (50, 99, 99.9))
            gateway.close()
        finally:
            shutil.rmtree(folder)
    return figures


def _plain_loop(clock: Clock) -> int:
    started, total = clock.monotonic_ns(), 0
    for number in range(PLAIN):
        total += number
    return clock.monotonic_ns() - started


def _quantiles(name: str, values: object, shares: tuple[float, ...] = (50, 99, 99.9)) -> dict[str, float]:
    found = np.percentile(np.asarray(values) / 1e3, shares)
    return {
        f"{name}_p{str(share).replace('.', '')}_us": round(float(value), 2) for share, value in zip(shares, found, strict=True)
    }
