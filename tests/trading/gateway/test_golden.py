"""The golden scenario in one process: gateway, executors and venue over two days do what the screening backtester does, to the cent.

And the costs that are read from the gateway's journal are those of the account.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from msgspec import structs
from tests.conftest import SAMPLES
from tests.trading.gateway.rig import Outlets

from ghtrader.adapters.replay import ReplayProvider
from ghtrader.core.messages import Command, Style, Target, Verb
from ghtrader.core.orders import FillModel
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.calendar import Calendar
from ghtrader.data.instruments import InstrumentTable
from ghtrader.ports.live_feed import LiveTick
from ghtrader.sim.costs import SimCosts
from ghtrader.sim.orders import live_rows
from ghtrader.sim.policy import PolicyDay, PolicyResult, PolicySpec, run_policy
from ghtrader.sim.replay import ReplayDay, provided_days
from ghtrader.sim.venue import Arrival, VenueEventKind
from ghtrader.testing.lockstep import LockstepReplay
from ghtrader.testing.trading_stores import MemoryDisk, MemoryJournalStore, MemoryKillStore
from ghtrader.trading.gateway import events as ev
from ghtrader.trading.gateway.contract_days import contract_day
from ghtrader.trading.gateway.desk import BrokerDesk
from ghtrader.trading.gateway.lockstep import Lockstep
from ghtrader.trading.gateway.market import MarketViews
from ghtrader.trading.gateway.modes import Gates
from ghtrader.trading.gateway.shell import GatewayShell
from ghtrader.trading.gateway.state import GatewaySettings
from ghtrader.trading.journal.journal import Journal
from ghtrader.trading.risk.limits import RiskLimits
from ghtrader.trading.screening.deeds import days_of
from ghtrader.trading.screening.differences import Difference, compare_day
from ghtrader.trading.strategy.api import StrategyContext, TickView
from ghtrader.trading.strategy.builtin import ScorePolicy
from ghtrader.trading.tca.costs import target_cost
from ghtrader.trading.tca.quotes import DayQuotes
from ghtrader.trading.tca.reading import targets_of
from ghtrader.trading.tca.summary import summarise

RB, ROWS = "SHFE.rb2510", 5000
CALENDAR, INSTRUMENTS = Calendar.vendored(), InstrumentTable.vendored()
FREE = RiskLimits(
    orders_per_s=1000, cancels_per_s=1000, max_daily_loss_cny=1e9, max_drawdown_cny=1e9, max_symbol_loss_cny=1e9,
    max_consecutive_losses=10**6, reject_streak=10**6, max_cancels=10**6, max_messages=10**6, stale_feed_ns=10**15,
    limit_proximity_ticks=0, end_guard_ns=0,
)  # fmt: skip


@pytest.fixture(scope="module")
def days() -> list[ReplayDay]:
    """The first rows of two sample days; the part ends with them, so that nothing is held over night."""
    provider = ReplayProvider(SAMPLES, CALENDAR, INSTRUMENTS)
    found = provided_days(provider, CALENDAR, INSTRUMENTS, [RB], provider.trading_days(RB)[:2])
    return [replace(day, ticks=day.ticks.rows(slice(ROWS)), values=day.values[:ROWS]) for (day,) in found]


def score_of(number: int) -> np.ndarray:
    rng = np.random.default_rng(number)
    return np.where(rng.random(ROWS) < 0.02, rng.choice([-1.0, 1.0], ROWS), 0.0)


class Golden:
    """Gateway and strategy on a lockstep replay."""

    def __init__(
        self, days: list[ReplayDay], spec: PolicySpec, model: FillModel, rules: Arrival = Arrival.SCREENING, **limits: int
    ) -> None:
        self.days = days
        self.replay = LockstepReplay([[day] for day in days], model, rules)
        self.clock, self.outlets = self.replay.clock, Outlets()
        self.clock.move_to(self.replay.feed.next_ns - 1)
        desk = BrokerDesk(self.replay.broker, self.clock, lambda: str(self.replay.account.trading_day or ""))
        self.journal = Journal(MemoryJournalStore(MemoryDisk()), "demo")
        settings = GatewaySettings(
            account="demo", gates=Gates(broker="paper"), limits=structs.replace(FREE, **limits), silence_ns=10**18
        )
        self.shell = GatewayShell(settings, self.journal, MemoryKillStore(), desk, self.outlets, self.clock)
        params = {"mode": "paper", "symbols": [RB]}
        now = self.clock.now_ns()
        command = Command(command_id="x", account="demo", verb=Verb.SET_DESIRED, actor="t", ts_ns=now, params=params)
        self.shell.handle(ev.CommandArrived(now_ns=now, command=command, source="socket:1"))
        self.shell.handle(ev.PreflightDone(now_ns=now, red=()))
        self.shell.handle(ev.FeedLinkChanged(now_ns=now, up=True))
        self.policy, self.view, self.sent, self.number = ScorePolicy(spec, threshold=0.5), TickView(), 0, -1
        self.policy.on_start(StrategyContext(account="demo", symbol=RB))

    def begin_day(self, following_ns: int) -> ev.DayBegan | None:
        if self.number + 1 == len(self.days) or following_ns < self.days[self.number + 1].ticks.ts_ns[0]:
            return None
        self.number += 1
        ticks = self.days[self.number].ticks
        self.score, self.live, self.breaks = score_of(self.number), live_rows(ticks), ticks.break_before
        self.row, self.end_ns, iso = -1, int(ticks.ts_ns[-1]), ticks.trading_day.iso
        facts = {RB: contract_day(RB, iso, CALENDAR, INSTRUMENTS)}
        return ev.DayBegan(now_ns=following_ns, trading_day=iso, contracts={RB: RB}, days=facts)

    def decide(self, tick: LiveTick) -> list[Target]:
        self.row += 1
        account, view = self.outlets.views[-1], self.view
        view.ts_ns, view.score, view.part_end_ns = tick.ts_ns, float(self.score[self.row]), self.end_ns
        view.can_trade = bool(self.live[self.row]) and not self.breaks[self.row]
        view.position, view.working, view.target, view.settled = account.position, account.working, account.target, True
        decision = self.policy.on_tick(view)
        if decision is None:
            return []
        self.sent += 1
        target = Target(
            1, "s", self.sent, "demo", RB, decision.lots, decision.execution, tick.identity, tick.ts_ns, tick.ts_ns, view.score
        )
        return [target]

    def run(self) -> int:
        views = MarketViews(CALENDAR, INSTRUMENTS)
        return Lockstep(
            self.shell, self.replay.feed, views, move_clock=self.clock.move_to, decide=self.decide, begin_day=self.begin_day
        ).run()


def screened(days: list[ReplayDay], spec: PolicySpec, model: FillModel) -> PolicyResult:
    ends = [np.full(ROWS, day.ticks.ts_ns[-1]) for day in days]
    given = [
        PolicyDay(day.ticks, end, score_of(number), 0.5, SimCosts.from_spec(day.spec))
        for number, (day, end) in enumerate(zip(days, ends, strict=True))
    ]
    return run_policy(given, spec, model, with_orders=True)


def differences(golden: Golden, expected: PolicyResult, *, same_venue: bool) -> tuple[int, list[Difference]]:
    done = days_of(golden.journal.read(), RB, lambda symbol, day: INSTRUMENTS.spec(symbol, TradingDay.parse(day)))
    assert [day.trading_day for day in done] == list(expected.days)
    matched, found = 0, []
    for day in done:
        orders = [order for order in expected.sent if order.trading_day == day.trading_day]
        compared = compare_day(orders, day, same_venue=same_venue, screening_net_cny=0.0, gateway_net_cny=0.0)
        matched += compared.matched
        found += compared.differences
    return matched, found


@pytest.mark.parametrize(("name", "model"), [("taker", FillModel.BACK), ("passive", FillModel.PRO_RATA)])
def test_the_gateway_trades_what_was_screened(days: list[ReplayDay], name: str, model: FillModel) -> None:
    spec = PolicySpec(name=name, lots=2, hold_ns=5_000_000_000)
    golden, expected = Golden(days, spec, model), screened(days, spec, model)
    assert golden.run() == 2 * ROWS
    fills = [event for _, event in golden.replay.heard if event.kind is VenueEventKind.FILL]
    assert len(fills) == expected.fills > 60
    settled = golden.replay.account.settled
    assert {day.trading_day.iso: day.pnl[RB] for day in settled} == expected.days

    assert len(expected.sent) == expected.orders
    assert sum(len(order.fills) for order in expected.sent) == expected.fills
    assert differences(golden, expected, same_venue=True) == (expected.orders, [])

    quotes = DayQuotes([day.ticks for day in days])
    entries = targets_of(golden.journal.read(), quotes, lambda symbol, day: INSTRUMENTS.spec(symbol, TradingDay.parse(day)))
    costs = [target_cost(entry) for entry in entries]
    total = summarise(costs)
    assert (total.filled, total.orders) == (sum(event.lots for event in fills), expected.orders)
    assert sum(cost.cost.fees for cost in costs) * 10 == pytest.approx(sum(day.pnl[RB].fees_cny for day in settled))
    assert {cost.style for cost in costs} == {"taker": {Style.TAKER, Style.SWEEP}, "passive": {Style.PASSIVE, Style.SWEEP}}[name]
    # flat at the end of both days: what was paid against the arrival prices is what the arrivals themselves gained, minus the PnL
    gained = sum(-int(cost.side) * cost.arrival * cost.filled for cost in costs)
    realised = sum(day.pnl[RB].realised_cny for day in settled) / 10
    assert sum(cost.cost.traded for cost in costs) == pytest.approx(gained - realised)


def test_what_the_gateway_does_otherwise_is_listed_with_its_reason(days: list[ReplayDay]) -> None:
    spec = PolicySpec(name="passive", lots=2, hold_ns=5_000_000_000)
    expected = screened(days[:1], spec, FillModel.PRO_RATA)
    golden = Golden(days[:1], spec, FillModel.PRO_RATA, Arrival.EXCHANGE, max_consecutive_losses=3)
    golden.run()
    matched, found = differences(golden, expected, same_venue=False)
    reasons = {item.reason for item in found}
    assert {"risk: consecutive_losses", "venue rules"} <= reasons <= {"risk: consecutive_losses", "venue rules", "follows"}
    assert 0 < matched < expected.orders
    roots = {item.number for item in found if not item.follows}
    assert all(item.follows in roots for item in found if item.reason == "follows")
