"""Processes for contract tests of a tick store: ``python -m ghtrader.testing.store_worker read|write|merge OPENER ROOT N``.

``OPENER`` is ``module:callable`` that opens the store on the folder ``ROOT``. All work on one partition, whose rows are
one of two versions. ``write`` replaces it with the versions in turn and prints a line per write. ``read`` reads it N
times, and on until it has seen both versions, and exits with 1 when it ever sees anything but one whole version. ``merge``
takes the partition exclusively and appends one row N times, as a read-merge-write that must lose nothing.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import polars as pl

from ghtrader.core.clock import Deadline
from ghtrader.core.errors import GhtraderError
from ghtrader.data.manifests import frame_digest
from ghtrader.ports.tick_store import DayKey, DayManifest, TickStore
from ghtrader.testing.builders import STEP_NS, day_manifest, source_frame, tick_frame

__all__ = ["VERSIONS", "open_store", "version"]

VERSIONS = 2
ROWS = (4_000, 6_000)
PATIENCE_S = 60.0


def open_store(opener: str, root: Path) -> TickStore:
    """The store that ``module:callable`` opens on a folder."""
    module, _, name = opener.partition(":")
    store: TickStore = getattr(importlib.import_module(module), name)(root)
    return store


def version(number: int) -> tuple[DayKey, pl.DataFrame, DayManifest]:
    """Key, rows and manifest of one of the two versions; they differ in every row and in length."""
    frame = tick_frame(ROWS[number % VERSIONS], seed=number % VERSIONS)
    key, manifest = day_manifest(frame, created_ns=number)
    return key, frame, manifest


def _write(store: TickStore, count: int) -> int:
    versions = [version(number) for number in range(VERSIONS)]
    for number in range(count):
        key, frame, manifest = versions[number % VERSIONS]
        store.write_day(key, frame, manifest)
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()
    return 0


def _read(store: TickStore, count: int) -> int:
    versions = [version(number) for number in range(VERSIONS)]
    key = versions[0][0]
    whole = {manifest.digest: manifest.rows for _, _, manifest in versions}
    seen: set[str] = set()
    # a busy machine may not let the writer run for a while
    deadline, reads = Deadline(PATIENCE_S), 0
    while reads < count or (len(seen) < VERSIONS and not deadline.passed):
        reads += 1
        try:
            frame = store.read_day(key)
        except GhtraderError as error:
            sys.stdout.write(f"unreadable: {error.message}\n")
            return 1
        digest = frame_digest(versions[0][2], frame)
        if whole.get(digest) != frame.height:
            sys.stdout.write(f"torn: {frame.height} rows, digest {digest}\n")
            return 1
        seen.add(digest)
    sys.stdout.write(f"{reads} reads, {len(seen)} versions\n")
    return 0


def _merge(store: TickStore, count: int, seed: int) -> int:
    row = source_frame(1)
    for number in range(count):
        index = seed * count + number
        stamp = (pl.col("datetime") + index * STEP_NS).alias("datetime")
        price = pl.lit(1000.0 + index)
        added = tick_frame(source=row.with_columns(stamp, price.alias("last_price"), price.alias("amount")))
        key, _ = day_manifest(added)
        with store.exclusive(key):
            old = [] if store.manifest(key) is None else [store.read_day(key, added.columns)]
            frame = pl.concat([*old, added]).sort("datetime")
            store.write_day(key, frame, day_manifest(frame, created_ns=index + 1)[1])
    return 0


def main(arguments: list[str]) -> int:
    """Do what the arguments say; returns the exit code."""
    what, opener, root, count, *rest = arguments
    store = open_store(opener, Path(root))
    if what == "write":
        return _write(store, int(count))
    if what == "read":
        return _read(store, int(count))
    return _merge(store, int(count), int(rest[0]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
