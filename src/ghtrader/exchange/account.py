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
class Lots:
    """Lots of one age on one side: how many, how many of them closing orders froze, and what they cost in CNY.

    open_cost: at the prices they were opened at. position_cost: the same for today's, at the last settlement for history.
    """

    lots: int = 0
    frozen: int = 0
    open_cost: float = 0.0
    position_cost: float = 0.0

    @property
    def free(self) -> int:
        """Lots that may still be closed."""
        return self.lots - self.frozen

    def take(self, lots: int) -> float:
        """Take frozen lots out at their average cost; returns the position cost of what was taken."""
        share = lots / self.lots
        cost = self.position_cost * share
        self.lots -= lots
        self.frozen -= lots
        self.open_cost = self.open_cost * (1 - share) if self.lots else 0.0
        self.position_cost = self.position_cost - cost if self.lots else 0.0
        return cost


@dataclass
class Side:
    """Long or short lots of one contract, today's and history apart, as the exchange keeps them."""

    today: Lots = field(default_factory=Lots)
    history: Lots = field(default_factory=Lots)

    @property
    def lots(self) -> int:
        """Today's and history together."""
        return self.today.lots + self.history.lots

    @property
    def open_cost(self) -> float:
        """At the prices that the lots were opened at, CNY."""
        return self.today.open_cost + self.history.open_cost

    @property
    def position_cost(self) -> float:
        """At opening price for today's, at settlement for history, CNY."""
        return self.today.position_cost + self.history.position_cost

    def aged(self, offset: str) -> Lots:
        """The lots that a closing order takes: CLOSETODAY today's, CLOSE history."""
        return self.today if offset == "CLOSETODAY" else self.history


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

    def _profit(self, position: Position, side: str, cost: float) -> float:
        if position.last_price != position.last_price:
            return 0.0
        worth = self._value(position.symbol, position.last_price, getattr(position, side).lots)
        return worth - cost if side == "long" else cost - worth

    def float_profit(self, position: Position, side: str) -> float:
        """Unrealised profit of one side since it was opened."""
        return self._profit(position, side, getattr(position, side).open_cost)

    def position_profit(self, position: Position, side: str) -> float:
        """Unrealised profit of one side today: since the last settlement, or since it was opened."""
        return self._profit(position, side, getattr(position, side).position_cost)

    def margin(self, position: Position, side: str) -> float:
        """Margin of one side, at its position cost."""
        cost: float = getattr(position, side).position_cost
        return cost * self._spec(position.symbol).margin_rate

    @property
    def total_margin(self) -> float:
        """Margin of every position."""
        return sum(self.margin(item, side) for item in self.positions.values() for side in ("long", "short"))

    @property
    def total_profit(self) -> float:
        """Unrealised profit of every position today."""
        return sum(self.position_profit(item, side) for item in self.positions.values() for side in ("long", "short"))

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
        closed = self.position(symbol).side(direction, offset).aged(offset)
        if closed.free < lots:
            raise Rejected("CTP:50 平今仓位不足" if offset == "CLOSETODAY" else "CTP:51 平昨仓位不足")
        closed.frozen += lots
        return 0.0

    def release(self, symbol: str, direction: str, offset: str, lots: int, margin: float) -> None:
        """Give back what the unfilled rest of an order held."""
        self.frozen_margin -= margin
        if offset != "OPEN":
            self.position(symbol).side(direction, offset).aged(offset).frozen -= lots

    def fill(self, symbol: str, direction: str, offset: str, lots: int, price: float, margin: float) -> float:
        """Book a fill, its frozen part released; returns its fee."""
        fee, value = self.fee(symbol, offset, price, lots), self._value(symbol, price, lots)
        side = self.position(symbol).side(direction, offset)
        self.commission += fee
        if offset == "OPEN":
            self.frozen_margin -= margin
            side.today.lots += lots
            side.today.open_cost += value
            side.today.position_cost += value
        else:
            cost = side.aged(offset).take(lots)
            self.close_profit += value - cost if direction == "SELL" else cost - value
        return fee

    def settle(self, prices: Callable[[str], float]) -> None:
        """The day ends: positions are marked to settlement, today's lots become history, profit becomes balance."""
        for position in self.positions.values():
            position.last_price = prices(position.symbol)
        self.pre_balance = self.balance
        self.close_profit = self.commission = self.frozen_margin = 0.0
        for position in self.positions.values():
            for side in (position.long, position.short):
                marked = self._value(position.symbol, position.last_price, side.lots)
                side.history = Lots(lots=side.lots, open_cost=side.open_cost, position_cost=marked)
                side.today = Lots()

    # --- the protocol's words -------------------------------------------------------------------------------------------
    def shown(self) -> dict[str, Any]:
        """The account object."""
        margin, profit = self.total_margin, self.total_profit
        floating = sum(self.float_profit(item, side) for item in self.positions.values() for side in ("long", "short"))
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
            "float_profit": floating,
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
                f"pos_{name}_his": side.history.lots,
                f"pos_{name}_today": side.today.lots,
                f"volume_{name}_today": side.today.lots,
                f"volume_{name}_his": side.history.lots,
                f"volume_{name}": lots,
                f"volume_{name}_frozen_today": side.today.frozen,
                f"volume_{name}_frozen_his": side.history.frozen,
                f"volume_{name}_frozen": side.today.frozen + side.history.frozen,
                f"open_cost_{name}": side.open_cost,
                f"open_price_{name}": side.open_cost / lots / per if lots else 0.0,
                f"position_cost_{name}": side.position_cost,
                f"position_price_{name}": side.position_cost / lots / per if lots else 0.0,
                f"float_profit_{name}": self.float_profit(position, name),
                f"position_profit_{name}": self.position_profit(position, name),
                f"margin_{name}": self.margin(position, name),
            }
        for name in ("float_profit", "position_profit", "margin"):
            found[name] = found[f"{name}_long"] + found[f"{name}_short"]
        return found
