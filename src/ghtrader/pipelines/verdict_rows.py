"""Verdicts as rows, for queries: summary, holes, field quality. The ledger keeps verdicts whole."""

from __future__ import annotations

from typing import Any

from ghtrader.core.trading_day import TradingDay
from ghtrader.data.verdict import DayVerdict
from ghtrader.ports.table_store import TableStore

__all__ = ["FIELDS", "GAPS", "SUMMARY", "record_verdict"]

SUMMARY, FIELDS = "main_l5_validate_summary_v2", "field_quality_v2"
#: Where the holes of a kind of ticks go.
GAPS = {"main_l5": "main_l5_validate_gaps_v2", "raw": "tick_gaps_v2"}


def record_verdict(tables: TableStore, kind: str, verdict: DayVerdict) -> None:
    """Replace the rows of one day: every hole with its cause (gaps whole, others as far as the verdict keeps them)."""
    day = TradingDay.parse(verdict.trading_day)
    scope = f"{verdict.symbol}/{verdict.trading_day}"
    named: dict[str, Any] = {"symbol": verdict.symbol, "trading_day": verdict.trading_day}
    holes = sorted([*verdict.gaps, *verdict.holes], key=lambda hole: (hole.start_ns, hole.end_ns))
    rows = [
        {
            "datetime": hole.start_ns,
            **named,
            "end_ns": hole.end_ns,
            "part": hole.session_part,
            "seconds": hole.seconds,
            "cause": str(hole.cause),
            "evidence": hole.evidence,
            "is_gap": hole.is_gap,
            "volume_step": hole.volume_step,
            "end_part": hole.end_part or hole.session_part,
        }
        for hole in holes
    ]
    tables.replace(GAPS[kind], scope, rows)
    summary = {
        "datetime": day.stamp_ns,
        **named,
        "overall_state": str(verdict.overall_state),
        "engineering_state": str(verdict.engineering_state),
        "source_state": str(verdict.source_state),
        "policy_state": str(verdict.policy_state),
        "reason_code": str(verdict.reason_code),
        "reasons": " ".join(verdict.reasons),
        "schedule_hash": verdict.schedule_hash,
        "cadence": verdict.cadence,
        "rows": verdict.rows,
        "gaps": len(verdict.gaps),
        "gap_seconds": verdict.gap_seconds,
        "holes_left_out": verdict.holes_left_out,
        "action_hint": verdict.action_hint,
    }
    tables.replace(SUMMARY, scope, [summary])
    quality = [
        {"datetime": day.stamp_ns, **named, "field": field, "metric": metric, "value": value}
        for field, metrics in verdict.fields.items()
        for metric, value in metrics.items()
    ]
    tables.replace(FIELDS, scope, quality)
