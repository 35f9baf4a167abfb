"""The one factory of model families; a new family adds its line."""

from __future__ import annotations

from ghtrader.core.errors import UsageError
from ghtrader.research.models.base import ModelFamily
from ghtrader.research.models.lightgbm import LightGbm
from ghtrader.research.models.logistic import Logistic
from ghtrader.research.models.prior import Prior

__all__ = ["FAMILIES", "model_family"]

FAMILIES: dict[str, type[ModelFamily]] = {"prior": Prior, "logistic": Logistic, "lightgbm": LightGbm}


def model_family(name: str) -> ModelFamily:
    """A family by name; raises UsageError naming those that exist."""
    if name not in FAMILIES:
        raise UsageError(f"no model family {name!r}", hint=f"one of {', '.join(FAMILIES)}")
    return FAMILIES[name]()
