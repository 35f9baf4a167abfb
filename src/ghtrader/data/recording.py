"""Live ticks on their way into the store: kept in a file as they come, imported like any other source when the market pauses.

A killed process loses nothing that was written: the next one imports what it finds, and rows that are there already change nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ghtrader.core.errors import StoreError
from ghtrader.data.ingest import DayImport, Ingest
from ghtrader.data.schema import MARKET_COLUMNS
from ghtrader.ports.live_feed import LiveTick

__all__ = ["TickSpool", "import_spool"]

_FLOATS = (*MARKET_COLUMNS, "upper_limit", "lower_limit")
_ROW = np.dtype([("datetime", "<i8"), ("local_nano", "<i8"), *((name, "<f8") for name in _FLOATS)])
SUFFIX = ".ticks"


class TickSpool:
    """Files of one run in a folder, one per contract; ``run`` names them. One thread."""

    def __init__(self, folder: Path, run: str) -> None:
        self._folder, self._run = folder, run

    def append(self, ticks: Sequence[LiveTick]) -> None:
        """Keep ticks with their receive time. Raises StoreError when they cannot be written."""
        rows: dict[str, list[tuple[float, ...]]] = {}
        for tick in ticks:
            values = (*tick.values, *(float("nan"),) * (len(_FLOATS) - len(tick.values)))
            rows.setdefault(tick.symbol, []).append((tick.ts_ns, tick.receive_ns, *values))
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            for symbol, found in rows.items():
                _append(self._path(symbol), np.array(found, dtype=_ROW).tobytes())
        except OSError as error:
            raise StoreError(f"ticks cannot be kept in {self._folder}: {error}", path=str(self._folder)) from error

    def _path(self, symbol: str) -> Path:
        return self._folder / f"{symbol}@{self._run}{SUFFIX}"


def _append(path: Path, content: bytes) -> None:
    """All of it or nothing: rows behind half a row (a full disk) would be read as others."""
    with path.open("ab", buffering=0) as file:
        before, written = file.tell(), 0
        try:
            while written < len(content):
                written += file.write(content[written:])
        except OSError:
            file.truncate(before)
            raise


def import_spool(folder: Path, ingest: Ingest) -> list[DayImport]:
    """Import every file of a folder and remove it; a torn last row is left out. Raises what the import raises, the file stays then."""
    import polars as pl

    done: list[DayImport] = []
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        content = path.read_bytes()
        rows = np.frombuffer(content[: len(content) // _ROW.itemsize * _ROW.itemsize], dtype=_ROW)
        if len(rows):
            frame = pl.DataFrame({name: rows[name] for name in _ROW.names or ()})
            digest = hashlib.sha256(content).hexdigest()
            done += ingest.import_frame(path.name.partition("@")[0], frame, source=path.name, sha256=digest)
        path.unlink()
    return done
