"""The process of a strategy: what it runs on, its stream to the gateway, and what it says of itself."""

from __future__ import annotations

import gc
import os
import signal
import threading

from ghtrader.core.clock import NS_PER_S
from ghtrader.core.messages import ParamValue
from ghtrader.datasets.factors.session import warm_up
from ghtrader.pipelines.backtest import policies_of
from ghtrader.pipelines.services import Services
from ghtrader.pipelines.stopping import StopWish
from ghtrader.pipelines.strategy import StrategyRequest, TellsEvent, TellsState, parse_params
from ghtrader.pipelines.strategy_models import bare_binding, resolve_symbol, strategy_model
from ghtrader.trading.link.machine import LinkLimits
from ghtrader.trading.strategy.api import StrategyContext
from ghtrader.trading.strategy.builtin import builtin_policy
from ghtrader.trading.strategy.core import LOCKSTEP, StrategyCore
from ghtrader.trading.strategy.halts import HaltReason
from ghtrader.trading.strategy.loading import LoadedStrategy, load_strategy
from ghtrader.trading.strategy.model import ModelBinding
from ghtrader.trading.strategy.report import StrategyDocument
from ghtrader.trading.strategy.shell import StrategyShell

__all__ = ["serve"]

#: How long one wait for a message is: a signal is noticed within it.
WAIT_S = 0.1
#: How often sinks of the state are asked how they are.
LOOK_NS = NS_PER_S // 4
TELL_EVERY_NS = 30 * NS_PER_S


class _Missing:
    """Finds what the strategy runs on, in a thread of its own: kernels may have to be compiled, and the beats must go on."""

    def __init__(self, services: Services, request: StrategyRequest, loaded: LoadedStrategy) -> None:
        self._services, self._request, self._loaded = services, request, loaded
        self._symbol = None if request.symbol is None else resolve_symbol(request.symbol)
        self._thread: threading.Thread | None = None
        self._found: ModelBinding | None = None
        self._error: Exception | None = None

    def look(self) -> None:
        """Begin to look, unless that is under way."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="model", daemon=True)
            self._thread.start()

    @property
    def has_looked(self) -> bool:
        """Whether there is an answer to be taken by `found`."""
        return self._thread is not None and not self._thread.is_alive()

    def found(self) -> ModelBinding | None:
        """What was found, its kernels compiled; None while no model is stored. Raises what finding it raised."""
        self._thread = None
        if self._error is not None:
            raise self._error
        return self._found

    def _run(self) -> None:
        try:
            self._found = self._find()
        except Exception as error:  # noqa: BLE001 - raised again by `found`, in the thread that ends the process
            self._error = error

    def _find(self) -> ModelBinding | None:
        request, loaded = self._request, self._loaded
        if loaded.needs_model:
            found = strategy_model(
                self._services, self._symbol, model=request.model, in_sample=request.in_sample, factors=request.factors
            )
        else:
            found = bare_binding(self._services, self._symbol, loaded.factor_set, request.factors)
        if found is not None:
            warm_up(found.plan)
        return found

    @property
    def message(self) -> str:
        """What is missing, and the command that mends it."""
        of = f" of {self._symbol}" if self._symbol else ""
        return f"no model{of} is stored: ghtrader train --var VAR"


def _strategy_of(services: Services, request: StrategyRequest) -> LoadedStrategy:
    """The user's, else a built-in score policy with the parameters ``sim.*``."""
    if request.file is not None:
        return load_strategy(request.file)
    spec = next(item for item in policies_of(services.settings()) if item.name == request.policy)
    return LoadedStrategy(request.policy, lambda: builtin_policy(request.policy, spec), "", True, "")


def _seconds(services: Services, name: str) -> int:
    return round(float(str(services.settings().get(name))) * NS_PER_S)


