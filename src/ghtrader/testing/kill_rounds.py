"""kill -9 of a real gateway at random moments under load: real client, local exchange, real Redis, judged by the exchange's order log.

``python -m ghtrader.testing.kill_rounds FOLDER --ticks samples --rounds 20`` prints one JSON object and ends with 1 when anything is wrong.
A load of targets goes over the bus. Every fifth round the gateway is killed by command before it is killed by signal: the next run
must still be killed, and trades again only after a reset.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
from collections import Counter
from collections.abc import Iterable
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import msgspec

from ghtrader.app.paths import resolve_paths
from ghtrader.app.services import AppServices
from ghtrader.core.clock import NS_PER_S, Deadline, SystemClock
from ghtrader.core.errors import StoreError
from ghtrader.core.messages import AccountView, Command, CommandAnswer, ExecutionStyle, Heartbeat, Style, Target, TickFrame, Verb
from ghtrader.pipelines.gateway import GatewayRequest
from ghtrader.ports.bus import StreamClient
from ghtrader.testing import live_worker
from ghtrader.testing.exchange_process import ExchangeProcess
from ghtrader.testing.redis_server import RedisServer
from ghtrader.trading.journal.reading import JournalRecords
from ghtrader.trading.journal.records import Record, RecordKind

__all__ = ["RoundsReport", "differences", "run_rounds"]

ACCOUNT, SYMBOL = "kq", "SHFE.rb2510"
READY_S, TARGET_S = 90.0, 0.06
#: Tracing of coverage costs a child more than all it does.
TRACERS = ("COVERAGE_PROCESS_START", "COV_CORE_SOURCE", "COV_CORE_CONFIG", "COV_CORE_DATAFILE")


class RoundsReport(msgspec.Struct, frozen=True, kw_only=True):
    """Rounds of kill -9. wrong: everything that is not as it must be, empty when all is well; cpu_s: of the gateways, a round."""

    rounds: int
    kills_by_command: int
    orders: int
    fills: int
    targets: int
    wrong: list[str]
    cpu_s: float
    seconds: float


class _Rounds:
    def __init__(self, folder: Path, ticks: Path, seed: int) -> None:
        self.clock = SystemClock()
        self.random = random.Random(seed)  # noqa: S311 - moments, no secrets
        self.exchange = ExchangeProcess(folder / "exchange", ["--ticks", str(ticks), "--speed", "2"]).start()
        self.redis = RedisServer(folder / "redis").start()
        folders = {f"GHTRADER_{name}_DIR": str(folder / name.lower()) for name in ("DATA", "RUNS", "ARTIFACTS")}
        self.environment = {**folders, **self.exchange.environment, "GHTRADER_REDIS_URL": self.redis.url}
        os.environ[live_worker.FOLDER] = str(folder / "data" / "tqsdk")
        for name in TRACERS:
            os.environ.pop(name, None)
        environment = {**os.environ, **self.environment}
        self.media = AppServices(resolve_paths(environment), environment).trading()
        self.context = get_context("forkserver")
        self.context.set_forkserver_preload(["ghtrader.testing.live_worker"])
        self.request = GatewayRequest(account=ACCOUNT, symbols=(SYMBOL,), mode="sim", market_time=True, record=False)
        self.wrong: list[str] = []
        self.targets = self.kills = 0
        self.cpu = 0.0

    def start(self) -> _Run:
        return _Run(self)

    def close(self) -> None:
        self.redis.stop()
        self.exchange.stop()


class _Run:
    """One gateway process and the load on it."""

    def __init__(self, rounds: _Rounds) -> None:
        self.rounds = rounds
        self.process = rounds.context.Process(target=live_worker.serve, args=(rounds.environment, rounds.request), daemon=True)
        self.process.start()
        self.stream: StreamClient = rounds.media.strategy_stream(ACCOUNT)
        self.session, self.number = f"load-{self.process.pid}", 0
        self.view: AccountView | None = None
        self.tick: TickFrame | None = None

    def hear(self) -> None:
        self.stream.send(Heartbeat(1, self.session, self.number, self.rounds.clock.now_ns(), "strategy", "ready"))
        for frame in self.stream.receive(TARGET_S):
            if isinstance(frame, AccountView):
                self.view = frame
            elif isinstance(frame, TickFrame):
                self.tick = frame

    def until_heard(self, *, killed: bool) -> None:
        """Wait until targets are taken, or refused for the kill. Raises StoreError when neither comes."""
        deadline = Deadline(READY_S)
        while True:
            self.hear()
            view = self.view
            if view is not None and self.tick is not None and (view.reason == "risk_killed" if killed else view.accepts):
                return
            if deadline.passed or not self.process.is_alive():
                raise StoreError(f"no gateway that {'stays killed' if killed else 'trades'}: {view}")

    def load(self, seconds: float) -> None:
        deadline = Deadline(seconds)
        while not deadline.passed:
            self.hear()
            assert self.tick is not None
            self.number += 1
            self.rounds.targets += 1
            lots = self.rounds.random.choice((-2, -1, 0, 1, 2))
            style = self.rounds.random.choice((Style.TAKER, Style.CHASE, Style.PASSIVE))
            now, tick = self.rounds.clock.now_ns(), self.tick
            execution = ExecutionStyle(style=style, patience_ns=NS_PER_S)
            self.stream.send(
                Target(1, self.session, self.number, ACCOUNT, SYMBOL, lots, execution, tick.seq, tick.ts_ns, now, 0.5)
            )

    def command(self, verb: Verb, **fields: Any) -> CommandAnswer:
        ways = dict(self.rounds.media.command_ways(ACCOUNT))
        client = ways["redis" if self.rounds.random.random() < 0.5 else "socket"]()
        identity = f"{verb}-{self.rounds.clock.now_ns()}"
        now = self.rounds.clock.now_ns()
        try:
            command = Command(
                command_id=identity, account=ACCOUNT, verb=verb, actor="rounds", ts_ns=now, reason="rounds", **fields
            )
            return client.request(command, 30.0)
        finally:
            client.close()

    def kill(self) -> None:
        """kill -9."""
        pid = self.process.pid
        assert pid is not None
        used = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        self.rounds.cpu += (int(used[11]) + int(used[12])) / os.sysconf("SC_CLK_TCK")
        os.kill(pid, signal.SIGKILL)
        self.process.join()
        self.stream.close()


def run_rounds(folder: Path, ticks: Path, count: int, seed: int = 1) -> RoundsReport:
    """Kill so many gateways, reconcile with one more, and judge."""
    rounds = _Rounds(folder, ticks, seed)
    began, killed = rounds.clock.monotonic_ns(), False
    try:
        for number in range(1, count + 1):
            run = rounds.start()
            run.until_heard(killed=killed)
            if killed:
                before = _inserts(rounds)
                run.load(0.3)
                if _inserts(rounds) != before:
                    rounds.wrong.append(f"round {number}: orders while killed")
                run.command(Verb.RESET_RISK_KILL, confirm="RESET_RISK_KILL")
                killed = False
                run.until_heard(killed=False)
            run.load(rounds.random.uniform(0.05, 1.0))
            if number % 5 == 0:
                run.command(Verb.KILL, params={"policy": "cancel"})
                killed, rounds.kills = True, rounds.kills + 1
            run.kill()
        last = rounds.start()
        last.until_heard(killed=killed)
        if killed:
            last.command(Verb.RESET_RISK_KILL, confirm="RESET_RISK_KILL")
            last.until_heard(killed=False)
        last.command(Verb.CANCEL_ALL)
        _settle(rounds, last)
        last.kill()
        return _judge(rounds, count, (rounds.clock.monotonic_ns() - began) / NS_PER_S)
    finally:
        rounds.close()


def _inserts(rounds: _Rounds) -> int:
    return sum(entry["what"] == "insert" for entry in rounds.exchange.ask("orders"))


def _settle(rounds: _Rounds, run: _Run) -> None:
    """Until no order lives at the exchange."""
    deadline = Deadline(READY_S)
    while not deadline.passed:
        run.hear()
        log = rounds.exchange.ask("orders")
        ended = {entry["order_id"] for entry in log if entry["what"] == "finish"} | _filled_up(log)
        if {entry["order_id"] for entry in log if entry["what"] == "insert"} <= ended and run.view and not run.view.working:
            return
    rounds.wrong.append("orders still live at the exchange after cancel_all")


def _filled_up(log: list[dict[str, Any]]) -> set[str]:
    lots = {entry["order_id"]: entry["volume_orign"] for entry in log if entry["what"] == "insert"}
    done = _lots_by_order(log)
    return {identity for identity, asked in lots.items() if done.get(identity, 0) >= asked}


def _lots_by_order(log: list[dict[str, Any]]) -> dict[str, int]:
    found: dict[str, int] = {}
    for entry in log:
        if entry["what"] == "fill":
            found[entry["order_id"]] = found.get(entry["order_id"], 0) + int(entry["volume"])
    return found


def _judge(rounds: _Rounds, count: int, seconds: float) -> RoundsReport:
    log = rounds.exchange.ask("orders")
    return RoundsReport(
        rounds=count,
        kills_by_command=rounds.kills,
        orders=sum(entry["what"] == "insert" for entry in log),
        fills=sum(entry["what"] == "fill" for entry in log),
        targets=rounds.targets,
        wrong=[*rounds.wrong, *differences(log, JournalRecords(rounds.media.journal(ACCOUNT)))],
        cpu_s=round(rounds.cpu / (count + 1), 2),
        seconds=round(seconds, 1),
    )


def differences(log: list[dict[str, Any]], records: Iterable[Record]) -> list[str]:
    """The exchange's own log against the journal: orders twice, orders that the journal lacks, lots that differ."""
    inserted = [entry["order_id"] for entry in log if entry["what"] == "insert"]
    wrong = [f"{identity} reached the exchange {times} times" for identity, times in Counter(inserted).items() if times > 1]
    intents: set[str] = set()
    lots: Counter[str] = Counter()
    for record in records:
        if record.kind is RecordKind.ORDER_INTENT:
            intents.add(str(record.body["client_order_id"]))
        fills = [record.body["fill"]] if record.kind is RecordKind.FILL else []
        if record.kind is RecordKind.RECONCILE:
            fills = [action["fill"] for action in record.body["outcome"]["actions"] if action.get("fill")]
        for fill in fills:
            lots[str(fill["client_order_id"])] += int(fill["lots"])
    wrong += [f"{identity} is not in the journal" for identity in dict.fromkeys(inserted) if identity not in intents]
    venue = _lots_by_order(log)
    for name in sorted({*venue, *lots}):
        if venue.get(name, 0) != lots[name]:
            wrong.append(f"{name}: {venue.get(name, 0)} lots at the exchange, {lots[name]} in the journal")
    return wrong


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--ticks", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    report = run_rounds(options.folder, options.ticks, options.rounds, options.seed)
    sys.stdout.write(msgspec.json.encode(report).decode() + "\n")
    sys.exit(1 if report.wrong or not report.orders else 0)


if __name__ == "__main__":
    main()
