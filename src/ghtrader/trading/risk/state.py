"""The gate's memory and everything that changes it: `observe_x(state, ...) -> (state, what to tell)`; pure.

Meters only rise within a trading day, but for what turned out never to have left. A hard breach is told on every reading while it
holds, so that one that was lost is told again; near-misses and soft breaches are told once until they are over, at the latest until
the next trading day.
"""

from __future__ import annotations

from ghtrader.trading.risk.counts import (
    observe_accepted,
    observe_cancel,
    observe_fill,
    observe_order,
    observe_position,
    observe_reject,
    observe_unsent,
    observe_unsent_cancel,
)
from ghtrader.trading.risk.losses import (
    can_go_back,
    observe_day,
    observe_day_back,
    observe_equity,
    observe_reset,
    observe_symbol_pnl,
)
from ghtrader.trading.risk.memory import ContractMeters, RiskState, Trip, from_document, to_document
from ghtrader.trading.risk.telling import Observed

__all__ = [
    "ContractMeters",
    "Observed",
    "RiskState",
    "Trip",
    "can_go_back",
    "from_document",
    "observe_accepted",
    "observe_cancel",
    "observe_day",
    "observe_day_back",
    "observe_equity",
    "observe_fill",
    "observe_order",
    "observe_position",
    "observe_reject",
    "observe_reset",
    "observe_symbol_pnl",
    "observe_unsent",
    "observe_unsent_cancel",
    "to_document",
]
