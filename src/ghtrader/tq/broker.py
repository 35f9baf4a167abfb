"""Orders through the real client, for TqSim, TqKq and TqAccount: checked before they leave, judged by what the exchange says.

The client checks neither tick, lot, limits nor maximum size, queues orders while the trade link is down (they are then lost), and
keeps an order alive for ever that nobody confirmed. So orders are checked here, refused while the link is down, and unknown until
the exchange names them; where it stays silent, another session asks: what its snapshot does not hold was never there.
"""

from __future__ import annotations

import contextlib
import math
from pathlib import Path
from typing import Any

import msgspec

from ghtrader.core.clock import NS_PER_S, SHANGHAI, Clock, Deadline
from ghtrader.core.errors import (
    ConfigError,
    DataError,
    GhtraderError,
    HaltedError,
    ProviderMaintenanceError,
    ProviderTransientError,
)
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.instruments import InstrumentTable
from ghtrader.ports.account_day import AccountDay
from ghtrader.ports.broker import AccountFunds, BrokerFill, BrokerOrder, BrokerPosition, OrderRequest, OrderState
from ghtrader.ports.live_feed import FeedEvent
from ghtrader.ports.order_checks import QuoteFacts, check_order
from ghtrader.tq.accounts import TradingAccount
from ghtrader.tq.library import load_tqsdk
from ghtrader.tq.links import LinkWatch
from ghtrader.tq.order_words import fill_of, insert_arguments, is_unanswered, order_of, position_of, request_of
from ghtrader.tq.pace import RebuildPace
from ghtrader.tq.session import OPENING_S, Credentials, as_provider_error, open_api, quiet

__all__ = ["TqBroker"]

TRADE_LINK, MARKET_LINK = "td_0", "md"
#: How long an order may stay unanswered before it is unknown, and how long before another session asks for it.
CONFIRM_S, RESOLVE_S = 3.0, 8.0
FUNDS = ("balance", "available", "margin", "commission", "close_profit", "position_profit")


