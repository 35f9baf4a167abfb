"""The data contract (`ghtrader data contract-check`): built-in day, files, stored partitions, on either store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import get_args

import msgspec

from ghtrader.core.errors import DataError, GhtraderError, UsageError
from ghtrader.core.instruments import CONTINUOUS_PREFIX
from ghtrader.core.progress import NO_PROGRESS, Progress
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.contract_check import Market, check_built_in, check_file, check_partition, unreadable
from ghtrader.data.contract_rules import RULES, Breach, ContractCheck, ContractLimits
from ghtrader.data.instruments import InstrumentTable
from ghtrader.data.schema import TicksKind
from ghtrader.pipelines.ingest import calendar_of
from ghtrader.pipelines.services import Services, Settings
from ghtrader.ports.tick_store import DayKey

__all__ = ["ContractReport", "FoundBreach", "contract_check", "contract_rules"]

DIGESTS = "digests.json"


class FoundBreach(msgspec.Struct, frozen=True, kw_only=True):
    """One breach with what it was found in."""

    subject: str
    rule: str
    detail: str
    hint: str


class ContractReport(msgspec.Struct, frozen=True, kw_only=True):
    """Outcome of a contract check; ``ok`` when nothing breaks a rule. ``breaches`` lists them all, ``checks`` by subject."""

    ok: bool
    checked: int
    breaches: list[FoundBreach]
    checks: list[ContractCheck]
    limits: ContractLimits


def contract_rules() -> list[tuple[str, str, str]]:
    """Name, demand and reason of every rule, in the order in which they are judged."""
    return [(rule.name, rule.what, rule.why) for rule in RULES]


def _limits(settings: Settings) -> ContractLimits:
    names = ContractLimits.__struct_fields__
    return msgspec.convert({name: settings.get(f"data.contract.{name}") for name in names}, ContractLimits)


def contract_check(
    services: Services,
    files: Sequence[Path] = (),
    *,
    symbol: str | None = None,
    day: str | None = None,
    kind: str | None = None,
    expected: str | None = None,
    digests: Path | None = None,
    progress: Progress = NO_PROGRESS,
) -> ContractReport:
    """Hold data against the contract: ``files`` when given, else stored days of ``symbol``, else the built-in day.

    With files ``symbol`` says which contract they hold. expected: digest that the one file must have. digests: a table of
    them by ``SYMBOL/DAY`` or ``DAY``; for files the digests.json beside each one when none is named. Raises DataError when
    no stored day matches, UsageError for options that do not meet.
    """
    limits = _limits(services.settings())
    market = Market(calendar_of(services), InstrumentTable.vendored())
    if files and (day or kind):
        raise UsageError("FILE and --day or --kind do not go together", hint="ghtrader data contract-check --help")
    if expected is not None and len(files) != 1:
        raise UsageError("--expect is the digest of one FILE", hint="ghtrader data contract-check FILE --expect DIGEST")
    if day and not symbol:
        raise UsageError("--day needs --symbol", hint="ghtrader data contract-check --symbol SHFE.rb2510 --day 2025-06-05")
    if files:
        progress.start("contract", len(files))
        checks = []
        for path in files:
            beside = digests or path.parent / DIGESTS
            published = _published(beside) if digests or beside.is_file() else {}
            checks.append(check_file(path, market, limits, symbol=symbol, expected=expected, published=published))
            progress.advance(note=path.name)
    elif symbol:
        published = _published(digests) if digests else {}
        checks = _partitions(services, limits, symbol, day, kind, published, progress)
    else:
        progress.start("contract", 1)
        checks = [check_built_in(market)]
    breaches = [_found(check, breach) for check in checks for breach in check.breaches]
    progress.finish(f"{len(checks)} checked, {len(breaches)} breaches")
    return ContractReport(ok=not breaches, checked=len(checks), breaches=breaches, checks=checks, limits=limits)


def _found(check: ContractCheck, breach: Breach) -> FoundBreach:
    return FoundBreach(subject=check.subject, rule=breach.rule, detail=breach.detail, hint=breach.hint)


def _published(path: Path) -> dict[str, str]:
    """Digests by ``SYMBOL/DAY`` or ``DAY``; raises DataError when the file cannot be read."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, str])
    except (OSError, msgspec.DecodeError) as error:
        hint = 'it maps "SYMBOL/DAY" or "DAY" to a digest'
        raise DataError(f"{path} cannot be read: {error}", hint=hint, path=str(path)) from error


def _partitions(
    services: Services,
    limits: ContractLimits,
    symbol: str,
    day: str | None,
    kind: str | None,
    published: Mapping[str, str],
    progress: Progress,
) -> list[ContractCheck]:
    store = services.tick_store()
    chosen = kind or ("main_l5" if symbol.startswith(CONTINUOUS_PREFIX) else "raw")
    if chosen not in get_args(TicksKind):
        raise UsageError(f"no kind {kind!r}: expected {' or '.join(get_args(TicksKind))}", hint="ghtrader data list", kind=chosen)
    days = store.days(chosen, symbol)
    wanted = days if day is None else [found for found in days if found == TradingDay.parse(day)]
    if not wanted:
        raise DataError(
            f"no {chosen} ticks of {symbol}{f' on {day}' if day else ''} are stored", hint="ghtrader data list", symbol=symbol
        )
    progress.start("contract", len(wanted))
    checks = []
    for found in wanted:
        key = DayKey(chosen, symbol, found)
        subject = f"{chosen}/{symbol}/{found}"
        try:
            manifest = store.manifest(key)
            if manifest is not None:
                expected = published.get(f"{symbol}/{found}") or published.get(found.iso, "")
                checks.append(check_partition(manifest, store.read_day(key), limits, subject=subject, expected=expected))
        except GhtraderError as error:
            checks.append(unreadable("partition", subject, error.message, error.hint))
        progress.advance(note=f"{symbol} {found}")
    return checks
