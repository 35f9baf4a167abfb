"""`ghtrader drill kill-switch`: a real gateway process, killed and killed again, judged by what reaches the venue."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import msgspec

from ghtrader.core.errors import GhtraderError, StoreError
from ghtrader.core.messages import Command, CommandAnswer, ExecutionStyle, Outcome, Style, Target, Verb
from ghtrader.core.phases import Phase
from ghtrader.core.progress import NO_PROGRESS, Progress
from ghtrader.data.instruments import InstrumentTable
from ghtrader.pipelines.ingest import calendar_of
from ghtrader.pipelines.services import Services
from ghtrader.ports.broker import AccountFunds, BrokerOrder, OrderRequest, OrderState
from ghtrader.ports.lock import gateway_key
from ghtrader.trading.gateway import events as ev
from ghtrader.trading.gateway.contract_days import ContractDay, contract_day
from ghtrader.trading.gateway.modes import Gates
from ghtrader.trading.gateway.outlets import StreamOutlets
from ghtrader.trading.gateway.shell import GatewayShell
from ghtrader.trading.gateway.state import GatewaySettings
from ghtrader.trading.journal.journal import Journal
from ghtrader.trading.journal.reading import JournalRecords
from ghtrader.trading.journal.records import RecordKind
from ghtrader.trading.reconcile import VenueSnapshot
from ghtrader.trading.risk.gate import ApprovedOrder
from ghtrader.trading.words import MarketView

__all__ = ["DrillReport", "DrillStep", "drill_kill_switch"]

SYMBOL, DAY = "SHFE.rb2510", "2025-06-05"
SECOND = 1_000_000_000
ANSWER_S = 60.0
AGAIN = "ghtrader drill kill-switch, with space on a disk that can be written"
FUNDS = AccountFunds(balance=1e7, available=1e7, margin=0.0, commission=0.0, close_profit=0.0, position_profit=0.0)


class DrillStep(msgspec.Struct, frozen=True, kw_only=True):
    """One step: what was done, whether it went as it must, what was seen."""

    step: str
    passed: bool
    seen: str


class DrillReport(msgspec.Struct, frozen=True, kw_only=True):
    """Every step. orders: what the venue saw over the whole drill."""

    drill: str
    account: str
    passed: bool
    steps: list[DrillStep]
    flips: int
    orders: list[str]
    pids: list[int]


class _Venue:
    """The venue: takes every order, keeps its log; outlives every gateway."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.orders: dict[str, BrokerOrder] = {}

    def insert(self, request: OrderRequest) -> BrokerOrder:
        """Take an order and let it rest."""
        self.log.append(f"insert {request.client_order_id} {request.side.name.lower()} {request.offset} {request.lots}")
        order = BrokerOrder(request=request, state=OrderState.WORKING, left=request.lots, exchange_order_id=str(len(self.log)))
        self.orders[request.client_order_id] = order
        return order

    def cancel(self, identity: str) -> BrokerOrder | None:
        """Cancel what rests."""
        self.log.append(f"cancel {identity}")
        order = self.orders.get(identity)
        if order is not None and order.state is OrderState.WORKING:
            order = self.orders[identity] = msgspec.structs.replace(order, state=OrderState.CANCELLED)
        return order

    def snapshot(self) -> VenueSnapshot:
        """The whole account."""
        return VenueSnapshot(orders=tuple(self.orders.values()), fills=(), positions=(), funds=FUNDS, trading_day=DAY)

    @property
    def inserts(self) -> int:
        """Orders that arrived."""
        return sum(line.startswith("insert") for line in self.log)


Ask = Callable[[str, bytes], bytes]


class _Desk:
    """`trading.gateway.desk.OrderDesk` over a question-and-answer line to the venue."""

    def __init__(self, ask: Ask, clock: _Clock) -> None:
        self._ask, self._clock = ask, clock
        self._events: list[ev.Event] = [ev.BrokerLinkChanged(now_ns=clock.now_ns(), up=True)]

    def submit(self, approved: ApprovedOrder) -> None:
        answer = self._ask("insert", msgspec.json.encode(approved.request()))
        self._events.append(ev.OrderChanged(now_ns=self._clock.now_ns(), order=msgspec.json.decode(answer, type=BrokerOrder)))

    def cancel(self, client_order_id: str) -> None:
        answer = self._ask("cancel", client_order_id.encode())
        if answer:
            order = msgspec.json.decode(answer, type=BrokerOrder)
            self._events.append(ev.OrderChanged(now_ns=self._clock.now_ns(), order=order))

    def query(self) -> None:
        answer = self._ask("query", b"")
        snapshot = msgspec.json.decode(answer, type=VenueSnapshot)
        self._events.append(ev.VenueAnswered(now_ns=self._clock.now_ns(), snapshot=snapshot))

    def events(self, timeout_s: float = 0.0) -> list[ev.Event]:
        del timeout_s
        found, self._events = self._events, []
        return found

    def close(self) -> None:
        self._events.clear()


