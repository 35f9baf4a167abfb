"""What a user's code may do wrong: it halts with the reason, no target leaves, and every tick is still answered."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.trading.strategy.frames import SYMBOL, account, beat, binding, plan, predictor, tick, ticks

from ghtrader.core.errors import UsageError
from ghtrader.core.messages import ExecutionStyle, Heartbeat, Target, TickDone
from ghtrader.pipelines.stopping import StopWish
from ghtrader.trading.strategy.api import Decision, Strategy, StrategyContext, TickView
from ghtrader.trading.strategy.core import StrategyCore
from ghtrader.trading.strategy.loading import load_strategy

FIRST = 3000


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")

    def __repr__(self) -> str:
        raise RuntimeError("no words")


def mutates_factors(view: TickView) -> Decision:
    view.factors[0] = 1e9
    return Decision(1)


def raises(error: BaseException) -> Callable[[TickView], None]:
    def on_tick(view: TickView) -> None:
        raise error

    return on_tick


def returns(value: Any) -> Callable[[TickView], Any]:
    return lambda view: value


NO_DECISIONS: list[tuple[Callable[[TickView], Any], str]] = [
    (returns(1), "returned 1, neither a Decision nor None"),
    (returns("long"), "returned 'long', neither"),
    (returns({"lots": 1}), "neither a Decision nor None"),
    (returns(Unspeakable()), "returned a Unspeakable, neither"),
    (returns(Decision("2")), "wants '2' lots: whole numbers only"),  # type: ignore[arg-type]
    (returns(Decision(math.nan)), "wants nan lots: whole numbers only"),  # type: ignore[arg-type]
    (returns(Decision(math.inf)), "wants inf lots"),  # type: ignore[arg-type]
    (returns(Decision(1.0)), "wants 1.0 lots"),  # type: ignore[arg-type]
    (returns(Decision(True)), "wants True lots"),
    (returns(Decision(np.True_)), "lots: whole numbers only"),  # type: ignore[arg-type]
    (returns(Decision(None)), "wants None lots"),  # type: ignore[arg-type]
    (returns(Decision(1_000_001)), "at most 1,000,000 either way"),
    (returns(Decision(-(10**30))), "at most 1,000,000 either way"),
    (returns(Decision(1, "chase")), "not an ExecutionStyle"),  # type: ignore[arg-type]
    (returns(Decision(1, ExecutionStyle(style="nope"))), "Invalid enum value 'nope'"),  # type: ignore[arg-type]
    (returns(Decision(1, ExecutionStyle(patience_ns=math.nan))), "Expected `int`"),  # type: ignore[arg-type]
    (returns(Decision(1, ExecutionStyle(patience_ns=10**30))), "the execution of its decision"),
    (returns(Decision(1, ExecutionStyle(patience_ns=-1))), "no negative time"),
    (returns(Decision(1, ExecutionStyle(slices=0))), "at least one slice"),
    (returns(Decision(1, note=5)), "the note of its decision is 5, not text"),  # type: ignore[arg-type]
    (raises(ZeroDivisionError("by nothing")), "raised ZeroDivisionError: by nothing"),
    (raises(SystemExit(0)), "raised SystemExit: 0"),
    (raises(Unspeakable()), "raised Unspeakable: an error that cannot be shown"),
    (mutates_factors, "raised ValueError: assignment destination is read-only"),
]


class Slow:
    """A stopwatch that a strategy may push ahead."""

    ns = 0

    def __call__(self) -> int:
        return self.ns


def core_of(on_tick: Callable[[TickView], Any], **options: Any) -> StrategyCore:
    class Hostile(Strategy):
        def on_tick(self, view: TickView) -> Any:
            return on_tick(view)

    core = StrategyCore("demo", "s1", [binding()], Hostile, **options)
    core.on_frame(account(1), 0)
    return core


def answers(core: StrategyCore, first: int, count: int, now_ns: int = 0) -> list[Target]:
    """Targets of rows from there on; each is answered."""
    targets = []
    for frame in ticks(FIRST + first, count, 2 + first):
        *before, done = core.on_frame(frame, now_ns)
        assert isinstance(done, TickDone)
        targets += before
    return targets


@pytest.mark.parametrize(("on_tick", "message"), NO_DECISIONS, ids=[message for _, message in NO_DECISIONS])
def test_what_is_no_decision_halts_and_nothing_leaves(on_tick: Callable[[TickView], Any], message: str) -> None:
    core = core_of(on_tick)
    assert answers(core, 0, 5) == []
    (halt,) = core.halts.standing
    assert (halt.reason, message in halt.message) == ("strategy_failed", True), halt.message
    assert halt.message.startswith("Hostile raised")


def test_what_is_a_decision_leaves_as_plain_values_and_the_record_is_ours() -> None:
    def on_tick(view: TickView) -> Decision:
        view.score, view.factor_names, view.symbol, view.seq, view.ts_ns = 99.0, (), "SHFE.ag2604", -1, -1
        view.position = 10**6
        del view.factors
        return Decision(np.int64(3), note="x" * 10_000)  # type: ignore[arg-type]

    core = core_of(on_tick)
    target, *others = answers(core, 0, 3)
    assert others == []  # the same again says nothing new
    assert (type(target.lots), target.lots, len(target.note)) == (int, 3, 200)
    assert target.factors.keys() == set(plan().chosen.ids)
    chances = predictor(plan().chosen.ids).predict_proba(np.array([list(target.factors.values())]))[0]
    assert np.array_equal(target.score, chances[2] - chances[0], equal_nan=True)
    assert (target.symbol, target.tick_seq, target.tick_ns) == (SYMBOL, 2, tick(FIRST, 2).ts_ns)
    assert core.halts.standing == ()


def test_parameters_are_each_contract_s_own() -> None:
    seen = []

    class Changes(Strategy):
        def on_start(self, context: StrategyContext) -> None:
            seen.append(dict(context.params))
            context.params["lots"] = 1000

    core = StrategyCore(
        "demo", "s1", [binding()], Changes, context=StrategyContext(account="demo", symbol="", params={"lots": 1})
    )
    core.on_frame(account(1), 0)
    core._give_up(SYMBOL)
    core.on_frame(account(2), 0)
    assert seen == [{"lots": 1}, {"lots": 1}]


def test_a_strategy_that_cannot_be_made_any_more_halts() -> None:
    class Once(Strategy):
        def __init__(self) -> None:
            raise SystemExit("once is enough")

    core = StrategyCore("demo", "s1", [binding()], Once)
    core.on_frame(account(1), 0)
    assert answers(core, 0, 3) == []
    assert [(halt.reason, halt.message) for halt in core.halts.standing] == [
        ("strategy_failed", "Strategy raised SystemExit: once is enough")
    ]


def paced(now_ns: int, seq: int, sent_ns: int) -> Heartbeat:
    return Heartbeat(1, "g1", seq, sent_ns, "gateway")


def test_a_decision_that_took_too_long_is_dropped_and_the_third_in_a_row_ends_it() -> None:
    watch, asked = Slow(), []

    def on_tick(view: TickView) -> Decision:
        asked.append(view.seq)
        watch.ns += 2_000_000_000
        return Decision(len(asked))

    core = core_of(on_tick, late_ns=1_000_000_000, stopwatch=watch)
    for number in range(3):
        assert answers(core, 2 * number, 2) == []
        assert len(asked) == number + 1  # behind: what has waited meanwhile is not asked about
        (halt,) = core.halts.standing
        assert (halt.reason, "took 2.0 s for a tick, 1 s are allowed" in halt.message) == (
            ("behind" if number < 2 else "strategy_failed"), True,
        )  # fmt: skip
        core.on_frame(paced(0, 3 + 2 * number, 0), 1)  # the stream is up to date again
        assert [halt.reason for halt in core.halts.standing] == ([] if number < 2 else ["strategy_failed"])


def test_beats_that_come_late_halt_until_one_is_in_time() -> None:
    core = core_of(lambda view: Decision(1), late_ns=1_000_000_000)
    core.on_frame(paced(0, 1, 0), 1_000_000_001)
    assert answers(core, 0, 2) == []
    assert [halt.message for halt in core.halts.standing] == ["what the gateway says arrives more than 1 s late"]
    core.on_frame(paced(0, 3, 0), 1_000_000_000)
    assert len(answers(core, 2, 2)) == 1
    unhurried = core_of(lambda view: Decision(1))
    unhurried.on_frame(beat(1), 10**18)  # a replay in lockstep waits for any answer
    assert len(answers(unhurried, 0, 2)) == 1


FILES = [
    ("def x(:\n", "SyntaxError"),
    ("import sys\nsys.exit(3)\n", "SystemExit: 3 (line 2)"),
    ("import no_such_module_of_mine\n", "ModuleNotFoundError"),
    ("x = 1\nx / 0\n", "ZeroDivisionError: division by zero (line 2)"),
    (
        "from ghtrader.trading.strategy.api import Strategy\nclass A(Strategy):\n    def __init__(self):\n        raise SystemExit(1)\n",
        "cannot be made without arguments",
    ),
]


@pytest.mark.parametrize(("text", "message"), FILES, ids=[message for _, message in FILES])
def test_a_file_that_cannot_be_run_says_where(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "mine.py"
    path.write_text(text)
    with pytest.raises(UsageError) as caught:
        load_strategy(path)
    assert message in caught.value.message


def test_a_failure_names_the_line_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(
        "import math\nfrom ghtrader.trading.strategy.api import Strategy\n\nclass A(Strategy):\n"
        "    def on_tick(self, view):\n        return math.sqrt('x')\n"
    )
    core = StrategyCore("demo", "s1", [binding()], load_strategy(path).make)
    core.on_frame(account(1), 0)
    answers(core, 0, 1)
    assert core.halts.standing[0].message == "A raised TypeError: must be real number, not str (line 6)"


def test_a_second_signal_ends_code_that_never_does() -> None:
    patient, insisting = StopWish(), StopWish(insist=True)
    for wish in (patient, insisting):
        wish._handle(15, None)
        assert wish.received == 15
    patient._handle(2, None)
    with pytest.raises(KeyboardInterrupt):
        insisting._handle(2, None)
