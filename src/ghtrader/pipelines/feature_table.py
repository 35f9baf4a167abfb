"""Files of factors: their layout, and writing them frame by frame."""

from __future__ import annotations

import tempfile
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import numpy.typing as npt

from ghtrader.core.errors import StoreError, UsageError
from ghtrader.data.atomic import write_atomically
from ghtrader.data.live_kernel import REASON_CODES
from ghtrader.pipelines.feature_session import FeaturePlan
from ghtrader.pipelines.stages import code_hash

if TYPE_CHECKING:
    import polars as pl

__all__ = ["CODE_ROOMS", "FeatureWriter", "FeaturesReport", "feature_frame", "features_report", "require_another_file"]

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
#: The rooms whose source the numbers depend on.
CODE_ROOMS = ("core", "data", "datasets")
#: Reasons of which an import, which sees the whole file, may think otherwise.
DECIDED_BY_ARRIVAL = ("late_row", "late_volume_fell")


class FeaturesReport(msgspec.Struct, frozen=True, kw_only=True):
    """What was computed. rows = computed + all of ``dropped``.

    differs_from_import: rows that `data import` may treat otherwise, because it sees the whole file: ``late_row`` (there they are
    sorted in where they fit) and ``late_volume_fell`` (there they stay where the feed had restarted). until: the cut, 0 for none.
    """

    symbol: str
    factor_set: str
    set_hash: str
    params_hash: str
    code: str
    out: str
    rows: int
    computed: int
    dropped: dict[str, int]
    differs_from_import: dict[str, int]
    until: int = 0
    seconds: float = 0.0


def feature_frame(plan: FeaturePlan, ts_ns: I64, values: F64, codes: npt.NDArray[np.uint8]) -> pl.DataFrame:
    """Answers as the frame that is stored: ``datetime``, a column per factor (null where undefined), ``dropped`` (null: kept)."""
    import polars as pl

    names = plan.chosen.ids
    columns = {name: np.where(np.isfinite(values[:, place]), values[:, place], np.nan) for place, name in enumerate(names)}
    reasons = pl.Series("dropped", [None, *REASON_CODES[1:]], dtype=pl.String)
    frame = pl.DataFrame({"datetime": ts_ns, **columns}).with_columns(pl.col(names).fill_nan(None))
    return frame.with_columns(reasons.gather(pl.Series(codes.astype(np.uint32))))


def file_metadata(plan: FeaturePlan, tool_version: str) -> dict[str, str]:
    """What a file of features says about itself."""
    return {
        "symbol": plan.symbol,
        "factor_set": plan.chosen.name,
        "set_hash": plan.chosen.set_hash,
        "params_hash": plan.params_hash,
        "tool_version": tool_version,
        "code": code_hash(*CODE_ROOMS),
    }


class FeatureWriter:
    """Writes frames behind each other into one Parquet file that appears whole at the end; holds one frame in memory."""

    def __init__(self, out: Path, plan: FeaturePlan, tool_version: str) -> None:
        self.out = out
        self._metadata = file_metadata(plan, tool_version)
        self._empty = feature_frame(plan, np.empty(0, np.int64), np.empty((0, len(plan.chosen.factors))), np.empty(0, np.uint8))
        self.rows = 0
        self.dropped: dict[str, int] = {}
        self._parts: list[Path] = []

    def __enter__(self) -> FeatureWriter:
        try:
            self._folder = tempfile.TemporaryDirectory(dir=self.out.parent, prefix=f".{self.out.name}.")
        except OSError as error:
            raise StoreError(f"cannot write in {self.out.parent}: {error.strerror}", path=str(self.out)) from error
        return self

    def write(self, frame: pl.DataFrame) -> None:
        """Append a frame."""
        self.rows += len(frame)
        for reason, count in frame["dropped"].drop_nulls().value_counts().iter_rows():
            self.dropped[reason] = self.dropped.get(reason, 0) + count
        part = Path(self._folder.name) / f"{len(self._parts):06d}.parquet"
        frame.write_parquet(part, compression="lz4")
        self._parts.append(part)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            if kind is None:
                write_atomically(self.out, self._join)
        finally:
            self._folder.cleanup()

    def _join(self, target: Path) -> None:
        import polars as pl

        if self._parts:
            pl.scan_parquet(self._parts).sink_parquet(target, metadata=self._metadata, maintain_order=True)
        else:
            self._empty.write_parquet(target, metadata=self._metadata)


def features_report(plan: FeaturePlan, writer: FeatureWriter, *, until: int | None, seconds: float) -> FeaturesReport:
    """The report on a file that was written."""
    lost = sum(writer.dropped.values())
    return FeaturesReport(
        symbol=plan.symbol,
        factor_set=plan.chosen.name,
        set_hash=plan.chosen.set_hash,
        params_hash=plan.params_hash,
        code=code_hash(*CODE_ROOMS),
        out=str(writer.out),
        rows=writer.rows,
        computed=writer.rows - lost,
        dropped=dict(sorted(writer.dropped.items())),
        differs_from_import={name: writer.dropped[name] for name in DECIDED_BY_ARRIVAL if name in writer.dropped},
        until=until or 0,
        seconds=seconds,
    )


def require_another_file(path: Path, out: Path) -> None:
    """Raise UsageError where the output would replace the input."""
    if out.exists() and path.exists() and out.samefile(path):
        raise UsageError(f"--out {out} is the input itself", hint="--out features.parquet", path=str(out))
