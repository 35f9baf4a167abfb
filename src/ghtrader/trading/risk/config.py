"""Configuration keys of the risk limits; `RiskLimits.from_values` takes their values, and their defaults are its own."""

from __future__ import annotations

from ghtrader.core.config_keys import ConfigKey
from ghtrader.trading.risk.limits import SECOND_NS, RiskLimits

__all__ = ["KEYS"]

_OWN = RiskLimits()


def _lots(name: str, default: int, doc: str, least: int = 0, unit: str = "lots") -> ConfigKey:
    return ConfigKey(name=f"trading.risk.{name}", kind="int", default=default, minimum=least, unit=unit, doc=doc)


def _real(name: str, default: float, doc: str, unit: str = "CNY", most: float | None = None, least: float = 0.0) -> ConfigKey:
    return ConfigKey(name=f"trading.risk.{name}", kind="float", default=default, minimum=least, maximum=most, unit=unit, doc=doc)


KEYS = (
    _lots("max_position_lots", _OWN.max_position_lots, "Lots per contract and side, orders in flight included."),
    _lots("max_order_lots", _OWN.max_order_lots, "Lots of one opening order."),
    _lots("orders_per_s", _OWN.orders_per_s, "Orders within any second.", unit="1/s"),
    _lots("cancels_per_s", _OWN.cancels_per_s, "Cancels within any second, except while killed or flattening.", unit="1/s"),
    _real("max_notional_cny", _OWN.max_notional_cny, "Value of all that the account holds and opens."),
    _lots("price_band_ticks", _OWN.price_band_ticks, "How far from the touch an opening may be priced.", unit="ticks"),
    _real(
        "stale_feed_s", _OWN.stale_feed_ns / SECOND_NS, "Age of the newest tick from which on no order leaves.", "s", least=0.001
    ),
    _real("max_daily_loss_cny", _OWN.max_daily_loss_cny, "Loss of a trading day that kills.", least=0.01),
    _real("max_drawdown_cny", _OWN.max_drawdown_cny, "Distance below the highest equity that kills.", least=0.01),
    _real(
        "max_symbol_loss_cny", _OWN.max_symbol_loss_cny, "Loss of a contract in a trading day that ends its openings.", least=0.01
    ),
    _lots(
        "max_consecutive_losses", _OWN.max_consecutive_losses, "Round trips lost in a row that end openings.", 1, "round trips"
    ),
    _lots("bad_equity_readings", _OWN.bad_equity_readings, "Bad readings of the equity in one session that kill.", 1, "readings"),
    _lots("reject_streak", _OWN.reject_streak, "Orders refused in a row that end openings until one is accepted.", 1, "orders"),
    _real(
        "min_available_share",
        _OWN.min_available_share,
        "Share of the equity that stays available after an opening.",
        "share",
        1.0,
    ),
    _lots(
        "limit_proximity_ticks", _OWN.limit_proximity_ticks, "Openings keep this far from the day's price limits.", unit="ticks"
    ),
    _real("end_guard_s", _OWN.end_guard_ns / SECOND_NS, "No opening this close to the end of a session part.", "s"),
    ConfigKey(
        name="trading.risk.delivery_month_opening",
        kind="bool",
        default=_OWN.delivery_month_opening,
        doc="Whether contracts are opened in their delivery month.",
    ),
    _lots("max_cancels", _OWN.max_cancels, "Cancels per contract and day, below what the exchange's table says.", unit="cancels"),
    _lots(
        "max_messages",
        _OWN.max_messages,
        "Orders and cancels per contract and day, below what the exchange's table says.",
        unit="messages",
    ),
    _real("warn_share", _OWN.warn_share, "Share of a limit from which on a use is recorded as a near-miss.", "share", 1.0),
)
