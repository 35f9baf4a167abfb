"""Why an order came to be: the chain from tick to fills, by the causes in the journal."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from ghtrader.core.errors import DataError
from ghtrader.core.messages import Target
from ghtrader.trading.journal.orders import JournalOrder, OrderTale
from ghtrader.trading.journal.records import Record, RecordKind, order_id_of, plain, readable

__all__ = ["Chain", "Link", "TargetCause", "TickCause", "TickQuote", "VerdictCause", "explain"]


class TickQuote(msgspec.Struct, frozen=True, kw_only=True):
    """What the tick showed: prices in price ticks, None where absent; lots at the touch."""

    trading_day: str
    bid: int | None
    bid_lots: int
    ask: int | None
    ask_lots: int
    last: int | None


class TickCause(msgspec.Struct, frozen=True, kw_only=True):
    """The tick a target was decided on: its exchange time (ns UTC), what it showed, and the number of its message in the gateway's stream.

    quote: None where the gateway had a later tick already when the target came.
    """

    seq: int
    ts_ns: int
    symbol: str
    quote: TickQuote | None = None


class TargetCause(msgspec.Struct, frozen=True, kw_only=True):
    """The position that the strategy wanted: signed lots, how, and the message that said so (run of the strategy, number in it)."""

    symbol: str
    lots: int
    style: str
    session: str
    seq: int
    sent_ns: int
    note: str


class VerdictCause(msgspec.Struct, frozen=True, kw_only=True):
    """What the risk gate said, with the rules that were nearly broken."""

    approved: bool
    reason: str
    message: str
    near: list[Any] = []


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """One record of the chain."""

    seq: int
    cause: int
    ts_ns: int
    kind: str
    body: dict[str, Any]


class Chain(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that led to an order and everything that became of it.

    root: kind of the first cause (``target``, ``command``, ``kill``, ``roll``). tick, factors, score, target: absent where none led to it.
    missing: steps that the journal does not have. links: the records, by seq.
    """

    order: JournalOrder
    root: str
    tick: TickCause | None
    factors: dict[str, float]
    score: float | None
    model_hash: str
    factor_set_hash: str
    target: TargetCause | None
    verdict: VerdictCause | None
    missing: list[str]
    links: list[Link]


def _mentions(record: Record, order_id: str) -> bool:
    """Whether a record is about the order: by its id, or, for what reconciliation did, anywhere in its body."""
    if order_id_of(record) == order_id:
        return True
    if record.kind not in {RecordKind.RECONCILE, RecordKind.DIFFERENCE}:
        return False
    return _contains(plain(record.body), order_id)


def _contains(value: Any, text: str) -> bool:
    if isinstance(value, Mapping):
        return any(_contains(item, text) for item in (*value.keys(), *value.values()))
    if isinstance(value, list | tuple):
        return any(_contains(item, text) for item in value)
    return bool(value == text)


def _ancestors(begin: Iterable[Record], causes: Mapping[int, int]) -> set[int]:
    found: set[int] = set()
    for record in begin:
        seq = record.cause
        while seq in causes and seq not in found:
            found.add(seq)
            seq = causes[seq]
    return found


def explain(records: Iterable[Record], order_id: str) -> Chain:
    """The chain of an order.

    records: the journal; gone through twice, so it must begin anew with every ``iter`` (a list, `reading.JournalRecords`). Raises DataError
    for an order that the journal does not know, naming the nearest.
    """
    causes: dict[int, int] = {}
    mine: list[Record] = []
    known: set[str] = set()
    near_misses: dict[int, list[Record]] = {}
    tale = OrderTale()
    for record in records:
        if record.kind == RecordKind.NEAR_MISS:
            near_misses.setdefault(record.cause, []).append(record)
        causes[record.seq] = record.cause
        known.add(order_id_of(record))
        if _mentions(record, order_id):
            mine.append(record)
            tale.read(record)
        elif record.kind == RecordKind.DAY:
            tale.read(record)
    if not mine:
        near = difflib.get_close_matches(order_id, sorted(known), n=1)
        hint = f"did you mean {near[0]}?" if near else "ghtrader journal list"
        raise DataError(f"the journal knows no order {order_id!r}", hint=hint, order=order_id)
    wanted = _ancestors(mine, causes) - {record.seq for record in mine}
    chain = [*(record for record in records if record.seq in wanted), *mine]
    chain += [miss for record in chain for miss in near_misses.get(record.seq, ()) if record.kind == RecordKind.VERDICT]
    links = sorted(chain, key=lambda record: record.seq)
    told = next((order for order in tale.orders() if order.order_id == order_id), None)
    return _chain({record.seq: record for record in links}, mine[0], told or _venue_only(mine[0], order_id))


