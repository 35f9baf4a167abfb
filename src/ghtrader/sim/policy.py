"""Run a policy over days under every fill model: fills, round trips, PnL by trading day marked to settlement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np
import numpy.typing as npt

from ghtrader.core.errors import UsageError
from ghtrader.core.orders import FillModel, Side
from ghtrader.data.day_ticks import DayTicks
from ghtrader.sim import policy_kernel as kernel
from ghtrader.sim.costs import SimCosts
from ghtrader.sim.orders import Trades, trades_of
from ghtrader.sim.positions import DayPnl, PositionBook

__all__ = ["PolicyDay", "PolicyOrder", "PolicyResult", "PolicySpec", "RoundTrip", "estimate_settlement", "run_policy"]

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
FLAT_BEFORE_NS = 30 * 1_000_000_000


class PolicySpec(msgspec.Struct, frozen=True, kw_only=True):
    """A policy: ``taker`` or ``passive``, lots, latency, how long it holds and how long an order waits."""

    name: str
    lots: int = 1
    latency_ns: int = 100_000_000
    hold_ns: int = 25_000_000_000
    patience_ns: int = 10_000_000_000

    def __post_init__(self) -> None:
        if self.name not in ("taker", "passive"):
            raise UsageError(f"no policy {self.name!r}", hint="one of taker, passive")


@dataclass(frozen=True)
class PolicyDay:
    """One day's input: ticks, part ends by row, score by row (NaN: decide nothing), the score threshold, costs.

    settlement_ticks: the provider's settlement when known, else None (estimated).
    """

    ticks: DayTicks
    part_end_ns: I64
    score: F64
    threshold: float
    costs: SimCosts
    settlement_ticks: float | None = None


class RoundTrip(msgspec.Struct, frozen=True):
    """From flat to flat: net ticks per lot after fees, gross before, stamps, lots, passive entry."""

    entry_ns: int
    exit_ns: int
    trading_day: str
    side: int
    lots: int
    gross_ticks: float
    net_ticks: float
    passive_entry: bool


class PolicyOrder(msgspec.Struct, frozen=True):
    """An order of a policy: decided and ended when (-1: the day ended first), signed by side, price in ticks, and what became of it.

    end: ``filled``, ``short`` (cancelled, or the rest of what takes), ``refused`` or ``day_end``. fills: (stamp, price in ticks, lots).
    """

    trading_day: str
    decided_ns: int
    side: int
    opens: bool
    price: int
    lots: int
    takes: bool
    ended_ns: int
    end: str
    fills: tuple[tuple[int, int, int], ...] = ()


@dataclass
class PolicyResult:
    """Everything one policy did under one fill model. Daily PnL in CNY; ``estimated``: settlement was estimated.

    sent: every order, only where they were asked for.
    """

    policy: str
    model: FillModel
    days: dict[str, DayPnl] = field(default_factory=dict)
    trips: list[RoundTrip] = field(default_factory=list)
    fills: int = 0
    passive_fills: int = 0
    orders: int = 0
    cancels: int = 0
    unfilled: int = 0
    rejects: int = 0
    estimated: bool = False
    sent: list[PolicyOrder] = field(default_factory=list)

    @property
    def pnl_cny(self) -> float:
        """Net PnL over all days."""
        return sum(day.net_cny for day in self.days.values())

    @property
    def fees_cny(self) -> float:
        """Fees over all days."""
        return sum(day.fees_cny for day in self.days.values())


def estimate_settlement(ticks: DayTicks) -> float:
    """Full-day volume-weighted price truncated to the tick: the estimate when no settlement was published."""
    volume, amount = float(ticks.volume[-1]), float(ticks.amount[-1])
    if volume <= 0 or amount <= 0:
        return float(ticks.last_px[-1])
    return float(np.floor(amount / (volume * ticks.price_tick * ticks.multiplier) + 1e-9))


def run_policy(
    days: Sequence[PolicyDay],
    spec: PolicySpec,
    model: FillModel,
    trades: Sequence[Trades] | None = None,
    *,
    with_orders: bool = False,
) -> PolicyResult:
    """Run a policy day by day under one fill model. ``trades``: :func:`trades_of` of each day when at hand."""
    result = PolicyResult(spec.name, model)
    for number, day in enumerate(days):
        known = trades_of(day.ticks) if trades is None else trades[number]
        _run_day(day, spec, model, known, result, with_orders=with_orders)
    return result


def _run_day(
    day: PolicyDay, spec: PolicySpec, model: FillModel, trades: Trades, result: PolicyResult, *, with_orders: bool
) -> None:
    ticks = day.ticks
    capacity = max(64, 4 * spec.lots * len(ticks) // 10)
    row, side, opens = np.empty(capacity, np.int64), np.empty(capacity, np.int64), np.empty(capacity, np.bool_)
    price, lots, passive = np.empty(capacity, np.int64), np.empty(capacity, np.int64), np.empty(capacity, np.bool_)
    counts = np.zeros(4, np.int64)
    log = np.empty((len(ticks) if with_orders else 0, kernel.LOG_COLUMNS), np.int64)
    fills = kernel.run_day(
        ticks.ts_ns,
        ticks.break_before,
        ticks.gap_before,
        trades.live,
        ticks.bid_px,
        ticks.bid_sz,
        ticks.ask_px,
        ticks.ask_sz,
        trades.low,
        trades.high,
        trades.sold,
        trades.bought,
        day.part_end_ns,
        day.score,
        day.threshold,
        spec.name == "passive",
        spec.lots,
        spec.latency_ns,
        spec.hold_ns,
        spec.patience_ns,
        FLAT_BEFORE_NS,
        int(model),
        row,
        side,
        opens,
        price,
        lots,
        passive,
        counts,
        log,
    )
    result.fills += fills
    result.passive_fills += int(passive[:fills].sum())
    result.orders += int(counts[0])
    result.cancels += int(counts[1])
    result.unfilled += int(counts[2])
    result.rejects += int(counts[3])
    if with_orders:
        told = (ticks.ts_ns[row[:fills]], price[:fills], lots[:fills])
        result.sent += _orders(day, log[: int(counts[0])], list(zip(*(column.tolist() for column in told), strict=True)))
    _book_fills(
        day,
        result,
        [(int(row[i]), int(side[i]), bool(opens[i]), int(price[i]), int(lots[i]), bool(passive[i])) for i in range(fills)],
    )


def _orders(day: PolicyDay, log: I64, fills: list[tuple[int, int, int]]) -> list[PolicyOrder]:
    """Orders of a day's log with their fills: one order works at a time, so that the lots filled say whose they are."""
    found: list[PolicyOrder] = []
    stamps, place = day.ticks.ts_ns, 0
    for decided, ended, side, opens, price, lots, takes, filled, how in log.tolist():
        first, left = place, filled if ended >= 0 else 0
        while left:
            left -= fills[place][2]
            place += 1
        if ended < 0:  # the last one: whatever follows is its
            place = len(fills)
        end = "day_end" if ended < 0 else "refused" if how == kernel.REFUSED else "short" if how else "filled"
        found.append(
            PolicyOrder(
                trading_day=day.ticks.trading_day.iso,
                decided_ns=int(stamps[decided]),
                side=side,
                opens=bool(opens),
                price=price,
                lots=lots,
                takes=bool(takes),
                ended_ns=int(stamps[ended]) if ended >= 0 else -1,
                end=end,
                fills=tuple(fills[first:place]),
            )
        )
    return found


