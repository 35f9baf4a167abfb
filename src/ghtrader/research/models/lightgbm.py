"""Gradient-boosted trees (LightGBM), three classes, deterministic on any number of threads."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from ghtrader.inference.artefact import finite_rows, pack
from ghtrader.ports.predictor import Predictor

__all__ = ["TREE_FAMILY", "LightGbm", "TreeHeader"]

TREE_FAMILY = "lightgbm"
ROUNDS = 60
PARAMETERS: dict[str, Any] = {
    "objective": "multiclass",
    "num_class": 3,
    "num_leaves": 15,
    "learning_rate": 0.08,
    "min_data_in_leaf": 200,
    "feature_fraction": 0.6,
    "lambda_l2": 10.0,
    "max_bin": 127,
    "deterministic": True,
    "force_row_wise": True,
    "verbosity": -1,
}


class TreeHeader(msgspec.Struct, frozen=True, kw_only=True):
    """Header of a tree artefact; the payload is LightGBM's text model."""

    family: str
    factor_names: tuple[str, ...]


class _FittedTrees:
    def __init__(self, booster: Any, factor_names: tuple[str, ...], threads: int) -> None:
        self._booster, self.factor_names, self._threads = booster, factor_names, threads

    @property
    def artefact_hash(self) -> str:
        return hashlib.sha256(self.to_bytes()).hexdigest()

    def predict_proba(self, factors: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        known = finite_rows(factors)
        out = np.full((len(factors), 3), np.nan)
        if known.any():
            out[known] = self._booster.predict(factors[known], num_threads=self._threads)
        return out

    def to_bytes(self) -> bytes:
        text = self._booster.model_to_string()
        # the text model ends with the parameters, which name the thread count: no part of the model
        return pack(TreeHeader(family=TREE_FAMILY, factor_names=self.factor_names), text.split("\nparameters:")[0].encode())


class LightGbm:
    """60 rounds of 15 leaves; leaves of at least 200 rows, because labels overlap and effective samples are few."""

    name = TREE_FAMILY

    def fit(
        self,
        factors: npt.NDArray[np.float64],
        classes: npt.NDArray[np.int8],
        *,
        factor_names: tuple[str, ...],
        seed: int,
        threads: int,
    ) -> Predictor:
        """Fit; the booster's text form is the artefact."""
        import lightgbm

        parameters = {**PARAMETERS, "seed": seed, "num_threads": threads}
        data = lightgbm.Dataset(factors, label=classes, params={"verbosity": -1, "max_bin": PARAMETERS["max_bin"]})
        booster = lightgbm.train(parameters, data, num_boost_round=ROUNDS)
        return _FittedTrees(booster, factor_names, threads)
