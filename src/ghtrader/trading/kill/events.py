"""What happens to the kill switch, and what it wants done."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from ghtrader.trading.kill.record import KillPolicy, KillRecord

__all__ = [
    "Enforce",
    "JournalKill",
    "KillEffect",
    "KillEvent",
    "KillNotice",
    "PersistFailed",
    "Persisted",
    "Rehydrated",
    "Reset",
    "Retry",
    "Seen",
    "Told",
    "Trigger",
    "WriteKill",
]


class Rehydrated(msgspec.Struct, frozen=True, kw_only=True):
    """At the start: the kill file's bytes, whether there is a journal, and its last ``kill`` or ``kill_reset`` record (None: it has none).

    A file that is there and cannot be read is ``b""``.
    """

    content: bytes | None
    had_journal: bool
    journaled: KillRecord | None = None


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """While running: the kill file's bytes as they stand now; another process may have written. Unreadable: ``b""``."""

    content: bytes | None


class Trigger(msgspec.Struct, frozen=True, kw_only=True):
    """Kill: who, why, when (ns UTC), trading day (ISO, empty if unknown), and whether positions are closed too."""

    actor: str
    reason: str
    ts_ns: int
    trading_day: str
    policy: KillPolicy = KillPolicy.FLATTEN


class Persisted(msgspec.Struct, frozen=True, kw_only=True):
    """The `WriteKill` of this epoch is durable."""

    epoch: int


class PersistFailed(msgspec.Struct, frozen=True, kw_only=True):
    """The `WriteKill` of this epoch raised, or found other content than it expected; say `Seen` with that content first."""

    epoch: int
    message: str


class Retry(msgspec.Struct, frozen=True):
    """Time has passed: try a failed write again. Once a second is enough."""


class Reset(msgspec.Struct, frozen=True, kw_only=True):
    """Clear the kill: needs an actor, a reason and ``confirm`` = `machine.RESET_CONFIRMATION`."""

    actor: str
    reason: str
    confirm: str
    ts_ns: int
    trading_day: str


KillEvent = Rehydrated | Seen | Trigger | Persisted | PersistFailed | Retry | Reset


class WriteKill(msgspec.Struct, frozen=True, kw_only=True):
    """Write ``content`` before anything else is done, then say `Persisted` or `PersistFailed` with the record's epoch.

    guarded: with `KillStore.replace` and ``expected`` (False is a failure), else with `KillStore.write`.
    """

    record: KillRecord
    content: bytes
    guarded: bool
    expected: bytes | None


class JournalKill(msgspec.Struct, frozen=True, kw_only=True):
    """Journal the record: kind ``kill_reset`` if its phase is CLEAR, else ``kill``. late: found in the file, not written by us."""

    record: KillRecord
    late: bool


class Enforce(msgspec.Struct, frozen=True, kw_only=True):
    """Cancel every working order; with ``flatten`` close positions too. To be kept up while killed, until nothing is left."""

    kill_id: str
    reason: str
    flatten: bool


class KillNotice(StrEnum):
    """What the switch has to say."""

    LATCHED = "risk_kill_latched"
    REHYDRATED = "risk_kill_rehydrated"
    UNREADABLE = "risk_kill_unreadable"
    CLEARED = "risk_kill_reset"
    WRITE_FAILED = "risk_kill_write_failed"
    RESET_FAILED = "risk_kill_reset_failed"
    RESET_REFUSED = "risk_kill_reset_refused"


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """Something to say: a stable code and words for people."""

    code: KillNotice
    message: str


KillEffect = WriteKill | JournalKill | Enforce | Told
