"""Parity: what a live process computes tick by tick is what research computed by the day, bit for bit; certified.

A certificate says for which factors, parameters, data, code and machine this was seen. Model cards carry its hash, so that a model
is never run on factors that nobody compared.
"""

from __future__ import annotations

import platform
from dataclasses import replace
from pathlib import Path

import msgspec
import numba
import numpy as np

from ghtrader.core.clock import elapsed_s
from ghtrader.core.errors import DataError, UsageError
from ghtrader.core.ids import content_hash
from ghtrader.core.instruments import CONTINUOUS_PREFIX, alias_of
from ghtrader.core.progress import NO_PROGRESS, Progress
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.atomic import write_atomically
from ghtrader.data.instruments import InstrumentTable
from ghtrader.data.readers import read_tick_batches, symbol_of_name
from ghtrader.datasets.factors.catalogue import factor_set, kernel_hash
from ghtrader.datasets.factors.parameters import FittedParameters
from ghtrader.pipelines.feature_session import FeaturePlan, plan_features
from ghtrader.pipelines.feature_table import CODE_ROOMS
from ghtrader.pipelines.parity_compare import Compared, Mismatch, compare_file, compare_stored
from ghtrader.pipelines.services import Services
from ghtrader.pipelines.stages import code_hash
from ghtrader.ports.tick_store import DayKey

__all__ = ["Certificate", "certificate_named", "certificate_of_series", "certify", "standing_certificate"]

FOLDER = "parity"
#: What a certificate's hash does not cover.
APART = ("certificate", "seconds", "created_ns", "file")


class Certificate(msgspec.Struct, frozen=True, kw_only=True):
    """What was compared and how it went. ``certificate``: hash of everything but time and place; same inputs, same hash."""

    factor_set: str
    set_hash: str
    kernel_hash: str
    params_hash: str
    symbol: str
    data: list[Compared]
    data_digest: str
    rows: int
    days: int
    mismatches: int
    first_mismatch: Mismatch | None
    code: str
    tool_version: str
    versions: dict[str, str]
    cpu: str
    certificate: str = ""
    seconds: float = 0.0
    created_ns: int = 0
    file: str = ""


