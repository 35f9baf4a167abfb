"""What is wrong with one answer of the venue about the whole account; the next one may be right."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from ghtrader.core.orders import Side
from ghtrader.ports.broker import BrokerOrder, OrderState
from ghtrader.trading.reconcile import VenueSnapshot
from ghtrader.trading.simulation.world import World

__all__ = ["TRADED_BEFORE", "Lies"]

#: Orders of another terminal from before the gateway's first start have ids that begin so.
TRADED_BEFORE = "before"


class Lies:
    """Spoils answers. An order is left out of one answer at most: a venue that goes on denying what works is beyond any remedy."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._left_out: set[str] = set()

    def spoil(self, truth: VenueSnapshot) -> VenueSnapshot:
        """An answer as it is given."""
        told = truth
        for name, probability, lie in self._kinds():
            if self._world.faults.hits(name, probability):
                told = lie(told)
        return told

    def _kinds(self) -> tuple[tuple[str, float, Callable[[VenueSnapshot], VenueSnapshot]], ...]:
        return (
            ("venue forgets an order", 0.05, self._forget_order),
            ("venue forgets a trade", 0.03, self._forget_trade),
            ("venue forgets an order and its trades", 0.05, self._forget_whole),
            ("venue turns a trade round and forgets its order", 0.02, self._turn_whole),
            ("venue turns a trade round", 0.01, self._turn_trade),
            ("venue does not know an order's state", 0.04, lambda told: self._call(told, OrderState.UNKNOWN)),
            ("venue calls an order sent", 0.04, lambda told: self._call(told, OrderState.SENT)),
            ("venue mixes up today and history", 0.01, self._mix_days),
            ("venue knows no balance", 0.01, self._no_balance),
        )

    def _recent(self, count: int) -> int:
        """One of the last few of ``count``."""
        return self._world.chance.randint(max(0, count - 6), count - 1)

    def _forget_order(self, told: VenueSnapshot) -> VenueSnapshot:
        known = [order.request.client_order_id for order in told.orders]
        if not known:
            return told
        return self._without(told, known[self._recent(len(known))])

    def _without(self, told: VenueSnapshot, name: str) -> VenueSnapshot:
        if name in self._left_out:
            return told
        self._left_out.add(name)
        return msgspec.structs.replace(told, orders=tuple(o for o in told.orders if o.request.client_order_id != name))

    def _forget_trade(self, told: VenueSnapshot) -> VenueSnapshot:
        place = self._ours(told)
        if place is None:
            return told
        return msgspec.structs.replace(told, fills=(*told.fills[:place], *told.fills[place + 1 :]))

    def _turn_trade(self, told: VenueSnapshot) -> VenueSnapshot:
        place = self._ours(told)
        if place is None:
            return told
        turned = msgspec.structs.replace(told.fills[place], side=Side(-told.fills[place].side))
        return msgspec.structs.replace(told, fills=(*told.fills[:place], turned, *told.fills[place + 1 :]))

    def _forget_whole(self, told: VenueSnapshot) -> VenueSnapshot:
        place = self._ours(told)
        if place is None:
            return told
        name = told.fills[place].client_order_id
        fills = tuple(fill for fill in told.fills if fill.client_order_id != name)
        return msgspec.structs.replace(self._without(told, name), fills=fills)

    def _turn_whole(self, told: VenueSnapshot) -> VenueSnapshot:
        place = self._ours(told)
        if place is None:
            return told
        turned = msgspec.structs.replace(told.fills[place], side=Side(-told.fills[place].side))
        fills = (*told.fills[:place], turned, *told.fills[place + 1 :])
        return msgspec.structs.replace(self._without(told, turned.client_order_id), fills=fills)

    def _ours(self, told: VenueSnapshot) -> int | None:
        """Place of one of the last trades, if it is one that can be lied about.

        Of an order of ours; or of one that was there when the account was first asked for: of what somebody else does while a gateway
        watches nobody but the venue knows better.
        """
        place = self._recent(len(told.fills)) if told.fills else -1
        return place if place >= 0 and told.fills[place].client_order_id.startswith(("gh", TRADED_BEFORE)) else None

    def _call(self, told: VenueSnapshot, state: OrderState) -> VenueSnapshot:
        """Say a vaguer state of an order: one that works (sent), or any of the last ones (unknown)."""
        vague = state is OrderState.UNKNOWN
        places = [
            place
            for place, order in enumerate(told.orders)
            if order.state is OrderState.WORKING or (vague and place >= len(told.orders) - 6)
        ]
        if not places:
            return told
        place = self._world.chance.choice(places)
        orders: list[BrokerOrder] = list(told.orders)
        orders[place] = msgspec.structs.replace(orders[place], state=state)
        return msgspec.structs.replace(told, orders=tuple(orders))

    def _mix_days(self, told: VenueSnapshot) -> VenueSnapshot:
        swapped = tuple(
            msgspec.structs.replace(
                held,
                long_today=held.long_history,
                long_history=held.long_today,
                short_today=held.short_history,
                short_history=held.short_today,
            )
            for held in told.positions
        )
        return msgspec.structs.replace(told, positions=swapped)

    def _no_balance(self, told: VenueSnapshot) -> VenueSnapshot:
        funds = msgspec.structs.replace(told.funds, balance=float("nan"))
        return msgspec.structs.replace(told, funds=funds)
