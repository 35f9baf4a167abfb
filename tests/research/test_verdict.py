from __future__ import annotations

import numpy as np
import pytest

from ghtrader.research.verdict import TradeEvidence, conclude, trade_interval

DAYS = [f"2025-{month:02}-{day:02}" for month in (3, 4) for day in range(1, 29)]
DAY_NS = 86_400_000_000_000


def _evidence(policy: str, model: str, low: float, high: float) -> TradeEvidence:
    return TradeEvidence(
        policy=policy, fill_model=model, trades=100, net_ticks=(low + high) / 2, low=low, high=high, effective_trades=50.0
    )


def _both(policy: str, low: float, high: float) -> list[TradeEvidence]:
    return [_evidence(policy, model, low, high) for model in ("back", "pro_rata")]


def test_edge_needs_both_fill_models_above_zero() -> None:
    assert conclude(_both("taker", 0.1, 0.5), test_days=20, horizon="50t").conclusion == "edge"
    mixed = [_evidence("taker", "back", -0.1, 0.5), _evidence("taker", "pro_rata", 0.1, 0.5)]
    assert conclude(mixed, test_days=20, horizon="50t").conclusion == "undecidable"


def test_front_of_queue_fills_prove_nothing() -> None:
    evidence = [*_both("passive", -0.1, 0.2), _evidence("passive", "front", 0.5, 0.9)]
    assert conclude(evidence, test_days=30, horizon="50t").conclusion == "undecidable"


def test_no_edge_needs_every_policy_below_zero_under_both_models() -> None:
    losing = [*_both("taker", -1.0, -0.5), *_both("passive", -0.3, -0.1)]
    assert conclude(losing, test_days=20, horizon="50t").conclusion == "no edge"
    one_open = [*_both("taker", -1.0, -0.5), *_both("passive", -0.3, 0.1)]
    assert conclude(one_open, test_days=20, horizon="50t").conclusion == "undecidable"


def test_one_winning_policy_is_an_edge_although_another_loses() -> None:
    evidence = [*_both("taker", -1.0, -0.5), *_both("passive", 0.1, 0.3)]
    verdict = conclude(evidence, test_days=20, horizon="50t")
    assert verdict.conclusion == "edge"
    assert "passive" in verdict.text[0]
    assert "taker" not in verdict.text[0]


@pytest.mark.parametrize(("low", "high"), [(0.5, 0.9), (-0.9, -0.5), (-0.1, 0.2)])
def test_below_twenty_test_days_nothing_is_concluded_whatever_the_numbers(low: float, high: float) -> None:
    verdict = conclude(_both("taker", low, high), test_days=19, horizon="50t")
    assert verdict.conclusion == "undecidable"
    assert "19 disjoint test days" in verdict.text[0]
    assert verdict.days_needed is not None
    assert verdict.days_needed >= 20
    assert verdict.smallest_effect_ticks is not None
    assert not any("sharpe" in line.lower() for line in verdict.text)


def test_days_needed_grow_with_the_square_of_width_over_effect() -> None:
    verdict = conclude(_both("taker", -0.3, 0.5), test_days=20, horizon="50t")  # mean 0.1, half width 0.4
    assert verdict.days_needed == pytest.approx(20 * 16, abs=1)
    assert f"{verdict.days_needed:,} test days" in verdict.text[-1]


def test_the_text_says_how_many_days_trades_and_independent_trades_and_the_smallest_effect() -> None:
    verdict = conclude(_both("taker", -0.3, 0.5), test_days=25, horizon="50t")
    text = " ".join(verdict.text)
    assert "100 round trips (taker, back) count as about 50 independent ones" in text
    assert f"{verdict.smallest_effect_ticks:.2f} net ticks" in text
    assert verdict.smallest_effect_ticks == pytest.approx(0.4 * 2.8 / 1.96)
    assert verdict.effective_trades == 50.0


def test_days_needed_are_those_of_the_policy_that_needs_fewest_under_its_harder_fill_model() -> None:
    evidence = [
        *_both("taker", -0.9, 1.1),  # mean 0.1, half width 1
        _evidence("passive", "back", -0.4, 0.8),  # 0.2 and 0.6: nine times the days
        _evidence("passive", "pro_rata", -0.2, 0.6),  # 0.2 and 0.4: four times
    ]
    assert conclude(evidence, test_days=20, horizon="50t").days_needed == pytest.approx(180, abs=1)


def test_a_policy_that_never_traded_proves_nothing() -> None:
    none = TradeEvidence(
        policy="passive", fill_model="back", trades=0, net_ticks=None, low=None, high=None, effective_trades=None
    )
    verdict = conclude([none], test_days=25, horizon="50t")
    assert verdict.conclusion == "undecidable"
    assert any("No policy traded" in line for line in verdict.text)


def _trades(per_day: int, days: int, mean: float, seed: int = 0) -> tuple[list[float], list[int], list[int], list[str]]:
    random = np.random.default_rng(seed)
    net = random.normal(mean, 1.0, per_day * days).tolist()
    names = [DAYS[number] for number in range(days) for _ in range(per_day)]
    stamps = [day * DAY_NS + 60_000_000_000 * trade for day in range(days) for trade in range(per_day)]
    return net, [1] * len(net), stamps, names


def test_interval_of_the_mean_weighs_by_lots() -> None:
    net, _, stamps, names = _trades(30, 20, 0.0)
    lots = [1, 3] * 300
    interval, _ = trade_interval(net, lots, stamps, names, test_days=DAYS[:20], policies=1, replicates=200, seed=0)
    assert interval.value == pytest.approx(np.average(net, weights=lots))


def test_more_declared_policies_widen_the_interval() -> None:
    net, lots, stamps, names = _trades(30, 20, 0.2)
    widths = []
    for policies in (1, 2, 10):
        interval, _ = trade_interval(net, lots, stamps, names, test_days=DAYS[:20], policies=policies, replicates=500, seed=0)
        widths.append(interval.high - interval.low)
    assert widths == sorted(widths)
    assert widths[2] > 1.3 * widths[0]


def test_effective_trades_fall_when_trades_of_a_day_go_together() -> None:
    _, lots, stamps, names = _trades(30, 20, 0.0)
    random = np.random.default_rng(2)
    apart = random.normal(size=600)
    together = np.repeat(random.normal(size=20), 30) + 0.1 * apart
    found = [
        trade_interval(net.tolist(), lots, stamps, names, test_days=DAYS[:20], policies=1, replicates=500, seed=0)[1]
        for net in (apart, together)
    ]
    assert found[0] == pytest.approx(600, rel=0.5)
    assert found[1] == pytest.approx(20, rel=0.3)


def test_no_trades_give_no_interval() -> None:
    interval, effective = trade_interval([], [], [], [], test_days=DAYS[:20], policies=2, replicates=100, seed=0)
    assert np.isnan(interval.value)
    assert effective == 0.0
