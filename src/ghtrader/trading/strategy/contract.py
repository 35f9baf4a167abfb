"""One contract in the runner: rows to factors, factors to a score, both to a decision."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from ghtrader.core.messages import AccountView, ExecutionStyle, TickFrame
from ghtrader.core.phases import Phase
from ghtrader.data.day_ticks import NO_PRICE
from ghtrader.data.live_canonical import DayFacts
from ghtrader.data.live_kernel import COLUMNS
from ghtrader.datasets.factors.session import FeatureSession
from ghtrader.trading.strategy.api import Decision, Strategy, StrategyContext, TickView
from ghtrader.trading.strategy.decisions import checked
from ghtrader.trading.strategy.model import ModelBinding
from ghtrader.trading.strategy.timing import Stage, StageTimes

__all__ = ["ContractRunner", "Sent"]

TRADING = int(Phase.CONTINUOUS)
NO_FACTORS = np.empty(0)


class Sent:
    """The last decision that was sent, and the number of its message; nothing at first."""

    __slots__ = ("decision", "seq")

    def __init__(self) -> None:
        self.decision: Decision | None = None
        self.seq = 0

    def repeats(self, decision: Decision) -> bool:
        """Whether a decision says nothing new."""
        last = self.decision
        return last is not None and not decision.anew and (last.lots, last.execution) == (decision.lots, decision.execution)


class ContractRunner:
    """Factors, model and strategy of one contract, from its first row on. Keeps nothing when the contract is given up.

    stopwatch: ns of a clock that never goes back, only for the times of the stages.
    """

    def __init__(
        self, binding: ModelBinding, strategy: Strategy, context: StrategyContext, stopwatch: Callable[[], int], times: StageTimes
    ) -> None:
        self.symbol = context.symbol
        self.binding = binding
        self.strategy = strategy
        self.context = context
        self.account: AccountView | None = None
        self.sent = Sent()
        self.dropped = 0
        self.refusal = ""
        self.decided_ns = self.late = 0
        self.score = math.nan
        self.factors = NO_FACTORS
        self._style: ExecutionStyle | None = None
        self._session = FeatureSession(binding.plan)
        self._stopwatch = stopwatch
        self._times = times
        self._raw = np.empty(len(COLUMNS))
        self._day = ""
        self._facts: DayFacts | None = None
        self.view = TickView()
        self.view.symbol = self.symbol
        self._names = binding.plan.chosen.ids
        self.view.probabilities = None

    @property
    def trading_day(self) -> str:
        """Trading day of the last row, ISO; "" before the first."""
        return self._day

    def lost_rows(self) -> None:
        """Rows are missing before the next one."""
        self._session.mark_gap()

    def begin(self) -> None:
        """The stream begins, or began anew: what was sent, and what the account held, is not known any more."""
        self.account, self.sent = None, Sent()
        self._session.mark_gap()
        self.strategy.on_start(self.context)

    def read(self, frame: TickFrame) -> bool:
        """Take a row in; whether it counts (the view then shows it). A new trading day is told to the strategy.

        Raises DataError when the row cannot be placed, or the factors' parameters were fitted on it.
        """
        started = self._stopwatch()
        self._raw[:] = frame.values
        answer = self._session.answer(frame.ts_ns, self._raw)
        if answer.values is None:
            self.dropped += 1
            return False
        view = self.view
        answer.values.setflags(write=False)  # the strategy sees what is computed and cannot change it
        self.factors = answer.values
        view.seq, view.ts_ns, view.factors, view.factor_names = frame.seq, answer.datetime, answer.values, self._names
        predicts = self._show()
        now = self._stopwatch()
        self._times.record(Stage.FACTORS, now - started)
        self._predict(predicts)
        self._times.record(Stage.MODEL, self._stopwatch() - now)
        return True

    def _show(self) -> bool:
        """The row's book and place in the session; whether a model may predict: orders may match, and the book is two-sided."""
        view, row, facts = self.view, self._session.row, self._session.facts
        bid, ask = row.bid_px.item(0), row.ask_px.item(0)
        upper, lower, last = row.limits.item(0), row.limits.item(1), row.last_px.item(0)
        view.bid = None if bid == NO_PRICE else bid
        view.ask = None if ask == NO_PRICE else ask
        view.last = None if last == NO_PRICE else last
        view.upper = None if upper == NO_PRICE else upper
        view.lower = None if lower == NO_PRICE else lower
        view.bid_lots, view.ask_lots = row.bid_sz.item(0), row.ask_sz.item(0)
        view.continuous = row.phase.item(0) == TRADING
        locked = (upper != NO_PRICE and bid >= upper) or (lower != NO_PRICE and ask <= lower)
        two_sided = view.bid is not None and view.ask is not None and bid < ask
        view.can_trade = view.continuous and two_sided and not locked and not row.break_before.item(0)
        view.part_end_ns = facts.ends[row.part.item(0)]
        if facts is not self._facts:
            self._begin_day(facts)
        return view.continuous and two_sided

    def _begin_day(self, facts: DayFacts) -> None:
        view, iso = self.view, facts.day.iso
        view.price_tick, view.tick_value_cny = facts.spec.price_tick, facts.tick_value_cny
        if iso != self._day:
            self._day = view.trading_day = iso
            self.refusal = self.binding.refusal(facts.day)
            self.strategy.on_day(iso)
        self._facts = facts

    def _predict(self, predicts: bool) -> None:
        view = self.view
        if self.binding.predictor is None or not predicts:
            view.probabilities, view.score = None, math.nan
        else:
            view.probabilities = found = self.binding.probabilities(self.factors)
            view.score = float(found[2]) - float(found[0])
        self.score = view.score

    def decide(self, session: str) -> Decision | None:
        """What the strategy wants now, None when nothing new. The account must be known. session: that of our messages.

        Raises TypeError or ValueError for what is no decision, and whatever the strategy raises.
        """
        account, view = self.account, self.view
        assert account is not None
        started = self._stopwatch()
        view.account = account
        view.position, view.working, view.target = account.position, account.working, account.target
        view.settled = self.sent.seq == 0 or (account.target_session == session and account.target_seq >= self.sent.seq)
        returned = self.strategy.on_tick(view)
        self.decided_ns = self._stopwatch() - started
        self._times.record(Stage.DECIDE, self.decided_ns)
        if returned is None:
            return None
        decision = checked(returned, self._style)
        self._style = decision.execution
        return None if self.sent.repeats(decision) else decision
