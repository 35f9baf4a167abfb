"""From an account as it stands to the statements of its settled days: the next day's beginning tells what the last one came to.

A venue that is asked over the wire gives no statement. But the balance with which a day begins is the last one's after settlement,
and lots that are held since before are carried at its settlement price. So a statement is made when the next day is first told, of
the last that was told of the day before. Nothing may be missing between the two: the day was followed over its end by one process,
or what an earlier one kept was told after its last session. Otherwise there is no statement, and the day stays without one.
"""

from __future__ import annotations

import math
from collections import deque

import msgspec

from ghtrader.ports.account_day import AccountDay, KeptDay
from ghtrader.ports.statement import AccountStatement, StatementPosition, StatementTrade

__all__ = ["VenueDays", "statement_of"]

SOURCE = "account at the venue"


class VenueDays:
    """Follows one account. `take` belongs to the broker's thread; `latest` and `finished` may be asked from another.

    kept: what an earlier run kept of its last day. `incomplete`: the day of which too little is known for a statement, "" at first.
    """

    def __init__(self, kept: KeptDay | None = None) -> None:
        self.latest: AccountDay | None = None if kept is None else kept.day
        self.incomplete = ""
        self._is_followed = kept is None or kept.is_over
        self._past: set[str] = set()
        self._done: deque[AccountStatement] = deque()

    def take(self, told: AccountDay, own_day: str) -> None:
        """What the venue tells now; own_day: the trading day by our clock (ISO), "" while unknown."""
        before = self.latest
        day = _day_of(told, before, own_day)
        if not day:
            return
        trades = tuple(trade for trade in told.trades if trade.trade_id not in self._past)
        if before is not None and day > before.trading_day:
            known = {trade.trade_id for trade in before.trades}
            self._past |= known
            trades = tuple(trade for trade in trades if trade.trade_id not in known)
            self._finish(before, told)
        self.latest = msgspec.structs.replace(told, trading_day=day, trades=trades)
        self._is_followed = True  # a venue tells the whole of its day to whoever asks

    def _finish(self, last: AccountDay, first: AccountDay) -> None:
        statement = statement_of(last, first) if self._is_followed else None
        if statement is None:
            self.incomplete = last.trading_day
        else:
            self._done.append(statement)

    def finished(self) -> list[AccountStatement]:
        """Statements since the last call, in order."""
        found = []
        while self._done:
            found.append(self._done.popleft())
        return found


def _day_of(told: AccountDay, before: AccountDay | None, own_day: str) -> str:
    """Which day is told: the venue's word; else ours, as soon as the account shows that it was settled since."""
    if before is None:
        return told.trading_day or own_day
    if told.trading_day > before.trading_day:
        return told.trading_day
    if own_day > before.trading_day and (told.pre_balance != before.pre_balance or _is_idle(before)):
        return own_day
    return before.trading_day


def _is_idle(day: AccountDay) -> bool:
    """Whether a settlement would change nothing that could be seen."""
    return not (day.positions or day.trades or day.close_profit or day.commission)


def statement_of(last: AccountDay, first: AccountDay) -> AccountStatement | None:
    """The statement of a day: the last that was told of it, and the first of the next one; None where money is no number."""
    balance = first.pre_balance
    transfers = last.deposit - last.withdrawal
    position_profit = balance - last.pre_balance - transfers - last.close_profit + last.commission
    if not math.isfinite(position_profit):
        return None
    prices = {position.symbol: first.carried[position.symbol] for position in last.positions if position.symbol in first.carried}
    return AccountStatement(
        trading_day=last.trading_day,
        source=SOURCE,
        pre_balance_cny=last.pre_balance,
        close_profit_cny=last.close_profit,
        position_profit_cny=round(position_profit, 6),
        commission_cny=last.commission,
        balance_cny=balance,
        deposit_cny=last.deposit,
        withdrawal_cny=last.withdrawal,
        positions=tuple(
            StatementPosition(
                symbol=held.symbol,
                long_lots=held.long_today + held.long_history,
                short_lots=held.short_today + held.short_history,
                settlement=prices[held.symbol],
            )
            for held in last.positions
            if held.symbol in prices
        ),
        settlements=prices,
        trades=tuple(
            StatementTrade(
                trade_id=trade.trade_id,
                symbol=trade.symbol,
                side=trade.side,
                offset=trade.offset,
                lots=trade.lots,
                price=trade.price,
            )
            for trade in last.trades
        ),
    )