def _book_fills(day: PolicyDay, result: PolicyResult, fills: list[tuple[int, int, bool, int, int, bool]]) -> None:
    """Book the fills: fees by instruction, round trips from flat to flat, the day's PnL at settlement."""
    book, iso = PositionBook(day.costs), day.ticks.trading_day.iso
    held, cash, fees, entry_lots, entry_row, direction, first_passive = 0, 0.0, 0.0, 0, 0, 0, False
    for row, side, opens, price, lots, passive in fills:
        if held == 0:
            cash, fees, entry_lots, entry_row, direction, first_passive = 0.0, 0.0, 0, row, side, passive
        if opens:
            fees += book.fill_open(Side(side), float(price), lots)
            entry_lots += lots
        else:
            own = Side(-side)
            offset = book.close_offset(own, float(price))
            book.freeze(own, offset, lots)
            fees += book.fill_close(own, offset, float(price), lots)
        cash -= side * price * lots
        held += side * lots
        if held == 0:
            gross = cash / entry_lots
            stamps = day.ticks.ts_ns
            result.trips.append(
                RoundTrip(
                    entry_ns=int(stamps[entry_row]),
                    exit_ns=int(stamps[row]),
                    trading_day=iso,
                    side=direction,
                    lots=entry_lots,
                    gross_ticks=gross,
                    net_ticks=gross - fees / entry_lots / day.costs.tick_value_cny,
                    passive_entry=first_passive,
                )
            )
    estimated = day.settlement_ticks is None
    settlement = estimate_settlement(day.ticks) if day.settlement_ticks is None else day.settlement_ticks
    result.days[iso] = book.settle(settlement)
    result.estimated = result.estimated or estimated
