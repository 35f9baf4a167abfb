"""What a report shows: plain values, filled by a pipeline, drawn by `render`. No number is computed here or later."""

from __future__ import annotations

import msgspec

__all__ = [
    "Curve",
    "DayTile",
    "DecayPoint",
    "EdgeBar",
    "FillRow",
    "LabelBalance",
    "MetricRow",
    "ReliabilityCurve",
    "ReportData",
    "RunFact",
]


class RunFact(msgspec.Struct, frozen=True):
    """One line of 'what was run': a name, its value and, where it helps, what it means."""

    name: str
    value: str
    note: str = ""


class DayTile(msgspec.Struct, frozen=True, kw_only=True):
    """One trading day of the verdict calendar. ``coverage``: share of 500 ms slots filled by session part."""

    trading_day: str
    state: str
    reason: str
    rows: int
    gaps: int
    role: str
    coverage: dict[str, float]


class LabelBalance(msgspec.Struct, frozen=True, kw_only=True):
    """Shares of one horizon's labels; down + flat + up + void = 1. ``theta_ticks`` of the last training fold."""

    horizon: str
    down: float
    flat: float
    up: float
    void: float
    theta_ticks: float | None


class MetricRow(msgspec.Struct, frozen=True, kw_only=True):
    """One metric of one model with its 95 % interval; ``low``/``high`` None where none is claimed."""

    model: str
    horizon: str
    metric: str
    value: float | None
    low: float | None
    high: float | None
    rows: int
    note: str = ""


class DecayPoint(msgspec.Struct, frozen=True, kw_only=True):
    """Information coefficient of one score with the mid change ``horizon_ticks`` snapshots ahead."""

    model: str
    horizon_ticks: int
    ic: float
    low: float
    high: float


class ReliabilityCurve(msgspec.Struct, frozen=True, kw_only=True):
    """Predicted against observed frequency of one class, equal-mass bins."""

    model: str
    outcome: str
    predicted: list[float]
    observed: list[float]
    ece: float


class Curve(msgspec.Struct, frozen=True, kw_only=True):
    """Equity in CNY under one fill model of one policy; ``ts_ns`` exchange time, ``bound`` for unattainable ones."""

    policy: str
    fill_model: str
    ts_ns: list[int]
    equity_cny: list[float]
    bound: bool = False


class FillRow(msgspec.Struct, frozen=True, kw_only=True):
    """What one policy earned under one fill model; ticks are per round trip and lot."""

    policy: str
    fill_model: str
    pnl_cny: float
    fees_cny: float
    fills: int
    passive_fills: int
    round_trips: int
    net_ticks: float | None
    low: float | None
    high: float | None
    bound: bool = False


class EdgeBar(msgspec.Struct, frozen=True, kw_only=True):
    """Mean gross move (ticks, signed by the score) of the strongest share of signals, beside what a trade costs."""

    share: float
    signals: int
    gross_ticks: float
    low: float
    high: float


class ReportData(msgspec.Struct, frozen=True, kw_only=True):
    """Everything on the page, in its order."""

    title: str
    subtitle: str
    conclusion: str
    conclusion_text: list[str]
    facts: list[RunFact]
    days: list[DayTile]
    labels: list[LabelBalance]
    metrics: list[MetricRow]
    decay: list[DecayPoint]
    reliability: list[ReliabilityCurve]
    curves: list[Curve]
    fills: list[FillRow]
    edges: list[EdgeBar]
    cost_taker_ticks: float
    cost_passive_ticks: float
    headline_horizon: str
    trials: int
    split_note: str
    settlement_note: str
    truth: list[RunFact]
    next_commands: list[str]
    reproduce: str
    timings_s: dict[str, float]
