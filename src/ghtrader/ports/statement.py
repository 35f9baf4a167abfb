"""What a venue says of an account when a trading day is settled, and where such statements are kept."""

from __future__ import annotations

from typing import Protocol

import msgspec

from ghtrader.core.orders import Offset, Side
from ghtrader.ports.account_day import KeptDay

__all__ = ["AccountStatement", "StatementPosition", "StatementStore", "StatementTrade"]


class StatementPosition(msgspec.Struct, frozen=True, kw_only=True):
    """Lots of a contract after settlement and the price they were settled at, CNY; margin of both sides, None where it is not told."""

    symbol: str
    long_lots: int
    short_lots: int
    settlement: float
    margin_cny: float | None = None


class StatementTrade(msgspec.Struct, frozen=True, kw_only=True):
    """A trade of the day. commission_cny: None where it is not told."""

    trade_id: str
    symbol: str
    side: Side
    offset: Offset
    lots: int
    price: float
    commission_cny: float | None = None


class AccountStatement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One trading day of an account (ISO date) in CNY, after settlement.

    pre_balance_cny: with which the day began; balance_cny = pre_balance + deposit - withdrawal + close profit + position profit -
    commission. Profits are of the day: against the settlement of the day before, or the opening price of lots opened today.
    positions: contracts with lots. settlements: prices of every contract that was traded or held; estimated: those that were not
    published. trades: None where the venue does not list them.
    """

    trading_day: str
    pre_balance_cny: float
    close_profit_cny: float
    position_profit_cny: float
    commission_cny: float
    balance_cny: float
    account: str = ""
    source: str = ""
    deposit_cny: float = 0.0
    withdrawal_cny: float = 0.0
    margin_cny: float | None = None
    available_cny: float | None = None
    positions: tuple[StatementPosition, ...] = ()
    settlements: dict[str, float] = {}
    estimated: tuple[str, ...] = ()
    trades: tuple[StatementTrade, ...] | None = None

    def price_of(self, symbol: str) -> float | None:
        """The settlement price of a contract; None where the statement does not tell it."""
        held = next((position.settlement for position in self.positions if position.symbol == symbol), None)
        return self.settlements.get(symbol, held)

    def prices(self) -> dict[str, float]:
        """Settlement prices by contract, as far as the statement tells them."""
        return {position.symbol: position.settlement for position in self.positions} | self.settlements


class StatementStore(Protocol):
    """Statements of one account, one a trading day. Raises StoreError for a medium that fails, DataError for what is no statement."""

    def put(self, statement: AccountStatement) -> None:
        """Keep a statement, whole and durable; one of the same day is replaced."""

    def get(self, trading_day: str) -> AccountStatement | None:
        """The statement of a day; None when there is none."""

    def days(self) -> list[str]:
        """Trading days with a statement, in order."""

    def keep_running(self, kept: KeptDay) -> None:
        """Keep what is known of the running day, whole and durable, in place of what was kept before."""

    def running(self) -> KeptDay | None:
        """What was kept of the running day; None when nothing was."""