class TqBroker:
    """`ports.broker.Broker` over one TqApi at a time. Research refuses accounts whose fills are better than any market's.

    A session whose link was closed in order never logs in again by itself, so `poll` opens another; TqSim's account lives in its
    session and cannot follow: it stays down. Raises ProviderError when the account cannot be opened at all.
    """

    def __init__(
        self,
        account: TradingAccount,
        credentials: Credentials,
        folder: Path,
        instruments: InstrumentTable,
        clock: Clock,
        *,
        for_research: bool = False,
        confirm_s: float = CONFIRM_S,
        resolve_s: float = RESOLVE_S,
        opening_s: float = OPENING_S,
    ) -> None:
        if for_research and account.fills_at_limit_price:
            raise ConfigError(
                f"account {account.name} fills at the limit price however far through the book it is: no research rests on it",
                hint="use the simulator (ghtrader backtest), or the account kq",
            )
        self._account = account
        self._credentials = credentials
        self._folder = folder
        self._instruments = instruments
        self._clock = clock
        self._confirm_s, self._resolve_s, self._opening_s = confirm_s, resolve_s, opening_s
        self._simulated = account.kind == "sim"
        self._requests: dict[str, OrderRequest] = {}
        self._sent_ns: dict[str, int] = {}
        self._told: dict[str, BrokerOrder] = {}
        self._final: dict[str, BrokerOrder] = {}
        self._asked_again: set[str] = set()
        self._to_cancel: set[str] = set()
        self._pace = RebuildPace(clock)
        self._open()

    # --- session --------------------------------------------------------------------------------------------------------
    @property
    def _secrets(self) -> tuple[str, ...]:
        return self._account.number, self._account.password, self._credentials.password

    def _open(self) -> None:
        tqsdk = load_tqsdk(self._folder)
        self._client = self._account.client_object(self._folder)
        self._api = open_api(
            tqsdk,
            self._credentials,
            self._client,
            what=f"account {self._account.name} cannot be opened",
            secrets=self._secrets,
            timeout_s=self._opening_s,
        )
        names = (MARKET_LINK,) if self._simulated else (TRADE_LINK, MARKET_LINK)
        self._links = {name: LinkWatch(name) for name in names}
        self._up = dict.fromkeys(names, True)
        self._lost_session = False
        self._watch()

    def _watch(self) -> None:
        """Take the links' notices: down, up again with its state, or a session that has forgotten its login."""
        for name, link in self._links.items():
            for event in link.events(self._api):
                if event == FeedEvent.DROPPED:
                    self._up[name] = False
                elif event == FeedEvent.RESTORED:
                    self._up[name] = True
                    if name == TRADE_LINK:
                        self._after_reconciling()
                elif event == FeedEvent.CONNECTED_AGAIN:
                    self._up[name], self._lost_session = False, True

    def _after_reconciling(self) -> None:
        """The account's whole state is here again: cancels that may be lost go out, orders nobody names need another session."""
        for identity in list(self._to_cancel):
            order = self.order(identity)
            if order is not None and not order.state.is_final:
                self._api.cancel_order(identity)
        if any(self._is_unanswered(identity) for identity in self._requests):
            self._lost_session = True

    def _rebuild(self) -> None:
        """Another session; its snapshot is the truth. Stays down and tries later when it cannot be opened for now."""
        self._pace.begin()
        self._hang_up()
        try:
            self._open()
        except (ProviderTransientError, ProviderMaintenanceError):
            self._lost_session, self._up = True, dict.fromkeys(self._up, False)
            return
        self._asked_again |= set(self._requests)
        self._after_reconciling()

    def _hang_up(self) -> None:
        with contextlib.suppress(Exception), quiet():
            self._api.close()

    def _pump(self, deadline: Deadline) -> None:
        """Let the client send and receive once; its failures end the session."""
        if self._lost_session and not self._simulated:
            if self._pace.is_ready:
                self._rebuild()
            else:
                deadline.pause(min(0.2, self._pace.left_s))
            return
        try:
            self._api.wait_update(deadline=deadline.epoch_s)
        except GhtraderError:
            raise
        except Exception as error:
            raise as_provider_error(error, what=f"account {self._account.name}", secrets=self._secrets) from error
        self._watch()
        if any(self._is_overdue(identity) for identity in self._requests):
            self._lost_session = True

    @property
    def is_up(self) -> bool:
        """Whether orders may leave: every link is up, and what happened while one was down is known."""
        return all(self._up.values()) and not self._lost_session

    # --- orders ---------------------------------------------------------------------------------------------------------
    def submit(self, request: OrderRequest) -> BrokerOrder:
        """Check and send; the same id again gives the order that is there."""
        known = self.order(request.client_order_id)
        if known is not None:
            return known
        self._watch()
        if not self.is_up:
            raise HaltedError("the link is down: the order was not sent", hint="wait for the link", reason="link_down")
        declared = self._instruments.spec(request.symbol, _today(self._clock)).limits
        facts = QuoteFacts.of(self._quote(request.symbol))
        check_order(request, facts, declared, position_of(request.symbol, self._api.get_position(request.symbol)))
        if not self.is_up:  # the quote took its time
            raise HaltedError("the link went down: the order was not sent", hint="wait for the link", reason="link_down")
        self._requests[request.client_order_id] = request
        self._sent_ns[request.client_order_id] = self._clock.monotonic_ns()
        try:
            self._api.insert_order(**insert_arguments(request))
        except Exception as error:
            del self._requests[request.client_order_id]
            raise as_provider_error(error, what=f"order {request.client_order_id}", secrets=self._secrets) from error
        self._pump(Deadline(0.0))
        order = self.order(request.client_order_id)
        assert order is not None
        return order

    def _quote(self, symbol: str) -> Any:
        try:
            quote = self._api.get_quote(symbol)
        except Exception as error:
            raise as_provider_error(error, what=f"quote of {symbol}", secrets=self._secrets) from error
        self._watch()
        return quote

    def cancel(self, client_order_id: str) -> BrokerOrder:
        """Ask for a cancel; it is sent at once while the trade link is up, else as soon as the account is reconciled."""
        order = self.order(client_order_id)
        if order is None:
            raise DataError(f"nobody submitted the order {client_order_id}", hint="ghtrader trade status", order=client_order_id)
        if order.state.is_final:
            return order
        self._to_cancel.add(client_order_id)
        self._watch()
        if self._up.get(TRADE_LINK, True) and not self._lost_session:
            self._api.cancel_order(client_order_id)
            self._pump(Deadline(0.0))
        return self.order(client_order_id) or order

    def poll(self, timeout_s: float) -> list[BrokerOrder]:
        """Let the client work; orders that changed since the last call."""
        deadline = Deadline(timeout_s)
        while True:
            self._pump(deadline)
            changed = self._changes()
            if changed or deadline.passed:
                return changed

    def _changes(self) -> list[BrokerOrder]:
        changed: list[BrokerOrder] = []
        for name in self._names():
            if name in self._final and self._told.get(name) == self._final[name]:
                continue
            order = self.order(name)
            if order is not None and self._told.get(name) != order:
                self._told[name] = order
                changed.append(order)
        return changed

    def _names(self) -> list[str]:
        """Ids of every order, the client's first, then those that only we know."""
        names = [name for name in self._api.get_order() if not name.startswith("_")]
        return list(dict.fromkeys([*names, *self._requests]))

    def order(self, client_order_id: str) -> BrokerOrder | None:
        """An order as the exchange has it."""
        if client_order_id in self._final:
            return self._final[client_order_id]
        order = self._current(client_order_id)
        if order is not None and order.state.is_final:
            self._final[client_order_id] = order
            self._to_cancel.discard(client_order_id)
        return order

    def _current(self, identity: str) -> BrokerOrder | None:
        found = self._api.get_order().get(identity)
        request = self._requests.get(identity)
        if found is not None:
            is_known = self._up.get(TRADE_LINK, True) and not self._lost_session and not self._waits_too_long(identity, found)
            return order_of(request or request_of(identity, found), found, is_known=is_known, simulated=self._simulated)
        if request is None:
            return None
        told = self._told.get(identity)
        if told is not None and told.exchange_order_id:  # it was there once: its day may be over, only the account can tell
            return msgspec.structs.replace(told, state=OrderState.UNKNOWN, message="no longer in the account's snapshot")
        if identity in self._asked_again:
            return BrokerOrder(request=request, state=OrderState.LOST, left=request.lots, message="it never reached the exchange")
        return BrokerOrder(request=request, state=OrderState.UNKNOWN, left=request.lots)

    def _age_s(self, identity: str) -> float:
        sent = self._sent_ns.get(identity)
        return 0.0 if sent is None else (self._clock.monotonic_ns() - sent) / NS_PER_S

    def _waits_too_long(self, identity: str, found: Any) -> bool:
        return not found.exchange_order_id and self._age_s(identity) > self._confirm_s

    def _is_unanswered(self, identity: str) -> bool:
        """Whether an order of ours has no word from the exchange, and no session was opened to ask for it yet."""
        if identity in self._final or identity in self._asked_again:
            return False
        found = self._api.get_order().get(identity)
        return found is not None and is_unanswered(found)

    def _is_overdue(self, identity: str) -> bool:
        return not self._simulated and self._age_s(identity) > self._resolve_s and self._is_unanswered(identity)

    def orders(self) -> list[BrokerOrder]:
        """Every order of the day, ours and others'."""
        found = [self.order(name) for name in self._names()]
        return [order for order in found if order is not None]

    def fills(self) -> list[BrokerFill]:
        """Every trade of the day."""
        found = [fill_of(str(name), trade) for name, trade in self._api.get_trade().items() if not name.startswith("_")]
        return sorted(found, key=lambda fill: (fill.ts_ns, len(fill.trade_id), fill.trade_id))

    # --- account --------------------------------------------------------------------------------------------------------
    def positions(self) -> list[BrokerPosition]:
        """Positions with lots."""
        names = sorted(name for name in self._api.get_position() if not name.startswith("_"))
        return [held for held in (position_of(name, self._api.get_position(name)) for name in names) if held.lots]

    def funds(self) -> AccountFunds:
        """Money as the broker says."""
        account = self._api.get_account()
        return AccountFunds(**{name: float(getattr(account, name)) for name in FUNDS})

    def account_day(self) -> AccountDay:
        """The running trading day, for its statement."""
        account = self._api.get_account()
        compact = str(self._api._data.get("trade", {}).get(self._client._account_key, {}).get("trading_day", ""))
        return AccountDay(
            trading_day=TradingDay.parse(compact).iso if compact else "",
            pre_balance=float(account.pre_balance),
            close_profit=float(account.close_profit),
            commission=float(account.commission),
            deposit=float(account.deposit),
            withdrawal=float(account.withdraw),
            positions=tuple(self.positions()),
            trades=tuple(self.fills()),
            carried={held.symbol: price for held in self.positions() if (price := self._carried(held.symbol)) is not None},
        )

    def _carried(self, symbol: str) -> float | None:
        """The settlement price of lots that are all from before the day."""
        found = self._api.get_position(symbol)
        for side in ("long", "short"):
            price = float(getattr(found, f"position_price_{side}"))
            if getattr(found, f"pos_{side}_his") and not getattr(found, f"pos_{side}_today") and math.isfinite(price):
                return price
        return None

    def close(self) -> None:
        """Hang up."""
        self._hang_up()


def _today(clock: Clock) -> TradingDay:
    """The civil date in Shanghai: dated facts of instruments need no more."""
    import datetime as dt

    return TradingDay(dt.datetime.fromtimestamp(clock.now_ns() / NS_PER_S, tz=SHANGHAI).date())