class _Clock:
    """A minute into the first session of a day that the calendar knows; it moves when it is told."""

    def __init__(self, now_ns: int) -> None:
        self.ns = now_ns

    def now_ns(self) -> int:
        return self.ns

    def monotonic_ns(self) -> int:
        return self.ns


class _NoServer:
    """Nobody listens to the stream of a drill."""

    listeners = 0
    unreadable = 0

    def publish(self, frame: object) -> None:
        del frame

    def receive(self, timeout_s: float = 0.0) -> list[Any]:
        del timeout_s
        return []

    def wake(self) -> None:
        return

    def answer(self, source: str, answer: CommandAnswer) -> None:
        del source, answer

    def close(self) -> None:
        return


class _Gateway:
    """A gateway of the drill on the account's real journal and kill file; what it sends goes to ``ask``."""

    def __init__(self, services: Services, account: str, ask: Ask, run: str) -> None:
        calendar, instruments = calendar_of(services), InstrumentTable.vendored()
        self._day: ContractDay = contract_day(SYMBOL, DAY, calendar, instruments)
        opening = next(window.start_ns for window in self._day.windows if window.phase == Phase.CONTINUOUS)
        media = services.trading()
        journal = Journal(media.journal(account), account)
        self._account, self._run = account, run
        self._clock = _Clock(opening + 60 * SECOND + journal.next_seq * 1000)
        self._seq = 0
        self.answers: list[CommandAnswer] = []
        outlets = StreamOutlets(_NoServer(), run, self._clock, replies={"drill": self._hear})
        self.shell = GatewayShell(
            GatewaySettings(account=account, gates=Gates(broker="paper")),
            journal,
            media.kill(account),
            _Desk(ask, self._clock),
            outlets,
            self._clock,
            about={"pid": os.getpid(), "version": services.tool_version},
        )
        now = self._clock.ns
        self.shell.handle(ev.PreflightDone(now_ns=now, red=()))
        self.shell.handle(ev.FeedLinkChanged(now_ns=now, up=True))
        self.command(Verb.SET_DESIRED, params={"mode": "paper", "symbols": [SYMBOL]})
        self.shell.handle(ev.DayBegan(now_ns=now, trading_day=DAY, contracts={SYMBOL: SYMBOL}, days={SYMBOL: self._day}))
        for _ in range(4):
            self.shell.pump()
        self.tick()

    def _hear(self, source: str, answer: CommandAnswer) -> None:
        del source
        self.answers.append(answer)

    def tick(self) -> None:
        """A tick, a moment later."""
        self._clock.ns += SECOND
        now = self._clock.ns
        market = MarketView(
            symbol=SYMBOL, seq=self._seq, ts_ns=now, receive_ns=now, bid=2970, ask=2971, bid_lots=50, ask_lots=50, last=2970,
            upper=3200, lower=2700, continuous=True, accepts_orders=True, part_end_ns=self._day.part_end_ns(now),
            trading_day=DAY, price_tick=self._day.price_tick,
        )  # fmt: skip
        self.shell.look_at_kill()
        self.shell.handle(ev.TickArrived(now_ns=now, market=market))
        self.shell.tick_clock()
        self.shell.pump()

    def target(self, lots: int) -> bool:
        """The strategy wants a position; returns whether the gateway is killed after it."""
        self.tick()
        self._seq += 1
        now = self._clock.ns
        execution = ExecutionStyle(style=Style.PASSIVE)
        target = Target(1, self._run, self._seq, self._account, SYMBOL, lots, execution, 1, now, now, 0.5)
        self.shell.handle(ev.TargetArrived(now_ns=now, target=target))
        self.shell.pump()
        self.tick()
        return self.shell.state.killed

    def command(self, verb: Verb, **fields: Any) -> CommandAnswer:
        """Give a command; its answer."""
        command = Command(
            command_id=f"{self._run}-{len(self.answers)}",
            account=self._account,
            verb=verb,
            actor="drill",
            ts_ns=self._clock.ns,
            **{"reason": "drill", **fields},
        )
        self.shell.handle(ev.CommandArrived(now_ns=self._clock.ns, command=command, source="drill"))
        self.shell.pump()
        return self.answers[-1]

    def close(self) -> None:
        """End the run."""
        self.shell.close()


def _serve_child(services: Services, account: str, run: str, line: Connection) -> None:
    """The gateway's process, which says what it fails of."""
    try:
        _obey(services, account, run, line)
    except GhtraderError as error:
        line.send_bytes(b"failed " + msgspec.json.encode([error.message, error.hint]))


