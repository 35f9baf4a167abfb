"""Trees at run time, from their stored text model; one thread, because a single row gains nothing from more."""

from __future__ import annotations

import hashlib

import msgspec
import numpy as np
import numpy.typing as npt

from ghtrader.core.errors import DataError
from ghtrader.inference.artefact import finite_rows, unpack

__all__ = ["LightgbmPredictor"]


class _Header(msgspec.Struct, frozen=True, kw_only=True):
    family: str
    factor_names: tuple[str, ...]


class LightgbmPredictor:
    """`ports.predictor.Predictor` of a stored LightGBM artefact."""

    def __init__(self, data: bytes) -> None:
        import lightgbm

        header, text = unpack(data, _Header)
        try:
            self._booster = lightgbm.Booster(model_str=text.decode())
        except (lightgbm.basic.LightGBMError, UnicodeDecodeError) as error:
            raise DataError(f"the tree artefact cannot be read: {error}", hint="train again: ghtrader train --var VAR") from error
        self._data, self.factor_names = data, header.factor_names

    @property
    def artefact_hash(self) -> str:
        """SHA-256 of the artefact."""
        return hashlib.sha256(self._data).hexdigest()

    def predict_proba(self, factors: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """``(n, F)`` factors to ``(n, 3)`` probabilities; rows with NaN give NaN."""
        known = finite_rows(factors)
        out = np.full((len(factors), 3), np.nan)
        if known.any():
            out[known] = self._booster.predict(factors[known], num_threads=1)
        return out

    def to_bytes(self) -> bytes:
        """The stored artefact."""
        return self._data
