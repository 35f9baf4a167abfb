"""The build gate: a changed series is judged before anybody reads it, and promoted only when it is no error.

Every day that would change is derived and validated in memory, one at a time; days that stay keep their verdict. No day is
written until all are judged, and a promotion shows all of them at once (`ghtrader.data.promotion`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from ghtrader.core.errors import DataError
from ghtrader.core.ids import short_id
from ghtrader.core.progress import Progress
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.instruments import InstrumentTable
from ghtrader.data.main_l5 import MainL5Day, Stamp, derive_day, is_level5, plan_day
from ghtrader.data.main_schedule import MainSchedule
from ghtrader.data.promotion import Promotion
from ghtrader.data.schedule_health import ScheduleProblem, schedule_problems
from ghtrader.data.sessions import sessions_for
from ghtrader.data.validation import validate_day
from ghtrader.data.verdict import DayVerdict, State, worst
from ghtrader.pipelines.day_context import DayContexts
from ghtrader.pipelines.gate_report import GateDay, GateReport
from ghtrader.pipelines.ingest import calendar_of
from ghtrader.pipelines.known_gaps import GATE, gate_key
from ghtrader.pipelines.run_records import partition_name
from ghtrader.pipelines.run_report import Item, record_run
from ghtrader.pipelines.services import Services
from ghtrader.pipelines.validate import VERSION, thresholds_of
from ghtrader.ports.tick_store import DayKey, DayManifest

if TYPE_CHECKING:
    import polars as pl

__all__ = ["StagedSeries", "promote", "stage_series"]

SCHEDULE_ROWS = "main_schedule_v2"


class StagedSeries(msgspec.Struct, frozen=True, kw_only=True):
    """A series as it would become: the day-by-day plan, the promotion that makes it so, and the gate's summary."""

    days: list[MainL5Day]
    promotion: Promotion
    gate: GateReport


class _Judge:
    """Verdicts on days of one series; those on rows that the gate has seen before are kept."""

    def __init__(self, services: Services, schedule: MainSchedule) -> None:
        self._services = services
        self._schedule = schedule
        self._calendar, self._instruments = calendar_of(services), InstrumentTable.vendored()
        self._limits = thresholds_of(services.settings())
        store, ledger = services.tick_store(), services.ledger()
        self._contexts = DayContexts(store, ledger, self._calendar, self._limits, product=schedule.product)
        self._limits_id = short_id([VERSION, msgspec.to_builtins(self._limits)])
        self.judged = self.kept = 0

    def known(self, manifest: DayManifest) -> DayVerdict | None:
        """The verdict on these rows under these thresholds."""
        key = gate_key(manifest.symbol, manifest.trading_day, manifest.digest)
        document = self._services.ledger().get(GATE, key)
        if document is None or document["limits"] != self._limits_id:
            return None
        self.kept += 1
        return msgspec.convert(document["verdict"], DayVerdict)

    def verdict(self, frame: pl.DataFrame, manifest: DayManifest) -> DayVerdict:
        """Judge a day's rows and keep the verdict in the ledger."""
        day = TradingDay.parse(manifest.trading_day)
        sessions = sessions_for(self._schedule.product, day, self._calendar, self._instruments)
        context, _ = self._contexts.of(manifest, schedule_hash=self._schedule.schedule_hash)
        verdict = validate_day(frame, sessions, self._limits, symbol=manifest.symbol, context=context)
        document = {"digest": manifest.digest, "limits": self._limits_id, "verdict": msgspec.to_builtins(verdict)}
        # by digest, so it says nothing about other rows; a refused build need not judge these again
        self._services.ledger().put(GATE, gate_key(manifest.symbol, manifest.trading_day, manifest.digest), document)
        self.judged += 1
        return verdict


def stage_series(
    services: Services, schedule: MainSchedule, covered: list[TradingDay], *, full: bool, enforce: bool, progress: Progress
) -> StagedSeries:
    """Plan, derive and judge every covered day of a series, one in memory at a time. No day is written."""
    store, settings = services.tick_store(), services.settings()
    share = settings.get("data.main_l5.level5_min_share")
    assert isinstance(share, float)
    stamp = Stamp(created_ns=services.clock.now_ns(), tool_version=services.tool_version, config_hash=settings.config_hash)
    judge, days, written, verdicts = _Judge(services, schedule), [], {}, []
    for day in covered:
        planned = plan_day(store, schedule, day, full=full)
        if planned.outcome == "written":
            raw_key = DayKey("raw", planned.contract, day)
            raw, frame = store.manifest(raw_key), store.read_day(raw_key)
            assert raw is not None
            if is_level5(frame, share):
                derived, manifest = derive_day(frame, raw, schedule, day, stamp)
                written[day.iso] = manifest.digest
                verdicts.append((planned, judge.known(manifest) or judge.verdict(derived, manifest)))
            else:
                reason = "the feed supplies level 1 only on this day"
                planned = msgspec.structs.replace(planned, outcome="not_level5", reason=reason, rows=0)
        days.append(planned)
        progress.advance(note=f"{day} {planned.outcome}")
    keep = {day.trading_day for day in days if day.outcome in ("written", "unchanged")}
    gone = [day.iso for day in store.days("main_l5", schedule.alias) if day.iso not in keep]
    if written or gone:
        for planned in (day for day in days if day.outcome == "unchanged"):
            verdicts.append((planned, _standing(services, schedule, planned, judge)))
    problems = schedule_problems(
        schedule, services.tables().rows(SCHEDULE_ROWS, schedule.alias), calendar_of(services), InstrumentTable.vendored()
    )
    removed = [
        MainL5Day(trading_day=iso, contract="", segment_id=0, outcome="removed", reason="not in the schedule") for iso in gone
    ]
    return StagedSeries(
        days=[*days, *removed],
        promotion=Promotion(alias=schedule.alias, schedule=schedule, written=written, removed=gone, stamp=stamp),
        gate=_summary(schedule, problems, verdicts, judge, enforce=enforce, noop=not (written or gone)),
    )


