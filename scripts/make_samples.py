"""Re-encode tick files for samples/: market and receive-time columns only, small, with the symbol in the metadata.

python scripts/make_samples.py SOURCE_FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path

import polars as pl


def main(source: Path, target: Path) -> None:
    target.mkdir(exist_ok=True)
    for path in sorted(source.glob("SHFE.rb2510.*.parquet")):
        frame = pl.read_parquet(path)
        frame = frame.drop([name for name in frame.columns if name.startswith("src_")] + ["highest", "lowest"])
        sizes = [name for name in frame.columns if "volume" in name or name == "open_interest"]
        prices = [name for name in frame.columns if "price" in name or name.endswith("_limit")]
        whole = [name for name in [*sizes, *prices] if bool((frame[name].drop_nulls() % 1 == 0).all())]
        frame = frame.with_columns(pl.col(whole).cast(pl.Int32))
        metadata = {"symbol": "SHFE.rb2510", "source": "github.com/Realsumen/DeepLOB (MIT), re-encoded"}
        out = target / path.name
        frame.write_parquet(out, compression="zstd", compression_level=19, statistics=False, metadata=metadata)
        print(out, out.stat().st_size)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(__file__).parent.parent / "samples")
