"""A futures account as a broker keeps it: funds, positions split into today and history with frozen lots, daily settlement.

Pure state: the OTG session feeds it orders and fills, and shows what it holds in the words of the protocol.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ghtrader.core.instruments import InstrumentSpec

__all__ = ["INITIAL_BALANCE", "Account", "Position", "Rejected"]

INITIAL_BALANCE = 10_000_000.0
Spec = Callable[[str], InstrumentSpec]


class Rejected(Exception):
    """The exchange or the broker refuses an order; the text is what the client is told."""


@dataclass
class Side:
    """Long or short lots of one contract: today's and history, what closing orders froze, and their costs in CNY."""

    today: int = 0
    history: int = 0
    frozen_today: int = 0
    frozen_history: int = 0
    open_cost: float = 0.0
    position_cost: float = 0.0

    @property
    def lots(self) -> int:
        """Today's and history together."""
        return self.today + self.history


@dataclass
class Position:
    """Both sides of one contract, and its last price."""

    symbol: str
    long: Side = field(default_factory=Side)
    short: Side = field(default_factory=Side)
    last_price: float = float("nan")

    def side(self, direction: str, offset: str) -> Side:
        """The side that an order works on: opening BUY and closing SELL are long."""
        return self.long if (direction == "BUY") == (offset == "OPEN") else self.short


