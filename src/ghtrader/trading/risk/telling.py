"""How an observation speaks: near-misses and soft breaches once until they are over, hard breaches every time."""

from __future__ import annotations

from msgspec.structs import replace

from ghtrader.trading.risk.memory import RiskState
from ghtrader.trading.risk.reasons import Breach, NearMiss, RiskReason

__all__ = ["METERS", "Observed", "forget", "judge", "tell"]

Observed = tuple[RiskState, tuple[Breach | NearMiss, ...]]

#: Meters of `ContractMeters` and `MeterLevels` by the reason that speaks of them.
METERS = {
    RiskReason.CANCELS: "cancels",
    RiskReason.LARGE_CANCELS: "large_cancels",
    RiskReason.SELF_TRADES: "self_trades",
    RiskReason.MESSAGES: "messages",
    RiskReason.OPEN_LIMIT: "opened_lots",
}


def tell(state: RiskState, events: list[Breach | NearMiss]) -> Observed:
    """Leave out what was told; hard breaches always pass."""
    if not events:
        return state, ()
    fresh: list[Breach | NearMiss] = []
    told = set(state.told)
    for event in events:
        key = _key(event)
        if key not in told or (isinstance(event, Breach) and event.hard):
            fresh.append(event)
            told.add(key)
    return (replace(state, told=frozenset(told)) if len(told) > len(state.told) else state), tuple(fresh)


def _key(event: Breach | NearMiss) -> str:
    return f"{'breach' if isinstance(event, Breach) else 'near'} {event.reason} {event.symbol}".strip()


def forget(state: RiskState, reason: RiskReason, symbol: str = "") -> RiskState:
    """It is over: the next time is told again."""
    keys = {f"{kind} {reason} {symbol}".strip() for kind in ("breach", "near")}
    return state if keys.isdisjoint(state.told) else replace(state, told=state.told - keys)


def judge(
    reason: RiskReason, used: float, limit: float, warn_from: float, *, hard: bool = False, words: str, symbol: str = ""
) -> list[Breach | NearMiss]:
    """A breach from the limit on, a near-miss from ``warn_from`` on."""
    if not (used >= limit or used >= warn_from):
        return []
    message = f"{symbol + ': ' if symbol else ''}{words} {used:.12g} of {limit:.12g}"
    if used >= limit:
        return [Breach(reason=reason, hard=hard, message=message, symbol=symbol)]
    return [NearMiss(reason=reason, used=used, limit=limit, message=message, symbol=symbol)]
