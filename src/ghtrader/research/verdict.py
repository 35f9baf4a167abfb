"""The conclusion: edge, no edge or undecidable, with how much evidence it would take."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from ghtrader.research.bootstrap import BLOCK_NS, DAYS_FOR_DAY_BLOCKS, Interval, Resampler, interval_ratio

__all__ = ["MIN_TEST_DAYS", "TradeEvidence", "Verdict", "conclude", "trade_interval"]

MIN_TEST_DAYS = 20
CONFIDENCE = 0.95
POWER_FACTOR = 2.8  # (1.96 + 0.84): the effect that 80 % of samples would show
JUDGED_MODELS = ("back", "pro_rata")
EDGE, NO_EDGE, UNDECIDABLE = "edge", "no edge", "undecidable"


class TradeEvidence(msgspec.Struct, frozen=True, kw_only=True):
    """Net ticks per round trip and lot of one policy under one fill model, with its interval."""

    policy: str
    fill_model: str
    trades: int
    net_ticks: float | None
    low: float | None
    high: float | None
    effective_trades: float | None


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """The word and the reasons.

    effective_trades: as how many independent round trips those of the narrowest interval count.
    smallest_effect_ticks: what this much data could have shown (80 % power).
    """

    conclusion: str
    text: list[str]
    test_days: int
    effective_trades: float | None
    smallest_effect_ticks: float | None
    days_needed: int | None
    confidence: float


def trade_interval(
    net_ticks: Sequence[float],
    lots: Sequence[int],
    entry_ns: Sequence[int],
    days: Sequence[str],
    *,
    test_days: Sequence[str],
    policies: int,
    replicates: int,
    seed: int,
) -> tuple[Interval, float]:
    """Mean net ticks per lot with its block-bootstrap interval (Bonferroni over ``policies``), and the effective trades.

    Blocks are trading days from 20 test days on (days without a trade count as empty blocks), 30 minutes below.
    """
    nothing = Interval(float("nan"), float("nan"), float("nan")), 0.0
    if not net_ticks:
        return nothing
    values, weights = np.array(net_ticks), np.array(lots, dtype=np.float64)
    if len(test_days) >= DAYS_FOR_DAY_BLOCKS:
        blocks: npt.NDArray[np.int64] = np.array([test_days.index(day) for day in days])
        count = len(test_days)
    else:
        _, blocks = np.unique(np.array(entry_ns) // BLOCK_NS, return_inverse=True)
        count = int(blocks.max()) + 1
    confidence = 1.0 - (1.0 - CONFIDENCE) / max(1, policies)
    resampler = Resampler(count, replicates=replicates, seed=seed, confidence=confidence)
    sums = np.bincount(blocks, weights=values * weights, minlength=count).astype(np.float64)
    sizes = np.bincount(blocks, weights=weights, minlength=count).astype(np.float64)
    interval = interval_ratio(sums, sizes, resampler)
    error = (interval.high - interval.value) / resampler.width
    effective = (float(values.std()) / error) ** 2 if np.isfinite(error) and error > 0 else 0.0
    return interval, min(effective, float(len(values)))


def conclude(evidence: Sequence[TradeEvidence], *, test_days: int, horizon: str) -> Verdict:
    """The verdict over the declared policies, judged under back and pro_rata.

    edge: some policy's lower bound is above 0 under both. no edge: every policy's upper bound is below 0 under both.
    Anything else, and anything on fewer than 20 disjoint test days, is undecidable.
    """
    judged = [item for item in evidence if item.fill_model in JUDGED_MODELS]
    policies = list(dict.fromkeys(item.policy for item in judged))
    bounds = {p: [item for item in judged if item.policy == p and item.low is not None] for p in policies}
    winners = [p for p in policies if len(bounds[p]) == len(JUDGED_MODELS) and all((i.low or 0.0) > 0 for i in bounds[p])]
    losing = [p for p in policies if len(bounds[p]) == len(JUDGED_MODELS) and all((i.high or 0.0) < 0 for i in bounds[p])]
    sharpest = min((item for p in policies for item in bounds[p]), key=_half_width, default=None)
    smallest = None if sharpest is None else _half_width(sharpest) * POWER_FACTOR / 1.96
    needed = min((days for p in policies if (days := _days_needed(test_days, bounds[p])) is not None), default=None)
    if test_days < MIN_TEST_DAYS:
        word = UNDECIDABLE
        text = [f"{test_days} disjoint test days; below {MIN_TEST_DAYS} nothing is concluded, whatever the numbers say."]
    elif winners:
        word = EDGE
        text = [
            f"The {' and the '.join(winners)} policy earns more than it costs under back and pro_rata fills ({horizon} score)."
        ]
    elif losing and len(losing) == len(policies):
        word = NO_EDGE
        text = [
            "Every declared policy loses after costs, under back and pro_rata fills alike: the signal is smaller than its price."
        ]
    else:
        word = UNDECIDABLE
        text = ["The intervals of net ticks per trade include zero: neither an edge nor its absence is shown."]
    if sharpest is None:
        text.append("No policy traded often enough to be judged.")
    else:
        trades = f"{sharpest.trades:,} round trips ({sharpest.policy}, {sharpest.fill_model})"
        text += [
            f"{trades} count as about {sharpest.effective_trades or 0.0:,.0f} independent ones.",
            f"The smallest effect this sample could have shown is {smallest:.2f} net ticks per trade.",
        ]
    if word == UNDECIDABLE:
        more = max(needed or 0, MIN_TEST_DAYS)
        text.append(
            f"About {more:,} test days like these would decide it."
            if needed
            else f"At least {MIN_TEST_DAYS} test days are needed."
        )
    return Verdict(
        conclusion=word,
        text=text,
        test_days=test_days,
        effective_trades=None if sharpest is None else sharpest.effective_trades,
        smallest_effect_ticks=smallest,
        days_needed=max(needed, MIN_TEST_DAYS) if needed and word == UNDECIDABLE else None,
        confidence=CONFIDENCE,
    )


def _half_width(item: TradeEvidence) -> float:
    return ((item.high or 0.0) - (item.low or 0.0)) / 2.0


def _days_needed(test_days: int, judged: Sequence[TradeEvidence]) -> int | None:
    """Days until one policy's intervals, around its present means, leave zero out under every fill model.

    Widths fall with the root of days. None where no number of days would do (no trades, a mean of zero).
    """
    days = [test_days * (_half_width(item) / abs(item.net_ticks)) ** 2 for item in judged if item.net_ticks]
    return int(np.ceil(max(days))) if len(days) == len(JUDGED_MODELS) else None
