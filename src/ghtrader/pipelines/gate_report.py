"""What the build gate says of a series as it would become; part of the build's report."""

from __future__ import annotations

import msgspec

from ghtrader.data.schedule_health import ScheduleProblem
from ghtrader.data.verdict import State

__all__ = ["GateDay", "GateReport"]


class GateDay(msgspec.Struct, frozen=True, kw_only=True):
    """What the gate says about a day that is not ok."""

    trading_day: str
    contract: str
    overall_state: State
    reason_code: str
    reasons: list[str]
    action_hint: str


class GateReport(msgspec.Struct, frozen=True, kw_only=True):
    """The gate's summary. ``noop``: nothing would change, so nothing was judged.

    judged: days validated now; kept: days whose verdict on the same rows was known. days: those that are not ok, worst first.
    promoted: whether the change was made; False with an error also means that the series stays as it was.
    """

    enforced: bool
    promoted: bool
    overall_state: State
    reason_code: str
    action_hint: str
    judged: int
    kept: int
    schedule: list[ScheduleProblem]
    days: list[GateDay]
