"""What a run of the data pipelines leaves under ``runs/``: a manifest with everything, and a compact report of it.

One struct for all of them: what went in, what came out (each with its hash), counters, verdicts, timings, code and
configuration. `ghtrader data report` lists, shows and compares them; lineage finds the run that wrote a digest.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from ghtrader.core.clock import elapsed_s, iso_utc
from ghtrader.core.errors import DataError
from ghtrader.data.atomic import write_atomically
from ghtrader.pipelines.runs import new_run
from ghtrader.pipelines.services import Services
from ghtrader.pipelines.stages import code_hash

__all__ = ["Item", "RunEntry", "RunRecord", "compact", "list_runs", "load_run", "record_run", "run_config"]

MANIFEST, REPORT, CONFIG, RESULT = "manifest.json", "report.json", "config.json", "result.json"
#: The rooms whose source is 'the code' of a data run.
ROOMS = ("core", "data", "datasets", "pipelines")


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that went in or came out: a file, a partition, a dataset, a verdict.

    name: stable within its kind (``raw/SHFE.rb2510/2025-06-05``, a file's name). identity: sha256, digest or hash.
    state: what became of it or its verdict. note: why, where it helps.
    """

    name: str
    identity: str = ""
    rows: int = 0
    state: str = ""
    note: str = ""


class RunRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One run. ``left_out`` counts, by list, what a compact report does not show."""

    run: str
    kind: str
    subject: str
    state: str
    started_ns: int
    seconds: dict[str, float]
    tool_version: str
    code: str
    config_hash: str
    noop: bool = False
    counters: dict[str, int] = {}
    parameters: dict[str, str] = {}
    inputs: list[Item] = []
    outputs: list[Item] = []
    findings: list[Item] = []
    left_out: dict[str, int] = {}


class RunEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the list of runs; those of other pipelines have their folder and configuration only."""

    run: str
    kind: str
    subject: str
    state: str
    started: str
    seconds: float | None
    inputs: int | None
    outputs: int | None
    config_hash: str


def compact(record: RunRecord, most: int) -> RunRecord:
    """The record with at most ``most`` items in each list, and how many are left out.

    Findings and items whose state is not plain come first, because they are what a reader looks for.
    """
    plain = {"", "ok", "unchanged", "present", "reused", "written"}
    lists = {
        name: sorted(getattr(record, name), key=lambda item: item.state in plain) for name in ("inputs", "outputs", "findings")
    }
    left_out = {name: len(items) - most for name, items in lists.items() if len(items) > most}
    return msgspec.structs.replace(record, **{name: items[:most] for name, items in lists.items()}, left_out=left_out)


def record_run(
    services: Services,
    kind: str,
    subject: str,
    *,
    started_mono_ns: int,
    noop: bool = False,
    state: str = "ok",
    counters: Mapping[str, int] | None = None,
    parameters: Mapping[str, str] | None = None,
    inputs: list[Item] | None = None,
    outputs: list[Item] | None = None,
    findings: list[Item] | None = None,
    seconds: Mapping[str, float] | None = None,
    folder: Path | None = None,
) -> str:
    """Write manifest and report of a run into a new folder under ``runs/`` (or ``folder``, a run's own); returns its name.

    started_mono_ns: the clock's monotonic time when the run began. A run that did nothing leaves nothing (empty name),
    unless the key data.report.noop_runs asks for it.
    """
    settings = services.settings()
    if noop and not settings.get("data.report.noop_runs"):
        return ""
    took = elapsed_s(services.clock, started_mono_ns)
    folder = folder or new_run(services, f"{kind}-{subject}" if subject else kind)
    record = RunRecord(
        run=folder.name,
        kind=kind,
        subject=subject,
        state=state,
        started_ns=services.clock.now_ns() - int(took * 1e9),
        seconds={**(seconds or {}), "total": round(took, 3)},
        tool_version=services.tool_version,
        code=code_hash(*ROOMS)[:16],
        config_hash=settings.config_hash,
        noop=noop,
        counters=dict(counters or {}),
        parameters=dict(parameters or {}),
        inputs=inputs or [],
        outputs=outputs or [],
        findings=findings or [],
    )
    most = settings.get("data.report.samples")
    assert isinstance(most, int)
    write_atomically(folder / MANIFEST, msgspec.json.format(msgspec.json.encode(record), indent=1))
    write_atomically(folder / REPORT, msgspec.json.format(msgspec.json.encode(compact(record, most)), indent=1))
    return folder.name