def _cpu() -> str:
    """The processor that kernels were compiled for."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines() if cpuinfo.exists() else []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def _certificate(services: Services, plan: FeaturePlan, compared: list[Compared], started: int) -> Certificate:
    first = next((item.first for item in compared if item.first is not None), None)
    found = Certificate(
        factor_set=plan.chosen.name,
        set_hash=plan.chosen.set_hash,
        kernel_hash=kernel_hash(),
        params_hash=plan.params_hash,
        symbol=plan.symbol,
        data=compared,
        data_digest=content_hash([(item.name, item.digest) for item in compared]),
        rows=sum(item.rows for item in compared),
        days=sum(item.days for item in compared),
        mismatches=sum(item.mismatches for item in compared),
        first_mismatch=first,
        code=code_hash(*CODE_ROOMS, "pipelines"),
        tool_version=services.tool_version,
        versions={"python": platform.python_version(), "numpy": np.__version__, "numba": numba.__version__},
        cpu=_cpu(),
    )
    folder = services.paths.artifacts / FOLDER
    covered = {name: value for name, value in msgspec.to_builtins(found).items() if name not in APART}
    name = content_hash(covered)
    found = msgspec.structs.replace(
        found,
        certificate=name,
        seconds=round(elapsed_s(services.clock, started), 3),
        created_ns=services.clock.now_ns(),
        file=str(folder / f"{name}.json"),
    )
    folder.mkdir(parents=True, exist_ok=True)
    document = msgspec.json.format(msgspec.json.encode(found), indent=1)
    write_atomically(folder / f"{name}.json", document)
    if not found.mismatches:
        write_atomically(_standing(services, found.set_hash, plan.fit), document)
    return found


def _standing(services: Services, set_hash: str, fit: FittedParameters | None) -> Path:
    name = f"set-{set_hash}" if fit is None else f"set-{set_hash}-{fit.params_hash}"
    return services.paths.artifacts / FOLDER / f"{name}.json"


def certificate_named(services: Services, name: str) -> Certificate:
    """A certificate by its hash; DataError when it is not there, or cannot be read."""
    path = services.paths.artifacts / FOLDER / f"{name}.json"
    try:
        return msgspec.json.decode(path.read_bytes(), type=Certificate)
    except (FileNotFoundError, msgspec.DecodeError) as error:
        raise DataError(f"no parity certificate {name or 'named'} is stored", hint="ghtrader features parity") from error


def standing_certificate(services: Services, set_hash: str, fit: FittedParameters | None = None) -> Certificate | None:
    """The newest certificate without a mismatch of a factor set (its ``set_hash`` covers kernels) with these parameters, or None.

    fit: fitted parameters; None for the neutral ones.
    """
    path = _standing(services, set_hash, fit)
    try:
        return msgspec.json.decode(path.read_bytes(), type=Certificate)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """What parity is shown on: files of one contract, or stored days."""

    symbol: str
    files: list[Path] = []
    keys: list[DayKey] = []


def _stored(services: Services, name: str, kind: str, day: str | None) -> Source:
    store = services.tick_store()
    wanted = None if day is None else TradingDay.parse(day)
    keys = [DayKey(kind, name, found) for found in store.days(kind, name) if wanted in {None, found}]
    if not keys:
        raise DataError(f"no {kind} days of {name} are stored" + (f" on {day}" if day else ""), hint="ghtrader data list")
    return Source(symbol=name, keys=keys)


def _default_source(services: Services) -> Source:
    """The stored series, else a stored contract, else the sample days."""
    from ghtrader.pipelines.demo import samples_folder

    store = services.tick_store()
    for kind in ("main_l5", "raw"):
        names = store.symbols(kind)
        if names:
            return _stored(services, names[0], kind, None)
    folder = samples_folder()
    if folder is None:
        raise DataError("nothing is stored to show parity on", hint="ghtrader data import FILE, or ghtrader features parity FILE")
    files = sorted(folder.glob("*.parquet"))
    return Source(symbol=symbol_of_name(files[0]), files=files)


def _source(services: Services, path: Path | None, variety: str | None, symbol: str | None, day: str | None) -> Source:
    if (path is not None) + (variety is not None) + (symbol is not None and path is None) > 1 or (path is not None and day):
        raise UsageError(
            "give a file (with its --symbol), or --var, or --symbol of a stored contract", hint="ghtrader features parity --help"
        )
    if path is not None:
        return Source(symbol=read_tick_batches(path, symbol=symbol)[0], files=[path])
    if variety is not None:
        product = InstrumentTable.vendored().resolve_product(variety.removeprefix(CONTINUOUS_PREFIX))
        return _stored(services, alias_of(product), "main_l5", day)
    return _default_source(services) if symbol is None else _stored(services, symbol, "raw", day)


def certify(
    services: Services,
    *,
    set_name: str,
    path: Path | None = None,
    variety: str | None = None,
    symbol: str | None = None,
    day: str | None = None,
    params: Path | None = None,
    fit: FittedParameters | None = None,
    factors: Path | None = None,
    progress: Progress = NO_PROGRESS,
) -> Certificate:
    """Compare the two paths on a recorded file, or on stored days of a series or a contract, and write the certificate.

    Without a source: the stored series, else a stored contract, else the sample days. Raises UsageError for contradictory
    sources, DataError when nothing is stored. Parameters (a file, or a ``fit``) may be in sample: nothing is judged here but equality.
    """
    started = services.clock.monotonic_ns()
    source = _source(services, path, variety, symbol, day)
    plan = plan_features(services, source.symbol, set_name, params=params, in_sample=True, factors=factors)
    plan = plan if fit is None else replace(plan, fit=fit)
    progress.start("parity", len(source.files) or len(source.keys))
    compared: list[Compared] = []
    for file in source.files:
        compared.append(compare_file(plan, file))
        progress.advance(note=file.name)
    compared += compare_stored(services, plan, source.keys, progress)
    found = _certificate(services, plan, compared, started)
    progress.finish(f"{found.rows:,} rows, {found.mismatches} mismatches")
    return found


def certificate_of_series(
    services: Services,
    alias: str,
    set_name: str,
    day: str,
    *,
    fit: FittedParameters | None = None,
    factors: Path | None = None,
) -> str:
    """The hash for a model's card: of the standing certificate of this factor set and code, else shown on one day of the series.

    fit: fitted parameters; None for the neutral ones. factors: the file of one's own factors. Raises DataError when the live path
    gives other numbers than the batch path: no model is trained on those.
    """
    chosen = factor_set(set_name, "" if factors is None else str(factors))
    standing = standing_certificate(services, chosen.set_hash, fit)
    if standing is not None and standing.code == code_hash(*CODE_ROOMS, "pipelines"):
        return standing.certificate
    found = certify(services, set_name=set_name, variety=alias, day=day, fit=fit, factors=factors)
    if found.mismatches:
        raise DataError(
            f"{found.mismatches} factor values of {alias} on {day} come out differently live",
            hint=f"ghtrader features parity --set {set_name} --json names the first",
            certificate=found.certificate,
        )
    return found.certificate
