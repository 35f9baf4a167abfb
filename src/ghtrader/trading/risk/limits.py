"""Limits of an account, its own choice. What the exchange counts stands in `meters`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Self

import msgspec

from ghtrader.core.config_keys import ConfigValue
from ghtrader.core.errors import ConfigError

__all__ = ["SECOND_NS", "RiskLimits"]

SECOND_NS = 1_000_000_000
#: Limits that are tighter the larger they are; of all others the smaller is.
LARGER_IS_TIGHTER = frozenset({"min_available_share", "limit_proximity_ticks", "end_guard_ns"})


class RiskLimits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Limits of one account; the defaults suit a small one. An order at a limit passes, beyond it is refused; a loss at a limit breaches.

    Lots: max_position_lots per contract and side, in flight included; max_order_lots of one opening. Rates per sliding second.
    max_notional_cny: of all that is held or opening. price_band_ticks: an opening's distance from the touch, on either side.
    stale_feed_ns: age of the newest tick by receive and by exchange time. Losses in CNY: of the trading day, below the highest
    equity (drawdown), of a contract in the trading day; max_consecutive_losses counts round trips of the trading day.
    bad_equity_readings: that many in one session kill. reject_streak: rejects in a row that halt openings. min_available_share:
    of equity, free after the order's margin. limit_proximity_ticks: openings keep this far from the day's price limits.
    end_guard_ns: no opening this close to the end of a session part. delivery_month_opening: open in the delivery month.
    max_cancels, max_messages: per contract and trading day, below whatever the exchange's table says. warn_share: from this
    share of a limit on a use is a near-miss. Raises ConfigError for values that make no sense.
    """

    max_position_lots: int = 10
    max_order_lots: int = 5
    orders_per_s: int = 4
    cancels_per_s: int = 4
    max_notional_cny: float = 2_000_000.0
    price_band_ticks: int = 20
    stale_feed_ns: int = 5 * SECOND_NS
    max_daily_loss_cny: float = 20_000.0
    max_drawdown_cny: float = 50_000.0
    max_symbol_loss_cny: float = 10_000.0
    max_consecutive_losses: int = 20
    bad_equity_readings: int = 5
    reject_streak: int = 5
    min_available_share: float = 0.2
    limit_proximity_ticks: int = 10
    end_guard_ns: int = 30 * SECOND_NS
    delivery_month_opening: bool = False
    max_cancels: int = 400
    max_messages: int = 3500
    warn_share: float = 0.8

    def __post_init__(self) -> None:
        positive = {"stale_feed_ns", "bad_equity_readings", "reject_streak", "max_consecutive_losses"}
        positive |= {"max_daily_loss_cny", "max_drawdown_cny", "max_symbol_loss_cny"}
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if math.isnan(value) or value < 0 or (value == 0 and name in positive):
                raise ConfigError(f"the risk limit {name} cannot be {value}", hint="ghtrader config list", key=name)
        for name in ("min_available_share", "warn_share"):
            if getattr(self, name) > 1:
                raise ConfigError(f"the risk limit {name} is a share: at most 1", hint="ghtrader config list", key=name)

    @classmethod
    def unbound(cls) -> Self:
        """Limits that bind nothing: what the screening backtester knows of risk. For replays only.

        >>> RiskLimits.unbound().max_order_lots
        1000000000
        """
        most, rate, cny = 10**9, 100, 1e15  # stamps within a second are kept, so that a rate has to be a small number
        return cls(
            max_position_lots=most, max_order_lots=most, orders_per_s=rate, cancels_per_s=rate, max_notional_cny=cny,
            price_band_ticks=most, stale_feed_ns=most * SECOND_NS, max_daily_loss_cny=cny, max_drawdown_cny=cny,
            max_symbol_loss_cny=cny, max_consecutive_losses=most, reject_streak=most, min_available_share=0.0,
            limit_proximity_ticks=0, end_guard_ns=0, delivery_month_opening=True, max_cancels=most, max_messages=most,
        )  # fmt: skip

    @classmethod
    def from_values(cls, values: dict[str, ConfigValue]) -> Self:
        """From the values of the keys ``trading.risk.*`` (seconds become ns); keys that are missing keep their default.

        >>> RiskLimits.from_values({"trading.risk.max_position_lots": 3, "trading.risk.stale_feed_s": 1.5}).stale_feed_ns
        1500000000
        """
        fields: dict[str, ConfigValue] = {}
        for key, value in values.items():
            if not key.startswith("trading.risk."):
                continue
            name = key.removeprefix("trading.risk.")
            field = _field_of(name)
            fields[field] = round(float(value) * SECOND_NS) if field != name else value  # type: ignore[arg-type]
        try:
            return msgspec.convert(fields, cls)
        except msgspec.ValidationError as error:
            raise ConfigError(f"risk limits: {error}", hint="ghtrader config list") from error

    def tightened(self, wanted: Mapping[str, float]) -> Self:
        """These limits with others where those are tighter; names as below ``trading.risk``. What is looser changes nothing.

        Raises ConfigError for names that there are not and values that make no sense.

        >>> RiskLimits().tightened({"max_position_lots": 2, "max_order_lots": 9}).max_position_lots
        2
        >>> RiskLimits().looser({"max_position_lots": 2, "max_order_lots": 9})
        ('max_order_lots',)
        """
        return msgspec.structs.replace(self, **{_field_of(name): value for name, value in self._tighter(wanted).items()})

    def looser(self, wanted: Mapping[str, float]) -> tuple[str, ...]:
        """Names of wanted limits that are looser than these, sorted. Raises as `tightened`."""
        return tuple(sorted(wanted.keys() - self._tighter(wanted).keys()))

    def _tighter(self, wanted: Mapping[str, float]) -> dict[str, float]:
        """Wanted limits that are at least as tight as these, in their fields' units."""
        asked = type(self).from_values({f"trading.risk.{name}": value for name, value in wanted.items()})
        found: dict[str, float] = {}
        for name in wanted:
            own, other = getattr(self, _field_of(name)), getattr(asked, _field_of(name))
            if (other >= own) if _field_of(name) in LARGER_IS_TIGHTER else (other <= own):
                found[name] = other
        return found


def _field_of(name: str) -> str:
    """The field that a key below ``trading.risk`` fills: seconds become ns.

    >>> _field_of("stale_feed_s"), _field_of("orders_per_s")
    ('stale_feed_ns', 'orders_per_s')
    """
    return name.removesuffix("_s") + "_ns" if name in {"stale_feed_s", "end_guard_s"} else name
