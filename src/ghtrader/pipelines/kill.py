"""``ghtrader kill``: latch the kill file first, whether or not a gateway lives; then see what becomes of the orders.

A living gateway watches the file: it cancels and closes, and journals the kill, which is how this command knows. A dead one leaves its
orders at the venue, and the journal says which.
"""

from __future__ import annotations

import msgspec

from ghtrader.core.clock import Deadline
from ghtrader.core.errors import GhtraderError, StoreError, UsageError
from ghtrader.pipelines.services import AccountMedia, Services
from ghtrader.ports.journal import JournalStore
from ghtrader.ports.kill_store import KillStore
from ghtrader.ports.lock import Holder, gateway_key
from ghtrader.trading.journal.days import before_last_day
from ghtrader.trading.journal.orders import JournalOrder, OrderTale
from ghtrader.trading.journal.reading import JournalFollower
from ghtrader.trading.journal.records import Record, RecordKind
from ghtrader.trading.kill.events import Rehydrated, Trigger, WriteKill
from ghtrader.trading.kill.machine import initial_kill, step_kill
from ghtrader.trading.kill.record import KillPolicy, KillRecord, decode_kill

__all__ = ["KillReport", "kill_account"]

POLL_S = 0.1
BUILT_IN = "demo"


class KillReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a kill came to.

    record: what stands in the kill file now; written: by this command (False: the account was killed already). gateway: the process that
    trades the account, None when none does; obeyed: it has journaled this kill. open_orders: orders that, as far as the journal knows, may
    still work at the venue. journal_error: why the journal could not say.
    """

    account: str
    record: KillRecord
    written: bool
    gateway: Holder | None
    obeyed: bool
    open_orders: list[JournalOrder]
    journal_error: str = ""

    @property
    def is_done(self) -> bool:
        """Nothing is left to do by hand."""
        return not self.open_orders and not self.journal_error and (self.gateway is None or self.obeyed)


def kill_account(
    services: Services, account: str, *, reason: str, actor: str, flatten: bool = True, wait_s: float = 5.0
) -> KillReport:
    """Kill an account. Raises UsageError for an account that nobody knows, StoreError when the file cannot be written (then: not killed).

    flatten: close positions too. wait_s: how long to wait for a living gateway to take the kill up and its orders to end.
    """
    if not reason.strip():
        raise UsageError("a kill needs a reason", hint="--reason TEXT")
    media = services.trading()
    folder = media.folder(account)
    if account not in {BUILT_IN, *media.accounts()} and account not in services.accounts():
        known = ", ".join(sorted({BUILT_IN, *media.accounts(), *services.accounts()}))
        raise UsageError(f"nobody knows an account {account!r} (no {folder})", hint=f"accounts: {known}")
    policy = KillPolicy.FLATTEN if flatten else KillPolicy.CANCEL
    trigger = Trigger(actor=actor, reason=reason, ts_ns=services.clock.now_ns(), trading_day="", policy=policy)
    record, written = _latch(media.kill(account), _has_journal(media, account), account, trigger)
    gateway = _gateway(media, account)
    aftermath, deadline = _Aftermath(media.journal(account), record), Deadline(wait_s if gateway else 0.0)
    while True:
        aftermath.look()
        if deadline.passed or aftermath.error or (aftermath.obeyed and not aftermath.open_orders()):
            break
        deadline.pause(POLL_S)
    return KillReport(
        account=account,
        record=record,
        written=written,
        gateway=gateway,
        obeyed=aftermath.obeyed,
        open_orders=aftermath.open_orders(),
        journal_error=aftermath.error,
    )


def _has_journal(media: AccountMedia, account: str) -> bool:
    try:
        return bool(media.journal(account).segments())
    except StoreError:
        return True


def _gateway(media: AccountMedia, account: str) -> Holder | None:
    """Who trades the account; a folder of locks that cannot be read names nobody."""
    try:
        return media.locks().holder(gateway_key(account))
    except StoreError:
        return None


def _latch(store: KillStore, had_journal: bool, account: str, trigger: Trigger) -> tuple[KillRecord, bool]:
    """Write the kill; what stands there afterwards, and whether it was written now."""
    try:
        content = store.read()
    except StoreError:
        content = b""
    state, _ = step_kill(initial_kill(account), Rehydrated(content=content, had_journal=had_journal))
    state, effects = step_kill(state, trigger)
    for effect in effects:
        if isinstance(effect, WriteKill):
            store.write(effect.content)
            return effect.record, True
    return decode_kill(content, had_journal, account), False


class _Aftermath:
    """What the journal says of the orders, and whether it has the kill; it may grow while we look. error: why it could not be read.

    Only the newest trading day is read: orders die with theirs, and a day begins with the kill that stands.
    """

    def __init__(self, journal: JournalStore, kill: KillRecord) -> None:
        self._journal, self._kill, self._tale = journal, kill, OrderTale()
        self._follower: JournalFollower | None = None
        self.obeyed, self.error = False, ""

    def look(self) -> None:
        """Take in what is new."""
        try:
            if self._follower is None:
                self._follower = JournalFollower(self._journal, after=before_last_day(self._journal))
            for record in self._follower.poll():
                self._tale.read(record)
                self.obeyed = self.obeyed or _is_kill(record, self._kill)
        except GhtraderError as error:
            self.error = error.message

    def open_orders(self) -> list[JournalOrder]:
        """Orders that may still work."""
        return [order for order in self._tale.orders() if order.is_open]


def _is_kill(record: Record, kill: KillRecord) -> bool:
    found = record.body.get({RecordKind.KILL: "record", RecordKind.STATE: "kill_journaled"}.get(record.kind, ""))
    return found is not None and msgspec.convert(msgspec.to_builtins(found), KillRecord) == kill
