"""The strategy runner on a generated day: frames in as bytes, targets and credits out as bytes, every tick timed on its own."""

from __future__ import annotations

import gc
from collections.abc import Callable

import msgspec
import numpy as np
import numpy.typing as npt

from ghtrader.core.clock import Clock
from ghtrader.core.messages import MESSAGE_VERSION, AccountView, Target, TickFrame
from ghtrader.data.calendar import Calendar
from ghtrader.data.instruments import InstrumentTable
from ghtrader.data.live_kernel import COLUMNS
from ghtrader.datasets.factors.catalogue import factor_set
from ghtrader.datasets.factors.engine import compute
from ghtrader.datasets.factors.session import FeaturePlan, warm_up
from ghtrader.inference.linear import LinearArtefact, LinearPredictor
from ghtrader.inference.scaler import Scaler
from ghtrader.research.truth import day_ticks
from ghtrader.sim.market.generate import GeneratedDay, generate_market
from ghtrader.sim.policy import PolicySpec
from ghtrader.trading.strategy.builtin import builtin_policy
from ghtrader.trading.strategy.core import StrategyCore
from ghtrader.trading.strategy.model import ModelBinding
from ghtrader.trading.strategy.timing import Histogram

__all__ = ["strategy_call", "strategy_figures"]

SEED = 1
THRESHOLD = 0.1
#: Ticks that are timed one by one, and how many before them warm up.
TIMED, WARM = 20_000, 1_000
F64 = npt.NDArray[np.float64]


def _day() -> GeneratedDay:
    return next(generate_market("planted", SEED, days=1))


def _binding(day: GeneratedDay, set_name: str) -> ModelBinding:
    """A logistic model on every factor of the set that a day on its own defines, scaled by that day, with seeded weights."""
    chosen = factor_set(set_name)
    values = compute(day_ticks(day), day.sessions, chosen)
    there = np.flatnonzero(np.isfinite(values).mean(axis=0) > 0.5)
    own = msgspec.structs.replace(chosen, factors=tuple(chosen.factors[place] for place in there))
    rows = values[:, there]
    scaler = Scaler.fit(rows[np.isfinite(rows).all(axis=1)])
    weights = np.random.default_rng(SEED).normal(0.0, 0.1, (3, len(there)))
    artefact = LinearArtefact(
        family="logistic", factor_names=own.ids, scaler=scaler, weights=weights.tolist(), intercepts=[0.0, 0.0, 0.0]
    )
    plan = FeaturePlan(day.symbol, own, Calendar.vendored(), InstrumentTable.vendored())
    return ModelBinding(symbol=day.symbol, plan=plan, predictor=LinearPredictor(artefact), threshold=THRESHOLD)


Row = tuple[int, tuple[float, ...]]


def _rows(day: GeneratedDay, rows: int) -> list[Row]:
    """The day's first rows as (stamp, values)."""
    absent = np.full(len(day.ts_ns), np.nan)
    raw = np.column_stack([day.columns.get(name, absent) for name in COLUMNS])[:rows]
    return list(zip(day.ts_ns[:rows].tolist(), map(tuple, raw.tolist()), strict=True))


class _Runner:
    """A runner whose every target is filled at once; what it sends is encoded and counted."""

    def __init__(self, binding: ModelBinding, stopwatch: Callable[[], int]) -> None:
        spec = PolicySpec(name="taker")
        self.core = StrategyCore("bench", "s", [binding], lambda: builtin_policy("taker", spec), stopwatch=stopwatch)
        self._decoder = msgspec.msgpack.Decoder(TickFrame)
        self._encode = msgspec.msgpack.Encoder().encode
        self._symbol = binding.symbol
        self._seq = self.targets = 0
        self._stopwatch = stopwatch
        self.decoding, self.encoding = Histogram(), Histogram()
        self._hold(0)

    def _hold(self, lots: int) -> None:
        self._seq += 1
        view = AccountView(
            version=MESSAGE_VERSION, session="bench", seq=self._seq, ts_ns=0, symbol=self._symbol, position=lots, working=0,
            target=lots, mode="paper", accepts=True, target_session="s", target_seq=self.targets,
        )  # fmt: skip
        self.core.on_frame(view, 0)

    def frame(self, row: Row) -> bytes:
        """A row as the gateway sends it."""
        self._seq += 1
        return self._encode(TickFrame(MESSAGE_VERSION, "bench", self._seq, self._symbol, row[0], row[0], row[1]))

    def answer(self, data: bytes) -> Target | None:
        """Decode, compute, encode; the target when one would leave."""
        stopwatch = self._stopwatch
        begun = stopwatch()
        frame = self._decoder.decode(data)
        decoded = stopwatch()
        messages = self.core.on_frame(frame, 0)
        computed = stopwatch()
        for message in messages:
            self._encode(message)
        self.decoding.record(decoded - begun)
        self.encoding.record(stopwatch() - computed)
        first = messages[0]
        return first if isinstance(first, Target) else None

    def filled(self, target: Target) -> None:
        """The gateway's word that a target was reached."""
        self.targets += 1
        self._hold(target.lots)


def strategy_call(rows: int) -> Callable[[], float]:
    """A day (or its first ``rows`` ticks) through a new runner; gives the number of targets."""
    day = _day()
    binding, ticks = _binding(day, "full"), _rows(day, rows)
    warm_up(binding.plan)

    def call() -> float:
        runner = _Runner(binding, lambda: 0)
        for row in ticks:
            target = runner.answer(runner.frame(row))
            if target is not None:
                runner.filled(target)
        return float(runner.targets)

    return call


def strategy_figures(clock: Clock, repeats: int) -> dict[str, float]:
    """Microseconds from a frame's bytes to the bytes of target and credit, tick by tick; and where they go, by stage."""
    del repeats
    day = _day()
    binding, ticks = _binding(day, "full"), _rows(day, TIMED + WARM)
    runner, spent = _Runner(binding, clock.monotonic_ns), np.empty(len(ticks))
    gc.collect()
    gc.disable()  # as the process does, which collects between messages
    for place, row in enumerate(ticks):
        data = runner.frame(row)
        begun = clock.monotonic_ns()
        target = runner.answer(data)
        spent[place] = clock.monotonic_ns() - begun
        if target is not None:
            runner.filled(target)
    gc.enable()
    p50, p99, p999 = (round(float(value) / 1e3, 2) for value in np.percentile(spent[WARM:], (50, 99, 99.9)))
    figures = {"compute_p50_us": p50, "compute_p99_us": p99, "compute_p999_us": p999, "ticks": float(len(ticks) - WARM)}
    own = {"decode": runner.decoding.summary(), "encode": runner.encoding.summary()}
    for name, stage in {**runner.core.report(0).stages, **own}.items():
        if stage.count:
            figures |= {f"{name}_p50_us": stage.p50_us, f"{name}_p99_us": stage.p99_us}
    return figures | {"factors_of_model": float(len(binding.plan.chosen.ids)), "targets": float(runner.targets)}
