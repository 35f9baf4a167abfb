"""A model tied to the factors that it was trained on: what the runner computes, and from when on it may be used."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ghtrader.core.errors import DataError
from ghtrader.core.instruments import is_continuous, product_of
from ghtrader.core.trading_day import TradingDay
from ghtrader.datasets.factors.session import FeaturePlan
from ghtrader.ports.predictor import Predictor

__all__ = ["ModelBinding"]

F64 = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ModelBinding:
    """Factors of one contract, and the model on them (None: factors alone).

    symbol: the contract, or the continuous alias whose main contract is followed through rolls. threshold: of the score, NaN without
    a model. last_train_day: ISO, "" where nothing is known. max_age_days: trading days after it on which the model may still
    trade, 0 for any number. in_sample: days that it was trained on may be traded too (a rehearsal, never evidence).
    """

    symbol: str
    plan: FeaturePlan
    predictor: Predictor | None = None
    threshold: float = math.nan
    last_train_day: str = ""
    max_age_days: int = 0
    in_sample: bool = False

    def __post_init__(self) -> None:
        if self.predictor is not None and self.predictor.factor_names != self.plan.chosen.ids:
            raise DataError(
                f"the model reads {len(self.predictor.factor_names)} factors, and {len(self.plan.chosen.ids)} others are computed",
                hint="train again: ghtrader train --var VAR",
                model=list(self.predictor.factor_names),
                computed=list(self.plan.chosen.ids),
            )

    @property
    def product(self) -> str:
        """The product, as in ``SHFE.rb``."""
        return product_of(self.symbol)

    @property
    def follows_main(self) -> bool:
        """Whether the contract changes with the main contract."""
        return is_continuous(self.symbol)

    @property
    def model_hash(self) -> str:
        """Identity of the model, "" without one."""
        return "" if self.predictor is None else self.predictor.artefact_hash

    def of_contract(self, symbol: str) -> ModelBinding:
        """The same for a contract."""
        return replace(self, plan=replace(self.plan, symbol=symbol))

    def refusal(self, day: TradingDay) -> str:
        """Why the model may not trade on a day; "" when it may."""
        if not self.last_train_day:
            return ""
        last = TradingDay.parse(self.last_train_day)
        if day <= last:
            return "" if self.in_sample else f"the model was trained on days until {last}: on {day} it knows the future"
        age = len(self.plan.calendar.between(last, day)) - 1
        if self.max_age_days and age > self.max_age_days:
            return f"the model's last training day {last} lies {age} trading days back, {self.max_age_days} are allowed"
        return ""

    def probabilities(self, factors: F64) -> F64:
        """Probabilities (3,) of down, flat, up; NaN where a factor is undefined."""
        assert self.predictor is not None
        found: F64 = self.predictor.predict_proba(factors.reshape(1, -1))[0]
        return found
