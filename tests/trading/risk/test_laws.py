"""Laws over any sequence of orders, fills, cancels, rejects, readings, kills and resets."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.trading.risk.cases import CONTEXT, FLAT, LIMITS, MARKET, METERS, NOW, RB, STATE, S, fill, intent

from ghtrader.core.orders import Offset, OrderKind, Side
from ghtrader.ports.broker import BrokerPosition
from ghtrader.trading.risk.gate import Verdict, check_order
from ghtrader.trading.risk.limits import RiskLimits
from ghtrader.trading.risk.memory import RiskState, is_equity
from ghtrader.trading.risk.reasons import Breach, NearMiss, RiskReason
from ghtrader.trading.risk.state import (
    from_document,
    observe_accepted,
    observe_cancel,
    observe_equity,
    observe_fill,
    observe_order,
    observe_reject,
    observe_reset,
    to_document,
)
from ghtrader.trading.words import OrderIntent, Origin

TIGHT = replace(
    LIMITS, max_position_lots=4, max_order_lots=3, orders_per_s=3, max_messages=12, max_consecutive_losses=3, reject_streak=3
)
BUY, SELL, OPEN, CLOSE = Side.BUY, Side.SELL, Offset.OPEN, Offset.CLOSE_TODAY

EQUITY = [500_000.0, 500_000.0, 500_000.0, 499_000.0, 470_000.0, 0.0, float("nan"), None]


def an_order(draw: Random) -> OrderIntent:
    return intent(
        side=draw.choice([BUY, SELL]),
        offset=draw.choice([OPEN, OPEN, CLOSE]),
        lots=draw.choice([1, 1, 1, 2, 2, 3, 4, 0]),
        price_ticks=draw.randint(2996, 3005),
        kind=draw.choice(list(OrderKind)),
        origin=draw.choice([Origin.STRATEGY] * 4 + [Origin.COMMAND, Origin.ROLL, Origin.KILL, Origin.KILL]),
    )


def a_step(draw: Random) -> tuple[Any, ...]:
    kind = draw.choice(["order"] * 12 + ["outcome"] * 6 + ["wait"] * 4 + ["equity", "kill", "reset", "reset"])
    if kind == "order":
        return kind, an_order(draw)
    if kind == "outcome":
        return draw.choice(["fill", "fill", "fill", "cancel", "reject", "accept"]), draw.randrange(8), draw.randint(1, 3)
    if kind == "wait":
        return kind, draw.choice([1, S // 3, S // 2, S - 1, S, 2 * S])
    return (kind, draw.choice(EQUITY)) if kind == "equity" else (kind,)


#: Walks are spread evenly: a strategy of lists would mostly draw orders that are alike, and those never meet.
WALKS = st.integers(0, 2**32).map(lambda seed: [a_step(draw) for draw in [Random(seed)] for _ in range(60)])
ORDERS = st.integers(0, 2**32).map(lambda seed: an_order(Random(seed)))
#: Long and short lots held at the start.
HELD = st.tuples(st.integers(0, 4), st.integers(0, 4))


@dataclass
class Flying:
    """An order that may still fill."""

    intent: OrderIntent
    left: int


@dataclass
class Account:
    """What really happens, kept apart from the gate: the plain truth that the laws are asked of."""

    exact: bool
    state: RiskState = STATE
    now: int = NOW
    held: dict[Side, int] = field(default_factory=lambda: {BUY: 0, SELL: 0})
    flying: list[Flying] = field(default_factory=list)
    killed: bool = False
    equity: float | None = 500_000.0
    sent: list[tuple[int, OrderIntent]] = field(default_factory=list)
    messages: int = 0
    told: list[Breach | NearMiss] = field(default_factory=list)

    def lots(self, side: Side, offset: Offset | None = None) -> int:
        return sum(one.left for one in self.flying if one.intent.side == side and offset in {None, one.intent.offset})

    def position(self) -> BrokerPosition:
        return replace(
            FLAT,
            long_today=self.held[BUY],
            short_today=self.held[SELL],
            long_today_frozen=self.lots(SELL, CLOSE),
            short_today_frozen=self.lots(BUY, CLOSE),
        )

    def check(self, wanted: OrderIntent, limits: RiskLimits = TIGHT) -> Verdict:
        known: dict[str, Any] = {"opening_buy": self.lots(BUY, OPEN), "opening_sell": self.lots(SELL, OPEN)} if self.exact else {}
        context = replace(
            CONTEXT,
            now_ns=self.now,
            killed=self.killed,
            held=self.position(),
            market=replace(MARKET, ts_ns=self.now, receive_ns=self.now),
            in_flight_buy=self.lots(BUY),
            in_flight_sell=self.lots(SELL),
            own_working=tuple((one.intent.side, one.intent.price_ticks, one.left) for one in self.flying),
            equity_cny=float("nan") if self.equity is None else self.equity,
            **known,
        )
        return check_order(self.state, limits, METERS, wanted, context, "id")

    def step(self, kind: str, *rest: Any) -> None:
        if kind == "order":
            self.order(*rest)
        elif kind == "equity":
            self.equity = rest[0]
            self.state, told = observe_equity(self.state, TIGHT, self.equity, in_session=True)
            self.told += told
            self.killed |= any(isinstance(event, Breach) and event.hard for event in told)
        elif kind == "wait":
            self.now += rest[0]
        elif kind == "kill":
            self.killed = True
        elif kind == "reset":
            self.killed, self.state = False, observe_reset(self.state)
        elif self.flying:
            self.outcome(kind, self.flying[rest[0] % len(self.flying)], rest[1])

    def order(self, wanted: OrderIntent) -> None:
        verdict = self.check(wanted)
        if verdict.approved is None:
            return
        assert verdict.approved.intent == wanted
        self.sent.append((self.now, wanted))
        self.flying.append(Flying(wanted, wanted.lots))
        self.messages += 1
        self.state, told = observe_order(self.state, TIGHT, METERS, self.now, RB)
        self.told += told

    def outcome(self, kind: str, one: Flying, lots: int) -> None:
        if kind == "accept":
            self.state = observe_accepted(self.state)
            return
        if kind == "fill":
            lots = min(lots, one.left)
            one.left -= lots
            opens = one.intent.offset == OPEN
            self.held[one.intent.side if opens else Side(-one.intent.side)] += lots if opens else -lots
            trade = fill(one.intent.side, one.intent.offset, lots, float(one.intent.price_ticks), ts_ns=self.now)
            self.state, told = observe_fill(self.state, TIGHT, METERS, trade, 10.0)
        elif kind == "cancel":
            self.state, told = observe_cancel(self.state, TIGHT, METERS, self.now, RB, one.left)
            self.messages += 1
            one.left = 0
        else:
            self.state, told = observe_reject(self.state, TIGHT, RB)
            one.left = 0
        self.told += told
        if not one.left:
            self.flying.remove(one)


@settings(max_examples=150, deadline=None)
@given(WALKS, st.booleans(), HELD)
def test_what_leaves_never_exceeds_a_limit_whatever_fills(
    steps: list[tuple[Any, ...]], exact: bool, at_start: tuple[int, int]
) -> None:
    account = Account(exact, held={BUY: at_start[0], SELL: at_start[1]})
    for step in steps:
        before, killed, equity = len(account.sent), account.killed, account.equity
        account.step(*step)
        long, short = (account.held[side] + account.lots(side, OPEN) for side in (BUY, SELL))
        assert max(long, short) <= TIGHT.max_position_lots
        assert min(account.held.values()) >= 0
        net = account.held[BUY] - account.held[SELL]
        assert -TIGHT.max_position_lots <= net - account.lots(SELL)
        assert net + account.lots(BUY) <= TIGHT.max_position_lots
        for now, wanted in account.sent[before:]:
            if killed:
                assert (wanted.origin, wanted.offset) == (Origin.KILL, CLOSE)
            else:
                assert wanted.origin != Origin.KILL
                assert (
                    len([at for at, other in account.sent if now - at < S and other.origin != Origin.KILL]) <= TIGHT.orders_per_s
                )
            if wanted.offset == OPEN:
                assert is_equity(equity)
                assert account.messages + len(account.flying) <= TIGHT.max_messages
            for other in account.flying[:-1]:
                assert other.intent.side == wanted.side or (wanted.price_ticks - other.intent.price_ticks) * wanted.side < 0


@settings(max_examples=60, deadline=None)
@given(WALKS, ORDERS)
def test_a_verdict_depends_on_nothing_but_its_input_and_outlives_a_restart(
    steps: list[tuple[Any, ...]], wanted: OrderIntent
) -> None:
    account = Account(exact=True)
    for step in steps:
        account.step(*step)
    first, again = account.check(wanted), account.check(wanted)
    assert (first.reason, first.message, first.near) == (again.reason, again.message, again.near)
    account.state = from_document(to_document(account.state))
    after = account.check(wanted)
    assert (first.reason, first.message, first.near) == (after.reason, after.message, after.near)
    assert (first.reason == RiskReason.PASSED) == (first.approved is not None)


#: By limit: a looser value, and the reason that it takes back.
LOOSER = {
    "max_position_lots": (9, RiskReason.MAX_POSITION),
    "max_order_lots": (9, RiskReason.MAX_ORDER_LOTS),
    "orders_per_s": (9, RiskReason.ORDER_RATE),
    "max_messages": (99, RiskReason.MESSAGES),
    "max_consecutive_losses": (9, RiskReason.CONSECUTIVE_LOSSES),
    "reject_streak": (9, RiskReason.REJECT_STREAK),
}


@settings(max_examples=60, deadline=None)
@given(WALKS, ORDERS, st.sampled_from(sorted(LOOSER)))
def test_a_looser_limit_refuses_nothing_that_a_tighter_one_lets_pass(
    steps: list[tuple[Any, ...]], wanted: OrderIntent, name: str
) -> None:
    account = Account(exact=True)
    for step in steps:
        account.step(*step)
    value, reason = LOOSER[name]
    tight, loose = account.check(wanted), account.check(wanted, replace(TIGHT, **{name: value}))
    if tight.approved is not None:
        assert loose.approved is not None
    elif loose.approved is not None:
        assert tight.reason == reason


@settings(max_examples=60, deadline=None)
@given(WALKS)
def test_counts_of_a_day_only_rise_and_soft_words_are_said_once_until_over(steps: list[tuple[Any, ...]]) -> None:
    account = Account(exact=True)
    for step in steps:
        before, heard = account.state.meters_of(RB), len(account.told)
        account.step(*step)
        after = account.state.meters_of(RB)
        assert all(
            getattr(after, name) >= getattr(before, name)
            for name in ("messages", "cancels", "large_cancels", "self_trades", "opened_lots")
        )
        fresh = [(type(event), event.reason) for event in account.told[heard:]]
        assert len(fresh) == len(set(fresh))
    meters = [(type(event), event.reason) for event in account.told if event.reason in {RiskReason.MESSAGES, RiskReason.CANCELS}]
    assert len(meters) == len(set(meters))
