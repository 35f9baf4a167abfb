"""One trade connection: login, orders, cancels and what happened to them, in the OTG words of the DIFF protocol."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

from ghtrader.exchange.broker import Broker
from ghtrader.exchange.diff import DiffState
from ghtrader.exchange.faults import FaultBoard

__all__ = ["SIMULATED", "OtgSession"]

#: The broker name under which TqKq logs in.
SIMULATED = "快期模拟"


class OtgSession:
    """State of one connection; what it has not logged in for is dropped, as the real gateway does."""

    def __init__(self, broker: Broker, board: FaultBoard, check: Callable[[str, str], bool]) -> None:
        self._broker = broker
        self._board = board
        self._check = check
        self._notices = 0
        self.user = ""
        self.state = DiffState()
        self.state.push({"trade_more_data": True})

    def handle(self, message: dict[str, Any]) -> None:
        """One message of the client."""
        kind = message.get("aid")
        if kind == "peek_message":
            self.state.peeked = True
        elif kind == "req_login":
            self._login(message)
        elif not self.user:
            self._board.hit(f"dropped before login: {kind}")
        elif kind == "insert_order":
            self._insert(message)
        elif kind == "cancel_order":
            if self._board.strike("lose_cancel") is None:
                self._broker.cancel(self.user, str(message.get("order_id")))
        elif kind == "pre_insert_order":
            self._margin(message)

    def _login(self, message: dict[str, Any]) -> None:
        user, password = str(message.get("user_name", "")), str(message.get("password", ""))
        simulated = message.get("bid") == SIMULATED
        refused = self._board.strike("wrong_password", link="td") is not None
        if refused or not (simulated or self._check(user, password)):
            self.notify({"type": "MESSAGE", "level": "ERROR", "code": 339, "content": "账户和密码不匹配，请检查"})
            return
        self.user = user
        self._broker.account(user)
        self.notify({"type": "MESSAGE", "level": "INFO", "code": 324, "content": "登录成功"})
        self.state.push({"trade": {user: self._broker.snapshot(user)}, "trade_more_data": False})

    def _insert(self, message: dict[str, Any]) -> None:
        if self._board.strike("lose_order") is not None:
            return
        fault = self._board.strike("reject_order")
        if fault is not None:
            self._broker.reject(self.user, message, fault.text)
        else:
            self._broker.insert(self.user, message)

    def _margin(self, message: dict[str, Any]) -> None:
        symbol = f"{message.get('exchange_id')}.{message.get('instrument_id')}"
        quote = self._broker.market.quote(symbol)
        spec = self._broker.market.spec(symbol)
        margin = float(quote["pre_settlement"]) * spec.multiplier * spec.margin_rate if quote else 0.0
        order_id = str(message.get("order_id"))
        self.state.push({"trade": {self.user: {"pre_insert_orders": {order_id: {"order_id": order_id, "pre_margin": margin}}}}})

    def hear(self, patch: dict[str, Any], notify: dict[str, Any] | None) -> None:
        """Something happened to this connection's user."""
        if patch:
            self.state.push({"trade": {self.user: deepcopy(patch)}})
        if notify is not None:
            self.notify(notify)

    def notify(self, notice: dict[str, Any]) -> None:
        """A notice of its own id."""
        self._notices += 1
        self.state.push({"notify": {f"N{id(self)}-{self._notices}": notice}})
