"""The process of a gateway on a replay: the venue, the journal, the stream to the strategy, and what came of it."""

from __future__ import annotations

import contextlib
import gc
import os
from typing import Any

import msgspec
import numpy as np

from ghtrader.core.clock import NS_PER_S, Clock, Deadline
from ghtrader.core.errors import HaltedError
from ghtrader.core.instruments import is_continuous, product_of
from ghtrader.core.messages import Command, Heartbeat, ParamValue, Target, TickDone, Verb
from ghtrader.core.progress import Progress
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.instruments import InstrumentTable
from ghtrader.pipelines.gateway import GatewayRequest, Tell
from ghtrader.pipelines.ingest import calendar_of
from ghtrader.pipelines.preflight import PreflightRequest, run_preflight
from ghtrader.pipelines.services import Replay, Services
from ghtrader.pipelines.statement import settlements_before
from ghtrader.pipelines.stopping import StopWish
from ghtrader.ports.bus import Request, StreamServer
from ghtrader.ports.journal import JournalStore
from ghtrader.ports.live_feed import LiveTick
from ghtrader.trading.gateway import events as ev
from ghtrader.trading.gateway.days import DayWatch
from ghtrader.trading.gateway.desk import BrokerDesk
from ghtrader.trading.gateway.lockstep import Lockstep
from ghtrader.trading.gateway.market import MarketViews
from ghtrader.trading.gateway.modes import Gates
from ghtrader.trading.gateway.outlets import StreamOutlets
from ghtrader.trading.gateway.shell import GatewayShell
from ghtrader.trading.gateway.state import GatewaySettings
from ghtrader.trading.journal.journal import Journal
from ghtrader.trading.journal.reading import JournalRecords
from ghtrader.trading.journal.records import RecordKind, order_id_of
from ghtrader.trading.kill.record import KillPolicy
from ghtrader.trading.risk.limits import RiskLimits
from ghtrader.trading.words import Mode

__all__ = ["DayResult", "GatewayReport", "StageLatency", "main_contract", "orders_since", "report_of", "serve", "settings_of"]

ANSWER_S = 120.0
FOREVER_NS = 1 << 62
#: How often the ways beside the stream are asked for commands.
WARM_NS = 50_000_000


class DayResult(msgspec.Struct, frozen=True, kw_only=True):
    """One trading day of the account in CNY, marked to settlement; ``estimated``: the settlement price was."""

    trading_day: str
    realised_cny: float
    holding_cny: float
    fees_cny: float
    net_cny: float
    balance_cny: float
    estimated: bool


class StageLatency(msgspec.Struct, frozen=True, kw_only=True):
    """One stage in microseconds; 0 when it never happened."""

    count: int
    p50_us: float
    p99_us: float
    p999_us: float


class GatewayReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a gateway's run came to. counters: ticks, targets, orders, cancels, fills, refusals by reason. order_ids: of every order."""

    account: str
    pid: int
    mode: str
    fill_model: str
    ticks: int
    targets: int
    orders: int
    cancels: int
    fills: int
    days: list[DayResult]
    net_cny: float
    killed: bool
    latency: dict[str, StageLatency]
    counters: dict[str, int]
    seconds: float
    ticks_per_s: float
    journal_records: int
    order_ids: list[str]


def stage_latency(values: Any) -> StageLatency:
    """Percentiles of nanoseconds."""
    if not values:
        return StageLatency(count=0, p50_us=0.0, p99_us=0.0, p999_us=0.0)
    p50, p99, p999 = (round(float(value), 2) for value in np.percentile(np.asarray(values) / 1000.0, [50, 99, 99.9]))
    return StageLatency(count=len(values), p50_us=p50, p99_us=p99, p999_us=p999)


def main_contract(services: Services, symbol: str, day: str) -> str:
    """The contract that a symbol stands for on a trading day (ISO); raises DataError when no schedule says."""
    if not is_continuous(symbol):
        return symbol
    from ghtrader.pipelines.main_series import current_schedule

    variety = product_of(symbol).split(".")[1]
    return current_schedule(services, variety).segment_of(TradingDay.parse(day)).contract


