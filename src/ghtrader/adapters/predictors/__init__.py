"""Predictors loaded from stored artefacts."""

from __future__ import annotations

from ghtrader.core.errors import DataError
from ghtrader.ports.predictor import Predictor

__all__ = ["load_predictor"]


def load_predictor(data: bytes) -> Predictor:
    """The predictor of a stored artefact, by the family in its header; raises DataError for an unknown one."""
    from ghtrader.adapters.predictors.lightgbm import LightgbmPredictor
    from ghtrader.inference.artefact import unpack
    from ghtrader.inference.linear import LinearPredictor

    header, _ = unpack(data, dict)
    family = header.get("family")
    if family == "lightgbm":
        return LightgbmPredictor(data)
    if family in ("prior", "logistic"):
        return LinearPredictor.from_bytes(data)
    raise DataError(f"the artefact names an unknown family {family!r}", hint="train again: ghtrader train --var VAR")
