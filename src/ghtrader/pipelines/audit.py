"""Audit the project's own pipeline on a generated market, or one with a planted leak."""

from __future__ import annotations

import difflib

from ghtrader.core.errors import UsageError
from ghtrader.research.audit import AuditDay, AuditReport, audit
from ghtrader.research.audit_pipelines import PLANTS, honest_pipeline, plant
from ghtrader.research.truth import day_ticks
from ghtrader.sim.market.generate import generate_market

__all__ = ["audit_pipeline", "planted_leaks"]


def planted_leaks() -> list[str]:
    """Names of the leaks that can be planted."""
    return list(PLANTS)


def audit_pipeline(planted: str | None = None, *, market: str = "planted", seed: int = 1, days: int = 4) -> AuditReport:
    """Audit the honest pipeline, or with ``planted`` one that leaks; the last day is tested."""
    if planted is not None and planted not in PLANTS:
        near = difflib.get_close_matches(planted, PLANTS, n=1)
        raise UsageError(f"no leak {planted!r}", hint=f"did you mean {near[0]}?" if near else f"one of {', '.join(PLANTS)}")
    audited = [AuditDay(day_ticks(day), day.sessions) for day in generate_market(market, seed, days=days)]
    return audit(honest_pipeline() if planted is None else plant(planted), audited)