class Account:
    """Funds and positions of one user."""

    def __init__(self, user: str, spec: Spec, balance: float = INITIAL_BALANCE) -> None:
        self.user = user
        self._spec = spec
        self.pre_balance = balance
        self.close_profit = 0.0
        self.commission = 0.0
        self.frozen_margin = 0.0
        self.positions: dict[str, Position] = {}

    def position(self, symbol: str) -> Position:
        """The position of a contract, made when it is first asked for."""
        return self.positions.setdefault(symbol, Position(symbol))

    # --- money ----------------------------------------------------------------------------------------------------------
    def _value(self, symbol: str, price: float, lots: int) -> float:
        return price * lots * self._spec(symbol).multiplier

    def float_profit(self, position: Position, side: str) -> float:
        """Unrealised profit since the day began, of one side."""
        if position.last_price != position.last_price:
            return 0.0
        kept = position.long if side == "long" else position.short
        worth = self._value(position.symbol, position.last_price, kept.lots)
        return worth - kept.position_cost if side == "long" else kept.position_cost - worth

    def margin(self, position: Position, side: str) -> float:
        """Margin of one side, at its cost."""
        kept = position.long if side == "long" else position.short
        return kept.position_cost * self._spec(position.symbol).margin_rate

    @property
    def total_margin(self) -> float:
        """Margin of every position."""
        return sum(self.margin(item, side) for item in self.positions.values() for side in ("long", "short"))

    @property
    def total_profit(self) -> float:
        """Unrealised profit of every position."""
        return sum(self.float_profit(item, side) for item in self.positions.values() for side in ("long", "short"))

    @property
    def balance(self) -> float:
        """Equity."""
        return self.pre_balance + self.close_profit - self.commission + self.total_profit

    @property
    def available(self) -> float:
        """What may be used for new positions."""
        return self.balance - self.total_margin - self.frozen_margin

    def fee(self, symbol: str, offset: str, price: float, lots: int) -> float:
        """Fees of a fill in CNY, by offset."""
        rule, value = self._spec(symbol).fee, self._value(symbol, price, lots)
        kind = {"OPEN": "open", "CLOSETODAY": "close_today"}.get(offset, "close")
        return float(getattr(rule, f"{kind}_rate") * value + getattr(rule, f"{kind}_cny") * lots)

    # --- orders ---------------------------------------------------------------------------------------------------------
    def freeze(self, symbol: str, direction: str, offset: str, lots: int, price: float) -> float:
        """Reserve what an order needs; returns the frozen margin. Raises Rejected with the broker's words."""
        if offset == "OPEN":
            needed = self._value(symbol, price, lots) * self._spec(symbol).margin_rate
            if needed + self.fee(symbol, offset, price, lots) > self.available:
                raise Rejected("CTP:31 资金不足")
            self.frozen_margin += needed
            return needed
        side = self.position(symbol).side(direction, offset)
        if offset == "CLOSETODAY":
            if side.today - side.frozen_today < lots:
                raise Rejected("CTP:50 平今仓位不足")
            side.frozen_today += lots
        else:
            if side.history - side.frozen_history < lots:
                raise Rejected("CTP:51 平昨仓位不足")
            side.frozen_history += lots
        return 0.0

    def release(self, symbol: str, direction: str, offset: str, lots: int, margin: float) -> None:
        """Give back what the unfilled rest of an order held."""
        self.frozen_margin -= margin
        if offset != "OPEN":
            side = self.position(symbol).side(direction, offset)
            if offset == "CLOSETODAY":
                side.frozen_today -= lots
            else:
                side.frozen_history -= lots

    def fill(self, symbol: str, direction: str, offset: str, lots: int, price: float, margin: float) -> float:
        """Book a fill, its frozen part released; returns its fee."""
        fee, value = self.fee(symbol, offset, price, lots), self._value(symbol, price, lots)
        side = self.position(symbol).side(direction, offset)
        self.commission += fee
        self.frozen_margin -= margin
        if offset == "OPEN":
            side.today += lots
            side.open_cost += value
            side.position_cost += value
            return fee
        share = lots / side.lots
        cost = side.position_cost * share
        self.close_profit += value - cost if direction == "SELL" else cost - value
        side.open_cost -= side.open_cost * share
        side.position_cost -= cost
        if offset == "CLOSETODAY":
            side.today -= lots
            side.frozen_today -= lots
        else:
            side.history -= lots
            side.frozen_history -= lots
        return fee

    def settle(self, prices: Callable[[str], float]) -> None:
        """The day ends: positions are marked to settlement, today's lots become history, profit becomes balance."""
        for position in self.positions.values():
            position.last_price = prices(position.symbol)
        self.pre_balance = self.balance
        self.close_profit = self.commission = self.frozen_margin = 0.0
        for position in self.positions.values():
            for side in (position.long, position.short):
                side.history, side.today = side.lots, 0
                side.frozen_today = side.frozen_history = 0
                side.position_cost = self._value(position.symbol, position.last_price, side.lots)

    # --- the protocol's words -------------------------------------------------------------------------------------------
    def shown(self) -> dict[str, Any]:
        """The account object."""
        margin, profit = self.total_margin, self.total_profit
        return {
            "user_id": self.user,
            "currency": "CNY",
            "pre_balance": self.pre_balance,
            "deposit": 0.0,
            "withdraw": 0.0,
            "close_profit": self.close_profit,
            "commission": self.commission,
            "premium": 0.0,
            "static_balance": self.pre_balance,
            "position_profit": profit,
            "float_profit": profit,
            "balance": self.balance,
            "margin": margin,
            "frozen_margin": self.frozen_margin,
            "frozen_commission": 0.0,
            "frozen_premium": 0.0,
            "available": self.available,
            "risk_ratio": margin / self.balance if self.balance else 0.0,
            "market_value": 0.0,
            "ctp_balance": self.balance,
            "ctp_available": self.available,
        }

    def shown_position(self, symbol: str) -> dict[str, Any]:
        """The position object of a contract."""
        position = self.position(symbol)
        exchange, instrument = symbol.split(".", 1)
        found: dict[str, Any] = {
            "user_id": self.user,
            "exchange_id": exchange,
            "instrument_id": instrument,
            "last_price": position.last_price if position.last_price == position.last_price else "-",
        }
        for name, side in (("long", position.long), ("short", position.short)):
            lots, per = side.lots, self._spec(symbol).multiplier
            found |= {
                f"pos_{name}_his": side.history,
                f"pos_{name}_today": side.today,
                f"volume_{name}_today": side.today,
                f"volume_{name}_his": side.history,
                f"volume_{name}": lots,
                f"volume_{name}_frozen_today": side.frozen_today,
                f"volume_{name}_frozen_his": side.frozen_history,
                f"volume_{name}_frozen": side.frozen_today + side.frozen_history,
                f"open_cost_{name}": side.open_cost,
                f"open_price_{name}": side.open_cost / lots / per if lots else 0.0,
                f"position_cost_{name}": side.position_cost,
                f"position_price_{name}": side.position_cost / lots / per if lots else 0.0,
                f"float_profit_{name}": self.float_profit(position, name),
                f"position_profit_{name}": self.float_profit(position, name),
                f"margin_{name}": self.margin(position, name),
            }
        found["float_profit"] = found["position_profit"] = found["float_profit_long"] + found["float_profit_short"]
        found["margin"] = found["margin_long"] + found["margin_short"]
        return found
