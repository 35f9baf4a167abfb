"""Positions long and short apart, each split into today and history, with frozen lots; PnL marked to settlement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ghtrader.core.errors import UsageError
from ghtrader.core.orders import Offset, Side
from ghtrader.sim.costs import SimCosts

__all__ = ["DayPnl", "PositionBook"]


@dataclass
class _Lots:
    """One direction: (lots, price in ticks) opened today and before; history is carried at the last settlement."""

    today: list[tuple[int, float]] = field(default_factory=list)
    history: list[tuple[int, float]] = field(default_factory=list)
    frozen_today: int = 0
    frozen_history: int = 0


@dataclass(frozen=True)
class DayPnl:
    """One trading day in CNY: realised by closing, holding marked to settlement, fees (positive), net."""

    realised_cny: float
    holding_cny: float
    fees_cny: float

    @property
    def net_cny(self) -> float:
        """Realised plus holding minus fees."""
        return self.realised_cny + self.holding_cny - self.fees_cny


class PositionBook:
    """Positions of one contract. Closing takes the oldest lots first; long and short never net."""

    def __init__(self, costs: SimCosts) -> None:
        self.costs = costs
        self._sides = {Side.BUY: _Lots(), Side.SELL: _Lots()}
        self._realised = self._fees = 0.0

    def lots(self, side: Side) -> tuple[int, int]:
        """(today, history) lots held on a side, frozen ones included."""
        held = self._sides[side]
        return sum(n for n, _ in held.today), sum(n for n, _ in held.history)

    def frozen(self, side: Side) -> tuple[int, int]:
        """(today, history) lots that working close orders reserved."""
        held = self._sides[side]
        return held.frozen_today, held.frozen_history

    @property
    def realised_cny(self) -> float:
        """Realised by closing since the last settlement."""
        return self._realised

    @property
    def fees_cny(self) -> float:
        """Fees since the last settlement."""
        return self._fees

    def cost_cny(self, side: Side) -> float:
        """Value of the lots held on a side at their prices: opening price today, last settlement for history."""
        held = self._sides[side]
        return sum(price * n for n, price in [*held.history, *held.today]) * self.costs.tick_value_cny

    def holding_cny(self, mark_ticks: float) -> float:
        """What the lots held have gained since they were opened or last settled, marked to a price in ticks."""
        lots = sum(int(side) * sum(self.lots(side)) for side in Side)
        cost = sum(int(side) * self.cost_cny(side) for side in Side)
        return lots * mark_ticks * self.costs.tick_value_cny - cost

    def restore(
        self,
        today: Mapping[Side, Sequence[tuple[int, float]]],
        history: Mapping[Side, Sequence[tuple[int, float]]],
        realised_cny: float,
        fees_cny: float,
    ) -> None:
        """Be what somebody else remembers: (lots, price in ticks) by side, the oldest first, and the money since settlement."""
        self._sides = {side: _Lots(list(today.get(side, ())), list(history.get(side, ()))) for side in Side}
        self._realised, self._fees = realised_cny, fees_cny

    def free(self, side: Side, offset: Offset) -> int:
        """Lots that a new close order of this instruction may still ask for."""
        today, history = self.lots(side)
        held = self._sides[side]
        return today - held.frozen_today if offset is Offset.CLOSE_TODAY else history - held.frozen_history

    def close_offset(self, side: Side, price_ticks: float) -> Offset:
        """The cheaper instruction among those with free lots; today first when they cost the same."""
        today, history = self.free(side, Offset.CLOSE_TODAY), self.free(side, Offset.CLOSE)
        if not today or not history:
            return Offset.CLOSE_TODAY if today else Offset.CLOSE
        fees = {offset: self.costs.fee_cny(offset, price_ticks, 1) for offset in (Offset.CLOSE_TODAY, Offset.CLOSE)}
        return min(fees, key=lambda offset: fees[offset])

    def freeze(self, side: Side, offset: Offset, lots: int) -> None:
        """Reserve lots for a working close order; raises UsageError when not so many are free."""
        if lots > self.free(side, offset):
            raise UsageError(f"{offset} of {lots} lots: {self.free(side, offset)} are free")
        held = self._sides[side]
        if offset is Offset.CLOSE_TODAY:
            held.frozen_today += lots
        else:
            held.frozen_history += lots

    def thaw(self, side: Side, offset: Offset, lots: int) -> None:
        """Give reserved lots back (a close order was cancelled)."""
        held = self._sides[side]
        if offset is Offset.CLOSE_TODAY:
            held.frozen_today -= lots
        else:
            held.frozen_history -= lots

    def fill_open(self, side: Side, price_ticks: float, lots: int) -> float:
        """An opening fill; returns its fee."""
        self._sides[side].today.append((lots, price_ticks))
        return self._charge(Offset.OPEN, price_ticks, lots)

    def fill_close(self, side: Side, offset: Offset, price_ticks: float, lots: int) -> float:
        """A closing fill of lots held on ``side`` (frozen before); returns its fee. Oldest lots go first."""
        held = self._sides[side]
        stack = held.today if offset is Offset.CLOSE_TODAY else held.history
        if lots > sum(n for n, _ in stack):
            raise UsageError(f"{offset} of {lots} lots: {sum(n for n, _ in stack)} are held")
        self.thaw(side, offset, lots)
        left = lots
        while left:
            count, price = stack[0]
            take = min(count, left)
            self._realised += int(side) * (price_ticks - price) * take * self.costs.tick_value_cny
            left -= take
            if take == count:
                stack.pop(0)
            else:
                stack[0] = (count - take, price)
        return self._charge(offset, price_ticks, lots)

    def _charge(self, offset: Offset, price_ticks: float, lots: int) -> float:
        fee = self.costs.fee_cny(offset, price_ticks, lots)
        self._fees += fee
        return fee

    def settle(self, settlement_ticks: float) -> DayPnl:
        """End of the trading day: mark to settlement; today's lots become history at the settlement price."""
        holding = 0.0
        for side, held in self._sides.items():
            open_lots = [*held.history, *held.today]
            holding += sum(int(side) * (settlement_ticks - price) * n for n, price in open_lots) * self.costs.tick_value_cny
            held.history = [(n, settlement_ticks) for n, _ in open_lots]
            held.today, held.frozen_today, held.frozen_history = [], 0, 0
        day = DayPnl(self._realised, holding, self._fees)
        self._realised = self._fees = 0.0
        return day
