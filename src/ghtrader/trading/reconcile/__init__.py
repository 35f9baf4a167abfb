"""The account as the journal has it against the account as the venue has it: what differs, and what is done about it. Pure."""

from __future__ import annotations

from ghtrader.trading.reconcile.actions import Action, Applied, Difference, Reconciliation, apply_action, apply_reconciliation
from ghtrader.trading.reconcile.cases import CASES, ActionKind, Case, CaseName
from ghtrader.trading.reconcile.compare import LOST_AFTER_NS, reconcile
from ghtrader.trading.reconcile.venue import VenueSnapshot

__all__ = [
    "CASES",
    "LOST_AFTER_NS",
    "Action",
    "ActionKind",
    "Applied",
    "Case",
    "CaseName",
    "Difference",
    "Reconciliation",
    "VenueSnapshot",
    "apply_action",
    "apply_reconciliation",
    "reconcile",
]