def _chain(links: Mapping[int, Record], first: Record, order: JournalOrder) -> Chain:
    begin = _first(links.values(), RecordKind.ORDER_INTENT, order.order_id) or first
    line = [begin]
    while line[-1].cause in links:
        line.append(links[line[-1].cause])
    target = next((record for record in line if record.kind == RecordKind.TARGET and "target" in record.body), None)
    verdict = next((record for record in line if record.kind == RecordKind.VERDICT), None)
    verdict = verdict or _first(links.values(), RecordKind.VERDICT, order.order_id)
    said = msgspec.convert(plain(target.body["target"]), Target) if target else None
    kinds = {record.kind for record in links.values()}
    return Chain(
        order=order,
        root=next((record for record in line if record.kind == RecordKind.KILL), line[-1]).kind.value,
        tick=_tick(said, target.body.get("market")) if said and target else None,
        factors=said.factors if said else {},
        score=said.score if said else None,
        model_hash=said.model_hash if said else "",
        factor_set_hash=said.factor_set_hash if said else "",
        target=_target(said) if said else None,
        verdict=_verdict(verdict, [record for record in links.values() if record.kind == RecordKind.NEAR_MISS])
        if verdict
        else None,
        missing=[kind.value for kind in _STEPS if kind not in kinds],
        links=[Link(seq=r.seq, cause=r.cause, ts_ns=r.ts_ns, kind=r.kind.value, body=readable(r)) for r in links.values()],
    )


#: Steps that every order of ours has.
_STEPS = (RecordKind.VERDICT, RecordKind.ORDER_INTENT, RecordKind.ORDER_SENT)


def _first(records: Iterable[Record], kind: RecordKind, order_id: str) -> Record | None:
    return next((record for record in records if record.kind == kind and order_id_of(record) == order_id), None)


def _tick(said: Target, market: Any) -> TickCause:
    shown = plain(market) or {}
    quote = msgspec.convert(shown, TickQuote) if shown.get("ts_ns") == said.tick_ns else None
    return TickCause(seq=said.tick_seq, ts_ns=said.tick_ns, symbol=said.symbol, quote=quote)


def _target(said: Target) -> TargetCause:
    return TargetCause(
        symbol=said.symbol,
        lots=said.lots,
        style=said.execution.style.value,
        session=said.session,
        seq=said.seq,
        sent_ns=said.sent_ns,
        note=said.note,
    )


def _verdict(record: Record, near: Iterable[Record]) -> VerdictCause:
    body = plain(record.body)
    return VerdictCause(
        approved=bool(body.get("approved", False)),
        reason=str(body.get("reason", "")),
        message=str(body.get("message", "")),
        near=[plain(miss.body) for miss in near if miss.cause == record.seq],
    )


def _venue_only(record: Record, order_id: str) -> JournalOrder:
    """An order that the journal names without saying what became of it."""
    return JournalOrder(
        order_id=order_id,
        symbol=str(record.body.get("symbol", "")),
        side=0,
        offset="",
        lots=0,
        price_ticks=None,
        origin="",
        state="unknown",
        first_seq=record.seq,
        intended_ns=0,
        sent_ns=0,
        last_ns=record.ts_ns,
    )
