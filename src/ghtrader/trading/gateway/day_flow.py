"""A trading day begins: today's lots become history, main contracts may have changed, and a changed one is left for the new one."""

from __future__ import annotations

from ghtrader.trading.execution import Stop
from ghtrader.trading.gateway import effects as fx
from ghtrader.trading.gateway import events as ev
from ghtrader.trading.gateway.orders_flow import ask_cancel, drive
from ghtrader.trading.gateway.turn import Turn
from ghtrader.trading.journal.records import RecordKind
from ghtrader.trading.orders.positions import ContractTerms
from ghtrader.trading.risk.state import can_go_back

__all__ = ["mend_day", "on_day"]


def on_day(turn: Turn, event: ev.DayBegan) -> None:
    """Take the day's contracts and facts. The same day again only brings facts."""
    state = turn.state
    before = dict(state.contracts)
    state.days, state.missing = event.days, event.missing
    terms = {symbol: ContractTerms(multiplier=day.multiplier, fee=day.fee) for symbol, day in event.days.items()}
    is_known = all(state.positions.terms(symbol) == known for symbol, known in terms.items())
    is_known = is_known and state.positions.carries(event.settlements)
    if (event.trading_day, event.contracts) != (state.trading_day, before) or not is_known:
        turn.record(
            RecordKind.DAY,
            0,
            trading_day=event.trading_day,
            contracts=event.contracts,
            terms=terms,
            settlements=event.settlements,
            missing=event.missing,
        )
        turn.snapshot()
        turn.tell("trading_day", day=event.trading_day, contracts=", ".join(sorted(event.contracts.values())))
    for symbol, contract in sorted(event.contracts.items()):
        old = before.get(symbol)
        if old is not None and old != contract:
            _roll(turn, symbol, old, contract)
    for contract in sorted(set(before.values()) - set(event.contracts.values()) - state.retired.keys()):
        _drop(turn, contract)
    turn.emit(fx.Subscribe(symbols=state.traded()))
    for symbol in state.traded():
        turn.view(symbol)


def mend_day(turn: Turn) -> None:
    """A clock that was ahead began a day too early, and is right again: positions and counts go back to the day that runs.

    A clock that goes back proves nothing by itself: the newest ticks must be of that day, and no order of ours of a later one.
    """
    state = turn.state
    day, ahead = state.trading_day, state.positions.trading_day
    if not day or day >= ahead or not can_go_back(state.risk, day):
        return
    newest = max((market.trading_day for market in state.markets.values()), default="")
    if newest != day or any(order.trading_day > day for order in state.book.orders()):
        return
    turn.record(RecordKind.NOTE, 0, what="day_back", trading_day=day, ahead=ahead)
    turn.snapshot()
    turn.tell("day_back", day=day, ahead=ahead)


def _roll(turn: Turn, symbol: str, old: str, new: str) -> None:
    """Leave the old contract: its target is dropped, its orders cancelled; `clock_flow` closes its position as soon as it trades."""
    seq, _ = turn.record(RecordKind.ROLL, 0, symbol=symbol, old=old, new=new)
    turn.tell("roll", symbol=symbol, old=old, new=new)
    _cancel_orders(turn, old, seq)


def _drop(turn: Turn, contract: str) -> None:
    """A contract that nobody wants traded any more: nothing of it may rest without ticks; what is held stays."""
    if turn.state.book.working(contract) or turn.state.executors.get(contract) is not None:
        seq, _ = turn.record(RecordKind.NOTE, 0, what="contract_dropped", symbol=contract)
        _cancel_orders(turn, contract, seq)


def _cancel_orders(turn: Turn, old: str, seq: int) -> None:
    state = turn.state
    if state.executors.get(old) is not None:
        drive(turn, old, Stop(), seq)
    for order in state.book.working(old):
        if not order.cancel_asked:
            ask_cancel(turn, order.client_order_id, "roll", seq)
