"""Factors of one contract tick by tick, from raw rows: canonical form, trading days and factor state, one answer a row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ghtrader.core.clock import NS_PER_S
from ghtrader.core.errors import DataError
from ghtrader.core.ids import content_hash
from ghtrader.core.phases import Phase
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.calendar import Calendar
from ghtrader.data.instruments import InstrumentTable
from ghtrader.data.live_canonical import DayFacts, LiveCanonical, LiveRows
from ghtrader.data.live_kernel import COLUMNS, REASON_CODES
from ghtrader.datasets.factors.declaration import FactorSet
from ghtrader.datasets.factors.engine import FactorStream
from ghtrader.datasets.factors.history import DaySummary, history_array
from ghtrader.datasets.factors.parameters import FittedParameters, parameter_array

__all__ = ["Answer", "FeaturePlan", "FeatureSession", "PeerTicks", "history_of", "warm_up"]

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
TRADING = int(Phase.CONTINUOUS)


class PeerTicks(Protocol):
    """Another instrument's ticks."""

    def rows(self, trading_day: TradingDay, own_ts_ns: I64) -> F64:
        """What it showed last at or before each own stamp of a day, float64 (n, SIZE_PEER); NaN where nothing."""


@dataclass(frozen=True)
class FeaturePlan:
    """What is computed of which contract. fit: fitted parameters, None for the neutral ones; in_sample: the rows that the
    parameters were fitted on may be computed too. peer, following: ticks of another instrument and of the next main contract.
    """

    symbol: str
    chosen: FactorSet
    calendar: Calendar
    instruments: InstrumentTable
    fit: FittedParameters | None = None
    in_sample: bool = False
    peer: PeerTicks | None = None
    following: PeerTicks | None = None

    @property
    def params(self) -> F64:
        """The kernel's parameters."""
        return parameter_array(None if self.fit is None else self.fit.values)

    @property
    def params_hash(self) -> str:
        """Identity of the parameters; the neutral ones have one too."""
        return content_hash(self.params.tolist()) if self.fit is None else self.fit.params_hash

    def require_out_of_sample(self, ts_ns: int) -> None:
        """Raise DataError for a row inside or before the range of the fit."""
        if self.fit is not None and not self.in_sample and ts_ns <= self.fit.last_ns:
            raise DataError(
                f"the parameters were fitted on rows until {self.fit.last_ns}, and this row is of {ts_ns}: they know its future",
                hint="fit on earlier days (ghtrader features fit), or say --in-sample",
                first_ns=self.fit.first_ns,
                last_ns=self.fit.last_ns,
            )

    def live(self) -> LiveCanonical:
        """The contract's canonical form, from its first row on."""
        return LiveCanonical(self.symbol, self.calendar, self.instruments)


def history_of(left: Mapping[str, DaySummary], day: TradingDay) -> F64:
    """What a day may know of earlier ones: their summaries by ISO day, of a day in several stretches the last one's."""
    return history_array([left[name] for name in sorted(left) if name < day.iso])


@dataclass(frozen=True, slots=True)
class Answer:
    """What one row gave. datetime: its canonical stamp, of a dropped row as it came; values: (F,), None when dropped (why)."""

    datetime: int
    values: F64 | None
    dropped: str


class FeatureSession:
    """Rows in, answers out, across trading days; each day begins anew and knows what earlier days left (`factors.history`).

    earlier: what days before the first row left, by ISO day. Not to be shared between streams.
    """

    def __init__(self, plan: FeaturePlan, earlier: Mapping[str, DaySummary] | None = None) -> None:
        self.plan = plan
        self._live = plan.live()
        row = self._live.row
        # views of the one row that the canonical form writes over and over
        self._book = (row.bid_px[0], row.bid_sz[0], row.ask_px[0], row.ask_sz[0])
        self._params = plan.params
        self._left: dict[str, DaySummary] = dict(earlier or {})
        self._gap = False
        self._stretch = -1
        self._facts: DayFacts | None = None
        self._stream: FactorStream | None = None

    def _stream_of(self, stretch: int, facts: DayFacts) -> FactorStream:
        if self._stream is not None and self._facts is not None:
            if self._stretch == stretch:
                return self._stream
            self._left[self._facts.day.iso] = self._stream.summary(self._facts.day.iso)
        self._stretch, self._facts = stretch, facts
        self._stream = FactorStream(
            self.plan.chosen,
            tick_value_cny=facts.tick_value_cny,
            params=self._params,
            history=history_of(self._left, facts.day),
        )
        return self._stream

    @property
    def row(self) -> LiveRows:
        """The last kept row, in canonical form; written over by the next one."""
        return self._live.row

    @property
    def facts(self) -> DayFacts:
        """Facts of the contract on the trading day of the last row."""
        return self._live.row_facts

    def mark_gap(self) -> None:
        """Rows were lost: no state of a run is carried into the next one, as at the gaps that research knows of."""
        self._gap = True

    def answer(self, ts_ns: int, raw: F64) -> Answer:
        """The factors after the next row. raw: float64 (29,), `live_kernel.COLUMNS`, NaN where absent.

        Raises DataError for a row that cannot be placed (its trading day or the contract's facts are not known, or the
        parameters were fitted on it); it then leaves the factors' state alone.
        """
        code = self._live.push(ts_ns, raw)
        if code:
            return Answer(ts_ns, None, REASON_CODES[code])
        row, facts = self._live.row, self._live.row_facts
        self.plan.require_out_of_sample(ts_ns)
        row.break_before[0] |= self._gap
        self._gap = False
        part, stamp, counters = row.part.item(0), row.ts_ns.item(0), row.counters
        values = self._stream_of(row.stretch.item(0), facts).step(
            stamp,
            *self._book,
            row.last_px.item(0),
            counters.item(0),
            counters.item(1),
            counters.item(2),
            break_before=row.break_before.item(0),
            continuous=row.phase.item(0) == TRADING,
            part=part,
            part_start_ns=facts.starts[part],
            part_end_ns=facts.ends[part],
        )
        return Answer(stamp, values, "")


def warm_up(plan: FeaturePlan) -> None:
    """Compile what a session runs, so that the first row is answered as fast as the others. Leaves nothing behind."""
    day = plan.calendar.previous(plan.calendar.last)
    half_past_nine = day.stamp_ns + 5400 * NS_PER_S  # midnight UTC is eight o'clock in Shanghai
    FeatureSession(replace(plan, in_sample=True)).answer(half_past_nine, np.zeros(len(COLUMNS)))
