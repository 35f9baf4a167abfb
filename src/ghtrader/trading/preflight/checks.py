"""The checks before a session: facts in, a verdict for each check out; what fails says what happened, why, and the next command.

A check that fails is red where the mode needs it (`NEEDED`) and yellow elsewhere. Red blocks the order modes: the gateway asks the same
checks when it starts, and stays in live_monitor while one is red.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

import msgspec

from ghtrader.trading.words import Mode

__all__ = ["NEEDED", "Check", "CheckName", "CheckState", "Finding", "PreflightFacts", "judge", "red_names"]


class CheckName(StrEnum):
    """The checks, in the order in which they are shown."""

    CALENDAR = "calendar"
    SCHEDULE = "schedule"
    SETTLEMENT = "settlement"
    POSITIONS = "positions"
    FUNDS = "funds"
    MODEL = "model"
    CLOCK = "clock"
    DISK = "disk"
    FILING = "filing"


class CheckState(StrEnum):
    """GREEN: in order. YELLOW: fails, or is not known, and this mode does not need it. RED: no order leaves."""

    GREEN = "green"
    YELLOW = "yellow"
    RED = "red"


_ORDERS: Final = frozenset({Mode.PAPER, Mode.SIM, Mode.LIVE_TRADE})
_LIVE: Final = frozenset({Mode.LIVE_TRADE})

#: Modes in which a check must be green.
NEEDED: Final[Mapping[CheckName, frozenset[Mode]]] = MappingProxyType(
    {
        CheckName.CALENDAR: _ORDERS,
        CheckName.SCHEDULE: _ORDERS,
        CheckName.SETTLEMENT: _LIVE,
        CheckName.POSITIONS: _ORDERS,
        CheckName.FUNDS: _LIVE,
        CheckName.MODEL: _LIVE,
        CheckName.CLOCK: _ORDERS,
        CheckName.DISK: _ORDERS,
        CheckName.FILING: _LIVE,
    }
)


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody found out: ``message`` is what stands, or what is wrong when it is not ``ok``; hint: the next command."""

    ok: bool
    message: str
    hint: str = ""


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One check. hint: the next command, where it is not green."""

    name: CheckName
    state: CheckState
    message: str
    hint: str = ""


class PreflightFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What the checks look at. calendar, schedule, journal, model: found out by whoever can read them.

    now_ns: of the clock that the session goes by, UTC. seen_ns: the newest record of the journal, tick_ns: the newest tick; 0: none.
    day: the trading day (ISO), empty when the calendar does not know it. statement_day, statement_state: the last trading day that is
    over, and whether it ``balanced``; empty: nothing was traded before. unknown_orders: orders whose outcome nobody told. balance_cny,
    available_cny: None where nobody asked.
    """

    account: str
    now_ns: int
    calendar: Finding
    schedule: Finding
    journal: Finding
    model: Finding
    seen_ns: int = 0
    tick_ns: int = 0
    day: str = ""
    statement_day: str = ""
    statement_state: str = ""
    unknown_orders: tuple[str, ...] = ()
    balance_cny: float | None = None
    available_cny: float | None = None
    min_available_share: float = 0.0
    free_mb: int = 0
    min_free_mb: int = 0
    max_drift_s: float = 1.0
    filing_reference: str = ""


def judge(facts: PreflightFacts, mode: Mode) -> tuple[Check, ...]:
    """Every check, in order."""
    found = {
        CheckName.CALENDAR: facts.calendar,
        CheckName.SCHEDULE: facts.schedule,
        CheckName.SETTLEMENT: _settlement(facts),
        CheckName.POSITIONS: _positions(facts),
        CheckName.FUNDS: _funds(facts),
        CheckName.MODEL: facts.model,
        CheckName.CLOCK: _clock(facts),
        CheckName.DISK: _disk(facts),
        CheckName.FILING: _filing(facts),
    }
    return tuple(_check(name, found[name], mode) for name in CheckName)