def _link_limits(services: Services) -> LinkLimits:
    silence = _seconds(services, "strategy.silence_s")
    return LinkLimits(suspect_ns=silence * 5 // 8, fail_ns=silence, recover_ns=_seconds(services, "strategy.recover_s"))


def serve(services: Services, request: StrategyRequest, tell: TellsState, tell_event: TellsEvent) -> StrategyDocument:
    """Run the strategy until a signal; see `pipelines.strategy.run_strategy`. The caller holds the account's lock."""
    stop = StopWish(insist=True)
    with stop.installed():
        process = _Process(services, request, tell, tell_event)
        try:
            while not stop.received:
                process.turn()
        finally:
            process.close()
    if stop.received == signal.SIGINT:
        raise KeyboardInterrupt
    return process.last


class _Process:
    """One run: core, shell, and what operators hear of it."""

    def __init__(self, services: Services, request: StrategyRequest, tell: TellsState, tell_event: TellsEvent) -> None:
        clock = services.clock
        self._clock, self._tell, self._tell_event, self._account = clock, tell, tell_event, request.account
        loaded = _strategy_of(services, request)
        self._source = loaded.name if request.file is None else f"{request.file} {loaded.source_hash[:16]}"
        self._started = clock.now_ns()
        params: dict[str, ParamValue] = parse_params(request.params)
        self._core = StrategyCore(
            request.account,
            f"{request.account}-{self._started}-{os.getpid()}",
            [],
            loaded.make,
            context=StrategyContext(account=request.account, symbol="", params=params),
            link=LOCKSTEP if request.lockstep else _link_limits(services),
            late_ns=0 if request.lockstep else _seconds(services, "strategy.late_s"),
            stopwatch=clock.monotonic_ns,
        )
        self._missing: _Missing | None = _Missing(services, request, loaded)
        self._stream = services.trading().strategy_stream(request.account)
        self._shell = StrategyShell(self._core, self._stream, clock, beat_ns=_seconds(services, "strategy.beat_s"))
        self._report_ns = _seconds(services, "strategy.report_s")
        self._outlet = services.trading().strategy_outlet(request.account)
        self._reported = self._told = self._looked = -TELL_EVERY_NS
        self._seen: tuple[object, ...] = ()
        self._core.halts.set(HaltReason.STARTING, "factors and model are being made ready", self._started)
        self._missing.look()
        self._report()

    def _document(self, state: str) -> StrategyDocument:
        """As of now; the outlet numbers it."""
        now = self._clock.now_ns()
        return StrategyDocument(
            account=self._account,
            revision=0,
            updated_at=now,
            sender="strategy",
            degraded=(),
            counters={},
            state=state,
            pid=os.getpid(),
            started_ns=self._started,
            source=self._source,
            report=self._core.report(now),
        )

    def turn(self) -> None:
        """Answer what comes; now and then look for what is missing, and report."""
        if self._missing is not None and self._missing.has_looked:
            self._take(self._missing)
        self._shell.step(WAIT_S)
        now = self._clock.monotonic_ns()
        if now - self._looked >= LOOK_NS:
            self._looked = now
            self._hear()
        if self._standing() == self._seen and now - self._reported < self._report_ns:
            return
        if self._missing is not None:
            self._missing.look()
        self._report()
        gc.collect()  # with the collector off, between messages and never while one is answered

    def _standing(self) -> tuple[object, ...]:
        """What operators should know at once when it changes: halts, and what is degraded."""
        return (
            tuple((halt.reason, halt.symbol, halt.message) for halt in self._core.halts.standing),
            self._outlet.reasons,
        )

    def _hear(self) -> None:
        """Tell what became of sinks and halts."""
        for event in self._outlet.look(self._clock.now_ns(), self._core.halts.changes()):
            self._tell_event(event)

    def _take(self, missing: _Missing) -> None:
        """Trade with what was found, or say that there is none."""
        binding, halts = missing.found(), self._core.halts
        if binding is None:
            halts.set(HaltReason.NO_MODEL, missing.message, self._clock.now_ns())
            halts.clear(HaltReason.STARTING)
            return
        self._missing = None
        self._core.bind(binding)
        halts.clear(HaltReason.STARTING)
        halts.clear(HaltReason.NO_MODEL)
        gc.collect()
        gc.freeze()
        gc.disable()

    def _report(self) -> None:
        """Publish the state; tell what changed, else tell it now and then."""
        now, seen = self._clock.monotonic_ns(), self._standing()
        halts = self._core.halts
        self._publish("starting" if halts.has(HaltReason.STARTING) else "halted" if halts.standing else "ready")
        self._reported = now
        if seen != self._seen or now - self._told >= TELL_EVERY_NS:
            self._seen, self._told = seen, now
            self._tell(self.last)

    def _publish(self, state: str) -> None:
        self.last = self._outlet.publish(self._document(state))

    def close(self) -> None:
        """Say goodbye."""
        self._shell.beat("stopped")
        self._hear()
        self._publish("stopped")
        self._stream.close()
        self._outlet.close()
        gc.enable()
        gc.unfreeze()
