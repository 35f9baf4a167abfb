"""Plans of factors by the names that people use; what runs them is `ghtrader.datasets.factors.session`."""

from __future__ import annotations

from pathlib import Path

import msgspec

from ghtrader.core.errors import SchemaError
from ghtrader.data.instruments import InstrumentTable
from ghtrader.datasets.factors.catalogue import factor_set
from ghtrader.datasets.factors.parameters import FittedParameters
from ghtrader.datasets.factors.session import Answer, FeaturePlan, FeatureSession, history_of, warm_up
from ghtrader.pipelines.ingest import calendar_of
from ghtrader.pipelines.services import Services

__all__ = ["Answer", "FeaturePlan", "FeatureSession", "history_of", "load_fit", "plan_features", "warm_up"]


def load_fit(path: Path) -> FittedParameters:
    """Parameters that `ghtrader features fit` wrote; raises SchemaError when the file holds none."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=FittedParameters)
    except (OSError, msgspec.DecodeError) as error:
        raise SchemaError(f"{path} holds no fitted parameters: {error}", hint="ghtrader features fit", path=str(path)) from error


def plan_features(
    services: Services,
    symbol: str,
    set_name: str,
    *,
    params: Path | None = None,
    in_sample: bool = False,
    factors: Path | None = None,
) -> FeaturePlan:
    """A plan by the names that people use; ``factors`` declares factors and sets of one's own.

    Raises UsageError and UnknownInstrumentError for unknown names.
    """
    instruments = InstrumentTable.vendored()
    instruments.product(symbol)
    fit = None if params is None else load_fit(params)
    chosen = factor_set(set_name, "" if factors is None else str(factors))
    return FeaturePlan(symbol, chosen, calendar_of(services), instruments, fit, in_sample)
