"""What the journal records: `Record`, and what the body of each kind holds.

Bodies are plain mappings of what MessagePack knows; a `msgspec.Struct` put into one comes back as what `msgspec.to_builtins` makes of it
(a mapping, or a list where the struct is ``array_like``: read it with `msgspec.convert`).

| kind | body |
|---|---|
| start | mode, pid, version, config_hash, recovered |
| command, answer | command; answer |
| target | target (`core.messages.Target`, with tick, factors and score) |
| verdict | approved, reason, message, client_order_id; near misses are records of their own whose cause it is |
| order_intent | client_order_id, intent |
| order_sent, cancel_sent | client_order_id, and why |
| order_update | order (`ports.broker.BrokerOrder`) |
| fill | fill (`ports.broker.BrokerFill`) |
| kill, kill_reset | record (`trading.kill.record.KillRecord`), late |
| mode, halt, strategy, equity, near_miss, note, roll, reconcile, difference | what happened, in plain fields |
| revision | revision |
| day | trading_day: the first record of a segment of its own |
| state | a snapshot of everything: replay starts at the newest one |
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec

from ghtrader.core.messages import Target

__all__ = ["Body", "Record", "RecordKind", "order_id_of", "plain", "readable"]

#: Fields of a record, by name; values are what MessagePack knows, or structs on the way in.
Body = dict[str, Any]


class RecordKind(StrEnum):
    """What a record is about."""

    START = "start"
    COMMAND = "command"
    ANSWER = "answer"
    TARGET = "target"
    VERDICT = "verdict"
    ORDER_INTENT = "order_intent"
    ORDER_SENT = "order_sent"
    ORDER_UPDATE = "order_update"
    FILL = "fill"
    CANCEL_SENT = "cancel_sent"
    KILL = "kill"
    KILL_RESET = "kill_reset"
    MODE = "mode"
    REVISION = "revision"
    RECONCILE = "reconcile"
    DIFFERENCE = "difference"
    DAY = "day"
    ROLL = "roll"
    STATE = "state"
    NOTE = "note"
    NEAR_MISS = "near_miss"
    EQUITY = "equity"
    HALT = "halt"
    STRATEGY = "strategy"


class Record(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One entry. seq: ascends by one from 1 over the journal; cause: seq of the record that led to it, 0: none; ts_ns: when (UTC)."""

    seq: int
    cause: int
    ts_ns: int
    kind: RecordKind
    body: Body


def order_id_of(record: Record) -> str:
    """The client order id that a record is about; empty when it is about none.

    >>> order_id_of(Record(1, 0, 0, RecordKind.ORDER_UPDATE, {"order": {"request": {"client_order_id": "a"}}}))
    'a'
    """
    body = record.body
    for holder in (body, body.get("fill"), body.get("order")):
        found = _field(holder, "client_order_id") or _field(_field(holder, "request"), "client_order_id")
        if isinstance(found, str):
            return found
    return ""


def _field(holder: Any, name: str) -> Any:
    """A field of a mapping or a struct; None where there is none."""
    return holder.get(name) if isinstance(holder, dict) else getattr(holder, name, None)


def plain(value: Any) -> Any:
    """A field of a body as `msgspec.convert` takes it, whether the record was read back or is new and holds structs."""
    return msgspec.to_builtins(value)


def readable(record: Record) -> dict[str, Any]:
    """The body for people and JSON: a target, which is positional on the wire, with the names of its fields.

    >>> from ghtrader.core.messages import ExecutionStyle
    >>> target = Target(1, "s", 1, "demo", "SHFE.rb2510", 2, ExecutionStyle(), 77, 0, 0, 0.25)
    >>> readable(Record(1, 0, 0, RecordKind.TARGET, {"target": target}))["target"]["execution"]["style"]
    'chase'
    """
    found: dict[str, Any] = plain(record.body)
    if record.kind == RecordKind.TARGET and isinstance(found.get("target"), list):
        target = msgspec.convert(found["target"], Target)
        found["target"] = {**_named(target), "execution": _named(target.execution)}
    return found


def _named(struct: msgspec.Struct) -> dict[str, Any]:
    values: dict[str, Any] = plain({name: getattr(struct, name) for name in struct.__struct_fields__})
    return values
