"""Row hashes: one signed 64-bit number per row, the same on every machine and in every version of every library.

Version 1: a row is 28 lanes of 64 bits: ``datetime`` and the bit patterns of the 27 market columns in canonical form (one NaN, no
negative zero), in the order of `ghtrader.data.schema.MARKET_COLUMNS`. The state starts at a constant of the version;
each lane is folded in by xor, multiplication with an odd constant and a shift-xor. Every step can be undone, so two
rows that differ in one lane never share a hash; a final avalanche spreads the difference over all bits.

Receive time, limits, provenance and source columns are no part of the hash. Changing anything here changes what is
stored everywhere. A changed algorithm is a new entry of ``VERSIONS`` beside the old one, with golden vectors of its own;
``ROW_HASH_VERSION`` names the one that new rows get, and `ghtrader data rehash` moves stored days to it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numba as nb
import numpy as np
import numpy.typing as npt

from ghtrader.core.errors import HashVersionError
from ghtrader.data.schema import MARKET_COLUMNS

if TYPE_CHECKING:
    import polars as pl

__all__ = [
    "REHASH_COMMAND",
    "ROW_HASH_VERSION",
    "VERSIONS",
    "column_hash",
    "day_digest",
    "frame_columns",
    "require_one_version",
    "require_version",
    "row_hashes",
    "row_hashes_numpy",
]

#: The version that new rows get.
ROW_HASH_VERSION = 1
REHASH_COMMAND = "ghtrader data rehash"

_SEED = np.uint64(0x6768_7472_6164_6572 ^ 1)  # "ghtrader" xor the version
_FOLD = np.uint64(0x9E37_79B9_7F4A_7C15)
_MIX_1 = np.uint64(0xBF58_476D_1CE4_E5B9)
_MIX_2 = np.uint64(0x94D0_49BB_1331_11EB)
_NAN_BITS = np.uint64(0x7FF8_0000_0000_0000)
_SHIFT = np.uint64(32)
_S27, _S30, _S31 = np.uint64(27), np.uint64(30), np.uint64(31)
_BLOCK_ROWS = 2048

I64 = npt.NDArray[np.int64]
F64 = npt.NDArray[np.float64]


@nb.njit(cache=True)
def _fold(state: Any, lanes: Any) -> None:
    for row in range(len(state)):
        mixed = (state[row] ^ lanes[row]) * _FOLD
        state[row] = mixed ^ (mixed >> _SHIFT)


@nb.njit(cache=True)
def _canonical_bits(values: Any, bits: Any, out: Any) -> None:
    for row in range(len(values)):
        value = values[row]
        lane = _NAN_BITS if value != value else bits[row]  # noqa: PLR0124 - only NaN differs from itself
        out[row] = np.uint64(0) if value == 0.0 else lane


@nb.njit(cache=True)
def _finish(state: Any) -> None:
    for row in range(len(state)):
        mixed = state[row]
        mixed = (mixed ^ (mixed >> _S30)) * _MIX_1
        mixed = (mixed ^ (mixed >> _S27)) * _MIX_2
        state[row] = mixed ^ (mixed >> _S31)


@nb.njit(cache=True)
def _hash_rows(datetime_bits: Any, values: Any, bits: Any, out: Any) -> None:
    lane = np.empty(_BLOCK_ROWS, dtype=np.uint64)
    for start in range(0, len(out), _BLOCK_ROWS):
        stop = min(start + _BLOCK_ROWS, len(out))
        state = out[start:stop]
        state[:] = _SEED
        _fold(state, datetime_bits[start:stop])
        for column in range(len(values)):
            _canonical_bits(values[column][start:stop], bits[column][start:stop], lane)
            _fold(state, lane)
        _finish(state)


def _as_f64(values: npt.NDArray[Any]) -> F64:
    column = np.ascontiguousarray(values, dtype=np.float64)
    column.flags.writeable = False  # one compiled form for views of a store and for fresh arrays
    return column


def _row_hashes_v1(datetime_ns: I64, columns: Sequence[npt.NDArray[Any]]) -> I64:
    stamps = np.array(datetime_ns, dtype=np.int64, copy=True).view(np.uint64)
    values = tuple(_as_f64(column.copy() if column.flags.writeable else column) for column in columns)
    out = np.empty(len(stamps), dtype=np.uint64)
    _hash_rows(stamps, values, tuple(column.view(np.uint64) for column in values), out)
    return out.view(np.int64)


#: Every version that this code can compute and verify, side by side. Append-only: stored days name their version.
VERSIONS: dict[int, Callable[[I64, Sequence[npt.NDArray[Any]]], I64]] = {1: _row_hashes_v1}


def require_version(version: int, *, subject: str) -> int:
    """The version itself; raises HashVersionError when this code does not know it.

    >>> require_version(1, subject="SHFE.rb2510 2025-06-05")
    1
    """
    if version not in VERSIONS:
        known = ", ".join(f"v{number}" for number in sorted(VERSIONS))
        hint = "install the version of ghtrader that wrote it, or a later one"
        raise HashVersionError(f"{subject} carries row hash v{version}, this version knows {known}", hint=hint, version=version)
    return version


def require_one_version(days: Iterable[tuple[str, int]], *, subject: str) -> int:
    """The one row hash version of ``(day, version)`` pairs; the current one when there are none.

    Raises HashVersionError naming the days of the smaller camp when versions meet, or a version that nobody knows.

    >>> require_one_version([("2025-06-05", 1), ("2025-06-06", 1)], subject="SHFE.rb2510")
    1
    """
    by_version: dict[int, list[str]] = {}
    for day, version in days:
        by_version.setdefault(version, []).append(day)
    if len(by_version) > 1:
        usual = max(by_version, key=lambda version: (len(by_version[version]), version))
        others = sorted((day, version) for version, found in by_version.items() if version != usual for day in found)
        shown = ", ".join(f"{day} (v{version})" for day, version in others[:10])
        more = f" and {len(others) - 10} more" if len(others) > 10 else ""
        raise HashVersionError(
            f"{subject} mixes row hash versions: {shown}{more}, the other {len(by_version[usual])} days v{usual}",
            hint=REHASH_COMMAND,
            days=[day for day, _ in others],
            versions=sorted(by_version),
        )
    return require_version(next(iter(by_version), ROW_HASH_VERSION), subject=subject)


def row_hashes(datetime_ns: I64, columns: Sequence[npt.NDArray[Any]], version: int = ROW_HASH_VERSION) -> I64:
    """Row hash of every row, int64 (n,), in the version named; raises HashVersionError for one that nobody knows.

    datetime_ns: int64 (n,). columns: the 27 market columns, (n,) each, in the order of ``MARKET_COLUMNS``; numbers
    of any type, hashed as float64.

    >>> columns = [np.array([1.0, np.nan])] * len(MARKET_COLUMNS)
    >>> row_hashes(np.array([1, 2]), columns).tolist() == row_hashes_numpy(np.array([1, 2]), columns).tolist()
    True
    """
    return VERSIONS[require_version(version, subject="the data")](datetime_ns, columns)


def row_hashes_numpy(datetime_ns: I64, columns: Sequence[npt.NDArray[Any]]) -> I64:
    """The same numbers as :func:`row_hashes` in version 1, in plain numpy: the reference."""
    state = np.full(len(datetime_ns), _SEED, dtype=np.uint64)
    lanes = [np.asarray(datetime_ns, dtype=np.int64).view(np.uint64)]
    for column in columns:
        values = np.array(column, dtype=np.float64) + 0.0
        values[np.isnan(values)] = np.nan
        bits = values.view(np.uint64)
        lanes.append(np.where(np.isnan(values), _NAN_BITS, bits))
    with np.errstate(over="ignore"):
        for lane in lanes:
            state = (state ^ lane) * _FOLD
            state ^= state >> _SHIFT
        state = (state ^ (state >> _S30)) * _MIX_1
        state = (state ^ (state >> _S27)) * _MIX_2
        return (state ^ (state >> _S31)).view(np.int64)


@nb.njit(cache=True)
def _chain(lanes: Any) -> Any:
    state = _SEED
    for row in range(len(lanes)):
        mixed = (state ^ lanes[row]) * _FOLD
        state = mixed ^ (mixed >> _SHIFT)
    return state


def column_hash(values: npt.NDArray[Any]) -> str:
    """Order-dependent 64-bit hash of one column (hex); tells which column of a partition was changed.

    Integers are hashed as int64, everything else as float64 in canonical form.

    >>> column_hash(np.array([1.0, 2.0])) == column_hash(np.array([2.0, 1.0]))
    False
    """
    if np.issubdtype(values.dtype, np.integer):
        return f"{int(_chain(np.array(values, dtype=np.int64).view(np.uint64))):016x}"
    column = _as_f64(np.array(values, dtype=np.float64, copy=True))
    lanes = np.empty(len(column), dtype=np.uint64)
    _canonical_bits(column, column.view(np.uint64), lanes)
    return f"{int(_chain(lanes)):016x}"


def frame_columns(frame: pl.DataFrame) -> list[npt.NDArray[Any]]:
    """The 27 market columns of a canonical frame, in hash order."""
    return [frame[name].to_numpy() for name in MARKET_COLUMNS]


def day_digest(kind: str, symbol: str, trading_day: str, hashes: I64, version: int = ROW_HASH_VERSION) -> str:
    """SHA-256 over (kind, symbol, trading day, row hash version, ordered row hashes): the identity of a day's data."""
    digest = hashlib.sha256(f"{kind}\0{symbol}\0{trading_day}\0v{version}\0".encode())
    digest.update(np.ascontiguousarray(hashes, dtype="<i8").tobytes())
    return digest.hexdigest()
