"""Factors of one contract tick by tick, from raw rows: canonical form, trading days and factor state, one answer a row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from ghtrader.core.clock import NS_PER_S
from ghtrader.core.errors import DataError, SchemaError
from ghtrader.core.ids import content_hash
from ghtrader.core.phases import Phase
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.calendar import Calendar
from ghtrader.data.instruments import InstrumentTable
from ghtrader.data.live_canonical import DayFacts, LiveCanonical
from ghtrader.data.live_kernel import COLUMNS, REASON_CODES
from ghtrader.datasets.factors.catalogue import factor_set
from ghtrader.datasets.factors.declaration import FactorSet
from ghtrader.datasets.factors.engine import FactorStream
from ghtrader.datasets.factors.history import DaySummary, history_array
from ghtrader.datasets.factors.parameters import FittedParameters, parameter_array
from ghtrader.pipelines.feature_peers import PeerFile
from ghtrader.pipelines.ingest import calendar_of
from ghtrader.pipelines.services import Services

__all__ = ["Answer", "FeaturePlan", "FeatureSession", "history_of", "load_fit", "plan_features", "warm_up"]

F64 = npt.NDArray[np.float64]
TRADING = int(Phase.CONTINUOUS)


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
    peer: PeerFile | None = None
    following: PeerFile | None = None

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


def load_fit(path: Path) -> FittedParameters:
    """Parameters that `ghtrader features fit` wrote; raises SchemaError when the file holds none."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=FittedParameters)
    except (OSError, msgspec.DecodeError) as error:
        raise SchemaError(f"{path} holds no fitted parameters: {error}", hint="ghtrader features fit", path=str(path)) from error


def plan_features(
    services: Services,
    symbol: str,
    set_name: str,
    *,
    params: Path | None = None,
    in_sample: bool = False,
    factors: Path | None = None,
) -> FeaturePlan:
    """A plan by the names that people use; ``factors`` declares factors and sets of one's own.

    Raises UsageError and UnknownInstrumentError for unknown names.
    """
    instruments = InstrumentTable.vendored()
    instruments.product(symbol)
    fit = None if params is None else load_fit(params)
    chosen = factor_set(set_name, "" if factors is None else str(factors))
    return FeaturePlan(symbol, chosen, calendar_of(services), instruments, fit, in_sample)


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
    """Rows in, answers out, across trading days; each day begins anew and knows what earlier days left (`factors.history`)."""

    def __init__(self, plan: FeaturePlan) -> None:
        self.plan = plan
        self._live = plan.live()
        row = self._live.row
        # views of the one row that the canonical form writes over and over
        self._book = (row.bid_px[0], row.bid_sz[0], row.ask_px[0], row.ask_sz[0])
        self._params = plan.params
        self._left: dict[str, DaySummary] = {}
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
        part, stamp = int(row.part[0]), int(row.ts_ns[0])
        counters = row.counters[0]
        values = self._stream_of(int(row.stretch[0]), facts).step(
            stamp,
            *self._book,
            int(row.last_px[0]),
            float(counters[0]),
            float(counters[1]),
            float(counters[2]),
            break_before=bool(row.break_before[0]),
            continuous=int(row.phase[0]) == TRADING,
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
