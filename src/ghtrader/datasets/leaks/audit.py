"""The auditor of training jobs: findings by name, none for a clean job."""

from __future__ import annotations

import msgspec

from ghtrader.core.errors import DataError
from ghtrader.datasets.leaks.checks import (
    fit_accusations,
    job_accusations,
    label_accusations,
    row_accusations,
    time_accusations,
)
from ghtrader.datasets.leaks.job import TrainingJob

__all__ = ["Finding", "audit_job", "refuse_leaks"]


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """A leak by name, the evidence for it, and the first fold in which it was found (0: the job as a whole)."""

    name: str
    evidence: str
    fold: int


def audit_job(job: TrainingJob) -> list[Finding]:
    """Every kind of leak in a job, each once, with the first fold that shows it. An empty list proves, row by row:

    * no row, nor a copy of one, is both trained on and tested on;
    * no training label, and no label behind anything fitted, knows any of the time that test rows and their labels span;
    * no label-informed factor of a training row remembers that time, and none looks into another contract;
    * training and test are as many session parts apart as was declared, and in a walk-forward job training comes first;
    * labels are the mid changes that were declared, and cross no gap, break or roll;
    * nothing was fitted on a test row.

    It proves this of the rows that the description names; whether the code read others is for `research.audit` to see.
    """
    found: dict[str, Finding] = {}

    def note(name: str, evidence: str, fold: int) -> None:
        found.setdefault(name, Finding(name=name, evidence=evidence, fold=fold))

    for accusation in job_accusations(job):
        note(*accusation)
    ordered = "shuffled_days" not in found
    for fold in job.folds:
        accusations, train, time_tells = row_accusations(job, fold)
        accusations += label_accusations(job, fold, train)
        if ordered and time_tells:
            accusations += time_accusations(job, fold, train)
        for accusation in [*accusations, *fit_accusations(job, fold)]:
            note(*accusation)
    return list(found.values())


def refuse_leaks(job: TrainingJob) -> None:
    """Raise DataError naming every finding of :func:`audit_job`; do nothing for a clean job."""
    findings = audit_job(job)
    if findings:
        listed = "; ".join(f"{item.name} (fold {item.fold}): {item.evidence}" for item in findings)
        raise DataError(
            f"test information reaches training: {listed}",
            hint="ghtrader audit shows whether the pipeline itself leaks; the split or the fit named here has to change",
            findings=[msgspec.to_builtins(item) for item in findings],
        )
