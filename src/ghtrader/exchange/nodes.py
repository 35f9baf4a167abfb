"""Instrument nodes: what the instrument service says about contracts and continuous aliases of a served market."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from typing import Any

from ghtrader.core.clock import NS_PER_S, SHANGHAI
from ghtrader.core.errors import UnknownInstrumentError
from ghtrader.core.instruments import CONTINUOUS_PREFIX, parse_symbol
from ghtrader.core.trading_day import TradingDay
from ghtrader.exchange.market import ServedMarket
from ghtrader.exchange.series import TickSeries

__all__ = ["instrument", "known_symbols", "select", "trading_time"]


def instrument(market: ServedMarket, symbol: str) -> dict[str, Any] | None:
    """The instrument service's node of a contract or an alias; None for what is not served."""
    if symbol.startswith(CONTINUOUS_PREFIX):
        product = symbol.removeprefix(CONTINUOUS_PREFIX)
        if product not in market.mains:
            return None
        underlying = instrument(market, market.main_contract(product, market.today))
        node = {"underlying_multiple": 1, "node": underlying}
        facts = (
            {name: underlying[name] for name in ("price_tick", "price_decs", "trading_time", "product_id")} if underlying else {}
        )
        return {
            "instrument_id": symbol,
            "exchange_id": "KQ",
            "class": "CONT",
            "instrument_name": f"{product} main",
            "english_name": f"{product} main contract",
            "expired": False,
            **facts,
            "volume_multiple": underlying["volume_multiple"] if underlying else 1,
            "underlying": {"count": 1, "edges": [node]},
        }
    series = market.contracts.get(symbol)
    return None if series is None else _contract_node(market, symbol, series)


def _contract_node(market: ServedMarket, symbol: str, series: TickSeries) -> dict[str, Any]:
    day = next((item for item in reversed(series.days) if item <= market.today), series.days[0])
    spec, parsed = market.instruments.spec(symbol, day), parse_symbol(symbol)
    quote = market.quote(symbol)
    month = parsed.month
    year = 2000 + int(month[:2])
    expiry = dt.datetime(year, int(month[2:]), 15, 15, tzinfo=SHANGHAI)
    fee = spec.fee.open_cny + spec.fee.open_rate * float(quote["pre_settlement"]) * spec.multiplier
    decimals = f"{spec.price_tick:.10f}".rstrip("0").split(".")[1]
    return {
        "instrument_id": symbol,
        "exchange_id": parsed.exchange,
        "class": "FUTURE",
        "instrument_name": symbol,
        "english_name": symbol,
        "ins_id": symbol.split(".")[1],
        "price_tick": spec.price_tick,
        "price_decs": len(decimals),
        "volume_multiple": spec.multiplier,
        "quote_multiple": 1,
        "trading_day": day.compact,
        "trading_time": trading_time(market, symbol, day),
        "upper_limit": quote["upper_limit"],
        "lower_limit": quote["lower_limit"],
        "pre_close": quote["pre_close"],
        "pre_open_interest": quote["pre_open_interest"],
        "settlement_price": quote["pre_settlement"],
        "expired": False,
        "product_id": parsed.product.split(".")[1],
        "product_short_name": parsed.product.split(".")[1],
        "delivery_year": year,
        "delivery_month": int(month[2:]),
        "expire_datetime": int(expiry.timestamp()) * NS_PER_S,
        "max_limit_order_volume": spec.limits.max_limit_lots,
        "min_limit_order_volume": spec.limits.min_lots,
        "max_market_order_volume": spec.limits.max_market_lots,
        "min_market_order_volume": 0,
        "open_limit": 0,
        "position_limit": 0,
        "margin": spec.margin_rate * float(quote["pre_settlement"]) * spec.multiplier,
        "commission": fee,
        "mmsa": True,
        "categories": [],
    }


def trading_time(market: ServedMarket, symbol: str, day: TradingDay) -> dict[str, list[list[str]]]:
    """Hours as the instrument service writes them; ends after midnight go past 24."""
    found: dict[str, list[list[str]]] = {"day": [[*window[1:]] for window in market.instruments.day_hours(symbol, day).windows]}
    night = market.instruments.night_hours(symbol, day)
    found["night"] = [list(window) for window in night.windows] if night else []
    return {name: [[f"{edge}:00" for edge in window] for window in windows] for name, windows in found.items()}


def known_symbols(market: ServedMarket, wanted: Sequence[str]) -> list[dict[str, Any]]:
    """Nodes of those of the wanted symbols that are served."""
    found = []
    for symbol in wanted:
        try:
            node = instrument(market, symbol)
        except UnknownInstrumentError:
            node = None
        if node is not None:
            found.append(node)
    return found


def select(market: ServedMarket, keep: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]]:
    """Nodes of every symbol for which ``keep`` holds."""
    return [node for node in known_symbols(market, market.symbols) if keep(node)]
