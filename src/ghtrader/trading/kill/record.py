"""The kill file's content: encoded with a digest over every byte, decoded so that anything odd means killed.

The file is two lines of text: format, version and SHA-256 of the second line; the record as JSON with sorted keys. `decode_kill` accepts
exactly the bytes that `encode_kill` gives: a flipped bit, a torn, empty or longer file, another account's file, and a file that is
missing although the account has a journal are all UNREADABLE, which is killed.
"""

from __future__ import annotations

import hashlib
from enum import StrEnum

import msgspec

from ghtrader.core.errors import DataError
from ghtrader.core.ids import canonical_json

__all__ = ["MAX_TEXT", "KillPhase", "KillPolicy", "KillRecord", "clipped", "decode_kill", "encode_kill", "kill_id_of"]

FORMAT = "ghtrader-kill 1"
#: Longest actor and reason, in characters: the file stays within one block of the disk.
MAX_TEXT = 500


class KillPhase(StrEnum):
    """What the kill file says. Everything but CLEAR is killed."""

    CLEAR = "clear"
    LATCHED = "latched"
    UNREADABLE = "unreadable"


class KillPolicy(StrEnum):
    """What a kill does with what is there: cancel orders only, or also close positions."""

    CANCEL = "cancel"
    FLATTEN = "flatten"


class KillRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A kill, or its clearing. epoch ascends by one with every change of the file, 0: there was none yet.

    kill_id: that of the kill, kept by the record that clears it. actor, reason: who and why. ts_ns: when (ns UTC). trading_day: ISO, empty
    where the writer does not know it.
    """

    account: str
    phase: KillPhase
    epoch: int = 0
    kill_id: str = ""
    actor: str = ""
    reason: str = ""
    ts_ns: int = 0
    trading_day: str = ""
    policy: KillPolicy = KillPolicy.CANCEL

    @property
    def killed(self) -> bool:
        """Whether orders are forbidden."""
        return self.phase != KillPhase.CLEAR


def kill_id_of(account: str, epoch: int) -> str:
    """Name of the kill that an account's epoch began: the same after any restart.

    >>> kill_id_of("demo", 3)
    'kill-demo-3'
    """
    return f"kill-{account}-{epoch}"


def clipped(text: str) -> str:
    """A text as the file takes it: valid UTF-8 of at most `MAX_TEXT` characters. A kill never fails over its reason."""
    return text.encode("utf-8", "replace").decode()[:MAX_TEXT]


def encode_kill(record: KillRecord) -> bytes:
    """The file's content. Raises DataError for UNREADABLE, which is never written, and for texts over `MAX_TEXT` characters.

    >>> content = encode_kill(KillRecord(account="demo", phase=KillPhase.CLEAR))
    >>> content.split()[:2], decode_kill(content, had_journal=True, account="demo").phase
    ([b'ghtrader-kill', b'1'], <KillPhase.CLEAR: 'clear'>)
    """
    if record.phase == KillPhase.UNREADABLE:
        raise DataError("an unreadable kill record cannot be written", account=record.account)
    if max(len(record.actor), len(record.reason)) > MAX_TEXT:
        raise DataError(f"actor and reason of a kill have at most {MAX_TEXT} characters", account=record.account)
    body = canonical_json(record)
    return f"{FORMAT} {hashlib.sha256(body).hexdigest()}\n".encode() + body + b"\n"


def _unreadable(account: str, why: str) -> KillRecord:
    return KillRecord(account=account, phase=KillPhase.UNREADABLE, reason=why)


def decode_kill(content: bytes | None, had_journal: bool, account: str = "") -> KillRecord:
    """What the kill file says; never raises.

    content: the file's bytes, None when there is no file. had_journal: the account has traded before, so a file must be there.
    account: whose file it should be; empty: anybody's. Without file and journal the account is new: CLEAR, epoch 0.

    >>> decode_kill(None, had_journal=False).phase, decode_kill(None, had_journal=True).phase
    (<KillPhase.CLEAR: 'clear'>, <KillPhase.UNREADABLE: 'unreadable'>)
    """
    if content is None:
        if had_journal:
            return _unreadable(account, "the kill file is missing although there is a journal")
        return KillRecord(account=account, phase=KillPhase.CLEAR)
    try:
        record = msgspec.json.decode(content.split(b"\n")[1], type=KillRecord)
        same = encode_kill(record) == content
    except (IndexError, msgspec.MsgspecError, UnicodeDecodeError, DataError):
        same = False
    if not same:
        return _unreadable(account, "the kill file is torn or damaged")
    if account and record.account != account:
        return _unreadable(account, f"the kill file is that of account {record.account}")
    return record
