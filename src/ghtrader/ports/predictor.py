"""What turns factors into class probabilities at run time; the same object offline and live.

A predictor is immutable and safe to share between threads. Predicting never changes it. NaN factors give NaN
probabilities, never a guess.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["Predictor"]


class Predictor(Protocol):
    """Factors in, probabilities of (down, flat, up) out."""

    @property
    def factor_names(self) -> tuple[str, ...]:
        """Columns of the factor matrix, in order."""

    @property
    def artefact_hash(self) -> str:
        """SHA-256 of the serialised artefact."""

    def predict_proba(self, factors: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """``(n, F)`` factors to ``(n, 3)`` probabilities (down, flat, up); a row with NaN gives NaN."""

    def to_bytes(self) -> bytes:
        """The serialised artefact; equal predictors give equal bytes. Never pickle."""
