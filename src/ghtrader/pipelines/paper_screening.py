"""A paper run beside the screening backtester on the same ticks, scores and policy: every order of both, and every difference."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from ghtrader.core.orders import FillModel
from ghtrader.core.phases import Phase
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.day_ticks import NO_PRICE, DayTicks
from ghtrader.data.sessions import sessions_for
from ghtrader.datasets.factors.engine import compute_day, part_ends
from ghtrader.datasets.factors.history import DaySummary, history_array
from ghtrader.datasets.factors.session import FeaturePlan
from ghtrader.pipelines.backtest import policies_of
from ghtrader.pipelines.model_cards import StoredModel, plan_of_model
from ghtrader.pipelines.services import Services
from ghtrader.ports.predictor import Predictor
from ghtrader.sim.costs import SimCosts
from ghtrader.sim.orders import Trades, trades_of
from ghtrader.sim.policy import PolicyDay, run_policy
from ghtrader.trading.journal.reading import JournalRecords
from ghtrader.trading.screening.deeds import GatewayDay, days_of
from ghtrader.trading.screening.differences import DayComparison, compare_day

__all__ = ["Comparison", "Screening", "score_rows"]

F64 = npt.NDArray[np.float64]


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """One run beside its screening. same_venue: the run was asked to keep the screening's rules. reasons: how many differences of each.

    seconds: what the comparison took, the common part (reading days, scores) with the first run.
    """

    same_venue: bool
    orders: int
    matched: int
    differences: int
    reasons: dict[str, int]
    days: list[DayComparison]
    seconds: float


def score_rows(ticks: DayTicks, factors: F64, predictor: Predictor) -> F64:
    """P(up) - P(down) of every row that a model may predict at (orders may match, two sides), NaN elsewhere; (n,)."""
    bid, ask = ticks.bid_px[:, 0], ticks.ask_px[:, 0]
    predicts = (ticks.phase == int(Phase.CONTINUOUS)) & (bid != NO_PRICE) & (ask != NO_PRICE) & (bid < ask)
    score = np.full(len(ticks), np.nan)
    found = predictor.predict_proba(factors[predicts])
    score[predicts] = found[:, 2] - found[:, 0]
    return score


class Screening:
    """The screening backtester on a folder of ticks; days, factors and scores are computed once, for all fill models."""

    def __init__(self, services: Services, folder: Path, symbol: str, model: StoredModel, policy: str) -> None:
        self._services, self._folder, self._symbol, self._model = services, folder, symbol, model
        self._spec = next(spec for spec in policies_of(services.settings()) if spec.name == policy)
        self._plan: FeaturePlan = plan_of_model(services, model, symbol, in_sample=True)

    @cached_property
    def _days(self) -> tuple[list[PolicyDay], list[Trades]]:
        """Every day as the live process computes it: factors of a day know what earlier days left."""
        services, plan = self._services, self._plan
        predictor, threshold = services.predictor(self._model.artefact), self._model.card.card.trade_threshold
        product = plan.instruments.product(self._symbol).product
        left: list[DaySummary] = []
        days: list[PolicyDay] = []
        for (day,) in services.replay_days(self._folder, (self._symbol,)):
            ticks = day.ticks
            sessions = sessions_for(product, ticks.trading_day, plan.calendar, plan.instruments)
            factors, summary = compute_day(ticks, sessions, plan.chosen, params=plan.params, history=history_array(left))
            left.append(summary)
            days.append(
                PolicyDay(
                    ticks=ticks,
                    part_end_ns=part_ends(ticks, sessions),
                    score=score_rows(ticks, factors, predictor),
                    threshold=threshold,
                    costs=SimCosts.from_spec(day.spec),
                    settlement_ticks=day.settlement_ticks,
                )
            )
        return days, [trades_of(day.ticks) for day in days]

    def compare(self, account: str, fill_model: str, net_cny: Mapping[str, float], *, same_venue: bool) -> Comparison:
        """The run of an account, from its journal. net_cny: what its venue settled, by ISO day."""
        clock = self._services.clock
        began = clock.monotonic_ns()
        days, trades = self._days
        result = run_policy(days, self._spec, FillModel[fill_model.upper()], trades, with_orders=True)
        instruments = self._plan.instruments
        journal = JournalRecords(self._services.trading().journal(account))
        done = days_of(journal, self._symbol, lambda symbol, day: instruments.spec(symbol, TradingDay.parse(day)))
        by_day: dict[str, GatewayDay] = {day.trading_day: day for day in done}
        found = [
            compare_day(
                [order for order in result.sent if order.trading_day == name],
                by_day.get(name, GatewayDay(name)),
                same_venue=same_venue,
                screening_net_cny=pnl.net_cny,
                gateway_net_cny=net_cny.get(name, 0.0),
            )
            for name, pnl in result.days.items()
        ]
        return _summary(found, same_venue=same_venue, seconds=(clock.monotonic_ns() - began) / 1e9)


def _summary(days: Sequence[DayComparison], *, same_venue: bool, seconds: float) -> Comparison:
    reasons = Counter(difference.reason for day in days for difference in day.differences)
    return Comparison(
        same_venue=same_venue,
        orders=sum(day.screening_orders for day in days),
        matched=sum(day.matched for day in days),
        differences=sum(reasons.values()),
        reasons=dict(reasons.most_common()),
        days=list(days),
        seconds=round(seconds, 2),
    )
