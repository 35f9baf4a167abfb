"""The trial ledger for people."""

from __future__ import annotations

from ghtrader.core.errors import DataError
from ghtrader.pipelines.services import Services
from ghtrader.research.trials import Trial, TrialLedger

__all__ = ["trial", "trials"]


def trials(services: Services) -> list[Trial]:
    """Every trial of this data folder, oldest first."""
    return TrialLedger(services.ledger(), services.clock).all()


def trial(services: Services, number: int) -> Trial:
    """One trial; raises DataError when there is none of that number."""
    found = next((item for item in trials(services) if item.number == number), None)
    if found is None:
        raise DataError(f"there is no trial {number}", hint="ghtrader trials list")
    return found
