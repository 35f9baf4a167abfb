"""The kill file's content: every damage means killed."""

from __future__ import annotations

import msgspec
import pytest

from ghtrader.core.errors import DataError
from ghtrader.trading.kill.record import MAX_TEXT, KillPhase, KillPolicy, KillRecord, clipped, decode_kill, encode_kill

KILLED = KillRecord(
    account="demo", phase=KillPhase.LATCHED, epoch=3, kill_id="kill-demo-3", actor="risk", reason="回撤 beyond the limit",
    ts_ns=1_749_042_000_500_000_000, trading_day="2025-06-05", policy=KillPolicy.FLATTEN,
)  # fmt: skip
CLEARED = msgspec.structs.replace(KILLED, phase=KillPhase.CLEAR, epoch=4, actor="ann", reason="checked")


def _decoded(content: bytes | None) -> KillRecord:
    return decode_kill(content, had_journal=True, account="demo")


@pytest.mark.parametrize("record", [KILLED, CLEARED], ids=["killed", "cleared"])
def test_what_was_written_is_read(record: KillRecord) -> None:
    assert _decoded(encode_kill(record)) == record
    assert decode_kill(encode_kill(record), had_journal=False) == record
    assert record.killed == (record is KILLED)


@pytest.mark.parametrize("record", [KILLED, CLEARED], ids=["killed", "cleared"])
def test_every_other_value_of_every_byte_means_killed(record: KillRecord) -> None:
    content = encode_kill(record)
    for position in range(len(content)):
        for value in range(256):
            damaged = bytearray(content)
            damaged[position] = value
            found = _decoded(bytes(damaged))
            assert (found == record) if bytes(damaged) == content else (found.phase == KillPhase.UNREADABLE and found.killed), (
                position
            )


@pytest.mark.parametrize("record", [KILLED, CLEARED], ids=["killed", "cleared"])
def test_every_torn_and_every_longer_file_means_killed(record: KillRecord) -> None:
    content = encode_kill(record)
    damaged = [content[:size] for size in range(len(content))]
    damaged += [content[:size] + bytes(len(content) - size) for size in range(len(content))]
    damaged += [content[size:] for size in range(1, len(content))]
    damaged += [content + b"\n", content + content, b"\n" + content, content.replace(b"\n", b"\r\n")]
    assert {_decoded(one).phase for one in damaged} == {KillPhase.UNREADABLE}


def test_a_missing_file_counts_as_killed_once_there_is_a_journal() -> None:
    assert decode_kill(None, had_journal=True, account="demo").phase == KillPhase.UNREADABLE
    new = decode_kill(None, had_journal=False, account="demo")
    assert (new.phase, new.epoch, new.account) == (KillPhase.CLEAR, 0, "demo")


def test_the_file_of_another_account_means_killed() -> None:
    found = decode_kill(encode_kill(CLEARED), had_journal=True, account="other")
    assert found.phase == KillPhase.UNREADABLE
    assert "demo" in found.reason


def test_a_field_nobody_knows_means_killed_even_with_a_digest_that_fits() -> None:
    import hashlib

    for body in (b'{"account":"demo","phase":"clear","more":1}', b'{"phase":"clear","account":"demo"}', b"[]", b"\xff"):
        content = f"ghtrader-kill 1 {hashlib.sha256(body).hexdigest()}\n".encode() + body + b"\n"
        assert _decoded(content).phase == KillPhase.UNREADABLE


def test_what_must_not_stand_in_a_file_is_refused() -> None:
    with pytest.raises(DataError, match="cannot be written"):
        encode_kill(msgspec.structs.replace(KILLED, phase=KillPhase.UNREADABLE))
    for name in ("actor", "reason"):
        encode_kill(msgspec.structs.replace(KILLED, **{name: "x" * MAX_TEXT}))
        with pytest.raises(DataError, match="at most 500"):
            encode_kill(msgspec.structs.replace(KILLED, **{name: "x" * (MAX_TEXT + 1)}))


def test_a_text_is_made_to_fit() -> None:
    assert clipped("x" * 600) == "x" * MAX_TEXT
    assert clipped("\udcff螺") == "?螺"
