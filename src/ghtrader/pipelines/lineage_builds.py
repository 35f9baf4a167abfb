"""The datasets that were built of a day of the series, as nodes of its lineage."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from ghtrader.core.errors import DataError
from ghtrader.pipelines.lineage_tree import Node, RunIndex, run_nodes
from ghtrader.pipelines.run_records import partition_name
from ghtrader.pipelines.services import Services
from ghtrader.ports.tick_store import DayKey, DayManifest

__all__ = ["dataset_nodes"]


def dataset_nodes(
    services: Services,
    runs: RunIndex,
    key: DayKey,
    manifest: DayManifest,
    partition: Node,
    *,
    build: str | None,
    row: int | None,
) -> list[Node]:
    """A node for each stored dataset of the day (newest first), each standing on ``partition`` where its run says so.

    build: only those whose hash begins so. row: adds what the dataset has at that row. Raises DataError when ``build`` names
    none.
    """
    folder = services.paths.artifacts / "datasets" / key.symbol / key.trading_day.iso
    found = sorted(folder.glob("*.npz"), key=lambda path: path.stat().st_mtime_ns, reverse=True) if folder.is_dir() else []
    chosen = [path for path in found if build is None or path.stem.startswith(build)]
    if build is not None and not chosen:
        known = ", ".join(path.stem for path in found) or "none"
        raise DataError(
            f"no dataset {build} of {key.symbol} {key.trading_day}: there are {known}", hint="ghtrader build --var VAR"
        )
    return [_node(runs, path, key, manifest, partition, row) for path in chosen]


def _node(runs: RunIndex, path: Path, key: DayKey, manifest: DayManifest, partition: Node, row: int | None) -> Node:
    facts: dict[str, Any] = {"build_hash": path.stem}
    problem = ""
    try:
        with np.load(path, allow_pickle=False) as stored:
            header = msgspec.json.decode(stored["header"].tobytes(), type=dict[str, Any])
            facts |= {"factors": len(header["factor_names"]), "horizons": len(header["horizons"])}
            if row is not None:
                values = stored["factors"][row]
                facts |= {"eligible": bool(stored["eligible"][row]), "finite_factors": int(np.isfinite(values).sum())}
    except (OSError, ValueError, KeyError, IndexError, EOFError, zipfile.BadZipFile, msgspec.DecodeError) as error:
        problem = f"the dataset {path.stem} cannot be read: {error}"
    name, written, of = _built_by(runs, path.stem, key)
    if of and of != manifest.digest:
        problem = f"the dataset {path.stem} was built of an earlier state of the day ({of[:16]}): ghtrader build --var VAR"
    return Node(what="dataset", name=name, facts=facts, problem=problem, children=[partition, *written])


def _built_by(runs: RunIndex, build_hash: str, key: DayKey) -> tuple[str, list[Node], str]:
    """Name, runs, and the digest of the series' day that a build was made of (empty when no run tells)."""
    from ghtrader.datasets.factors.catalogue import SETS

    for set_name in SETS:
        name = partition_name(f"features:{set_name}", key.symbol, key.trading_day.iso)
        found = runs.wrote(name, build_hash)
        if found:
            series = partition_name("main_l5", key.symbol, key.trading_day.iso)
            digest = next((item.identity for item in found[0].inputs if item.name == series), "")
            return name, run_nodes(runs, name, build_hash), digest
    name = partition_name("features", key.symbol, key.trading_day.iso)
    return name, run_nodes(runs, name, build_hash), ""
