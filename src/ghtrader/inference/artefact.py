"""Artefacts of models: a JSON header and a payload in one byte string. Equal models give equal bytes; never pickle."""

from __future__ import annotations

import hashlib
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
BODY = len(MAGIC) + hashlib.sha256().digest_size
TRAIN_AGAIN = "train again: ghtrader train --var VAR"


def pack(header: Any, payload: bytes = b"") -> bytes:
    """Header (JSON-ready) and payload as bytes, with a checksum of both before them."""
    encoded = canonical_json(header)
    body = struct.pack("<I", len(encoded)) + encoded + payload
    return MAGIC + hashlib.sha256(body).digest() + body


def unpack(data: bytes, kind: type[T]) -> tuple[T, bytes]:
    """Inverse of :func:`pack`; raises DataError when the bytes are no artefact of that kind, or not whole.

    The checksum comes first, because a damaged tree model crashes the library that reads it.
    """
    checksum, body = data[len(MAGIC) : BODY], data[BODY:]
    if data[: len(MAGIC)] != MAGIC or len(body) < 4:
        raise DataError("these bytes are no model artefact", hint=TRAIN_AGAIN)
    if hashlib.sha256(body).digest() != checksum:
        raise DataError("the model artefact is damaged: its checksum does not fit", hint=TRAIN_AGAIN)
    (length,) = struct.unpack("<I", body[:4])
    try:
        return msgspec.json.decode(body[4 : 4 + length], type=kind), body[4 + length :]
    except msgspec.DecodeError as error:
        raise DataError(f"the model artefact cannot be read: {error}", hint=TRAIN_AGAIN) from error


def finite_rows(factors: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Rows without NaN or infinity; the others get NaN probabilities, never a guess."""
    return np.asarray(np.isfinite(factors).all(axis=1), dtype=np.bool_)