def settings_of(
    services: Services, account: str, gates: Gates, *, limits: RiskLimits | None = None, **fixed: Any
) -> GatewaySettings:
    """What the configuration says of a gateway; ``limits`` and ``fixed``: what this run does otherwise."""
    values = dict(services.settings().snapshot())
    return GatewaySettings(
        account=account,
        gates=gates,
        limits=limits or RiskLimits.from_values(values),
        kill_policy=KillPolicy(str(values["gateway.kill_policy"])),
        dedupe_max_ids=int(str(values["gateway.cmd_dedupe_max_ids"])),
        dedupe_ttl_ns=round(float(str(values["gateway.cmd_dedupe_ttl_s"])) * NS_PER_S),
        clock_drift_ns=round(float(str(values["trading.preflight.max_clock_drift_s"])) * NS_PER_S),
        **fixed,
    )


def serve(services: Services, request: GatewayRequest, tell: Tell, *, progress: Progress) -> GatewayReport:
    """Run a gateway on a replay. The caller holds the account's lock. Raises KeyboardInterrupt on SIGINT or SIGTERM, in order."""
    stop = StopWish()
    with stop.installed():
        process = ReplayProcess(services, request, tell, progress, stop)
        try:
            return process.run()
        finally:
            process.close()


def orders_since(journal: JournalStore, seq: int) -> list[str]:
    """Client order ids of every order that was meant to be sent behind record ``seq``, in that order."""
    kept = (record for record in JournalRecords(journal, seq + 1) if record.kind is RecordKind.ORDER_INTENT)
    return [order_id_of(record) for record in kept]


def report_of(
    shell: GatewayShell,
    order_ids: list[str],
    account: str,
    fill_model: str,
    days: list[DayResult],
    ticks: int,
    seconds: float,
    round_trip: list[int],
) -> GatewayReport:
    """What a run came to. order_ids: all of it; the state keeps those of two days.

    seconds: how long it took; round_trip: ns from tick to the strategy's answer, where it was waited for.
    """
    state, times = shell.state, shell.times
    counters = dict(state.counters)
    return GatewayReport(
        account=account,
        pid=os.getpid(),
        mode=str(state.mode),
        fill_model=fill_model,
        ticks=ticks,
        targets=counters.get("targets", 0),
        orders=counters.get("orders", 0),
        cancels=counters.get("cancels", 0),
        fills=counters.get("fills", 0),
        days=days,
        net_cny=round(sum(day.net_cny for day in days), 2),
        killed=state.killed,
        latency={
            "gateway_step": stage_latency(times.step),
            "journal_append": stage_latency(times.append),
            "journal_sync": stage_latency(times.sync),
            "target_to_order": stage_latency(times.order_out),
            "tick_round_trip": stage_latency(round_trip),
        },
        counters=counters,
        seconds=round(seconds, 2),
        ticks_per_s=round(ticks / max(seconds, 1e-9), 1),
        journal_records=state.seq,
        order_ids=order_ids,
    )


