"""An account as its venue has it at one moment."""

from __future__ import annotations

import msgspec

from ghtrader.ports.broker import AccountFunds, BrokerFill, BrokerOrder, BrokerPosition

__all__ = ["VenueSnapshot"]


class VenueSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """Orders and trades of ``trading_day`` (ISO date), positions with lots, money; all of the same moment."""

    orders: tuple[BrokerOrder, ...]
    fills: tuple[BrokerFill, ...]
    positions: tuple[BrokerPosition, ...]
    funds: AccountFunds
    trading_day: str
