"""Orders through the real client, for TqSim, TqKq and TqAccount: checked before they leave, judged by what the exchange says.

The client checks neither tick, lot, limits nor maximum size, queues orders while the trade link is down (they are then lost), and
keeps an order alive for ever that nobody confirmed. So orders are checked here, refused while the link is down, and unknown after a
drop until the reconciled state names them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ghtrader.core.clock import Clock, Deadline
from ghtrader.core.errors import ConfigError, DataError, HaltedError, RiskDenied
from ghtrader.core.orders import Offset, OrderKind, Side
from ghtrader.data.instruments import InstrumentTable
from ghtrader.ports.broker import AccountFunds, BrokerFill, BrokerOrder, BrokerPosition, OrderRequest, OrderState
from ghtrader.ports.live_feed import FeedEvent
from ghtrader.tq.accounts import TradingAccount
from ghtrader.tq.library import load_tqsdk
from ghtrader.tq.links import LinkWatch
from ghtrader.tq.session import Credentials, as_provider_error, quiet

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["TqBroker"]

OFFSETS = {Offset.OPEN: "OPEN", Offset.CLOSE: "CLOSE", Offset.CLOSE_TODAY: "CLOSETODAY"}
FROM_OFFSET = {word: offset for offset, word in OFFSETS.items()}
ADVANCED = {OrderKind.GFD: None, OrderKind.FAK: "FAK", OrderKind.FOK: "FOK"}
#: After a drop, how long the reconciled state may take to name an order before it is known to be nowhere.
RECONCILE_S = 3.0


class TqBroker:
    """`ports.broker.Broker` over one TqApi. Research refuses accounts whose fills are better than any market's."""

    def __init__(
        self,
        account: TradingAccount,
        credentials: Credentials,
        folder: Path,
        instruments: InstrumentTable,
        clock: Clock,
        *,
        for_research: bool = False,
    ) -> None:
        if for_research and account.fills_at_limit_price:
            raise ConfigError(
                f"account {account.name} fills at the limit price however far through the book it is: no research rests on it",
                hint="use the simulator (ghtrader backtest), or the account kq",
            )
        tqsdk = load_tqsdk(folder)
        self._account = account
        self._instruments = instruments
        self._clock = clock
        self._requests: dict[str, OrderRequest] = {}
        self._last: dict[str, BrokerOrder] = {}
        self._links = [LinkWatch("td_0"), LinkWatch("md")] if account.kind != "sim" else [LinkWatch("md")]
        self._up = True
        self._reconciled = Deadline(0.0)
        self._to_cancel: set[str] = set()
        try:
            with quiet():
                login = tqsdk.TqAuth(credentials.user, credentials.password)
                self._api = tqsdk.TqApi(account.client_object(folder), auth=login, debug=False, disable_print=True)
        except Exception as error:
            raise as_provider_error(error, what=f"account {account.name} cannot be opened") from error
        self._watch()

    # --- link -----------------------------------------------------------------------------------------------------------
    def _watch(self) -> None:
        for link in self._links:
            for event in link.events(self._api):
                if event == FeedEvent.DROPPED:
                    self._up = False
                elif event == FeedEvent.RESTORED:
                    self._up, self._reconciled = True, Deadline(RECONCILE_S)
                    self._cancel_again()
                elif event == FeedEvent.CONNECTED_AGAIN:
                    self._up = False  # the client has forgotten its login: only a new session helps

    def _cancel_again(self) -> None:
        """Cancels that were asked for and may have been lost with the link."""
        for identity in list(self._to_cancel):
            order = self.order(identity)
            if order is not None and not order.state.is_final:
                self._api.cancel_order(identity)

    @property
    def is_up(self) -> bool:
        """Whether orders may leave: the trade link is up, and the state after a drop is reconciled."""
        return self._up and self._reconciled.passed

    # --- orders ---------------------------------------------------------------------------------------------------------
    def submit(self, request: OrderRequest) -> BrokerOrder:
        """Check and send; the same id again gives the order that is there."""
        known = self.order(request.client_order_id)
        if known is not None:
            return known
        self._watch()
        if not self.is_up:
            raise HaltedError("the trade link is down: the order was not sent", hint="wait for the link", reason="link_down")
        quote = self._quote(request.symbol)
        self._check(request, quote)
        self._requests[request.client_order_id] = request
        try:
            self._api.insert_order(
                symbol=request.symbol,
                direction="BUY" if request.side == Side.BUY else "SELL",
                offset=OFFSETS[request.offset],
                volume=request.lots,
                limit_price=request.limit_price,
                advanced=ADVANCED[request.kind],
                order_id=request.client_order_id,
            )
        except Exception as error:
            raise as_provider_error(error, what=f"order {request.client_order_id}") from error
        self.poll(0.0)
        order = self.order(request.client_order_id)
        assert order is not None
        return order

    def _quote(self, symbol: str) -> Any:
        try:
            return self._api.get_quote(symbol)
        except Exception as error:
            raise as_provider_error(error, what=f"quote of {symbol}") from error

    def _check(self, request: OrderRequest, quote: Any) -> None:
        def deny(reason: str, words: str) -> RiskDenied:
            return RiskDenied(
                f"{request.symbol} {request.lots} at {request.limit_price:g}: {words}", hint="correct the order", reason=reason
            )

        least = max(1, int(quote.min_limit_order_volume or 1))
        most = int(quote.max_limit_order_volume or 0)
        if request.lots < least or (most and request.lots > most):
            raise deny("order_size", f"lots must be between {least} and {most or 'the exchange maximum'}")
        tick = float(quote.price_tick)
        steps = request.limit_price / tick
        if request.limit_price != request.limit_price or abs(steps - round(steps)) > 1e-6:
            raise deny("price_tick", f"the price is no multiple of {tick:g}")
        upper, lower = float(quote.upper_limit), float(quote.lower_limit)
        if request.limit_price > upper + tick / 2 or request.limit_price < lower - tick / 2:
            raise deny("price_limit", f"the price lies outside the limits {lower:g} to {upper:g}")
        if request.offset != Offset.OPEN and request.symbol.split(".")[0] in {"SHFE", "INE"}:
            held = self._position(request.symbol)
            side = "long" if request.side == Side.SELL else "short"
            kind = "today" if request.offset == Offset.CLOSE_TODAY else "history"
            if getattr(held, f"{side}_{kind}") < request.lots:
                raise deny("close_volume", f"only {getattr(held, f'{side}_{kind}')} {kind} {side} lots are held")

    def cancel(self, client_order_id: str) -> BrokerOrder:
        """Ask for a cancel; it is repeated after a drop until the order is final."""
        order = self.order(client_order_id)
        if order is None:
            raise DataError(f"nobody submitted the order {client_order_id}", hint="ghtrader trade status", order=client_order_id)
        if order.state.is_final:
            return order
        self._to_cancel.add(client_order_id)
        self._watch()
        if self._up:
            self._api.cancel_order(client_order_id)
        return order

    def poll(self, timeout_s: float) -> list[BrokerOrder]:
        """Let the client work; orders that changed since the last call."""
        import time

        deadline = Deadline(timeout_s)
        while True:
            try:
                self._api.wait_update(deadline=time.time() + deadline.left_s)
            except Exception as error:
                raise as_provider_error(error, what=f"account {self._account.name}") from error
            self._watch()
            changed = [order for order in self.orders() if self._last.get(order.request.client_order_id) != order]
            if changed or deadline.passed:
                for order in changed:
                    self._last[order.request.client_order_id] = order
                    if order.state.is_final:
                        self._to_cancel.discard(order.request.client_order_id)
                return changed

    def order(self, client_order_id: str) -> BrokerOrder | None:
        """An order as the exchange has it."""
        orders = self._api.get_order()
        found = orders.get(client_order_id)
        request = self._requests.get(client_order_id)
        if found is None:
            if request is None:
                return None
            return BrokerOrder(request=request, state=OrderState.SENT, left=request.lots)
        return self._shown(client_order_id, found)

    def _shown(self, identity: str, found: Any) -> BrokerOrder:
        request = self._requests.get(identity) or self._request_of(identity, found)
        left, asked, number = int(found.volume_left), int(found.volume_orign), str(found.exchange_order_id)
        message = str(found.last_msg)
        if found.status == "FINISHED":
            refused = left == asked and (not number or "拒绝" in message or "不足" in message or "错误" in message)
            state = OrderState.FILLED if left == 0 else OrderState.REJECTED if refused else OrderState.CANCELLED
        elif number:
            state = OrderState.WORKING if self._up else OrderState.UNKNOWN
        else:
            state = OrderState.SENT if self._up and self._reconciled.left_s == 0.0 else OrderState.UNKNOWN
        return BrokerOrder(request=request, state=state, left=left, exchange_order_id=number, message=message)

    @staticmethod
    def _request_of(identity: str, found: Any) -> OrderRequest:
        """An order that another process sent, from what the exchange knows of it."""
        killed = found.time_condition == "IOC"
        kind = OrderKind.GFD if not killed else OrderKind.FOK if found.volume_condition == "ALL" else OrderKind.FAK
        return OrderRequest(
            client_order_id=identity,
            symbol=f"{found.exchange_id}.{found.instrument_id}",
            side=Side.BUY if found.direction == "BUY" else Side.SELL,
            offset=FROM_OFFSET.get(found.offset, Offset.CLOSE),
            lots=int(found.volume_orign),
            limit_price=float(found.limit_price),
            kind=kind,
        )

    def orders(self) -> list[BrokerOrder]:
        """Every order of the day, ours and others'."""
        names = [name for name in self._api.get_order() if not name.startswith("_")]
        found = [self.order(name) for name in dict.fromkeys([*names, *self._requests])]
        return [order for order in found if order is not None]

    def fills(self) -> list[BrokerFill]:
        """Every trade of the day."""
        found = [
            BrokerFill(
                client_order_id=str(trade.order_id),
                trade_id=str(name),
                symbol=f"{trade.exchange_id}.{trade.instrument_id}",
                side=Side.BUY if trade.direction == "BUY" else Side.SELL,
                offset=FROM_OFFSET.get(trade.offset, Offset.CLOSE),
                lots=int(trade.volume),
                price=float(trade.price),
                ts_ns=int(trade.trade_date_time),
            )
            for name, trade in self._api.get_trade().items()
            if not name.startswith("_")
        ]
        return sorted(found, key=lambda fill: (fill.ts_ns, fill.trade_id))

    # --- account --------------------------------------------------------------------------------------------------------
    def _position(self, symbol: str) -> BrokerPosition:
        held = self._api.get_position(symbol)
        return BrokerPosition(
            symbol=symbol,
            long_today=int(held.pos_long_today),
            long_history=int(held.pos_long_his),
            short_today=int(held.pos_short_today),
            short_history=int(held.pos_short_his),
            long_frozen=int(held.volume_long_frozen),
            short_frozen=int(held.volume_short_frozen),
        )

    def positions(self) -> list[BrokerPosition]:
        """Positions with lots."""
        names = sorted(name for name in self._api.get_position() if not name.startswith("_"))
        found = [self._position(name) for name in names]
        return [item for item in found if item.long_today or item.long_history or item.short_today or item.short_history]

    def funds(self) -> AccountFunds:
        """Money as the broker says."""
        account = self._api.get_account()
        names = ("balance", "available", "margin", "commission", "close_profit", "position_profit")
        return AccountFunds(**{name: float(getattr(account, name)) for name in names})

    def close(self) -> None:
        """Hang up."""
        import contextlib

        with contextlib.suppress(Exception), quiet():
            self._api.close()
