"""Leaks: proves from a description of a training job that no information of its test rows reached anything that was fitted."""

from ghtrader.datasets.leaks.audit import Finding, audit_job, refuse_leaks
from ghtrader.datasets.leaks.job import FIT_KINDS, Fit, FitKind, JobDay, JobFold, TrainingJob, describe_job, job_day

__all__ = [
    "FIT_KINDS",
    "Finding",
    "Fit",
    "FitKind",
    "JobDay",
    "JobFold",
    "TrainingJob",
    "audit_job",
    "describe_job",
    "job_day",
    "refuse_leaks",
]