class ReplayProcess:
    """One run: core, shell, venue, stream."""

    def __init__(self, services: Services, request: GatewayRequest, tell: Tell, progress: Progress, stop: StopWish) -> None:
        self._services, self._request, self._progress, self._stop = services, request, progress, stop
        self._watch: Clock = services.clock
        self._calendar, self._instruments = calendar_of(services), InstrumentTable.vendored()
        media = services.trading()
        self._replay: Replay = services.replay(request)
        self._symbols = self._replay.symbols
        self._server: StreamServer = media.gateway_stream(request.account)
        session = f"{request.account}-{self._watch.now_ns()}-{os.getpid()}"
        self._warm = media.warm_side(request.account)
        self._asked_ns = 0
        self._outlets = StreamOutlets(
            self._server,
            session,
            self._watch,
            publish=self._warm.publish,
            tell=tell,
            publish_s=0.5,
            replies=dict.fromkeys(self._warm.ways, self._warm.reply),
        )
        self._replay.clock.move_to(self._replay.first_ns - NS_PER_S)
        self._shell = GatewayShell(
            settings_of(
                services,
                request.account,
                Gates(broker="paper"),
                limits=RiskLimits.unbound() if request.screening else None,
                silence_ns=FOREVER_NS,  # lockstep waits for the strategy, so it is never silent
                publish_ns=60 * NS_PER_S,
            ),
            Journal(media.journal(request.account), request.account),
            media.kill(request.account),
            BrokerDesk(self._replay.broker, self._replay.clock, self._replay.trading_day),
            self._outlets,
            self._replay.clock,
            about={
                "pid": os.getpid(),
                "version": services.tool_version,
                "ticks": str(request.replay.resolve()) if request.replay else "",
            },
            stopwatch=self._watch,
        )
        state = self._shell.state
        self._began_seq = state.seq
        self._days = DayWatch(
            lambda: state.desired.symbols or self._symbols,
            state.held,
            lambda symbol, day: main_contract(services, symbol, day),
            self._calendar,
            self._instruments,
            settlements=self._settlements,
        )
        self._statements, self._stated = media.statements(request.account), 0
        self._round_trip: list[int] = []
        self._waited_ns = 0
        self._speed = None if request.speed == "max" else float(request.speed)
        self._last_tick: tuple[int, int] | None = None
        self._offered: tuple[int, int] | None = None

    # --- the run --------------------------------------------------------------------------------------------------------
    def run(self) -> GatewayReport:
        """To the end of the replay."""
        self._want()
        self._await_strategy()
        began = self._watch.monotonic_ns()
        self._progress.start(f"paper, fills {self._request.fill_model}", self._replay.ticks)
        lockstep = Lockstep(
            self._shell,
            self._replay.feed,
            MarketViews(self._calendar, self._instruments),
            move_clock=self._replay.clock.move_to,
            decide=self._decide,
            begin_day=self._begin_day,
            between=self._between,
            offer=self._offer,
        )
        gc.collect()
        gc.freeze()
        gc.disable()
        try:
            ticks = lockstep.run()
        finally:
            gc.enable()
            gc.unfreeze()
        self._keep_statements()
        self._progress.finish(f"{ticks:,} ticks")
        self._outlets.flush()
        self._outlets.beat("replay_over")
        return self._report(ticks, (self._watch.monotonic_ns() - began) / NS_PER_S)

    def _want(self) -> None:
        """The account's desired state, through the one command path, so that it is audited; the checks before the session."""
        shell, now = self._shell, self._replay.clock.now_ns()
        asked = PreflightRequest(
            account=self._request.account,
            mode=Mode.PAPER,
            symbols=tuple(self._symbols),
            now_ns=now,
            check_model=False,
            known=shell.state,
        )
        checked = run_preflight(self._services, asked)
        shell.handle(ev.PreflightDone(now_ns=now, red=checked.red))
        shell.handle(ev.FeedLinkChanged(now_ns=now, up=True, message="replay"))
        wanted: dict[str, ParamValue] = {"mode": str(Mode.PAPER), "symbols": list(self._symbols)}
        desired = shell.state.desired
        if (desired.mode, desired.symbols) != (Mode.PAPER, tuple(self._symbols)):
            command = Command(
                command_id=f"replay-{self._watch.now_ns()}",
                account=self._request.account,
                verb=Verb.SET_DESIRED,
                actor="gateway run --replay",
                ts_ns=now,
                reason="a replay trades what it has",
                params=wanted,
            )
            shell.handle(ev.CommandArrived(now_ns=now, command=command, source="self"))

    def _begin_day(self, following_ns: int) -> ev.DayBegan | None:
        self._keep_statements()
        return self._days.look(following_ns)

    def _keep_statements(self) -> None:
        """The venue's word about every day that it has settled since."""
        for done in self._replay.settled()[self._stated :]:
            self._statements.put(msgspec.structs.replace(done.statement, account=self._request.account))
            self._stated += 1

    def _settlements(self, trading_day: str) -> dict[str, float]:
        return settlements_before(self._statements, self._shell.state.positions.trading_day, trading_day)

    def _await_strategy(self) -> None:
        """Wait until a strategy listens and is ready. Raises HaltedError when none comes."""
        deadline, said = Deadline(self._request.wait_s), ""
        while not deadline.passed:
            self._mind_stop()
            self._outlets.beat("waiting")
            self._ask_warm()
            for message in self._server.receive(0.05):
                if isinstance(message, Heartbeat):
                    said = message.state
                    if said == "ready":
                        self._shell.handle(ev.StrategyBeat(now_ns=self._replay.clock.now_ns(), beat=message))
                        return
                elif isinstance(message, Request):
                    self._command(message)
        words = f"the last word was {said!r}" if said else "none was heard"
        raise HaltedError(
            f"no strategy of account {self._request.account} is ready after {self._request.wait_s:g} s: {words}",
            hint=f"ghtrader strategy run --account {self._request.account}",
            reason="no_strategy",
        )

    def _mind_stop(self) -> None:
        if self._stop.received:
            raise KeyboardInterrupt

    def _command(self, request: Request) -> None:
        now = self._replay.clock.now_ns()
        self._shell.handle(ev.CommandArrived(now_ns=now, command=request.command, source=request.source))

    def _offer(self, tick: LiveTick) -> None:
        """Give a tick to the strategy."""
        if self._speed is not None:
            self._pace(tick.ts_ns, self._speed)
        sent = self._watch.monotonic_ns()
        self._offered = self._outlets.tick(tick), sent

    def _decide(self, tick: LiveTick) -> list[Target]:
        """Give a tick to the strategy, unless it has it, and wait until it has dealt with it."""
        if self._offered is None:
            self._offer(tick)
        assert self._offered is not None
        (number, sent), self._offered = self._offered, None
        targets: list[Target] = []
        deadline = Deadline(ANSWER_S)
        while not deadline.passed:
            self._mind_stop()
            for message in self._server.receive(1.0):
                if isinstance(message, Target):
                    targets.append(message)
                elif isinstance(message, TickDone) and message.tick_seq == number:
                    if len(self._round_trip) < 1_000_000:
                        self._round_trip.append(self._watch.monotonic_ns() - sent)
                    return targets
                elif isinstance(message, Request):
                    self._command(message)
        raise HaltedError(
            f"the strategy did not answer tick {number} in {ANSWER_S:g} s", hint="ghtrader trade status", reason="strategy_lost"
        )

    def _pace(self, ts_ns: int, speed: float) -> None:
        """Wait as long as the market did, ``speed`` times faster; long silences are skipped."""
        if self._last_tick is not None:
            tick_ns, real_ns = self._last_tick
            gap = min(ts_ns - tick_ns, NS_PER_S) / speed
            left = gap - (self._watch.monotonic_ns() - real_ns)
            if left > 0:
                Deadline(left / NS_PER_S).pause(left / NS_PER_S)
        self._last_tick = (ts_ns, self._watch.monotonic_ns())

    def _ask_warm(self) -> None:
        """Commands of the slower ways and the kill file, a few times a second of real time (the file also before every order)."""
        now = self._watch.monotonic_ns()
        if now - self._asked_ns >= WARM_NS:
            self._asked_ns = now
            self._shell.look_at_kill()
            for message in self._warm.receive():
                self._command(message)

    def _between(self) -> None:
        self._ask_warm()
        self._progress.advance(self._replay.fresh_ticks())

    # --- the end --------------------------------------------------------------------------------------------------------
    def _report(self, ticks: int, seconds: float) -> GatewayReport:
        days = [
            DayResult(
                trading_day=day.trading_day.iso,
                realised_cny=round(sum(pnl.realised_cny for pnl in day.pnl.values()), 2),
                holding_cny=round(sum(pnl.holding_cny for pnl in day.pnl.values()), 2),
                fees_cny=round(sum(pnl.fees_cny for pnl in day.pnl.values()), 2),
                net_cny=round(day.net_cny, 2),
                balance_cny=round(day.balance_cny, 2),
                estimated=bool(day.estimated),
            )
            for day in self._replay.settled()
        ]
        ids = orders_since(self._services.trading().journal(self._request.account), self._began_seq)
        return report_of(
            self._shell, ids, self._request.account, self._request.fill_model, days, ticks, seconds, self._round_trip
        )

    def close(self) -> None:
        """Seal the journal, hang up."""
        with contextlib.suppress(Exception):
            self._shell.close()
        self._warm.close()
        self._server.close()
