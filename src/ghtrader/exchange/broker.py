"""Orders of every account against the served book: checks, matching, cancels, settlement at the change of the trading day.

An order that crosses takes the displayed lots of each level within its limit, once per snapshot; the rest of a day order
waits at its limit and fills when the opposite touch reaches it (displayed lots bound each fill) or trades went through it.
FAK kills what is left, FOK everything unless all of it fills. Events are numbered, so that a session that was away can catch up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from ghtrader.core.phases import Phase
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.schema import LEVELS
from ghtrader.exchange.account import Account, Rejected
from ghtrader.exchange.market import ServedMarket
from ghtrader.exchange.series import TickSeries

__all__ = ["Broker", "Order"]

ACCEPTED, PARTIAL, FILLED, CANCELLED, KILLED = "未成交", "部分成交", "全部成交", "已撤单", "已撤单报单被拒绝"
ENTRY_PHASES = (Phase.CONTINUOUS, Phase.ORDER_ENTRY, Phase.BREAK)


@dataclass
class Order:
    """One order as the exchange keeps it."""

    user: str
    order_id: str
    symbol: str
    direction: str
    offset: str
    lots: int
    price: float
    time_condition: str
    volume_condition: str
    insert_ns: int
    exchange_order_id: str = ""
    left: int = 0
    frozen_margin: float = 0.0
    status: str = "ALIVE"
    message: str = ""
    trades: int = 0
    seqno: int = 0

    def shown(self) -> dict[str, Any]:
        """The order object."""
        exchange, instrument = self.symbol.split(".", 1)
        return {
            "seqno": self.seqno,
            "user_id": self.user,
            "order_id": self.order_id,
            "exchange_id": exchange,
            "instrument_id": instrument,
            "direction": self.direction,
            "offset": self.offset,
            "volume_orign": self.lots,
            "volume_left": self.left,
            "limit_price": self.price,
            "price_type": "LIMIT",
            "time_condition": self.time_condition,
            "volume_condition": self.volume_condition,
            "insert_date_time": self.insert_ns,
            "exchange_order_id": self.exchange_order_id,
            "status": self.status,
            "last_msg": self.message,
            "frozen_margin": self.frozen_margin,
        }


Listener = Callable[[str, dict[str, Any], dict[str, Any] | None], None]


class Broker:
    """Accounts by user, orders by user and id. ``listen`` hears every change as (user, trade patch, notify)."""

    def __init__(self, market: ServedMarket) -> None:
        self.market = market
        self.accounts: dict[str, Account] = {}
        self.orders: dict[tuple[str, str], Order] = {}
        self.trades: dict[str, dict[str, dict[str, Any]]] = {}
        self.listen: Listener = _nobody
        self.day: TradingDay = market.today
        self._began_ns = 0
        self._numbers = 0
        self._used: dict[tuple[str, int], int] = {}
        #: every request and change in order: what a test may ask the venue about
        self.log: list[dict[str, Any]] = []

    def account(self, user: str) -> Account:
        """The account of a user, opened when it first logs in."""
        return self.accounts.setdefault(user, Account(user, self.market.spec))

    def snapshot(self, user: str) -> dict[str, Any]:
        """Everything about a user, for a login: orders and trades of the trading day only."""
        account = self.account(user)
        own = [order for (owner, _), order in self.orders.items() if owner == user and order.insert_ns >= self._began_ns]
        trades = self.trades.get(user, {})
        return {
            "user_id": user,
            "trading_day": self.market.today.compact,
            "trade_more_data": False,
            "accounts": {"CNY": account.shown()},
            "positions": {symbol: account.shown_position(symbol) for symbol in account.positions},
            "orders": {order.order_id: order.shown() for order in own},
            "trades": {name: trade for name, trade in trades.items() if trade["trade_date_time"] >= self._began_ns},
            "banks": {},
            "transfers": {},
        }

    # --- requests -------------------------------------------------------------------------------------------------------
    def insert(self, user: str, request: dict[str, Any]) -> None:
        """Take an order; what is wrong with it ends it at once, with the broker's words."""
        order_id = str(request.get("order_id", ""))
        if (user, order_id) in self.orders:
            self.listen(user, {}, _notice(357, "WARNING", f"单号重复: {order_id}"))
            return
        symbol = f"{request.get('exchange_id')}.{request.get('instrument_id')}"
        lots, price = int(request.get("volume") or 0), float(request.get("limit_price") or float("nan"))
        self._numbers += 1
        order = Order(
            user=user,
            order_id=order_id,
            symbol=symbol,
            direction=str(request.get("direction")),
            offset=str(request.get("offset")),
            lots=lots,
            price=price,
            time_condition=str(request.get("time_condition", "GFD")),
            volume_condition=str(request.get("volume_condition", "ANY")),
            insert_ns=self.market.now_ns,
            left=lots,
            seqno=self._numbers,
        )
        self.orders[user, order_id] = order
        self.log.append({"what": "insert", "ns": self.market.now_ns, **order.shown()})
        try:
            self._check(order, str(request.get("price_type", "LIMIT")))
            order.frozen_margin = self.account(user).freeze(symbol, order.direction, order.offset, lots, price)
        except Rejected as refusal:
            self._finish(order, f"{refusal}", _notice(31, "WARNING", f"下单失败,{refusal}"))
            return
        order.exchange_order_id = f"{self._numbers:012d}"
        order.message = ACCEPTED
        self._say(order, _notice(328, "INFO", "下单成功"))
        self._match(order)
        if order.status == "ALIVE" and order.time_condition == "IOC":
            self._finish(order, CANCELLED)

    def reject(self, user: str, request: dict[str, Any], text: str) -> None:
        """Refuse an order whatever it says."""
        symbol = f"{request.get('exchange_id')}.{request.get('instrument_id')}"
        order = Order(
            user=user,
            order_id=str(request.get("order_id", "")),
            symbol=symbol,
            direction=str(request.get("direction")),
            offset=str(request.get("offset")),
            lots=int(request.get("volume") or 0),
            price=float(request.get("limit_price") or 0.0),
            time_condition=str(request.get("time_condition", "GFD")),
            volume_condition=str(request.get("volume_condition", "ANY")),
            insert_ns=self.market.now_ns,
            left=int(request.get("volume") or 0),
        )
        self.orders[user, order.order_id] = order
        self._finish(order, text, _notice(31, "WARNING", f"下单失败,{text}"))

    def cancel(self, user: str, order_id: str) -> None:
        """Cancel what is left of an order."""
        self.log.append({"what": "cancel", "ns": self.market.now_ns, "user_id": user, "order_id": order_id})
        order = self.orders.get((user, order_id))
        if order is None or order.status != "ALIVE":
            self.listen(user, {}, _notice(26, "WARNING", "撤单失败,CTP:报单已全成交或已撤销，不能再撤"))
            return
        if self.market.phase(order.symbol) == Phase.MATCH:
            self.listen(user, {}, _notice(26, "WARNING", "撤单失败,CTP:集合竞价撮合阶段不能撤单"))
            return
        self._finish(order, CANCELLED, _notice(355, "INFO", "撤单成功"))

    def _check(self, order: Order, price_type: str) -> None:
        series = self.market.contracts.get(order.symbol)
        if series is None:
            raise Rejected("CTP:16 找不到合约")
        if order.direction not in {"BUY", "SELL"} or order.offset not in {"OPEN", "CLOSE", "CLOSETODAY"}:
            raise Rejected("CTP:不支持的买卖方向或开平标志")
        spec = self.market.spec(order.symbol)
        if price_type != "LIMIT" and not spec.has_market_orders:
            raise Rejected("CTP:不支持的报单类型")
        if not 0 < order.lots <= spec.limits.max_limit_lots:
            raise Rejected("CTP:15 报单数量超限")
        steps = order.price / spec.price_tick
        if order.price != order.price or abs(steps - round(steps)) > 1e-6:
            raise Rejected("CTP:报单价格不是最小变动价位的整数倍")
        upper, lower = self.market.limits(order.symbol, max(0, self.market.visible(series)))
        if order.price > upper + 1e-9 or order.price < lower - 1e-9:
            raise Rejected("CTP:报单价格超出涨跌停板")
        phase = self.market.phase(order.symbol)
        if phase not in ENTRY_PHASES:
            raise Rejected("CTP:333 当前时间不支持下单")
        if phase != Phase.CONTINUOUS and order.time_condition == "IOC":
            raise Rejected("CTP:非连续交易阶段不接受 FAK 和 FOK")

    # --- matching -------------------------------------------------------------------------------------------------------
    def _levels(self, order: Order, series: TickSeries, tick: int) -> Iterator[tuple[float, int, tuple[str, int]]]:
        """Price, lots left at it, and the place of every level within the order's limit, best first."""
        side = "ask" if order.direction == "BUY" else "bid"
        for level in range(1, LEVELS + 1):
            price = float(series.columns[f"{side}_price{level}"][tick])
            lots = int(series.columns[f"{side}_volume{level}"][tick])
            within = price <= order.price + 1e-9 if order.direction == "BUY" else price >= order.price - 1e-9
            if not within or lots <= 0:
                return
            place = (f"{order.symbol}/{side}{level}", tick)
            yield price, lots - self._used.get(place, 0), place

    def _match(self, order: Order, *, resting: bool = False) -> None:
        series = self.market.contracts[order.symbol]
        tick = self.market.visible(series)
        if tick < 0 or self.market.phase(order.symbol) != Phase.CONTINUOUS:
            return
        found = [(price, lots, place) for price, lots, place in self._levels(order, series, tick) if lots > 0]
        if order.volume_condition == "ALL" and sum(lots for _, lots, _ in found) < order.left:
            return
        for price, lots, place in found:
            taken = min(lots, order.left)
            self._used[place] = self._used.get(place, 0) + taken
            self._fill(order, taken, order.price if resting else price)
            if order.left == 0:
                return
        if resting and not found:
            self._through(order, series, tick)

    def _through(self, order: Order, series: TickSeries, tick: int) -> None:
        """Trades beyond the limit since the snapshot before: whoever waits at the limit was served."""
        if tick == 0 or series.day_of[tick] != series.day_of[tick - 1]:
            return
        last, volume = float(series.columns["last_price"][tick]), series.columns["volume"]
        beyond = last < order.price - 1e-9 if order.direction == "BUY" else last > order.price + 1e-9
        place = (f"{order.symbol}/{order.direction} through", tick)
        traded = int(volume[tick] - volume[tick - 1]) - self._used.get(place, 0)
        if beyond and traded > 0:
            taken = min(order.left, traded)
            self._used[place] = self._used.get(place, 0) + taken
            self._fill(order, taken, order.price)

    def _fill(self, order: Order, lots: int, price: float) -> None:
        account = self.account(order.user)
        margin = order.frozen_margin * lots / order.left
        order.frozen_margin -= margin
        order.left -= lots
        order.trades += 1
        fee = account.fill(order.symbol, order.direction, order.offset, lots, price, margin)
        self._mark(account, order.symbol)
        exchange, instrument = order.symbol.split(".", 1)
        trade_id = f"{order.order_id}|{order.trades}"
        trade = {
            "seqno": self._numbers,
            "user_id": order.user,
            "trade_id": trade_id,
            "order_id": order.order_id,
            "exchange_id": exchange,
            "instrument_id": instrument,
            "exchange_order_id": order.exchange_order_id,
            "exchange_trade_id": f"{order.exchange_order_id}-{order.trades}",
            "direction": order.direction,
            "offset": order.offset,
            "volume": lots,
            "price": price,
            "trade_date_time": self.market.now_ns,
            "commission": fee,
        }
        self.trades.setdefault(order.user, {})[trade_id] = trade
        order.message = FILLED if order.left == 0 else PARTIAL
        order.status = "FINISHED" if order.left == 0 else "ALIVE"
        self.log.append({"what": "fill", "ns": self.market.now_ns, **trade})
        self._say(order, None, {trade_id: trade})

    def _finish(self, order: Order, message: str, notify: dict[str, Any] | None = None) -> None:
        if order.exchange_order_id:
            account = self.account(order.user)
            account.release(order.symbol, order.direction, order.offset, order.left, order.frozen_margin)
        order.frozen_margin, order.status, order.message = 0.0, "FINISHED", message
        self.log.append({"what": "finish", "ns": self.market.now_ns, **order.shown()})
        self._say(order, notify)

    def _say(self, order: Order, notify: dict[str, Any] | None, trades: dict[str, Any] | None = None) -> None:
        account = self.account(order.user)
        patch: dict[str, Any] = {"orders": {order.order_id: order.shown()}, "accounts": {"CNY": account.shown()}}
        if order.symbol in account.positions:
            patch["positions"] = {order.symbol: account.shown_position(order.symbol)}
        if trades:
            patch["trades"] = trades
        self.listen(order.user, patch, notify)

    # --- time -----------------------------------------------------------------------------------------------------------
    def on_market(self, symbols: set[str]) -> None:
        """The market moved: settle when the trading day changed, match what waits, mark positions."""
        today = self.market.today
        if today != self.day:
            self._settle(self.day)
            self.day = today
        for order in [item for item in self.orders.values() if item.status == "ALIVE" and item.symbol in symbols]:
            self._match(order, resting=True)
        self._used = {place: lots for place, lots in self._used.items() if self._is_newest(place)}
        for user, account in self.accounts.items():
            moved = {symbol for symbol in symbols if symbol in account.positions and self._mark(account, symbol)}
            if moved:
                positions = {symbol: account.shown_position(symbol) for symbol in moved}
                self.listen(user, {"positions": positions, "accounts": {"CNY": account.shown()}}, None)

    def _is_newest(self, place: tuple[str, int]) -> bool:
        series = self.market.contracts[place[0].split("/")[0]]
        return place[1] == self.market.visible(series)

    def _mark(self, account: Account, symbol: str) -> bool:
        series = self.market.contracts[symbol]
        price = float(series.columns["last_price"][max(0, self.market.visible(series))])
        position = account.positions[symbol]
        changed = price == price and price != position.last_price  # noqa: PLR0124 - NaN
        if changed:
            position.last_price = price
        return changed and bool(position.long.lots or position.short.lots)

    def _settle(self, day: TradingDay) -> None:
        """Day orders die, positions are marked to settlement, today becomes history."""
        for order in self.orders.values():
            if order.status == "ALIVE":
                self._finish(order, CANCELLED)

        self._began_ns = self.market.now_ns

        def price(symbol: str) -> float:
            series = self.market.contracts[symbol]
            if day in series.days:
                return self.market.settlement(series, series.days.index(day))
            return float(series.columns["last_price"][max(0, self.market.visible(series))])

        for user, account in self.accounts.items():
            account.settle(price)
            positions = {symbol: account.shown_position(symbol) for symbol in account.positions}
            patch = {"trading_day": self.market.today.compact, "positions": positions, "accounts": {"CNY": account.shown()}}
            self.listen(user, patch, _notice(325, "INFO", f"{day.compact} 结算完成"))


def _nobody(user: str, patch: dict[str, Any], notify: dict[str, Any] | None) -> None:
    del user, patch, notify


def _notice(code: int, level: str, content: str) -> dict[str, Any]:
    return {"type": "MESSAGE", "level": level, "code": code, "content": content}
