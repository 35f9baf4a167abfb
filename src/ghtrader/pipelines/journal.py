"""Looking into journals: the last records, one record, orders, the chain behind an order, whether all of it is whole."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from ghtrader.core.clock import Deadline
from ghtrader.core.errors import DataError, UsageError
from ghtrader.pipelines.services import Services
from ghtrader.ports.journal import JournalStore
from ghtrader.trading.journal.days import before_last_day, records_since_day
from ghtrader.trading.journal.orders import JournalOrder, OrderTale
from ghtrader.trading.journal.reading import JournalFollower, JournalRecords, check_segments, first_seq_of, read_last
from ghtrader.trading.journal.records import Record, RecordKind, order_id_of, readable
from ghtrader.trading.journal.why import Chain, explain
from ghtrader.trading.orders.ids import day_of_order, is_order_of

__all__ = [
    "JournalCheck",
    "ShownRecord",
    "account_journal",
    "check_journal",
    "follow_journal",
    "journal_accounts",
    "kinds_named",
    "list_orders",
    "show_record",
    "tail_journal",
    "why_order",
]

POLL_S = 0.2


class ShownRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A record as people may see it. order_id: empty when it is about none."""

    account: str
    seq: int
    cause: int
    ts_ns: int
    kind: str
    order_id: str
    body: dict[str, Any]


class AccountOrder(msgspec.Struct, frozen=True, kw_only=True):
    """An order with its account."""

    account: str
    is_open: bool
    order: JournalOrder


class AccountChain(msgspec.Struct, frozen=True, kw_only=True):
    """The chain behind an order, and the account whose journal has it."""

    account: str
    chain: Chain


class JournalCheck(msgspec.Struct, frozen=True, kw_only=True):
    """A journal that is whole. tail: how it ends; ``sealed``: closed in order, ``torn``: a crash left ``lost_bytes`` that do not count."""

    account: str
    segments: int
    records: int
    bytes: int
    tail: str
    lost_bytes: int


def _shown(account: str, record: Record) -> ShownRecord:
    return ShownRecord(
        account=account,
        seq=record.seq,
        cause=record.cause,
        ts_ns=record.ts_ns,
        kind=record.kind.value,
        order_id=order_id_of(record),
        body=readable(record),
    )


def journal_accounts(services: Services) -> list[str]:
    """Accounts with a journal."""
    media = services.trading()
    return [account for account in media.accounts() if media.journal(account).segments()]


def account_journal(services: Services, account: str) -> tuple[str, JournalStore]:
    """The account that was asked for (empty: the only one with a journal) and its journal. Raises UsageError or DataError without one."""
    known = journal_accounts(services)
    if not account and len(known) == 1:
        account = known[0]
    if not account:
        hint = f"--account {known[0]}, one of {', '.join(known)}" if known else "ghtrader paper --replay samples"
        raise UsageError("there is more than one journal: say which" if known else "there is no journal yet", hint=hint)
    if account not in known:
        hint = f"there are journals of {', '.join(known)}" if known else "no account has one yet"
        raise DataError(f"account {account} has no journal", hint=hint, account=account)
    return account, services.trading().journal(account)


def tail_journal(services: Services, account: str, count: int, kinds: Sequence[RecordKind] = ()) -> list[ShownRecord]:
    """The last ``count`` records of these kinds (none given: any), oldest first."""
    name, store = account_journal(services, account)
    return [_shown(name, record) for record in read_last(store, count, frozenset(kinds))]


def follow_journal(
    services: Services, account: str, kinds: Sequence[RecordKind] = (), *, after: int | None = None, idle_s: float | None = None
) -> Iterator[ShownRecord]:
    """Records as they are written, behind record ``after`` (None: from now on); ends after ``idle_s`` seconds without one, or never."""
    name, store = account_journal(services, account)
    if after is None:
        last = read_last(store, 1)
        after = last[-1].seq if last else 0
    passed = [segment for segment in store.segments() if first_seq_of(segment) <= after + 1]
    follower = JournalFollower(store, after + 1, after=passed[-2] if len(passed) > 1 else "")
    quiet = Deadline(math.inf if idle_s is None else idle_s)
    while not quiet.passed:
        found = [record for record in follower.poll() if not kinds or record.kind in kinds]
        yield from (_shown(name, record) for record in found)
        if not found:
            quiet.pause(POLL_S)
        elif idle_s is not None:
            quiet = Deadline(idle_s)


