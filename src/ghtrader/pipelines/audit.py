"""Audit the project's own pipeline on a generated market, or one with a planted leak."""

from __future__ import annotations

import difflib

import msgspec

from ghtrader.core.errors import UsageError
from ghtrader.datasets.build import build_day
from ghtrader.datasets.factors.catalogue import factor_set
from ghtrader.datasets.leaks import FIT_KINDS, audit_job, describe_job
from ghtrader.datasets.leaks.plants import JOB_PLANTS, plant_job
from ghtrader.datasets.splits import row_masks, walk_forward
from ghtrader.research.audit import AUDIT_HORIZON, AUDIT_SET, AuditDay, AuditReport, Leak, audit
from ghtrader.research.audit_pipelines import PLANTS, honest_pipeline, plant
from ghtrader.research.training import stride_of
from ghtrader.research.truth import day_ticks
from ghtrader.sim.market.generate import generate_market

__all__ = ["audit_pipeline", "planted_leaks"]

JOB_CHECK = "rows and fits of the training job"


def planted_leaks() -> list[str]:
    """Names of the leaks that can be planted: in a step of the pipeline, then in the description of a training job."""
    return list(dict.fromkeys([*PLANTS, *JOB_PLANTS]))


def audit_pipeline(planted: str | None = None, *, market: str = "planted", seed: int = 1, days: int = 4) -> AuditReport:
    """Audit the honest pipeline and its walk-forward job, or with ``planted`` one that leaks; the last day is tested.

    A leak of a step is built into the pipeline, one of rows or fits into the job's description; a name that both know is the step's.
    """
    names = planted_leaks()
    if planted is not None and planted not in names:
        near = difflib.get_close_matches(planted, names, n=1)
        raise UsageError(f"no leak {planted!r}", hint=f"did you mean {near[0]}?" if near else f"one of {', '.join(names)}")
    audited = [AuditDay(day_ticks(day), day.sessions) for day in generate_market(market, seed, days=days)]
    report = audit(plant(planted) if planted in PLANTS else honest_pipeline(), audited)
    found = _job_leaks(audited, None if planted in PLANTS else planted, seed)
    return msgspec.structs.replace(
        report, leaks=[*report.leaks, *found], clean=report.clean and not found, checks=[*report.checks, JOB_CHECK]
    )


def _job_leaks(days: list[AuditDay], planted: str | None, seed: int) -> list[Leak]:
    """What the auditor of jobs says of a walk-forward over the days, each thing fitted on its training rows."""
    datasets = [build_day(day.ticks, day.sessions, factor_set(AUDIT_SET), (AUDIT_HORIZON,)) for day in days]
    stride = stride_of(AUDIT_HORIZON)
    folds = [
        (fold, row_masks(fold, datasets, AUDIT_HORIZON, stride=stride))
        for fold in walk_forward([item.trading_day for item in datasets])
    ]
    job = describe_job(datasets, folds, AUDIT_HORIZON, fitted=tuple(FIT_KINDS))
    findings = audit_job(job if planted is None else plant_job(planted, job, seed=seed))
    return [Leak(item.name, item.evidence) for item in findings]
