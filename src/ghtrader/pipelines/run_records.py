"""From the report of each data pipeline to the record of its run; one function a pipeline, called at its end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from ghtrader.core.ids import short_id
from ghtrader.core.trading_day import TradingDay
from ghtrader.pipelines.run_report import Item, record_run
from ghtrader.ports.tick_store import DayKey, DayManifest

if TYPE_CHECKING:
    from ghtrader.pipelines.build import BuildReport
    from ghtrader.pipelines.download_report import DownloadReport
    from ghtrader.pipelines.gate_report import GateReport
    from ghtrader.pipelines.ingest import ImportReport
    from ghtrader.pipelines.main_series import MainL5Report
    from ghtrader.pipelines.rehash import RehashReport
    from ghtrader.pipelines.services import Services
    from ghtrader.pipelines.validate import ValidationReport

__all__ = [
    "partition_name",
    "record_build",
    "record_download",
    "record_import",
    "record_main_l5",
    "record_rehash",
    "record_validation",
]


def partition_name(kind: str, symbol: str, day: str) -> str:
    """How records name a partition.

    >>> partition_name("raw", "SHFE.rb2510", "2025-06-05")
    'raw/SHFE.rb2510/2025-06-05'
    """
    return f"{kind}/{symbol}/{day}"


def _manifest(services: Services, kind: str, symbol: str, day: str) -> DayManifest | None:
    return services.tick_store().manifest(DayKey(kind, symbol, TradingDay.parse(day)))


def _partition(services: Services, kind: str, symbol: str, day: str, state: str = "", note: str = "") -> Item:
    found = _manifest(services, kind, symbol, day)
    name = partition_name(kind, symbol, day)
    return Item(name=name, identity=found.digest if found else "", rows=found.rows if found else 0, state=state, note=note)


def _words(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())


def record_import(services: Services, report: ImportReport, started_mono_ns: int) -> str:
    """Record an import of files: their hashes, the days they became, counters, files that could not be used."""
    outputs: dict[str, Item] = {}
    for day in report.days:
        name = partition_name("raw", day.symbol, day.trading_day)
        written = day.rows_written or day.superseded or (name in outputs and outputs[name].state == "written")
        state = "written" if written else "unchanged"
        outputs[name] = Item(name=name, identity=day.digest, rows=day.rows_stored, state=state, note=_words(day.dropped))
    return record_run(
        services,
        "import",
        "-".join(sorted({day.symbol for day in report.days})[:3]),
        started_mono_ns=started_mono_ns,
        noop=not report.rows_written and not report.superseded and not report.errors,
        state="error" if report.errors else "ok",
        counters={
            "files": report.files,
            "rows_in": report.rows_in,
            "written": report.rows_written,
            "deduped": report.deduped,
            "reordered": report.reordered,
            "superseded": report.superseded,
            **{f"dropped_{reason}": count for reason, count in report.dropped.items()},
        },
        inputs=[Item(name=source.name, identity=source.sha256, rows=source.rows) for source in report.sources],
        outputs=list(outputs.values()),
        findings=[Item(name=str(error["file"]), state="error", note=str(error["message"])) for error in report.errors],
    )


def record_download(services: Services, report: DownloadReport, days: Iterable[tuple[str, str]], started_mono_ns: int) -> str:
    """Record a download: the requests that were answered, the days they became, and what could not be had.

    days: ``(contract, trading day)`` that were missing when it began.
    """
    found = [(manifest, manifest.sources[-1]) for manifest in (_manifest(services, "raw", *day) for day in days) if manifest]
    totals = {name: sum(getattr(manifest, name) for manifest, _ in found) for name in ("rows_in", "deduped")}
    return record_run(
        services,
        "download",
        report.product,
        started_mono_ns=started_mono_ns,
        noop=not report.manifest,
        folder=Path(report.manifest).parent if report.manifest else None,
        state="warn" if report.skipped or report.deferred else "ok",
        counters={"days": report.stored, **totals, "written": report.rows, "skipped": len(report.skipped)},
        parameters={"schedule_hash": report.schedule_hash},
        inputs=[
            Item(name=f"{source.name} {manifest.symbol} {manifest.trading_day}", identity=source.sha256, rows=source.rows)
            for manifest, source in found
        ],
        outputs=[
            Item(
                name=partition_name("raw", manifest.symbol, manifest.trading_day),
                identity=manifest.digest,
                rows=manifest.rows,
                state="written",
                note=_words(manifest.dropped),
            )
            for manifest, _ in found
        ],
        findings=[
            Item(name=partition_name("raw", skip.symbol, skip.trading_day), state=skip.cause, note=skip.message)
            for skip in report.skipped
        ],
    )


def record_main_l5(services: Services, report: MainL5Report, started_mono_ns: int, **parameters: object) -> str:
    """Record a build of the main series: schedule and raw days in, days of the series out, and what the gate said of them."""
    inputs = [Item(name=f"schedule/{report.alias}", identity=report.schedule_hash)]
    outputs: list[Item] = []
    for day in report.days:
        if day.outcome == "written":
            inputs.append(_partition(services, "raw", day.contract, day.trading_day))
            outputs.append(_partition(services, "main_l5", report.alias, day.trading_day, "written", day.reason))
    findings = [
        Item(name=partition_name("main_l5", report.alias, day.trading_day), state=day.outcome, note=day.reason)
        for day in report.days
        if day.outcome not in {"written", "unchanged"} and not report.noop
    ]
    findings += _gate_findings(report.alias, report.gate)
    rows = sum(item.rows for item in outputs)
    return record_run(
        services,
        "main_l5",
        report.alias,
        started_mono_ns=started_mono_ns,
        noop=report.noop,
        state=str(report.gate.overall_state) if report.gate.days else "warn" if findings else "ok",
        counters={
            "days_written": report.written,
            "days_unchanged": report.unchanged,
            "days_missing": report.missing,
            "days_removed": report.removed,
            "rows_in": rows,
            "written": rows,
            "deduped": 0,
        },
        parameters={name: str(value) for name, value in parameters.items()},
        inputs=inputs,
        outputs=outputs,
        findings=findings,
    )


def _gate_findings(alias: str, gate: GateReport) -> list[Item]:
    found = [
        Item(
            name=f"verdict/{alias}/{day.trading_day}",
            state=day.overall_state,
            note=f"{', '.join(day.reasons)}: {day.action_hint}",
        )
        for day in gate.days
    ]
    return found + [
        Item(name=f"schedule/{alias}", state="error", note=f"{item.reason_code}: {item.detail}") for item in gate.schedule
    ]


def record_validation(services: Services, report: ValidationReport, started_mono_ns: int, *, kind: str, symbol: str) -> str:
    """Record a validation: the days that were judged, their verdicts, their gaps with cause and evidence."""
    inputs, outputs, findings = [], [], []
    if not report.noop:
        for verdict in report.days:
            inputs.append(_partition(services, kind, verdict.symbol, verdict.trading_day))
            name = f"{verdict.symbol}/{verdict.trading_day}"
            outputs.append(
                Item(
                    name=f"verdict/{name}",
                    identity=short_id(msgspec.to_builtins(verdict)),
                    rows=verdict.rows,
                    state=verdict.overall_state,
                    note=verdict.reason_code,
                )
            )
            findings += [
                Item(
                    name=f"gap/{name}/{gap.start_ns}",
                    state=gap.cause,
                    note=f"{gap.seconds:g} s in {gap.session_part}: {gap.evidence}",
                )
                for gap in verdict.gaps
            ]
    return record_run(
        services,
        "validate",
        symbol,
        started_mono_ns=started_mono_ns,
        noop=report.noop,
        state=report.overall_state,
        counters={"days_validated": report.validated, "days_unchanged": report.unchanged, "gaps": len(findings)},
        inputs=inputs,
        outputs=outputs,
        findings=findings,
    )


def record_rehash(services: Services, report: RehashReport, started_mono_ns: int) -> str:
    """Record a move to another row hash: digests before and after; the days that were refused, and why."""
    moved = [day for day in report.days if day.outcome == "moved"]
    return record_run(
        services,
        "rehash",
        f"v{report.to_version}",
        started_mono_ns=started_mono_ns,
        noop=report.dry_run or not (moved or report.refused),
        state="ok" if report.ok else "error",
        counters={"days_moved": report.moved, "days_current": report.current, "days_refused": report.refused},
        inputs=[
            Item(name=partition_name(day.kind, day.symbol, day.trading_day), identity=day.digest_before, rows=day.rows)
            for day in moved
        ],
        outputs=[
            Item(name=partition_name(day.kind, day.symbol, day.trading_day), identity=day.digest, rows=day.rows, state="moved")
            for day in moved
        ],
        findings=[
            Item(name=partition_name(day.kind, day.symbol, day.trading_day), state="refused", note=day.reason)
            for day in report.days
            if day.outcome == "refused"
        ],
    )


def record_build(
    services: Services,
    report: BuildReport,
    started_mono_ns: int,
    *,
    kind: str = "main_l5",
    beside: Iterable[DayKey] = (),
    **parameters: object,
) -> str:
    """Record a build of datasets: days of the series (or, kind ``raw``, of a contract) in, datasets by build hash out.

    beside: days of other instruments that went in too.
    """
    noop = report.reused == len(report.days)
    read = [(kind, report.alias, day.trading_day) for day in report.days]
    read += [(key.kind, key.symbol, key.trading_day.iso) for key in beside]
    return record_run(
        services,
        "build",
        f"{report.alias}-{report.factor_set}",
        started_mono_ns=started_mono_ns,
        noop=noop,
        state="warn" if report.left_out else "ok",
        counters={
            "days": len(report.days),
            "days_reused": report.reused,
            "rows": sum(day.rows for day in report.days),
            "eligible": sum(day.eligible for day in report.days),
        },
        parameters={"set_hash": report.set_hash, **{name: str(value) for name, value in parameters.items()}},
        inputs=[] if noop else [_partition(services, *names) for names in read],
        outputs=[
            Item(
                name=partition_name(f"features:{report.factor_set}", report.alias, day.trading_day),
                identity=day.build_hash,
                rows=day.rows,
                state="reused" if day.reused else "written",
            )
            for day in report.days
        ],
        findings=[
            Item(name=partition_name(kind, report.alias, day), state="left_out", note="no clean provenance")
            for day in report.left_out
        ],
    )
