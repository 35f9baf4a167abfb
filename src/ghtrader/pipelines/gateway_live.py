"""The process of a gateway on live ticks: one thread owns its state, the feed and the broker have theirs, and nobody waits for them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence

import numpy as np

from ghtrader.core.clock import NS_PER_S, Clock, Deadline
from ghtrader.core.errors import DataError, GhtraderError, HaltedError, UsageError
from ghtrader.core.instruments import is_continuous
from ghtrader.core.messages import Command, Heartbeat, ParamValue, Target, Verb
from ghtrader.data.instruments import InstrumentTable
from ghtrader.data.live_kernel import COLUMNS
from ghtrader.pipelines.gateway import GatewayRequest, Tell
from ghtrader.pipelines.gateway_process import DayResult, GatewayReport, main_contract, orders_since, report_of, settings_of
from ghtrader.pipelines.ingest import calendar_of
from ghtrader.pipelines.live_books import LiveBooks
from ghtrader.pipelines.preflight import PreflightRequest, run_preflight
from ghtrader.pipelines.recorder import Recorder
from ghtrader.pipelines.services import PaperVenue, Services
from ghtrader.pipelines.stopping import StopWish
from ghtrader.ports.bus import Request, StreamServer
from ghtrader.ports.live_feed import FeedState, LiveFeed, LiveTick
from ghtrader.trading.gateway import events as ev
from ghtrader.trading.gateway.core import recover
from ghtrader.trading.gateway.days import DayWatch
from ghtrader.trading.gateway.desk import BrokerDesk, OrderDesk, ThreadedDesk
from ghtrader.trading.gateway.feed import ThreadedFeed
from ghtrader.trading.gateway.market import MarketViews
from ghtrader.trading.gateway.market_clock import MarketClock
from ghtrader.trading.gateway.modes import Gates, effective_mode
from ghtrader.trading.gateway.outlets import StreamOutlets
from ghtrader.trading.gateway.shell import GatewayShell
from ghtrader.trading.journal.journal import Journal
from ghtrader.trading.journal.reading import read_since_snapshot
from ghtrader.trading.words import Mode

__all__ = ["LiveGateway", "serve_live"]

#: How long one wait is; messages of the strategy, ticks and the broker's words end it, and an executor's timer.
WAIT_S = 0.025
RECHECK_NS = 5_000_000_000
TIMERS_NS, SLOW_NS, BEAT_NS = 50_000_000, 100_000_000, 500_000_000


def serve_live(services: Services, request: GatewayRequest, tell: Tell) -> GatewayReport:
    """Run a gateway on live ticks until its time is over, SIGTERM or SIGINT. The caller holds the account's lock.

    Raises UsageError for a market time that the account must not have, StoreError when the journal cannot be written.
    """
    stop = StopWish()
    with stop.installed():
        gateway = LiveGateway(services, request, tell)
        try:
            gateway.start(stop)
            end = None if request.for_s is None else Deadline(request.for_s)
            while not stop.received and (end is None or not end.passed):
                gateway.turn()
            report = gateway.report()
        finally:
            gateway.close()
    return report


class LiveGateway:
    """One run: core, shell, feed, broker, stream. Everything but feed and broker belongs to the caller's thread."""

    def __init__(self, services: Services, request: GatewayRequest, tell: Tell) -> None:
        self._services, self._request, self._tell = services, request, tell
        self._watch: Clock = services.clock
        self._market = MarketClock(self._watch) if request.market_time else None
        self._clock: Clock = self._market or self._watch
        self._calendar, self._instruments = calendar_of(services), InstrumentTable.vendored()
        self._know(request.symbols)
        self._views = MarketViews(self._calendar, self._instruments)
        self._kind = self._broker_kind()
        if request.market_time and self._kind == "live":
            raise UsageError("a broker's account goes by the present time", hint="--market-time is for the local exchange")
        self._recorder = Recorder(services, request.account, tell) if request.record else None
        #: An alias tells the time, too, where no contract of today is known yet or the one before has no ticks any more.
        self._clocks = tuple(name for name in request.symbols if is_continuous(name)) if request.market_time else ()
        media = services.trading()
        self._server: StreamServer = media.gateway_stream(request.account)
        hear = None if self._recorder is None else self._record
        self._threads = ThreadedFeed(self._open_feed, hear=hear, ring=self._server.wake)
        self._feed: LiveFeed = self._threads
        self._venue: PaperVenue | None = None
        self._shell: GatewayShell | None = None
        self._began_seq = 0
        self._early: list[LiveTick] = []
        self._subscribed: tuple[str, ...] = ()
        self._day = ""
        self._red: tuple[str, ...] = ()
        self._checked_for: tuple[str, tuple[str, ...]] | None = None
        self._session_reds: tuple[str, ...] = ()
        self._checked_ns = 0
        self._said: tuple[str, ...] = ()
        self._unusable: set[str] = set()
        self._past: list[DayResult] = []
        self._ticks = 0
        self._began_ns = self._watch.monotonic_ns()
        self._rung = self._looked = self._beaten = 0
        self._books = LiveBooks(media.statements(request.account), request.account, self._calendar, self._watch, tell)
        self._warm = media.warm_side(request.account)
        if self._recorder is not None:
            self._warm.watch(self._recorder)

    def _know(self, symbols: tuple[str, ...]) -> None:
        """Refuse what can have no ticks, before anything is opened: what no table knows, and varieties."""
        for symbol in symbols:
            product = self._instruments.product_of(symbol)
            if symbol == product:
                raise UsageError(f"{symbol} is a variety, not a contract", hint=f"--symbol KQ.m@{product}, or a contract")

    def _broker_kind(self) -> str:
        kind = self._services.broker_kind(self._request.account)
        return "paper" if self._request.mode == Mode.PAPER else kind

    def _open_feed(self, symbols: tuple[str, ...], begin: dict[str, int]) -> LiveFeed:
        return self._services.live_feed(symbols, begin, self._in_session)

    def _record(self, ticks: Sequence[LiveTick]) -> None:
        """Keep ticks of contracts; an alias has none of its own. The feed's thread."""
        assert self._recorder is not None
        self._recorder.take([tick for tick in ticks if tick.symbol not in self._clocks])

    def _in_session(self) -> bool:
        """Asked by the feed's thread: facts of days are replaced, never changed."""
        now = self._clock.now_ns()
        return self._shell is not None and any(day.is_continuous(now) for day in self._shell.state.days.values())

    @property
    def shell(self) -> GatewayShell:
        """The shell, once the gateway has started."""
        assert self._shell is not None
        return self._shell

    # --- start ----------------------------------------------------------------------------------------------------------
    def start(self, stop: StopWish) -> None:
        """Recover, open the account, want what was asked for. A market time waits for the first tick."""
        request, media = self._request, self._services.trading()
        if not request.mode and self._was_paper():
            self._kind = "paper"
        self._views.warm_up()
        if self._kind == "paper":
            self._venue = self._services.paper_venue(request.fill_model, self._clock, None)
            self._venue.warm_up()  # before the time is heard: a clock that goes by ticks does not stand still meanwhile
        if self._market is not None and not self._hear_time(self._market, stop):
            return
        journal = Journal(media.journal(request.account), request.account)
        session = f"{request.account}-{self._watch.now_ns()}-{os.getpid()}"
        self._outlets = StreamOutlets(
            self._server,
            session,
            self._watch,
            publish=self._warm.publish,
            tell=self._tell,
            replies=dict.fromkeys(self._warm.ways, self._warm.reply),
        )
        gates = Gates(live_enabled=self._services.live_enabled, broker=self._kind)
        self._shell = GatewayShell(
            settings_of(self._services, request.account, gates),
            journal,
            media.kill(request.account),
            self._open_desk(),
            self._outlets,
            self._clock,
            about={"pid": os.getpid(), "version": self._services.tool_version, "broker": self._kind},
            stopwatch=self._watch,
        )
        state = self._shell.state
        self._began_seq = state.seq
        self._day = state.trading_day
        if self._venue is not None:
            self._books.restore(self._venue, media.journal(request.account), state)
        self._days = DayWatch(
            lambda: self.shell.state.desired.symbols,
            self.shell.state.held,
            lambda symbol, day: main_contract(self._services, symbol, day),
            self._calendar,
            self._instruments,
            settlements=lambda day: self._books.settlements(state.positions.trading_day, day),
        )
        self._want()
        self._check()
        self._look_at_day()

    def _was_paper(self) -> bool:
        """Whether the account was last wanted in paper mode: its orders stay here then, whatever else it could reach."""
        store = self._services.trading().journal(self._request.account)
        settings = settings_of(self._services, self._request.account, Gates())
        return bool(store.segments()) and recover(settings, read_since_snapshot(store)).desired.mode == Mode.PAPER

    def _hear_time(self, market: MarketClock, stop: StopWish) -> bool:
        """Wait for the first tick, which says what time it is; False when the end came first."""
        symbols = self._request.symbols
        self._threads.subscribe(symbols)
        deadline = Deadline(self._request.wait_s)
        while not stop.received and not self._early:
            self._early = self._threads.poll(0.1)
            if deadline.passed:
                status = self._threads.status
                raise HaltedError(
                    f"no tick of {', '.join(symbols)} in {self._request.wait_s:g} s: {status.message or status.state}",
                    hint="ghtrader serve-exchange --ticks samples --print-env",
                    reason="no_ticks",
                )
        if self._early:
            market.tick(self._early[-1].ts_ns)
        return bool(self._early)

    def _open_desk(self) -> OrderDesk:
        account = self._request.account
        if self._venue is None:
            return ThreadedDesk(
                lambda: self._services.broker(account),
                self._clock,
                lambda: self._day,
                days=self._books.days,
                ring=self._server.wake,
            )
        self._early = []  # the venue has not gone through them
        return BrokerDesk(self._venue.broker, self._clock, lambda: self._day)

    def _want(self) -> None:
        """What the command line asks of the account, through the one command path, so that it is audited."""
        request, desired = self._request, self.shell.state.desired
        wanted: dict[str, ParamValue] = {}
        if request.mode and request.mode != desired.mode:
            wanted["mode"] = request.mode
        if request.symbols and request.symbols != desired.symbols:
            wanted["symbols"] = list(request.symbols)
        if request.confirm_live and request.confirm_live != desired.confirm_live:
            wanted["confirm_live"] = request.confirm_live
        if wanted:
            command = Command(
                command_id=f"run-{self._watch.now_ns()}-{os.getpid()}",
                account=request.account,
                verb=Verb.SET_DESIRED,
                actor="gateway run",
                ts_ns=self._clock.now_ns(),
                reason="asked for on the command line",
                params=wanted,
            )
            self.shell.handle(ev.CommandArrived(now_ns=self._clock.now_ns(), command=command, source="self"))

    def _check(self) -> None:
        """What this process lacks for sending orders, as the checks before a session name it."""
        login = () if self._services.has_provider() else ("login",)
        red = (*login, *self._session_red())
        if red != self._red or self.shell.state.red is None:
            self._red = red
            self.shell.handle(ev.PreflightDone(now_ns=self._clock.now_ns(), red=red))

    def _session_red(self) -> tuple[str, ...]:
        """The checks before a session, for what the account's broker could do at most: anew for another day or other symbols, and every
        few seconds while one is red."""
        state, now = self.shell.state, self._watch.monotonic_ns()
        asked_for = (state.trading_day, state.desired.symbols)
        if asked_for == self._checked_for and not (self._session_reds and now - self._checked_ns >= RECHECK_NS):
            return self._session_reds
        self._checked_for, self._checked_ns = asked_for, now
        funds = state.funds
        request = PreflightRequest(
            account=self._request.account,
            mode={"paper": Mode.PAPER, "sim": Mode.SIM}.get(self._kind, Mode.LIVE_TRADE),
            symbols=asked_for[1],
            now_ns=None if self._market is None else self._clock.now_ns(),
            check_model=False,
            funds=(None, None) if funds is None else (funds.balance, funds.available),
            tick_ns=max((market.ts_ns for market in state.markets.values()), default=0),
            known=state,
        )
        self._session_reds = run_preflight(self._services, request).red
        return self._session_reds

    # --- turns ----------------------------------------------------------------------------------------------------------
    def turn(self) -> None:
        """Whatever is there: words of the strategy, commands, ticks, the broker's words, timers."""
        if self._shell is None:
            return
        for message in self._server.receive(self._patience_s()):
            self._hear(message)
        self._take_ticks()
        shell, now = self.shell, self._watch.monotonic_ns()
        shell.pump()
        wake = shell.state.executors.wake_ns()
        if now - self._rung >= TIMERS_NS or (wake and wake <= self._clock.now_ns()):
            self._rung = now
            shell.tick_clock()
        if now - self._looked >= SLOW_NS:
            self._looked = now
            self._look_around()
        if now - self._beaten >= BEAT_NS:
            self._beaten = now
            self._outlets.beat("live")

    def _patience_s(self) -> float:
        """How long nothing has to be done but what is waited for."""
        if self._early:
            return 0.0
        wake = self.shell.state.executors.wake_ns()
        return min(WAIT_S, max(0.0, (wake - self._clock.now_ns()) / NS_PER_S)) if wake else WAIT_S

    def _hear(self, message: object) -> None:
        now = self._clock.now_ns()
        if isinstance(message, Target):
            self.shell.handle(ev.TargetArrived(now_ns=now, target=message))
        elif isinstance(message, Heartbeat):
            self.shell.handle(ev.StrategyBeat(now_ns=now, beat=message))
        elif isinstance(message, Request):
            self.shell.handle(ev.CommandArrived(now_ns=now, command=message.command, source=message.source))

    def _take_ticks(self) -> None:
        ticks, self._early = self._early or self._feed.poll(0.0), []
        for tick in ticks:
            if self._market is not None:
                self._market.tick(tick.ts_ns)
                self.shell.tick_clock()  # a break of the market is no silence of the strategy
                self._look_at_day()
            if tick.symbol not in self._clocks:
                self._take(tick)

    def _take(self, tick: LiveTick) -> None:
        """To the strategy first: it computes while the gateway's own part is done."""
        self._ticks += 1
        number = self._outlets.tick(tick)
        values = np.full(len(COLUMNS), np.nan)
        values[: len(tick.values)] = tick.values
        now = self._clock.now_ns()
        try:
            view, _ = self._views.view(tick.symbol, number, tick.ts_ns, now, values, tick.open_limit_lots)
        except DataError as error:
            if tick.symbol not in self._unusable:
                self._unusable.add(tick.symbol)
                self._tell("tick_unusable", {"symbol": tick.symbol, "message": error.message})
            return
        if view is not None:
            self.shell.handle(ev.TickArrived(now_ns=now, market=view))
            self.shell.pump()

    def _look_around(self) -> None:
        self.shell.look_at_kill()
        for message in self._warm.receive():
            self._hear(message)
        self._look_at_day()
        self._books.keep(self.shell.state, self._clock.now_ns())
        self._look_at_feed()
        self._check()
        state = self.shell.state
        mode, why = effective_mode(state.desired, state.settings.gates, state.red)
        if (mode, why) != self._said:
            self._said = (mode, why)
            self._tell("gateway_mode", {"wanted": str(state.desired.mode), "mode": str(mode), "why": why})

    def _look_at_day(self) -> None:
        """The day of now, and with it what is subscribed."""
        state = self.shell.state
        if self._books.look(state):
            self._days.again()
        began = self._days.look(self._clock.now_ns())
        if began is not None:
            self._books.begin_day(began.trading_day)
            if state.trading_day and began.trading_day != state.trading_day:
                self._past.append(self._result())
            self._day = began.trading_day
            self.shell.handle(began)
        wanted = () if state.desired.mode == Mode.IDLE else self._outlets.subscribed
        if wanted != self._subscribed:
            self._subscribed = wanted
            self._threads.subscribe((*wanted, *self._clocks) if wanted else ())
            if self._venue is not None and wanted:
                self._feed = self._venue.feed(self._threads, wanted)

    def _look_at_feed(self) -> None:
        status, state = self._feed.status, self.shell.state
        up = status.state == FeedState.LIVE
        if up != state.feed_up or (not up and status.message and status.message != state.feed_message):
            now = self._clock.now_ns()
            message = status.message or str(status.state)
            self._warm.socket_changed(is_up=up, message=message, now_ns=now)
            self.shell.handle(ev.FeedLinkChanged(now_ns=now, up=up, message=message))
            self._tell("feed", {"state": str(status.state), "message": message})

    # --- the end --------------------------------------------------------------------------------------------------------
    def _result(self) -> DayResult:
        """The running trading day at the last prices."""
        state = self.shell.state
        realised = holding = fees = 0.0
        for symbol in state.traded():
            market, day = state.markets.get(symbol), state.days.get(symbol)
            mark = None if market is None or market.last is None or day is None else market.last * day.price_tick
            money = state.positions.day_money(symbol, mark)
            realised, holding, fees = realised + money.realised_cny, holding + money.holding_cny, fees + money.fees_cny
        return DayResult(
            trading_day=state.trading_day,
            realised_cny=round(realised, 2),
            holding_cny=round(holding, 2),
            fees_cny=round(fees, 2),
            net_cny=round(realised + holding - fees, 2),
            balance_cny=round(state.funds.balance, 2) if state.funds is not None else 0.0,
            estimated=True,
        )

    def report(self) -> GatewayReport:
        """What the run came to; days are marked to the last price."""
        if self._shell is None:
            raise HaltedError("the end came before the first tick", hint="ghtrader gateway run", reason="no_ticks")
        days = [*self._past, *([self._result()] if self._shell.state.trading_day else [])]
        seconds = (self._watch.monotonic_ns() - self._began_ns) / NS_PER_S
        fill_model = self._request.fill_model if self._kind == "paper" else ""
        ids = orders_since(self._services.trading().journal(self._request.account), self._began_seq)
        return report_of(self._shell, ids, self._request.account, fill_model, days, self._ticks, seconds, [])

    def close(self) -> None:
        """Publish the last state, seal the journal, hang up; orders stay at the venue."""
        self._threads.close()
        if self._recorder is not None:
            self._recorder.close()
        if self._shell is not None:
            self._outlets.flush()
            self._outlets.beat("gateway_over")
            with contextlib.suppress(GhtraderError):
                self._shell.close()
                self._books.look(self._shell.state)
                self._books.keep(self._shell.state, self._clock.now_ns(), at_once=True)
        self._warm.close()
        self._server.close()
