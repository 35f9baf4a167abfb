"""Every rule of the gate, in the order in which they are asked: the first that refuses names the reason."""

from __future__ import annotations

from ghtrader.trading.risk.case import Rule
from ghtrader.trading.risk.opening_rules import OPENING_RULES
from ghtrader.trading.risk.order_rules import ORDER_RULES
from ghtrader.trading.risk.reasons import Blocks

__all__ = ["CLOSING", "KILLS_OWN", "RULES"]

RULES: tuple[Rule, ...] = (*ORDER_RULES, *OPENING_RULES)
#: What a closing order must pass, and what the kill's own must.
CLOSING = tuple(rule for rule in RULES if rule.blocks != Blocks.OPENINGS)
KILLS_OWN = tuple(rule for rule in RULES if rule.blocks == Blocks.EVERY)
