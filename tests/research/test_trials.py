from __future__ import annotations

from ghtrader.adapters.memory import MemoryLedger
from ghtrader.research.trials import TrialLedger


class _Clock:
    def __init__(self) -> None:
        self.now = 0

    def now_ns(self) -> int:
        self.now += 1
        return self.now

    def monotonic_ns(self) -> int:
        return self.now_ns()


def test_every_trial_is_kept_with_what_when_and_result() -> None:
    trials = TrialLedger(MemoryLedger(), _Clock())
    assert trials.count() == 0
    first = trials.record("evaluation", spec={"model": "logistic"}, data={"builds": ["a"]}, result={"auc": 0.6})
    second = trials.record("backtest", spec={"policy": "taker"}, data={"builds": ["a"]}, result={"net": -1.0})
    assert (first, second, trials.count()) == (1, 2, 2)
    kept = trials.all()
    assert [(trial.number, trial.kind, trial.created_ns) for trial in kept] == [(1, "evaluation", 1), (2, "backtest", 2)]
    assert kept[0].spec == {"model": "logistic"}
    assert kept[1].result == {"net": -1.0}


def test_repeating_an_idea_counts_again_under_the_same_spec_hash() -> None:
    trials = TrialLedger(MemoryLedger(), _Clock())
    for spec in ({"model": "logistic", "seed": 1}, {"seed": 1, "model": "logistic"}, {"model": "logistic", "seed": 2}):
        trials.record("evaluation", spec=spec, data={}, result={})
    hashes = [trial.spec_hash for trial in trials.all()]
    assert hashes[0] == hashes[1] != hashes[2]
    assert trials.count() == 3