def red_names(checks: tuple[Check, ...]) -> tuple[str, ...]:
    """Names of the checks that block."""
    return tuple(check.name.value for check in checks if check.state is CheckState.RED)


def _check(name: CheckName, finding: Finding, mode: Mode) -> Check:
    if finding.ok:
        return Check(name=name, state=CheckState.GREEN, message=finding.message)
    state = CheckState.RED if mode in NEEDED[name] else CheckState.YELLOW
    return Check(name=name, state=state, message=finding.message, hint=finding.hint)


def _settlement(facts: PreflightFacts) -> Finding:
    day, state = facts.statement_day, facts.statement_state
    command = f"ghtrader trade statement --account {facts.account}"
    if not day:
        return Finding(ok=True, message="nothing was traded before today")
    if state == "balanced":
        return Finding(ok=True, message=f"{day} balances to the cent")
    if state == "different":
        return Finding(ok=False, message=f"{day} differs from the venue's statement", hint=f"{command} --day {day}")
    return Finding(ok=False, message=f"{day} is {state}: nobody compared it", hint=f"{command} --file STATEMENT.json")


def _positions(facts: PreflightFacts) -> Finding:
    if not facts.journal.ok or not facts.unknown_orders:
        return facts.journal
    names = ", ".join(facts.unknown_orders[:3]) + (", ..." if len(facts.unknown_orders) > 3 else "")
    message = f"nobody knows what became of {len(facts.unknown_orders)} orders ({names})"
    return Finding(ok=True, message=f"{facts.journal.message}; {message}: the gateway asks the venue before it trades")


def _funds(facts: PreflightFacts) -> Finding:
    command = f"ghtrader account verify {facts.account}"
    balance, available = facts.balance_cny, facts.available_cny
    if balance is None or available is None:
        return Finding(ok=False, message="nobody told the account's money", hint=command)
    if not (math.isfinite(balance) and math.isfinite(available)):
        return Finding(ok=False, message="balance or available money is no number", hint=command)
    said = f"{available:,.2f} of {balance:,.2f} CNY are available"
    if balance <= 0 or available < facts.min_available_share * balance:
        least = f"less than the share of {facts.min_available_share:g} that must stay available"
        return Finding(ok=False, message=f"{said}: {least}", hint="deposit, or close positions")
    return Finding(ok=True, message=said)


def _clock(facts: PreflightFacts) -> Finding:
    hint = "set the clock (chronyc tracking), then run the check again"
    for stamp, what in ((facts.seen_ns, "the journal's newest record"), (facts.tick_ns, "the newest tick")):
        behind = (stamp - facts.now_ns) / 1e9
        if behind > facts.max_drift_s:
            return Finding(ok=False, message=f"the clock lies {behind:,.3f} s behind {what}", hint=hint)
    compared = [name for name, stamp in (("journal", facts.seen_ns), ("ticks", facts.tick_ns)) if stamp]
    return Finding(ok=True, message=f"not behind {' and '.join(compared)}" if compared else "nothing to compare it with yet")


def _disk(facts: PreflightFacts) -> Finding:
    said = f"{facts.free_mb:,} MB are free"
    if facts.free_mb < facts.min_free_mb:
        hint = "make room in the data folder, or ghtrader config set trading.preflight.min_free_mb"
        return Finding(ok=False, message=f"{said}, {facts.min_free_mb:,} are needed", hint=hint)
    return Finding(ok=True, message=said)


def _filing(facts: PreflightFacts) -> Finding:
    if not facts.filing_reference.strip():
        hint = "file with the broker, then ghtrader config set trading.preflight.filing_reference REFERENCE"
        return Finding(ok=False, message="no reference of a filing for programme trading: first filed, then traded", hint=hint)
    return Finding(ok=True, message=f"filed as {facts.filing_reference.strip()}")