def _read(path: Path) -> RunRecord:
    try:
        return msgspec.json.decode(path.read_bytes(), type=RunRecord)
    except (OSError, msgspec.DecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}", hint="ghtrader data report list", path=str(path)) from error


def _folders(runs: Path) -> list[Path]:
    found = [path for path in runs.iterdir() if (path / CONFIG).is_file()] if runs.is_dir() else []
    return sorted(found, key=lambda path: path.name.rpartition("-")[2], reverse=True)


def list_runs(services: Services, *, kind: str | None = None, limit: int | None = None) -> list[RunEntry]:
    """Runs under ``runs/``, newest first; those without a manifest (training, demo) are named by their folder."""
    found: list[RunEntry] = []
    for folder in _folders(services.paths.runs):
        named = folder.name.split("-")[0]
        if (folder / MANIFEST).is_file():
            record = _read(folder / REPORT if (folder / REPORT).is_file() else folder / MANIFEST)
            entry = RunEntry(
                run=record.run,
                kind=record.kind,
                subject=record.subject,
                state="noop" if record.noop else record.state,
                started=iso_utc(record.started_ns)[:19],
                seconds=record.seconds.get("total"),
                inputs=len(record.inputs) + record.left_out.get("inputs", 0),
                outputs=len(record.outputs) + record.left_out.get("outputs", 0),
                config_hash=record.config_hash[:16],
            )
        else:
            entry = RunEntry(
                run=folder.name,
                kind=named,
                subject="-".join(folder.name.split("-")[1:-1]),
                state="",
                started=_stamp(folder.name),
                seconds=None,
                inputs=None,
                outputs=None,
                config_hash=str(run_config(folder).get("config_hash", ""))[:16],
            )
        if kind in {None, entry.kind}:
            found.append(entry)
        if limit is not None and len(found) >= limit:
            break
    return found


def _stamp(name: str) -> str:
    """The time in a folder's name (``demo-20250605T010203123456``) as ISO; empty when there is none."""
    text = name.rpartition("-")[2]
    if len(text) < 15 or text[8] != "T":
        return ""
    return f"{text[:4]}-{text[4:6]}-{text[6:8]}T{text[9:11]}:{text[11:13]}:{text[13:15]}"


def load_run(services: Services, name: str) -> tuple[Path, RunRecord]:
    """Folder and whole manifest of a run; ``name`` may be any unambiguous beginning, or ``latest``.

    Raises DataError when no run, or more than one, has that name, or when it left no manifest.
    """
    folders = _folders(services.paths.runs)
    chosen = [path for path in folders if path.name == name] or [path for path in folders if path.name.startswith(name)]
    if name == "latest":
        chosen = [path for path in folders if (path / MANIFEST).is_file()][:1]
    if len(chosen) != 1:
        what = "no run" if not chosen else f"{len(chosen)} runs"
        raise DataError(f"{what} with a name that begins with {name!r}", hint="ghtrader data report list", run=name)
    if not (chosen[0] / MANIFEST).is_file():
        where = f"its result is in {chosen[0]}"
        raise DataError(
            f"{chosen[0].name} is no data run and has no manifest; {where}", hint="ghtrader data report list", run=name
        )
    return chosen[0], _read(chosen[0] / MANIFEST)


def run_config(folder: Path) -> dict[str, Any]:
    """The configuration snapshot of a run: config_hash, tool_version, values; empty when it cannot be read."""
    try:
        found: dict[str, Any] = msgspec.json.decode((folder / CONFIG).read_bytes(), type=dict[str, Any])
    except (OSError, msgspec.DecodeError):
        return {}
    return found
