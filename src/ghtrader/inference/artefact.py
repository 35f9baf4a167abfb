"""Artefacts of models: a JSON header and a payload in one byte string. Equal models give equal bytes; never pickle."""

from __future__ import annotations

import struct
from typing import Any, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from ghtrader.core.errors import DataError
from ghtrader.core.ids import canonical_json

__all__ = ["finite_rows", "pack", "unpack"]

T = TypeVar("T")
MAGIC = b"GHTM1"


def pack(header: Any, payload: bytes = b"") -> bytes:
    """Header (JSON-ready) and payload as bytes."""
    encoded = canonical_json(header)
    return MAGIC + struct.pack("<I", len(encoded)) + encoded + payload


def unpack(data: bytes, kind: type[T]) -> tuple[T, bytes]:
    """Inverse of :func:`pack`; raises DataError when the bytes are no artefact of that kind."""
    if data[: len(MAGIC)] != MAGIC or len(data) < len(MAGIC) + 4:
        raise DataError("these bytes are no model artefact", hint="train again: ghtrader train --var VAR")
    start = len(MAGIC) + 4
    (length,) = struct.unpack("<I", data[len(MAGIC) : start])
    try:
        return msgspec.json.decode(data[start : start + length], type=kind), data[start + length :]
    except msgspec.DecodeError as error:
        raise DataError(f"the model artefact cannot be read: {error}", hint="train again: ghtrader train --var VAR") from error


def finite_rows(factors: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Rows without NaN or infinity; the others get NaN probabilities, never a guess."""
    return np.asarray(np.isfinite(factors).all(axis=1), dtype=np.bool_)
