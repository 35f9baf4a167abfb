"""The runner's core: one answer a tick, targets only while nothing halts it, nothing carried over gaps, rolls and new gateways."""

from __future__ import annotations

from itertools import pairwise

import msgspec
import numpy as np
import pytest
from tests.trading.strategy.frames import SYMBOL, account, beat, binding, plan, predictor, sample_rows, tick, ticks

from ghtrader.core.errors import DataError
from ghtrader.core.messages import HELD_ONLY, RETIRED_CONTRACT, ExecutionStyle, Style, Target, TickDone
from ghtrader.core.trading_day import TradingDay
from ghtrader.datasets.factors.session import FeatureSession
from ghtrader.trading.strategy.api import Decision, Strategy, StrategyContext, TickView
from ghtrader.trading.strategy.core import StrategyCore
from ghtrader.trading.strategy.halts import HaltReason
from ghtrader.trading.strategy.model import ModelBinding

FIRST = 3000  # well inside the night session of the sample day


class Follow(Strategy):
    """Long while the score is positive, short while it is negative; keeps what it was told."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.seen: list[tuple[int, float, int, bool]] = []

    def on_start(self, context: StrategyContext) -> None:
        self.told.append(f"start {context.symbol}")

    def on_day(self, trading_day: str) -> None:
        self.told.append(trading_day)

    def on_account(self, account: object) -> None:
        self.told.append("account")

    def on_tick(self, view: TickView) -> Decision | None:
        self.seen.append((view.seq, view.score, view.position, view.settled))
        return Decision(1 if view.score > 0 else -1) if view.can_trade and view.score == view.score else None


class Nothing(Strategy):
    needs_model = False


def core_of(make: type[Strategy] = Follow, bound: ModelBinding | None = None) -> tuple[StrategyCore, list[Strategy]]:
    made: list[Strategy] = []

    def new() -> Strategy:
        made.append(make())
        return made[-1]

    return StrategyCore("demo", "s1", [bound or binding()], new), made


def run(core: StrategyCore, frames: object) -> list[Target]:
    targets = []
    for frame in frames:
        *before, done = core.on_frame(frame, 7)
        assert isinstance(done, TickDone)
        assert (done.tick_seq, done.session) == (frame.seq, "s1")
        targets += before
    return targets


def reasons(core: StrategyCore) -> list[str]:
    return [str(halt.reason) for halt in core.halts.standing]


def test_targets_name_the_tick_the_factors_and_the_model_that_they_come_from() -> None:
    core, made = core_of()
    assert core.on_frame(account(1), 0) == ()
    targets = run(core, ticks(FIRST, 400, 2))
    assert [target.seq for target in targets] == list(range(1, len(targets) + 1))
    assert len(targets) > 3
    ts, raw = sample_rows()
    session, bound = FeatureSession(plan()), binding()
    expected = {row + 2: session.answer(int(ts[FIRST + row]), raw[FIRST + row]).values for row in range(400)}
    for target in targets:
        values = expected[target.tick_seq]
        assert target.factors == dict(zip(plan().chosen.ids, values.tolist(), strict=True))
        chances = bound.predictor.predict_proba(values.reshape(1, -1))[0]
        assert target.score == chances[2] - chances[0]
        assert target.lots == (1 if target.score > 0 else -1)
        assert (target.tick_ns, target.sent_ns, target.session) == (ts[FIRST + target.tick_seq - 2], 7, "s1")
        assert (target.model_hash, target.factor_set_hash) == (bound.model_hash, plan().chosen.set_hash)
    signs = [target.lots for target in targets]
    assert all(one != other for one, other in pairwise(signs))  # what says nothing new is not sent
    assert made[0].told == [f"start {SYMBOL}", "account", "2025-06-06"]


def test_nothing_is_decided_before_the_account_is_known_or_while_the_gateway_takes_nothing() -> None:
    core, made = core_of()
    assert run(core, ticks(FIRST, 50, 1)) == []
    assert reasons(core) == ["no_account"]
    core.on_frame(account(51, accepts=False, reason="risk_killed"), 9)
    assert run(core, ticks(FIRST + 50, 50, 52)) == []
    assert made[0].seen == []
    assert [(halt.reason, halt.message, halt.since_ns) for halt in core.halts.standing] == [
        (HaltReason.NOT_ACCEPTED, "the gateway takes no targets: risk_killed", 9)
    ]
    core.on_frame(account(102), 9)
    assert run(core, ticks(FIRST + 100, 50, 103))
    assert core.report(0).withheld == 100
    assert core.report(0).ready


def test_factors_go_on_through_a_halt() -> None:
    core, _ = core_of()
    core.on_frame(account(1), 0)
    core.halts.set(HaltReason.LINK, "as long as we say", 3, SYMBOL)
    assert run(core, ticks(FIRST, 200, 2)) == []
    core.halts.clear(HaltReason.LINK, SYMBOL)
    other, _ = core_of()
    other.on_frame(account(1), 0)
    halted, whole = run(core, ticks(FIRST + 200, 200, 202)), run(other, ticks(FIRST, 400, 2))
    by_tick = {target.tick_seq: target.factors for target in whole}
    common = [target for target in halted if target.tick_seq in by_tick]
    assert common
    assert all(target.factors == by_tick[target.tick_seq] for target in common)


@pytest.mark.parametrize("how", ["tick", "account", "beat"])
def test_a_gap_in_the_numbers_breaks_the_run_and_waits_for_the_account(how: str) -> None:
    core, made = core_of()
    core.on_frame(account(1), 0)
    run(core, ticks(FIRST, 100, 2))
    seen = len(made[0].seen)
    if how == "account":
        core.on_frame(account(103), 0)  # 102 was lost; this one says what the account holds
        assert reasons(core) == []
        after = 104
    else:
        frames = ticks(FIRST + 110, 1, 112) if how == "tick" else ()
        run(core, frames)
        if how == "beat":
            core.on_frame(beat(111), 0)
        assert reasons(core) == ["no_account"]
        assert len(made[0].seen) == seen
        core.on_frame(account(113 if how == "tick" else 112), 0)
        after = 114 if how == "tick" else 113
    assert core.report(0).gaps == 1
    targets = run(core, ticks(FIRST + 111, 300, after))
    ts, raw = sample_rows()
    session = FeatureSession(plan())
    for row in range(100):
        session.answer(int(ts[FIRST + row]), raw[FIRST + row])
    session.mark_gap()
    if how == "tick":
        session.answer(int(ts[FIRST + 110]), raw[FIRST + 110])
    expected = [session.answer(int(ts[FIRST + 111 + row]), raw[FIRST + 111 + row]).values for row in range(300)]
    assert targets
    for target in targets:
        assert list(target.factors.values()) == expected[target.tick_seq - after].tolist()
    if how != "tick":
        assert min(target.tick_seq for target in targets) > after  # the first row after the gap is not decided on


def test_a_tick_that_comes_twice_is_answered_and_changes_nothing() -> None:
    core, _ = core_of()
    core.on_frame(account(1), 0)
    run(core, ticks(FIRST, 100, 2))
    before = core.report(0)
    assert run(core, [tick(FIRST + 99, 101), tick(FIRST + 50, 52)]) == []
    after = core.report(0)
    assert (after.ticks, after.ignored, after.gaps) == (before.ticks, 2, 0)


def test_a_gateway_that_was_started_anew_is_told_everything_again() -> None:
    core, made = core_of()
    core.on_frame(account(1), 0)
    first = run(core, ticks(FIRST, 200, 2))
    core.on_frame(account(1, session="g2", position=first[-1].lots), 0)
    assert core.report(0).gaps == 0
    again = run(core, (tick(FIRST + 200 + row, 2 + row, session="g2") for row in range(200)))
    assert again
    assert again[0].seq == first[-1].seq + 1
    assert made[0].told.count(f"start {SYMBOL}") == 2
    assert all(settled for seq, _, _, settled in made[0].seen[-150:] if seq < again[0].tick_seq)


def test_a_target_is_settled_once_the_gateway_says_so() -> None:
    class Once(Follow):
        def on_tick(self, view: TickView) -> Decision | None:
            super().on_tick(view)
            return Decision(1) if view.can_trade else None

    core, made = core_of(Once)
    core.on_frame(account(1, target_session="s0", target_seq=99), 0)
    run(core, ticks(FIRST, 10, 2))
    core.on_frame(account(12, target_session="s0", target_seq=99), 0)
    run(core, ticks(FIRST + 10, 10, 13))
    core.on_frame(account(23, target_session="s1", target_seq=1, position=1), 0)
    run(core, ticks(FIRST + 20, 5, 24))
    settled = [item[3] for item in made[0].seen]
    sent = settled.index(False)
    assert settled == [True] * sent + [False] * (20 - sent) + [True] * 5


def test_a_roll_forgets_the_old_contract() -> None:
    core, made = core_of(bound=binding("KQ.m@SHFE.rb"))
    core.on_frame(account(1), 0)
    assert run(core, ticks(FIRST, 200, 2))
    assert run(core, [tick(FIRST + 200, 202, symbol="SHFE.rb2601")]) == []
    assert [item.told[0] for item in made] == ["start SHFE.rb2510"]  # ticks alone are no roll
    core.on_frame(account(203, symbol="SHFE.rb2601"), 0)
    assert [item.told[0] for item in made] == ["start SHFE.rb2510", "start SHFE.rb2601"]
    assert run(core, [tick(FIRST + 201, 204), tick(FIRST + 202, 205, symbol="SHFE.rb2505")]) == []  # given up, or never was
    new = run(core, (tick(FIRST + 203 + row, 206 + row, symbol="SHFE.rb2601") for row in range(200)))
    assert {target.symbol for target in new} == {"SHFE.rb2601"}
    session, (ts, raw) = FeatureSession(plan(symbol="SHFE.rb2601")), sample_rows()
    values = [session.answer(int(ts[row]), raw[row]).values for row in range(FIRST + 203, FIRST + 403)]
    assert [list(target.factors.values()) for target in new] == [values[target.tick_seq - 206].tolist() for target in new]
    assert [item.symbol for item in core.report(0).contracts] == ["SHFE.rb2601"]


@pytest.mark.parametrize("reason", [HELD_ONLY, RETIRED_CONTRACT])
def test_a_contract_that_is_only_held_is_no_roll_and_gets_no_targets(reason: str) -> None:
    core, made = core_of(bound=binding("KQ.m@SHFE.rb"))
    core.on_frame(msgspec.structs.replace(account(1, symbol="SHFE.rb2601"), accepts=False, reason=reason), 0)
    assert run(core, [tick(FIRST, 2, symbol="SHFE.rb2601")]) == []
    core.on_frame(account(3), 0)
    assert {target.symbol for target in run(core, ticks(FIRST + 1, 200, 4))} == {"SHFE.rb2510"}
    core.on_frame(msgspec.structs.replace(account(204), accepts=False, reason=reason), 0)
    assert run(core, ticks(FIRST + 201, 5, 205)) == []
    core.on_frame(account(210, symbol="SHFE.rb2601"), 0)
    assert {
        target.symbol for target in run(core, (tick(FIRST + 206 + n, 211 + n, symbol="SHFE.rb2601") for n in range(200)))
    } == {"SHFE.rb2601"}
    assert [item.told[0] for item in made] == ["start SHFE.rb2510", "start SHFE.rb2601"]


def test_contracts_that_nobody_asked_for_are_answered_and_left_alone() -> None:
    core, made = core_of()
    assert run(core, [tick(FIRST, 1, symbol="SHFE.au2512"), tick(FIRST, 2, symbol="SHFE.rb2601")]) == []
    assert made == []
    assert core.report(0).ignored == 2


@pytest.mark.parametrize("where", ["on_tick", "on_start", "on_day", "on_account"])
def test_a_strategy_that_raises_is_halted_and_says_why(where: str) -> None:
    class Broken(Follow):
        pass

    def fail(*_: object) -> None:
        raise ZeroDivisionError("a/b")

    setattr(Broken, where, fail)
    core, _ = core_of(Broken)
    core.on_frame(account(1), 0)
    assert run(core, ticks(FIRST, 50, 2)) == []
    core.on_frame(account(52), 0)
    assert run(core, ticks(FIRST + 50, 5, 53)) == []
    assert [halt.message for halt in core.halts.standing] == ["Broken raised ZeroDivisionError: a/b"]


def test_a_model_that_knows_the_day_or_is_too_old_for_it_may_not_trade() -> None:
    core, _ = core_of(bound=binding(last_train_day="2025-06-06"))
    core.on_frame(account(1), 0)
    assert run(core, ticks(FIRST, 50, 2)) == []
    assert reasons(core) == ["model_refused"]
    assert binding(last_train_day="2025-06-06", in_sample=True).refusal(TradingDay.parse("2025-06-06")) == ""
    old = binding(last_train_day="2025-05-30", max_age_days=3)
    assert old.refusal(TradingDay.parse("2025-06-05")) == ""  # 31 May to 2 June were no trading days
    assert "4 trading days back, 3 are allowed" in old.refusal(TradingDay.parse("2025-06-06"))
    assert binding(last_train_day="2025-05-30").refusal(TradingDay.parse("2025-06-06")) == ""


def test_without_a_model_only_strategies_that_need_none_decide() -> None:
    bare = ModelBinding(symbol=SYMBOL, plan=plan())
    core, _ = core_of(bound=bare)
    core.on_frame(account(1), 0)
    run(core, ticks(FIRST, 5, 2))
    assert reasons(core) == ["no_model"]
    core, _ = core_of(Nothing, bound=bare)
    core.on_frame(account(1), 0)
    run(core, ticks(FIRST, 5, 2))
    assert reasons(core) == []


def test_a_model_of_other_factors_is_refused() -> None:
    with pytest.raises(DataError, match="reads 15 factors"):
        ModelBinding(symbol=SYMBOL, plan=plan(), predictor=predictor(plan("minimal15").chosen.ids))


def test_a_tick_that_cannot_be_placed_halts_until_one_can() -> None:
    core, _ = core_of()
    core.on_frame(account(1), 0)
    years = 30 * 365 * 86_400 * 10**9
    run(core, [tick(FIRST, 2, shift_ns=years)])
    assert reasons(core) == ["tick_refused"]
    run(core, ticks(FIRST, 5, 3))
    assert reasons(core) == []


def test_messages_of_an_unknown_version_halt() -> None:
    core, _ = core_of()
    frame = msgspec.structs.replace(tick(FIRST, 1), version=2)
    (done,) = core.on_frame(frame, 0)
    assert done.tick_seq == 1
    assert core.on_frame(msgspec.structs.replace(account(2), version=2), 0) == ()
    assert reasons(core) == ["no_gateway", "unknown_message"]
    core.on_frame(account(3), 0)
    core.on_frame(account(4), 0)
    assert reasons(core) == []


def test_a_decision_is_sent_anew_when_asked() -> None:
    class Again(Strategy):
        def on_tick(self, view: TickView) -> Decision | None:
            return Decision(1, ExecutionStyle(Style.PASSIVE), anew=view.seq % 2 == 0)

    core, _ = core_of(Again)
    core.on_frame(account(1), 0)
    assert [target.tick_seq for target in run(core, ticks(FIRST, 6, 2))] == [2, 4, 6]


def test_what_the_view_shows_is_the_row() -> None:
    class Look(Strategy):
        needs_model = False

        def on_tick(self, view: TickView) -> Decision | None:
            rows.append((view.bid, view.ask, view.bid_lots, view.ask_lots, view.last, view.upper, view.lower, view.can_trade))
            assert view.probabilities is None
            assert np.isnan(view.score)
            assert view.part_end_ns > view.ts_ns
            return None

    rows: list[tuple] = []
    core, _ = core_of(Look, bound=ModelBinding(symbol=SYMBOL, plan=plan()))
    core.on_frame(account(1), 0)
    locked = tick(FIRST + 2, 4)
    values = list(locked.values)
    values[-2] = values[1]  # upper limit at the best bid
    run(core, [tick(FIRST, 2), tick(FIRST + 1, 3), msgspec.structs.replace(locked, values=tuple(values))])
    _, raw = sample_rows()
    columns = [1, 11, 6, 16, 0, 27, 28]
    from ghtrader.data.live_kernel import COLUMNS

    names = ["bid_price1", "ask_price1", "bid_volume1", "ask_volume1", "last_price", "upper_limit", "lower_limit"]
    columns = [COLUMNS.index(name) for name in names]
    expected = [None if np.isnan(raw[FIRST + 1, place]) else int(raw[FIRST + 1, place]) for place in columns]
    assert list(rows[1][:7]) == expected
    assert [row[-1] for row in rows] == [False, True, False]  # the first row follows a break, the last one is locked