def _standing(services: Services, schedule: MainSchedule, planned: MainL5Day, judge: _Judge) -> DayVerdict:
    """The verdict on a day that stays as it is."""
    key = DayKey("main_l5", schedule.alias, TradingDay.parse(planned.trading_day))
    manifest = services.tick_store().manifest(key)
    assert manifest is not None
    return judge.known(manifest) or judge.verdict(services.tick_store().read_day(key), manifest)


def _summary(
    schedule: MainSchedule,
    problems: list[ScheduleProblem],
    verdicts: list[tuple[MainL5Day, DayVerdict]],
    judge: _Judge,
    *,
    enforce: bool,
    noop: bool,
) -> GateReport:
    order = list(State)
    days = [
        GateDay(
            trading_day=verdict.trading_day,
            contract=planned.contract,
            overall_state=verdict.overall_state,
            reason_code=str(verdict.reason_code),
            reasons=[str(reason) for reason in verdict.reasons],
            action_hint=verdict.action_hint,
        )
        for planned, verdict in verdicts
        if order.index(verdict.overall_state) > order.index(State.OK)
    ]
    days.sort(key=lambda day: (-order.index(day.overall_state), day.trading_day))
    state = State.ERROR if problems and not noop else worst(verdict.overall_state for _, verdict in verdicts)
    reason, hint = ("ok", "") if state != State.NOOP else ("noop", "")
    if problems and not noop:
        reason, hint = str(problems[0].reason_code), f"ghtrader main-schedule --var {schedule.product}"
    elif days:
        reason, hint = days[0].reason_code, days[0].action_hint
    return GateReport(
        enforced=enforce,
        promoted=not noop and not (enforce and state == State.ERROR),
        overall_state=state,
        reason_code=reason,
        action_hint=hint,
        judged=judge.judged,
        kept=judge.kept,
        schedule=problems,
        days=days,
    )


def promote(services: Services, staged: StagedSeries, started_mono_ns: int) -> None:
    """Make the staged series current, or raise DataError (``reason_code``, ``action_hint``, ``days``) and leave it as it was."""
    gate, alias = staged.gate, staged.promotion.alias
    if gate.promoted:
        services.promotions().promote(staged.promotion)
    elif gate.overall_state == State.ERROR:
        bad = [day for day in gate.days if day.overall_state == State.ERROR]
        named = [f"{problem.reason_code}: {problem.detail}" for problem in gate.schedule]
        named += [f"{day.trading_day} {day.contract}: {', '.join(day.reasons)}" for day in bad]
        raise DataError(
            f"{alias} was not promoted and stays as it was: {'; '.join(named)}",
            hint=gate.action_hint or "ghtrader main-l5 --no-enforce-health shows what would happen",
            reason_code=gate.reason_code,
            action_hint=gate.action_hint,
            days=[msgspec.to_builtins(day) for day in bad],
            gate=msgspec.to_builtins(gate),
            run=_record_refusal(services, staged, started_mono_ns),
        )


def _record_refusal(services: Services, staged: StagedSeries, started_mono_ns: int) -> str:
    """The run that changed nothing, and why."""
    gate, promotion = staged.gate, staged.promotion
    findings = [
        Item(name=f"schedule/{promotion.alias}", state="error", note=f"{p.reason_code}: {p.detail}") for p in gate.schedule
    ]
    findings += [
        Item(
            name=partition_name("main_l5", promotion.alias, day.trading_day),
            state=day.overall_state,
            note=f"{', '.join(day.reasons)}; {day.action_hint}",
        )
        for day in gate.days
    ]
    return record_run(
        services,
        "main_l5",
        promotion.alias,
        started_mono_ns=started_mono_ns,
        noop=False,
        state="error",
        counters={"days_refused": len(promotion.written), "days_judged": gate.judged, "days_written": 0},
        parameters={"schedule_hash": promotion.schedule.schedule_hash, "reason_code": gate.reason_code},
        inputs=[Item(name=f"schedule/{promotion.alias}", identity=promotion.schedule.schedule_hash)],
        outputs=[],
        findings=findings,
    )
