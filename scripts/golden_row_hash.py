"""Golden vectors of the row hash: print how they would change, and write them with --write.

python scripts/golden_row_hash.py [--write]

They change only together with ROW_HASH_VERSION: a changed vector under the same version makes every stored day lie.
"""

from __future__ import annotations

import difflib
import json
import sys
from pathlib import Path

import numpy as np

from ghtrader.data.row_hash import ROW_HASH_VERSION, day_digest, row_hashes_numpy
from ghtrader.data.schema import MARKET_COLUMNS

GOLDEN = Path(__file__).parent.parent / "tests" / "golden" / f"row_hash_v{ROW_HASH_VERSION}.json"
STAMP = 1_749_042_000_500_000_000


def rows() -> list[dict[str, object]]:
    """Rows that differ from a plain one in one thing each; absent numbers are written as null."""
    plain: dict[str, object] = {name: float(index + 1) for index, name in enumerate(MARKET_COLUMNS)}
    return [
        {"what": "a plain row", "datetime": STAMP, **plain},
        {"what": "one nanosecond later", "datetime": STAMP + 1, **plain},
        {"what": "last price absent", "datetime": STAMP, **plain, "last_price": None},
        {"what": "first column one ulp up", "datetime": STAMP, **plain, "last_price": float(np.nextafter(1.0, 2.0))},
        {"what": "two neighbours exchanged", "datetime": STAMP, **plain, "last_price": 2.0, "average": 1.0},
        {"what": "last column zero", "datetime": STAMP, **plain, "open_interest": 0.0},
        {"what": "everything absent", "datetime": 0, **dict.fromkeys(MARKET_COLUMNS)},
    ]


def document() -> str:
    """The golden file's text."""
    table = rows()
    stamps = np.array([row["datetime"] for row in table], dtype=np.int64)
    columns = [np.array([row[name] for row in table], dtype=np.float64) for name in MARKET_COLUMNS]
    hashes = row_hashes_numpy(stamps, columns)
    lines = [
        json.dumps(
            {"what": row["what"], "hash": int(value), "datetime": row["datetime"], "values": [row[n] for n in MARKET_COLUMNS]}
        )
        for row, value in zip(table, hashes, strict=True)
    ]
    digest = day_digest("raw", "SHFE.rb2510", "2025-06-05", hashes)
    return (
        f'{{"row_hash_version": {ROW_HASH_VERSION},\n "columns": {json.dumps(MARKET_COLUMNS)},\n'
        f' "day_digest": "{digest}",\n "rows": [\n  ' + ",\n  ".join(lines) + "]}\n"
    )


def main(write: bool) -> int:
    old, new = GOLDEN.read_text() if GOLDEN.exists() else "", document()
    print("".join(difflib.unified_diff(old.splitlines(True), new.splitlines(True), "stored", "now")) or "unchanged")
    if write:
        GOLDEN.write_text(new)
    return int(old != new and not write)


if __name__ == "__main__":
    sys.exit(main("--write" in sys.argv))
