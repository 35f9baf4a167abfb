"""The instrument service's queries, answered without a GraphQL engine: the arguments say all that clients ever ask."""

from __future__ import annotations

import re
from typing import Any

from ghtrader.exchange.market import ServedMarket
from ghtrader.exchange.nodes import known_symbols, select

__all__ = ["answer_query"]

_LIST = re.compile(r"(\w+)\s*:\s*\[([^\]]*)\]")
_PLAIN = re.compile(r"(\w+)\s*:\s*(true|false|\"[^\"]*\")")
_FIELDS = {"class": "class", "class_": "class", "exchange_id": "exchange_id", "product_id": "product_id"}


def _arguments(query: str, variables: dict[str, Any]) -> dict[str, Any]:
    """Arguments of ``multi_symbol_info(...)``: those in the text, those given as variables."""
    head = query.split("{", 2)[1] if query.count("{") >= 2 else query
    found: dict[str, Any] = {
        name: re.findall(r'"([^"]*)"', items) or re.findall(r"\w+", items) for name, items in _LIST.findall(head)
    }
    found |= {name: value.strip('"') if value.startswith('"') else value == "true" for name, value in _PLAIN.findall(head)}
    return found | {name: value for name, value in variables.items() if value is not None}


def answer_query(market: ServedMarket, query: str, variables: dict[str, Any] | None) -> dict[str, Any]:
    """The ``result`` of a query: nodes of the symbols that it names, or that its conditions fit."""
    asked = _arguments(query, variables or {})
    wanted = asked.get("instrument_id")
    if wanted is not None:
        return {"multi_symbol_info": known_symbols(market, wanted if isinstance(wanted, list) else [wanted])}

    def keep(node: dict[str, Any]) -> bool:
        for name, field in _FIELDS.items():
            values = asked.get(name)
            if values and node.get(field) not in (values if isinstance(values, list) else [values]):
                return False
        if "expired" in asked and node.get("expired") != asked["expired"]:
            return False
        night = bool(node.get("trading_time", {}).get("night"))
        return not ("has_night" in asked and night != asked["has_night"])

    return {"multi_symbol_info": select(market, keep)}
