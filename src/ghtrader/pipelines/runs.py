"""Run folders: what was run, with the effective configuration and its hash beside the result."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from ghtrader.core.clock import iso_utc
from ghtrader.data.atomic import write_atomically
from ghtrader.pipelines.services import Services

__all__ = ["new_run", "write_result"]


def new_run(services: Services, name: str) -> Path:
    """A new folder ``runs/NAME-STAMP`` holding ``config.json``: every effective value and the configuration's hash."""
    stamp = iso_utc(services.clock.now_ns())[:26].replace("-", "").replace(":", "").replace(".", "")
    folder = services.paths.runs / f"{name}-{stamp}"
    folder.mkdir(parents=True, exist_ok=True)
    settings = services.settings()
    snapshot = {"config_hash": settings.config_hash, "tool_version": services.tool_version, "values": settings.snapshot()}
    write_atomically(folder / "config.json", msgspec.json.format(msgspec.json.encode(snapshot), indent=1))
    return folder


def write_result(services: Services, name: str, result: Any) -> Path:
    """A new run folder with ``result.json``; returns the folder."""
    folder = new_run(services, name)
    write_atomically(folder / "result.json", msgspec.json.format(msgspec.json.encode(result), indent=1))
    return folder
