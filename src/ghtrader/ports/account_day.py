"""The running trading day of an account as its venue tells it: what the day's statement is made of once it is settled."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import msgspec

from ghtrader.ports.broker import BrokerFill, BrokerPosition

__all__ = ["AccountDay", "KeptDay", "TellsAccountDay"]


class AccountDay(msgspec.Struct, frozen=True, kw_only=True):
    """One moment of a trading day, in CNY.

    trading_day: ISO; "" where the venue does not name it. pre_balance: with which the day began, payments of the day left out.
    trades: all that the venue still tells, earlier days' too. carried: the last settlement price of contracts that are held since
    before the day and were not traded in it, as far as it is told. marks: last prices of contracts, as far as they are told.
    """

    trading_day: str
    pre_balance: float
    close_profit: float
    commission: float
    deposit: float = 0.0
    withdrawal: float = 0.0
    positions: tuple[BrokerPosition, ...] = ()
    trades: tuple[BrokerFill, ...] = ()
    carried: dict[str, float] = {}
    marks: dict[str, float] = {}


class KeptDay(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of the running day over a restart. is_over: it was told after the day's last session, so nothing is missing."""

    day: AccountDay
    is_over: bool = False


@runtime_checkable
class TellsAccountDay(Protocol):
    """A broker that tells the running day; `ports.broker.Broker` does not ask for it."""

    def account_day(self) -> AccountDay:
        """The day as it stands."""