def _obey(services: Services, account: str, run: str, line: Connection) -> None:
    """Do what it is told, ask the venue over the same line, until it is killed."""

    def ask(what: str, content: bytes) -> bytes:
        line.send_bytes(what.encode() + b" " + content)
        return line.recv_bytes()

    gateway = _Gateway(services, account, ask, run)
    line.send_bytes(b"done ready")
    while True:
        what, _, rest = line.recv_bytes().partition(b" ")
        if what == b"target":
            killed = gateway.target(int(rest))
            line.send_bytes(b"done " + (b"killed" if killed else b"trading"))
        elif what == b"command":
            wanted = msgspec.json.decode(rest)
            answer = gateway.command(Verb(wanted.pop("verb")), **wanted)
            line.send_bytes(b"done " + msgspec.json.encode(answer))
        else:
            gateway.close()
            line.send_bytes(b"done closed")
            return


class _Process:
    """A gateway in a process of its own, and the venue at the other end of its line."""

    def __init__(self, services: Services, account: str, venue: _Venue, run: str) -> None:
        self._venue = venue
        self._line, other = get_context("fork").Pipe()
        self.process = get_context("fork").Process(target=_serve_child, args=(services, account, run, other), daemon=True)
        self.process.start()
        other.close()
        self._wait()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid or 0

    def _wait(self) -> bytes:
        while True:
            if not self._line.poll(ANSWER_S):
                raise StoreError("the gateway of the drill does not answer", hint=AGAIN)
            try:
                what, _, rest = self._line.recv_bytes().partition(b" ")
            except (EOFError, OSError) as error:
                raise self._ended() from error
            if what == b"done":
                return rest
            if what == b"failed":
                message, hint = msgspec.json.decode(rest, type=tuple[str, str])
                raise StoreError(f"the gateway of the drill failed: {message}", hint=hint or AGAIN)
            self._say(_served(self._venue, what.decode(), rest))

    def _say(self, content: bytes) -> None:
        try:
            self._line.send_bytes(content)
        except OSError as error:
            raise self._ended() from error

    def _ended(self) -> StoreError:
        self.process.join(ANSWER_S)
        return StoreError(f"the gateway of the drill ended with exit code {self.process.exitcode}", hint=AGAIN)

    def target(self, lots: int) -> str:
        """Want a position; ``killed`` or ``trading``."""
        self._say(b"target " + str(lots).encode())
        return self._wait().decode()

    def command(self, verb: Verb, **fields: str) -> CommandAnswer:
        """Give a command."""
        self._say(b"command " + msgspec.json.encode({"verb": verb, **fields}))
        return msgspec.json.decode(self._wait(), type=CommandAnswer)

    def kill_hard(self) -> None:
        """kill -9."""
        os.kill(self.pid, signal.SIGKILL)
        self.process.join()

    def close(self) -> None:
        """End it in order."""
        if self.process.is_alive():
            self._say(b"close ")
            self._wait()
            self.process.join()


def _served(venue: _Venue, what: str, content: bytes) -> bytes:
    if what == "insert":
        return msgspec.json.encode(venue.insert(msgspec.json.decode(content, type=OrderRequest)))
    if what == "cancel":
        order = venue.cancel(content.decode())
        return b"" if order is None else msgspec.json.encode(order)
    return msgspec.json.encode(venue.snapshot())


def drill_kill_switch(services: Services, account: str, *, progress: Progress = NO_PROGRESS) -> DrillReport:
    """Kill, kill -9, restart, flip every byte of the kill file killed and cleared, reset, trade again.

    Runs on an account of its own (``drill-ACCOUNT-...``), so that the account's own kill file and journal are not touched. Raises
    LockHeldError when the account's gateway runs.
    """
    lock = services.trading().locks().acquire(gateway_key(account))
    try:
        return _Drill(services, account, progress).run()
    finally:
        lock.release()