def kinds_named(names: Sequence[str]) -> list[RecordKind]:
    """Kinds of records by name. Raises UsageError naming the nearest for one that there is not."""
    found = []
    for name in names:
        if name not in set(RecordKind):
            near = difflib.get_close_matches(name, list(RecordKind), n=1)
            raise UsageError(f"no record is of kind {name!r}", hint=f"did you mean {near[0]}?" if near else ", ".join(RecordKind))
        found.append(RecordKind(name))
    return found


def show_record(services: Services, account: str, seq: int) -> ShownRecord:
    """One record by its number. Raises DataError for one that is not there."""
    name, store = account_journal(services, account)
    record = next(iter(JournalRecords(store, seq)), None)
    if record is None or seq < 1:
        raise DataError(
            f"the journal of {name} has no record {seq}", hint=f"ghtrader journal tail --account {name}", account=name
        )
    return _shown(name, record)


def list_orders(services: Services, account: str = "", *, only_open: bool = False) -> list[AccountOrder]:
    """Orders of an account, or of all, by first mention."""
    names = [account_journal(services, account)[0]] if account else journal_accounts(services)
    found: list[AccountOrder] = []
    for name in names:
        store = services.trading().journal(name)
        begin = before_last_day(store) if only_open else ""  # orders die with their trading day
        orders = OrderTale().read_all(JournalFollower(store, after=begin).poll() if begin else JournalRecords(store)).orders()
        found += [
            AccountOrder(account=name, is_open=order.is_open, order=order) for order in orders if order.is_open or not only_open
        ]
    return found


def why_order(services: Services, order_id: str, account: str = "") -> AccountChain:
    """The chain behind an order, in the account's journal or whichever has it. Raises DataError for an order that none knows."""
    if account:
        name, store = account_journal(services, account)
        return AccountChain(account=name, chain=_explain(store, order_id))
    names = journal_accounts(services)
    if len(names) < 2:
        return why_order(services, order_id, account_journal(services, "")[0])
    having = [name for name in names if is_order_of(order_id, name)]
    if len(having) != 1:
        having = [name for name in names if _knows(services.trading().journal(name), order_id)]
    if len(having) != 1:
        what = f"the journals of {', '.join(having)} know" if having else "no journal knows"
        hint = f"--account {having[0]}" if having else "ghtrader journal list"
        raise DataError(f"{what} an order {order_id!r}", hint=hint, order=order_id)
    return why_order(services, order_id, having[0])


def _explain(store: JournalStore, order_id: str) -> Chain:
    """The chain of an order, read from its own trading day on; from the beginning where that day does not have all that led to it."""
    day = day_of_order(order_id)
    if day:
        try:
            chain = explain(records_since_day(store, day), order_id)
        except DataError:
            return explain(JournalRecords(store), order_id)
        known = {link.seq for link in chain.links}
        if all(link.cause in known for link in chain.links if link.cause):
            return chain
    return explain(JournalRecords(store), order_id)


def _knows(store: JournalStore, order_id: str) -> bool:
    return any(order_id_of(record) == order_id for record in JournalRecords(store))


def check_journal(services: Services, account: str = "") -> list[JournalCheck]:
    """Read everything. Raises DataError naming file and offset of the first damage."""
    names = [account_journal(services, account)[0]] if account else journal_accounts(services)
    found = []
    for name in names:
        store = services.trading().journal(name)
        segments = check_segments(store)
        found.append(
            JournalCheck(
                account=name,
                segments=len(segments),
                records=sum(segment.records for segment in segments),
                bytes=sum(segment.bytes for segment in segments),
                tail=segments[-1].tail.value,
                lost_bytes=segments[-1].lost_bytes,
            )
        )
    return found
