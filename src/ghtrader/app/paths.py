"""Where everything goes: three env-only folders, XDG defaults."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ghtrader.pipelines.services import Paths

__all__ = ["resolve_paths"]


def resolve_paths(environment: Mapping[str, str]) -> Paths:
    """GHTRADER_DATA_DIR, GHTRADER_RUNS_DIR and GHTRADER_ARTIFACTS_DIR, else the XDG folders of this user.

    >>> resolve_paths({"HOME": "/home/x", "GHTRADER_DATA_DIR": "/d"}).data.as_posix()
    '/d'
    """
    home = Path(environment.get("HOME", "~")).expanduser()
    share = Path(environment.get("XDG_DATA_HOME") or home / ".local/share") / "ghtrader"
    state = Path(environment.get("XDG_STATE_HOME") or home / ".local/state") / "ghtrader"

    def folder(name: str, default: Path) -> Path:
        given = environment.get(name, "")
        return Path(given).expanduser().absolute() if given else default

    return Paths(
        data=folder("GHTRADER_DATA_DIR", share / "data"),
        runs=folder("GHTRADER_RUNS_DIR", state / "runs"),
        artifacts=folder("GHTRADER_ARTIFACTS_DIR", share / "artifacts"),
    )
