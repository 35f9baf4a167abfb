"""The runner's core: frames of the gateway in, targets and credits out. No I/O, no clock, no randomness.

Every tick is answered by exactly one `TickDone`, halted or not, so that a lockstep replay always goes on. Targets leave only while
no reason to halt stands; factors are kept up to date all the same.

The link's machine (`ghtrader.trading.link`) judges the stream by numbers and time. What a gap took is never guessed: the next row
begins a new run of the factors, nothing is decided on it, and nothing at all until the gateway has said anew what the account holds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ghtrader.core.errors import DataError
from ghtrader.core.instruments import parse_symbol
from ghtrader.core.messages import (
    HELD_ONLY,
    MESSAGE_VERSION,
    RETIRED_CONTRACT,
    AccountView,
    Heartbeat,
    Target,
    TickDone,
    TickFrame,
)
from ghtrader.ports.bus import StreamFrame
from ghtrader.trading.link.machine import Arrived, LinkEvent, LinkLimits, TimePassed, first_link, step_link
from ghtrader.trading.strategy.api import Decision, Strategy, StrategyContext
from ghtrader.trading.strategy.contract import ContractRunner
from ghtrader.trading.strategy.failures import failure_of
from ghtrader.trading.strategy.halts import HaltReason, Halts
from ghtrader.trading.strategy.model import ModelBinding
from ghtrader.trading.strategy.report import ContractReport, StrategyReport
from ghtrader.trading.strategy.timing import Stage, StageTimes

__all__ = ["LOCKSTEP", "StrategyCore"]

#: The link of a replay in lockstep: nothing can be lost, and it may stand still for as long as it likes.
LOCKSTEP = LinkLimits(suspect_ns=1 << 61, fail_ns=1 << 62, clear_after=1, recover_after=1, recover_ns=0)
NOTHING: tuple[Target | TickDone, ...] = ()
#: So many late decisions in a row are no accident.
LATE_IN_A_ROW = 3


class StrategyCore:
    """One account's strategy over any number of contracts.

    Parameters
    ----------
    account: its name. session: of this run, unlike that of any other. bindings: factors and model by contract or continuous alias.
    make: a new strategy; each contract gets its own, and a new one after a roll. context: what it is told, contract and model aside.
    link: when the stream is trusted. late_ns: a decision that took longer is dropped, and none is made while beats of the gateway come
    so late; 0: any time will do. stopwatch: ns, for the times of the stages and of decisions; without one every time is 0.

    Stamps: now_ns, UTC, stands in targets and halts; link_ns, of a clock that never goes back, is the link's time.
    """

    def __init__(
        self,
        account: str,
        session: str,
        bindings: Sequence[ModelBinding],
        make: Callable[[], Strategy],
        *,
        context: StrategyContext | None = None,
        link: LinkLimits = LOCKSTEP,
        late_ns: int = 0,
        stopwatch: Callable[[], int] = lambda: 0,
    ) -> None:
        self.account = account
        self.session = session
        self.halts = Halts()
        self.times = StageTimes()
        self._make = make
        self._stopwatch = stopwatch
        self._context = context or StrategyContext(account=account, symbol="")
        self._bindings = tuple(bindings)
        self._contracts: dict[str, ContractRunner] = {}
        self._retired: set[str] = set()
        self._held_only: set[str] = set()
        self._passed_over: set[str] = set()
        self._limits, self._late_ns = link, late_ns
        self._link = first_link(0)
        self._sent = 0
        self._ticks = self._gaps = self._ignored = self._withheld = 0
        self._last_ns = 0
        self._unread = self._holes = 0  # messages told as dealt with behind the last one that was read; holes that they were not
        self.halts.set(HaltReason.NO_GATEWAY, f"no gateway of account {account} is heard: ghtrader gateway run", 0)

    def on_frame(self, frame: StreamFrame, now_ns: int, link_ns: int = 0) -> tuple[Target | TickDone, ...]:
        """Take a message of the gateway; what is to be sent, in order."""
        if frame.version != MESSAGE_VERSION:
            message = f"the gateway speaks version {frame.version}, this runner {MESSAGE_VERSION}"
            self.halts.set(HaltReason.UNKNOWN_MESSAGE, message, now_ns)
            return (self._done(frame, 0),) if isinstance(frame, TickFrame) else NOTHING
        self.halts.clear(HaltReason.UNKNOWN_MESSAGE)
        if not isinstance(frame, TickFrame):
            is_new = self._is_new(frame, now_ns, link_ns)
            if isinstance(frame, Heartbeat):
                self._keep_pace(now_ns - frame.ts_ns, now_ns)
            elif is_new:
                self._on_account(frame, now_ns)
            return NOTHING
        started = self._stopwatch()
        target = self._on_tick(frame, now_ns, link_ns)
        spent = self._stopwatch() - started
        self.times.record(Stage.TICK, spent)
        done = self._done(frame, spent)
        return (done,) if target is None else (target, done)

    @property
    def sent(self) -> int:
        """Number of the last target message."""
        return self._sent

    def bind(self, binding: ModelBinding) -> None:
        """Trade one more contract or alias from now on; contracts that were passed over are looked at again."""
        self._bindings = (*self._bindings, binding)
        self._passed_over.clear()

    def on_silence(self, now_ns: int, link_ns: int) -> None:
        """Nothing came until now."""
        self._step_link(TimePassed(link_ns), now_ns)

    def on_unreadable(self, count: int, now_ns: int) -> tuple[TickDone, ...]:
        """So many messages of the gateway were no messages; stands until one can be read. What they said is missing in the stream.

        What is to be sent: they are dealt with, for a replay that waits. The newest of them bears the number after those that were read,
        unless a later one has come: then they are holes already.
        """
        self.halts.set(HaltReason.UNKNOWN_MESSAGE, f"{count} messages of the gateway could not be read", now_ns)
        place = self._link.place
        if not place.session:
            return ()
        behind, self._holes = count - self._holes, 0
        if behind <= 0:
            return ()
        self._unread += behind
        return (TickDone(MESSAGE_VERSION, self.session, self._sent, place.seq + self._unread, 0),)

    def _done(self, frame: TickFrame, spent: int) -> TickDone:
        return TickDone(MESSAGE_VERSION, self.session, self._sent, frame.seq, spent)

    def _step_link(self, event: LinkEvent, now_ns: int) -> None:
        self._link, _ = step_link(self._link, event, self._limits)
        link = self._link
        if not link.place.session:
            return
        self.halts.clear(HaltReason.NO_GATEWAY)
        if link.is_halted:
            self.halts.set(HaltReason.LINK, f"the stream of the gateway is {link.phase} ({link.signal})", now_ns)
        else:
            self.halts.clear(HaltReason.LINK)

    def _keep_pace(self, behind_ns: int, now_ns: int) -> None:
        """Halt while what comes is old already: the strategy, or this machine, is too slow for the market."""
        if not self._late_ns:
            return
        if behind_ns > self._late_ns:
            self.halts.set(HaltReason.BEHIND, f"what the gateway says arrives more than {self._late_ns / 1e9:g} s late", now_ns)
        else:
            self.halts.clear(HaltReason.BEHIND)

    def _is_new(self, frame: StreamFrame, now_ns: int, link_ns: int) -> bool:
        """Whether a message was not here before. A gateway that was started anew remembers nothing of us; what was lost is noted."""
        before = self._link.place
        self._step_link(Arrived(link_ns, frame.session, frame.seq, isinstance(frame, Heartbeat)), now_ns)
        after = self._link.place
        if after.lost > before.lost:
            self._holes += max(0, after.lost - before.lost - self._unread)
        self._unread = 0
        if after.session != before.session:
            for contract in self._contracts.values():
                self._begin(contract, now_ns)
            return True
        if after.lost > before.lost:
            self._gaps += 1
            for contract in self._contracts.values():
                contract.lost_rows()
                contract.account = None
                self._no_account(contract, now_ns)
        return after.seq > before.seq

    def _begin(self, contract: ContractRunner, now_ns: int) -> None:
        self.halts.clear(HaltReason.NOT_ACCEPTED, contract.symbol)
        self._no_account(contract, now_ns)
        self._guarded(contract, contract.begin, now_ns)

    def _no_account(self, contract: ContractRunner, now_ns: int) -> None:
        message = "the gateway has not said what the account holds"
        self.halts.set(HaltReason.NO_ACCOUNT, message, now_ns, contract.symbol)

    def _guarded(self, contract: ContractRunner, call: Callable[[], None], now_ns: int) -> None:
        try:
            call()
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a user's code may raise anything; it halts the strategy, and says why
            self._failed(contract, error, now_ns)

    def _failed(self, contract: ContractRunner, error: BaseException, now_ns: int) -> None:
        kind = type(contract.strategy).__name__
        self.halts.set(HaltReason.STRATEGY_FAILED, failure_of(kind, error), now_ns, contract.symbol)

    def _on_account(self, frame: AccountView, now_ns: int) -> None:
        contract = self._told_of(frame, now_ns)
        if contract is None:
            return
        contract.account = frame
        self.halts.clear(HaltReason.NO_ACCOUNT, contract.symbol)
        if frame.accepts:
            self.halts.clear(HaltReason.NOT_ACCEPTED, contract.symbol)
        else:
            message = f"the gateway takes no targets: {frame.reason or frame.mode}"
            self.halts.set(HaltReason.NOT_ACCEPTED, message, now_ns, contract.symbol)
        if not self.halts.has(HaltReason.STRATEGY_FAILED, contract.symbol):
            self._guarded(contract, lambda: contract.strategy.on_account(frame), now_ns)

    def _on_tick(self, frame: TickFrame, now_ns: int, link_ns: int) -> Target | None:
        is_new = self._is_new(frame, now_ns, link_ns)
        found = self._contract_of(frame.symbol, now_ns, rolls=False) if is_new else None
        if found is None:
            self._ignored += 1
            return None
        self._ticks += 1
        self._last_ns = frame.ts_ns
        return self._target(found, frame, now_ns) if self._is_read(found, frame, now_ns) else None

    def _is_read(self, contract: ContractRunner, frame: TickFrame, now_ns: int) -> bool:
        """Whether the row counts, and may be decided on."""
        symbol = contract.symbol
        try:
            counts = contract.read(frame)
        except DataError as error:
            self.halts.set(HaltReason.TICK_REFUSED, error.message, now_ns, symbol)
            return False
        except (Exception, SystemExit) as error:  # noqa: BLE001 - on_day is the user's
            self._failed(contract, error, now_ns)
            return False
        if not counts:
            return False
        self.halts.clear(HaltReason.TICK_REFUSED, symbol)
        if contract.refusal:
            self.halts.set(HaltReason.MODEL_REFUSED, contract.refusal, now_ns, symbol)
        else:
            self.halts.clear(HaltReason.MODEL_REFUSED, symbol)
        if self.halts.stops(symbol):
            self._withheld += 1
            return False
        return True

    def _target(self, contract: ContractRunner, frame: TickFrame, now_ns: int) -> Target | None:
        try:
            decision = contract.decide(self.session)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the same
            self._failed(contract, error, now_ns)
            return None
        if self._is_late(contract, now_ns) or decision is None:
            return None
        self._sent += 1
        contract.sent.decision, contract.sent.seq = decision, self._sent
        return self._message(contract, decision, frame, now_ns)

    def _is_late(self, contract: ContractRunner, now_ns: int) -> bool:
        """Whether the decision took too long to be acted on; the third one in a row ends the strategy."""
        spent = contract.decided_ns
        contract.late = contract.late + 1 if 0 < self._late_ns < spent else 0
        if not contract.late:
            return False
        words = f"{type(contract.strategy).__name__} took {spent / 1e9:.1f} s for a tick, {self._late_ns / 1e9:g} s are allowed"
        if contract.late >= LATE_IN_A_ROW:
            self.halts.set(HaltReason.STRATEGY_FAILED, f"{words}, {LATE_IN_A_ROW} times in a row", now_ns, contract.symbol)
        else:
            self.halts.set(HaltReason.BEHIND, words, now_ns)
        return True

    def _message(self, contract: ContractRunner, decision: Decision, frame: TickFrame, now_ns: int) -> Target:
        return Target(
            version=MESSAGE_VERSION,
            session=self.session,
            seq=self._sent,
            account=self.account,
            symbol=contract.symbol,
            lots=decision.lots,
            execution=decision.execution,
            tick_seq=frame.seq,
            tick_ns=frame.ts_ns,
            sent_ns=now_ns,
            score=contract.score,
            model_hash=contract.context.model_hash,
            factor_set_hash=contract.binding.plan.chosen.set_hash,
            factors=dict(zip(contract.context.factor_names, contract.factors.tolist(), strict=True)),
            note=decision.note,
        )

    def _told_of(self, frame: AccountView, now_ns: int) -> ContractRunner | None:
        """The runner of a view's contract. An alias has none of a contract that the gateway holds and does not trade."""
        symbol = frame.symbol
        if frame.reason not in (RETIRED_CONTRACT, HELD_ONLY):
            self._held_only.discard(symbol)
            return self._contract_of(symbol, now_ns, rolls=True)
        known = self._contracts.get(symbol)
        if known is not None and not known.binding.follows_main:
            return known
        if known is not None:
            self._give_up(symbol)
        self._held_only.add(symbol)
        return None

    def _give_up(self, symbol: str) -> None:
        del self._contracts[symbol]
        self.halts.drop(symbol)

    def _contract_of(self, symbol: str, now_ns: int, *, rolls: bool) -> ContractRunner | None:
        """The contract's runner, made at its first message; None for one that we do not trade.

        rolls: the gateway trades the contract now. Of an alias, one of a later month is a roll then: the one before it is given up,
        with everything that was known of it. Ticks alone say nothing of it: the gateway tells those of what it holds, too.
        """
        known = self._contracts.get(symbol)
        if known is not None or symbol in self._retired or symbol in self._held_only or symbol in self._passed_over:
            return known
        for binding in self._bindings:
            if binding.symbol == symbol or (binding.follows_main and parse_symbol(symbol).product == binding.product):
                return self._taken(binding, symbol, now_ns, rolls=rolls)
        self._passed_over.add(symbol)
        return None

    def _taken(self, binding: ModelBinding, symbol: str, now_ns: int, *, rolls: bool) -> ContractRunner | None:
        before = [name for name, contract in self._contracts.items() if contract.binding.symbol == binding.symbol]
        if before and not rolls:
            return None
        if before and parse_symbol(symbol).month <= parse_symbol(before[0]).month:
            self._retired.add(symbol)
            return None
        for name in before:
            self._give_up(name)
            self._retired.add(name)
        own = binding.of_contract(symbol)
        strategy, failure = self._new_strategy()
        context = StrategyContext(
            account=self.account,
            symbol=symbol,
            factor_names=own.plan.chosen.ids,
            threshold=own.threshold,
            model_hash=own.model_hash,
            params=dict(self._context.params),
        )
        contract = self._contracts[symbol] = ContractRunner(own, strategy, context, self._stopwatch, self.times)
        if strategy.needs_model and own.predictor is None:
            self.halts.set(HaltReason.NO_MODEL, f"{type(strategy).__name__} needs a model", now_ns, symbol)
        self._begin(contract, now_ns)
        if failure is not None:
            self._failed(contract, failure, now_ns)
        return contract

    def _new_strategy(self) -> tuple[Strategy, BaseException | None]:
        """A strategy, or one that wants nothing and what kept its user's from being made."""
        try:
            return self._make(), None
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the user's, as everywhere
            return Strategy(), error

    def report(self, now_ns: int) -> StrategyReport:
        """What the runner does now."""
        return StrategyReport(
            account=self.account,
            session=self.session,
            now_ns=now_ns,
            halts=self.halts.standing,
            contracts=tuple(
                ContractReport(
                    symbol=contract.symbol,
                    trading_day=contract.trading_day,
                    strategy=type(contract.strategy).__name__,
                    model_hash=contract.context.model_hash,
                    factor_set=contract.binding.plan.chosen.name,
                    factor_set_hash=contract.binding.plan.chosen.set_hash,
                    position=contract.account.position if contract.account else 0,
                    working=contract.account.working if contract.account else 0,
                    target=contract.sent.decision.lots if contract.sent.decision else 0,
                    dropped=contract.dropped,
                )
                for contract in self._contracts.values()
            ),
            ticks=self._ticks,
            targets=self._sent,
            gaps=self._gaps,
            lost=self._link.place.lost,
            link=str(self._link.phase),
            ignored=self._ignored,
            withheld=self._withheld,
            last_tick_ns=self._last_ns,
            stages=self.times.summary(),
        )
