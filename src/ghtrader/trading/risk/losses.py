"""What the account and its contracts earned: equity, loss of the day, drawdown, loss of a contract. Pure observations."""

from __future__ import annotations

import math

from msgspec.structs import replace

from ghtrader.trading.risk.limits import RiskLimits
from ghtrader.trading.risk.memory import RiskState, is_equity
from ghtrader.trading.risk.reasons import Breach, RiskReason
from ghtrader.trading.risk.telling import METERS, Observed, forget, judge, tell

__all__ = ["can_go_back", "observe_day", "observe_day_back", "observe_equity", "observe_reset", "observe_symbol_pnl"]


def observe_day(state: RiskState, trading_day: str, start_cny: float | None = None) -> Observed:
    """A trading day (ISO) begins: day counts, streaks and halts start anew; the highest equity and open round trips stay.

    start_cny: equity after the last settlement; without it the day is measured from its first good reading. The same day again
    changes nothing; an earlier one is a breach that changes nothing.
    """
    if trading_day == state.trading_day:
        return state, ()
    if trading_day < state.trading_day:
        words = f"the trading day went from {state.trading_day} back to {trading_day}"
        return state, (Breach(reason=RiskReason.TRADING_DAY, hard=False, message=words),)
    start = start_cny if is_equity(start_cny) else None
    peak = state.peak_cny if start is None or state.peak_cny is None else max(start, state.peak_cny)
    fresh = RiskState(
        trading_day=trading_day,
        day_start_cny=start,
        peak_cny=start if peak is None else peak,
        equity_cny=state.equity_cny,
        equity_known=state.equity_known,
        orders_at=state.orders_at,
        cancels_at=state.cancels_at,
        trips=state.trips,
        before=_counted(state),
    )
    return fresh, ()


def _counted(state: RiskState) -> RiskState | None:
    """What a day that begins keeps of those before it: the last one on which anything was counted."""
    if state.before is not None and not (state.meters or state.worst_pnl_cny):
        return state.before
    return replace(state, before=None)


def can_go_back(state: RiskState, trading_day: str) -> bool:
    """Whether the counts of an earlier trading day are known: it is the kept one, or one after it on which nothing was counted."""
    return state.before is not None and state.before.trading_day <= trading_day < state.trading_day


def observe_day_back(state: RiskState, trading_day: str) -> RiskState:
    """The running day had begun too early (`can_go_back`): an earlier one goes on, with its counts and what was counted since."""
    assert state.before is not None
    if state.before.trading_day != trading_day:
        return replace(state, trading_day=trading_day)
    kept = state.before
    meters = dict(kept.meters)
    for symbol, since in state.meters.items():
        counts = kept.meters_of(symbol)
        meters[symbol] = replace(
            counts,
            messages=counts.messages + since.messages,
            cancels=counts.cancels + since.cancels,
            large_cancels=counts.large_cancels + since.large_cancels,
            self_trades=counts.self_trades + since.self_trades,
            opened_lots=counts.opened_lots + since.opened_lots,
            recent=since.recent or counts.recent,
        )
    return replace(
        kept,
        peak_cny=state.peak_cny,
        equity_cny=state.equity_cny,
        equity_known=state.equity_known,
        losses_in_row=kept.losses_in_row + state.losses_in_row,
        orders_at=state.orders_at,
        cancels_at=state.cancels_at,
        meters=meters,
        trips=state.trips,
        pnl_unknown=kept.pnl_unknown | state.pnl_unknown,
    )


def observe_equity(
    state: RiskState, limits: RiskLimits, equity_cny: float | None, *, in_session: bool, start_cny: float | None = None
) -> Observed:
    """A reading of the account's equity. A bad one halts openings at once; the N-th bad one of a session is a hard breach.

    in_session: whether the session is open now; bad readings outside it halt too but are not counted, and the first reading outside
    ends the session's count. A good reading ends the halt, not the count. start_cny: equity after the last settlement as the broker
    tells it with the reading: what the day is measured from, once a session is open (before, it may still be of the day before).
    """
    if not in_session and state.bad_readings:
        state = replace(state, bad_readings=0)
    if equity_cny is None or not is_equity(equity_cny):
        bad = state.bad_readings + in_session
        words = f"equity is {equity_cny}: openings are halted; bad reading {bad} of {limits.bad_equity_readings} in this session"
        hard = bad >= limits.bad_equity_readings
        return tell(
            replace(state, equity_known=False, bad_readings=bad),
            [Breach(reason=RiskReason.EQUITY_UNKNOWN, hard=hard, message=words)],
        )
    state = forget(state, RiskReason.EQUITY_UNKNOWN)
    if in_session and not state.start_settled and start_cny is not None and is_equity(start_cny):
        state = replace(state, day_start_cny=start_cny, start_settled=True)
    start = equity_cny if state.day_start_cny is None else state.day_start_cny
    peak = max(equity_cny, start if state.peak_cny is None else state.peak_cny)
    state = replace(state, equity_cny=equity_cny, equity_known=True, day_start_cny=start, peak_cny=peak)
    loss, down = state.daily_loss_cny(equity_cny), state.drawdown_cny(equity_cny)
    most, deepest = limits.max_daily_loss_cny, limits.max_drawdown_cny
    warn = limits.warn_share
    events = judge(RiskReason.DAILY_LOSS, loss, most, warn * most, hard=True, words="loss of the trading day in CNY")
    events += judge(RiskReason.DRAWDOWN, down, deepest, warn * deepest, hard=True, words="drawdown in CNY")
    return tell(state, events)


def observe_symbol_pnl(state: RiskState, limits: RiskLimits, symbol: str, pnl_cny: float) -> Observed:
    """What a contract earned in the trading day, marked, fees taken off. At its loss limit its openings are halted for the day.

    A result that is no number halts them until the next that is one. The worst of the day counts: a recovery does not end the halt.
    """
    if not math.isfinite(pnl_cny):
        words = f"{symbol}: the result of the day is {pnl_cny}: its openings are halted"
        state = replace(state, pnl_unknown=state.pnl_unknown | {symbol})
        return tell(state, [Breach(reason=RiskReason.SYMBOL_LOSS, hard=False, message=words, symbol=symbol)])
    if symbol in state.pnl_unknown:
        state = forget(replace(state, pnl_unknown=state.pnl_unknown - {symbol}), RiskReason.SYMBOL_LOSS, symbol)
    worst = min(pnl_cny, state.worst_pnl_cny.get(symbol, 0.0))
    state = replace(state, worst_pnl_cny={**state.worst_pnl_cny, symbol: worst})
    most = limits.max_symbol_loss_cny
    words = "loss of the trading day in CNY"
    return tell(state, judge(RiskReason.SYMBOL_LOSS, -worst, most, limits.warn_share * most, words=words, symbol=symbol))


def observe_reset(state: RiskState) -> RiskState:
    """An operator reset the kill: losses and streaks count from here on, else the old ones would kill again; meters stay.

    While the equity is unknown, openings stay halted and the next good reading is what losses are measured from.
    """
    base = state.equity_cny if state.equity_known else None
    return replace(
        state,
        day_start_cny=base,
        start_settled=base is not None,
        peak_cny=base,
        bad_readings=0,
        losses_in_row=0,
        rejects_in_row=0,
        worst_pnl_cny={},
        told=frozenset(key for key in state.told if key.split()[1] in METERS),
    )
