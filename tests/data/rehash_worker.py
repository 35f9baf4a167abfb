"""A process that moves a store's days to another row hash version: ``python rehash_worker.py VERSION``.

It knows a second version of the row hash that only tests have, takes its folders from the environment like `ghtrader`, and
prints the outcome of each day on a line of its own, so that a test can kill it between any two.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ghtrader.app.paths import resolve_paths
from ghtrader.app.services import AppServices
from ghtrader.data.row_hash import VERSIONS
from ghtrader.pipelines.rehash import rehash_store

TEST_VERSION = 2


def turned_hashes(datetime_ns: npt.NDArray[np.int64], columns: Sequence[npt.NDArray[Any]]) -> npt.NDArray[np.int64]:
    """Row hashes of the test-only version: those of version 1, turned."""
    return ~VERSIONS[1](datetime_ns, columns)


class _Lines:
    """Progress as a line per day."""

    def start(self, stage: str, total: int) -> None:
        """Nothing."""

    def advance(self, steps: int = 1, note: str = "") -> None:
        """The day's outcome."""
        del steps
        sys.stdout.write(f"{note}\n")
        sys.stdout.flush()

    def finish(self, note: str = "") -> None:
        """Nothing."""


def main(arguments: list[str]) -> int:
    """Rehash everything stored to the version that the first argument names."""
    VERSIONS[TEST_VERSION] = turned_hashes
    services = AppServices(resolve_paths(os.environ), os.environ)
    return 0 if rehash_store(services, to_version=int(arguments[0]), progress=_Lines()).ok else 4


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