class _Drill:
    def __init__(self, services: Services, account: str, progress: Progress) -> None:
        self._services, self._progress = services, progress
        self.account = f"drill-{account}-{services.clock.now_ns() // SECOND}"
        self.venue = _Venue()
        self.steps: list[DrillStep] = []
        self.pids: list[int] = []
        self._runs = self._flips = 0

    def _step(self, name: str, passed: bool, seen: str) -> None:
        self.steps.append(DrillStep(step=name, passed=passed, seen=seen))

    def _process(self) -> _Process:
        self._runs += 1
        process = _Process(self._services, self.account, self.venue, f"{self.account}-run{self._runs}")
        self.pids.append(process.pid)
        return process

    def run(self) -> DrillReport:
        """Every step."""
        process = self._process()
        process.target(1)
        self._step("a target becomes an order at the venue", self.venue.inserts == 1, f"{self.venue.inserts} orders")
        answer = process.command(Verb.KILL, reason="drill: kill")
        cancelled = any(line.startswith("cancel") for line in self.venue.log)
        self._step(
            "kill: accepted, what works is cancelled", answer.outcome is Outcome.ACCEPTED and cancelled, self.venue.log[-1]
        )
        self._refused(process, "killed: a target sends nothing")
        process.kill_hard()
        self._step("kill -9", not process.process.is_alive(), f"pid {process.pid}")
        process = self._process()
        self._refused(process, "restarted after kill -9: still killed")
        process.close()
        self._flip("killed")
        process = self._process()
        wrong = process.command(Verb.RESET_RISK_KILL, reason="drill: reset", confirm="yes")
        self._step("a reset without its confirmation is refused", wrong.outcome is Outcome.REFUSED, wrong.reason)
        self._refused(process, "and the gateway stays killed")
        reset = process.command(Verb.RESET_RISK_KILL, reason="drill: reset", confirm="RESET_RISK_KILL")
        self._step("reset with actor, reason and confirmation", reset.outcome is Outcome.ACCEPTED, reset.message)
        before = self.venue.inserts
        said = process.target(1)
        self._step(
            "trading again", self.venue.inserts == before + 1 and said == "trading", f"{self.venue.inserts - before} order"
        )
        process.command(Verb.CANCEL_ALL, reason="drill: end")
        process.close()
        self._flip("cleared")
        self._audit()
        return DrillReport(
            drill="kill-switch",
            account=self.account,
            passed=all(step.passed for step in self.steps),
            steps=self.steps,
            flips=self._flips,
            orders=self.venue.log,
            pids=self.pids,
        )

    def _refused(self, process: _Process, name: str) -> None:
        before = self.venue.inserts
        said = process.target(2)
        self._step(name, self.venue.inserts == before and said == "killed", f"{said}, {self.venue.inserts - before} orders")

    # --- the file -------------------------------------------------------------------------------------------------------
    @contextlib.contextmanager
    def _gateway(self) -> Iterator[_Gateway]:
        self._runs += 1

        def ask(what: str, content: bytes) -> bytes:
            return _served(self.venue, what, content)

        gateway = _Gateway(self._services, self.account, ask, f"{self.account}-run{self._runs}")
        try:
            yield gateway
        finally:
            gateway.close()

    def _flip(self, state: str) -> None:
        """Every byte of the file, one at a time, each time on the account as it is now: a gateway that has seen a damaged file
        journals a kill, which a file that is put back does not undo.
        """
        media = self._services.trading()
        folder, store = media.folder(self.account), media.kill(self.account)
        content = store.read()
        assert content is not None
        self._progress.start(f"flip {state}", len(content))
        wrong: list[int] = []
        with tempfile.TemporaryDirectory() as aside:
            kept = Path(aside) / "account"
            shutil.copytree(folder, kept)
            for place in range(len(content)):
                damaged = bytearray(content)
                damaged[place] ^= 1 << (place % 8)
                store.write(bytes(damaged))
                before = self.venue.inserts
                with self._gateway() as gateway:
                    killed = gateway.target(1)
                if not killed or self.venue.inserts != before:
                    wrong.append(place)
                self._flips += 1
                self._progress.advance()
                shutil.rmtree(folder)
                shutil.copytree(kept, folder)
        self._progress.finish()
        before = self.venue.inserts
        with self._gateway() as gateway:
            killed = gateway.target(1)
            gateway.command(Verb.CANCEL_ALL, reason="drill: end")
        right = killed == (state == "killed") and (self.venue.inserts > before) == (state == "cleared")
        self._step(
            f"every byte of the {state} file flipped: killed each time",
            not wrong and right,
            f"{len(content)} flips, {len(wrong)} not killed; whole again it is {'killed' if killed else 'cleared'}",
        )

    def _audit(self) -> None:
        """The journal has all of it."""
        kinds: dict[str, int] = {}
        orders: set[str] = set()
        for record in JournalRecords(self._services.trading().journal(self.account)):
            kinds[record.kind] = kinds.get(record.kind, 0) + 1
            if record.kind is RecordKind.ORDER_INTENT:
                orders.add(str(record.body["client_order_id"]))
        seen = {line.split()[1] for line in self.venue.log if line.startswith("insert")}
        whole = seen <= orders and kinds.get("kill", 0) >= 1 and kinds.get("kill_reset", 0) >= 2
        words = ", ".join(
            f"{name} {count}" for name, count in sorted(kinds.items()) if name in {"kill", "kill_reset", "command", "answer"}
        )
        self._step("the journal explains every order, kill and reset", whole, words)
