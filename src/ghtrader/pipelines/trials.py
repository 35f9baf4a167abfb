"""Read the trial ledger."""

from __future__ import annotations

from typing import Any

import msgspec

from ghtrader.core.clock import iso_utc
from ghtrader.core.errors import UsageError
from ghtrader.pipelines.services import Services
from ghtrader.research.trials import Trial, TrialLedger

__all__ = ["TrialList", "TrialRow", "list_trials", "show_trial"]


class TrialRow(msgspec.Struct, frozen=True, kw_only=True):
    """One trial in short. ``repeats``: trials of the same spec on the same data up to and with this one."""

    number: int
    kind: str
    created: str
    spec_hash: str
    symbol: str
    idea: str
    repeats: int


class TrialList(msgspec.Struct, frozen=True, kw_only=True):
    """The ledger in short. ``ideas``: distinct specs, what a correction for many trials counts at least."""

    count: int
    ideas: int
    trials: list[TrialRow]


def _idea(spec: dict[str, Any]) -> str:
    """The spec in one line: every scalar, nested ones by their name."""
    parts: list[str] = []
    for key, value in spec.items():
        if isinstance(value, dict):
            parts.append(f"{key}={value.get('name', '...')}")
        elif isinstance(value, list):
            parts.append(f"{len(value)} {key}")
        else:
            parts.append(f"{key}={value}")
    return " ".join(parts)


def _ledger(services: Services) -> TrialLedger:
    return TrialLedger(services.ledger(), services.clock)


def list_trials(services: Services, *, kind: str | None = None, limit: int | None = None) -> TrialList:
    """Every trial, oldest first; ``limit`` keeps the latest ones."""
    trials = _ledger(services).all()
    seen: dict[str, int] = {}
    rows: list[TrialRow] = []
    for trial in trials:
        key = f"{trial.spec_hash} {trial.data}"
        seen[key] = seen.get(key, 0) + 1
        rows.append(
            TrialRow(
                number=trial.number,
                kind=trial.kind,
                created=iso_utc(trial.created_ns),
                spec_hash=trial.spec_hash,
                symbol=str(trial.data.get("symbol", "")),
                idea=_idea(trial.spec),
                repeats=seen[key],
            )
        )
    shown = [row for row in rows if kind is None or row.kind == kind]
    ideas = len({trial.spec_hash for trial in trials})
    return TrialList(count=len(trials), ideas=ideas, trials=shown[-limit:] if limit else shown)


def show_trial(services: Services, number: int) -> Trial:
    """One trial with its spec, data and result; raises UsageError when there is none of that number."""
    trials = _ledger(services).all()
    found = next((trial for trial in trials if trial.number == number), None)
    if found is None:
        hint = f"numbers go from 1 to {len(trials)}: ghtrader trials list" if trials else "ghtrader demo records the first"
        raise UsageError(f"no trial {number}", hint=hint)
    return found
