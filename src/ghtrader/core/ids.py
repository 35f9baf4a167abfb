"""Deterministic identities: the same content has the same id, on any machine, for ever."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

__all__ = ["SHORT_ID_LENGTH", "canonical_json", "content_hash", "file_sha256", "short_id"]

SHORT_ID_LENGTH = 16
_CHUNK_BYTES = 1 << 20


def canonical_json(value: Any) -> bytes:
    """JSON with sorted keys and no spaces: equal values give equal bytes.

    >>> canonical_json({"b": 1, "a": [1.5, None]})
    b'{"a":[1.5,null],"b":1}'
    """
    return msgspec.json.encode(value, order="sorted")


def content_hash(value: Any) -> str:
    """SHA-256 (hex) of the canonical JSON of ``value``.

    >>> content_hash({"a": 1}) == content_hash({"a": 1})
    True
    """
    return hashlib.sha256(canonical_json(value)).hexdigest()


def short_id(value: Any) -> str:
    """The first 16 hex digits of :func:`content_hash`, for names that people read."""
    return content_hash(value)[:SHORT_ID_LENGTH]


def file_sha256(path: str) -> str:
    """SHA-256 (hex) of a file's bytes, read in chunks."""
    digest = hashlib.sha256()
    with open(path, "rb") as handle:
        while chunk := handle.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
