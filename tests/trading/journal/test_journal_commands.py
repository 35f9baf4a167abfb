"""`ghtrader journal` and `ghtrader kill` on files."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from tests.trading.journal.market_day import T0, Book, busy_book, one_order, order

from ghtrader.app.services import AppServices
from ghtrader.cli.main import run
from ghtrader.core.clock import Deadline
from ghtrader.core.errors import StoreError
from ghtrader.ports.broker import OrderState
from ghtrader.ports.lock import gateway_key, strategy_key
from ghtrader.trading.journal.journal import Journal
from ghtrader.trading.journal.records import Record, RecordKind
from ghtrader.trading.kill.record import KillPhase, KillPolicy, KillRecord, decode_kill, encode_kill

Call = Callable[..., Any]


def write_account(services: AppServices, account: str) -> Journal:
    """The busy book as an account's journal, left open."""
    journal = Journal(services.trading().journal(account), account)
    busy_book(lambda record: journal.append([record]))
    return journal


@pytest.fixture
def call(services: AppServices, capfd: pytest.CaptureFixture[str]) -> Call:
    """The command in this process: with ``--json`` its last line, else its text; the exit code is checked."""

    def run_it(*arguments: str, code: int = 0, lines: bool = False) -> Any:
        capfd.readouterr()
        assert run(services, list(arguments)) == code
        out, err = capfd.readouterr()
        if lines:
            return [json.loads(line) for line in out.splitlines()]
        return json.loads(out.splitlines()[-1]) if "--json" in arguments else out + err

    return run_it


@pytest.fixture
def demo(services: AppServices) -> None:
    write_account(services, "demo").close()


def folder(services: AppServices, account: str = "demo") -> Path:
    return services.paths.data / "trading" / account


# --- journal


def test_without_a_journal_there_is_nothing_to_see(call: Call) -> None:
    assert call("journal", "list", "--json") == {"orders": []}
    assert call("journal", "check", "--json") == {"journals": []}
    assert "there is no journal yet" in call("journal", "tail", code=2)
    assert "account demo has no journal" in call("journal", "tail", "--account", "demo", code=4)
    assert "no name of an account" in call("kill", "--account", "../x", "--reason", "x", code=2)


@pytest.mark.usefixtures("demo")
def test_the_last_records_as_table_and_json(call: Call) -> None:
    found = call("journal", "tail", "-n", "2", "--json")["records"]
    assert [(item["account"], item["seq"], item["cause"], item["kind"], item["order_id"]) for item in found] == [
        ("demo", 16, 1, "near_miss", ""), ("demo", 17, 0, "note", ""),
    ]  # fmt: skip
    assert (found[1]["ts_ns"], found[1]["body"]) == (T0 + 17_000_000, {"text": "the end"})
    kinds = call("journal", "tail", "--kind", "fill", "--kind", "day", "--json")["records"]
    assert [item["kind"] for item in kinds] == ["day", "fill", "fill", "fill"]
    shown = call("journal", "tail", "-n", "1")
    assert "the end" in shown
    assert "note" in shown
    assert "did you mean fill?" in call("journal", "tail", "--kind", "fil", code=2)
    assert call("journal", "tail", "-n", "0", "--json") == {"records": []}


@pytest.mark.usefixtures("demo")
def test_one_record_with_everything_in_it(call: Call) -> None:
    found = call("journal", "show", "3", "--json")
    assert (found["kind"], found["body"]["target"]["score"], found["body"]["target"]["factors"]) == (
        "target", 0.25, {"F1": 0.5, "F2": None},
    )  # fmt: skip
    assert '"score":0.25' in call("journal", "show", "3").replace("\n", "").replace(" ", "")
    assert "has no record 99" in call("journal", "show", "99", code=4)
    call("journal", "show", "0", code=2)


@pytest.mark.usefixtures("demo")
def test_orders_and_those_that_may_still_work(call: Call) -> None:
    found = call("journal", "list", "--json")["orders"]
    assert [(item["account"], item["order"]["order_id"], item["order"]["state"], item["is_open"]) for item in found] == [
        ("demo", "o1", "filled", False), ("demo", "o2", "intended", True), ("demo", "o3", "lost", False),
    ]  # fmt: skip
    still = call("journal", "list", "--open", "--account", "demo", "--json")["orders"]
    assert [item["order"]["order_id"] for item in still] == ["o2"]
    assert "o2" in call("journal", "list", "--open")


@pytest.mark.usefixtures("demo")
def test_why_an_order_came_to_be(call: Call) -> None:
    found = call("journal", "why", "o1", "--json")
    chain = found["chain"]
    assert (found["account"], chain["root"], chain["missing"]) == ("demo", "target", [])
    assert (chain["tick"]["seq"], chain["score"], chain["target"]["lots"], chain["verdict"]["approved"]) == (77, 0.25, 2, True)
    assert chain["factors"] == {"F1": 0.5, "F2": None}
    assert (chain["order"]["fills"], len(chain["links"])) == (2, 9)
    drawn = call("journal", "why", "o1")
    for word in ("no. 77", "max_order_lots", "F1 0.5", "0.25, model m1", "2 lots, chase", "approved", "2 trades, 2 lots"):
        assert word in drawn
    assert "missing" in call("journal", "why", "o2")
    assert "knows no order 'zz'" in call("journal", "why", "zz", code=4)


def test_with_several_accounts_the_order_finds_its_journal(services: AppServices, call: Call) -> None:
    write_account(services, "one").close()
    other = Journal(services.trading().journal("two"), "two")
    other.append([Record(1, 0, T0, RecordKind.CANCEL_SENT, {"client_order_id": "only"})])
    other.close()
    assert call("journal", "why", "only", "--json")["account"] == "two"
    assert call("journal", "why", "o1", "--json")["account"] == "one"
    assert "no journal knows an order 'zz'" in call("journal", "why", "zz", code=4)
    assert "say which" in call("journal", "tail", code=2)
    assert [item["account"] for item in call("journal", "check", "--json")["journals"]] == ["one", "two"]
    write_account(services, "three").close()
    assert "the journals of one, three know" in call("journal", "why", "o1", code=4)
    assert call("journal", "why", "o1", "--account", "three", "--json")["account"] == "three"


def two_days(services: AppServices) -> tuple[Journal, dict[str, str]]:
    """A working order each on two days, the second one's a kill's of the first; the first day's segment can be damaged beside it."""
    journal = Journal(services.trading().journal("demo"), "demo")
    book = Book(lambda record: journal.append([record]))
    names = {"old": "gh99e509_250605_1_1", "own": "gh99e509_250606_1_2", "kills": "gh99e509_250606_1_3"}
    book.put(RecordKind.DAY, trading_day="2025-06-05")
    one_order(book, names["old"])
    kill = KillRecord(account="demo", phase=KillPhase.LATCHED, reason="x", policy=KillPolicy.FLATTEN)
    root = book.put(RecordKind.KILL, record=kill)
    book.put(RecordKind.DAY, trading_day="2025-06-06")
    book.put(RecordKind.STATE, kill_journaled=kill)
    one_order(book, names["own"])
    one_order(book, names["kills"], root=root)
    journal.close()
    return journal, names


def test_why_reads_from_the_orders_own_day_on_and_further_back_where_that_led_to_it(services: AppServices, call: Call) -> None:
    _, names = two_days(services)
    own, kills = (call("journal", "why", names[name], "--json")["chain"] for name in ("own", "kills"))
    assert (own["root"], kills["root"]) == ("target", "kill")
    assert [link["kind"] for link in kills["links"]] == ["kill", "verdict", "order_intent", "order_sent"]
    first = next((folder(services) / "journal").glob("*-2025-06-05.journal"))
    first.write_bytes(first.read_bytes()[:-40])
    assert call("journal", "why", names["own"], "--json")["chain"] == own
    assert [item["order"]["order_id"] for item in call("journal", "list", "--open", "--json")["orders"]] == [
        names["own"], names["kills"],
    ]  # fmt: skip
    call("journal", "why", names["kills"], code=4)


def test_an_order_of_a_gateway_names_its_account(services: AppServices, call: Call) -> None:
    write_account(services, "other").close()
    _, names = two_days(services)
    found = call("journal", "why", names["own"], "--json")
    assert (found["account"], found["chain"]["order"]["order_id"]) == ("demo", names["own"])


def test_a_kill_looks_at_the_newest_day_only(services: AppServices, call: Call) -> None:
    _, names = two_days(services)
    first = next((folder(services) / "journal").glob("*-2025-06-05.journal"))
    first.write_bytes(b"rubbish")
    kill = KillRecord(account="demo", phase=KillPhase.LATCHED, reason="x", policy=KillPolicy.FLATTEN)
    services.trading().kill("demo").write(encode_kill(kill))
    report = call("kill", "--account", "demo", "--reason", "again", "--json", code=8)["report"]
    assert [item["order_id"] for item in report["open_orders"]] == [names["own"], names["kills"]]
    assert (report["written"], report["obeyed"], report["journal_error"]) == (False, True, "")


def test_following_gives_what_is_written_from_now_on(services: AppServices, call: Call) -> None:
    journal = write_account(services, "demo")
    begun = threading.Event()

    def write() -> None:
        begun.wait()
        for index in range(3):
            day = {"trading_day": "2025-06-06"} if index == 1 else {"text": str(index)}
            kind = RecordKind.DAY if index == 1 else RecordKind.NOTE
            journal.append([Record(journal.next_seq, 0, T0, kind, day)])

    real, thread = Deadline.pause, threading.Thread(target=write)

    def pause(deadline: Deadline, seconds: float) -> None:
        begun.set()
        real(deadline, seconds)

    thread.start()
    with mock.patch.object(Deadline, "pause", pause):
        found = call("journal", "tail", "--follow", "--idle", "1", "-n", "1", "--json", lines=True)
    thread.join()
    assert [item["seq"] for item in found] == [17, 18, 19, 20]
    assert call("journal", "tail", "--follow", "--idle", "0", "-n", "1").startswith("20  2025-06-05T")
    found = call("journal", "tail", "--follow", "--idle", "0", "-n", "0", "--kind", "day", "--json", lines=True)
    assert found == []
    journal.close()


@pytest.mark.usefixtures("demo")
def test_a_damaged_journal_is_named_with_file_and_byte(services: AppServices, call: Call) -> None:
    good = call("journal", "check", "--json")["journals"]
    assert [(item["account"], item["tail"], item["segments"], item["records"], item["lost_bytes"]) for item in good] == [
        ("demo", "sealed", 2, 17, 0)
    ]
    assert "sealed" in call("journal", "check", "--account", "demo")
    first, last = sorted((folder(services) / "journal").glob("*.journal"))
    with last.open("ab") as stream:
        stream.write(b"torn")
    torn = call("journal", "check", "--json")["journals"][0]
    assert (torn["tail"], torn["lost_bytes"], torn["records"]) == ("torn", 4, 17)
    content = bytearray(first.read_bytes())
    content[-1] ^= 1
    first.write_bytes(content)
    said = call("journal", "check", code=4)
    assert f"{first} is damaged at byte" in said
    assert call("journal", "tail", "-n", "1", "--json")["records"][0]["seq"] == 17


# --- kill


def record_of(services: AppServices, account: str = "demo") -> KillRecord:
    return decode_kill(services.trading().kill(account).read(), had_journal=True, account=account)


def test_a_kill_without_a_gateway_latches_and_names_the_orders_left(services: AppServices, call: Call) -> None:
    journal = write_account(services, "demo")
    journal.append([Record(18, 0, T0, RecordKind.ORDER_UPDATE, {"order": order("o9", OrderState.WORKING, number="X9")})])
    journal.close()
    found = call("kill", "--account", "demo", "--reason", "smoke", "--actor", "bob", "--json", code=8)
    report = found["report"]
    assert (found["done"], report["written"], report["gateway"], report["obeyed"]) == (False, True, None, False)
    assert [(item["order_id"], item["exchange_order_id"], item["state"]) for item in report["open_orders"]] == [
        ("o2", "", "intended"), ("o9", "X9", "working"),
    ]  # fmt: skip
    stands = record_of(services)
    assert (stands.phase, stands.actor, stands.reason, stands.policy, stands.epoch) == (
        KillPhase.LATCHED, "bob", "smoke", KillPolicy.FLATTEN, 1,
    )  # fmt: skip
    assert report["record"]["kill_id"] == stands.kill_id == "kill-demo-1"
    said = call("kill", "--account", "demo", "--reason", "again", code=8)
    assert "before" in said
    assert "could not be cancelled" in said
    assert "X9" in said
    assert record_of(services) == stands, "a second kill changes nothing"


def test_a_kill_of_an_account_at_rest_leaves_nothing_to_do(services: AppServices, call: Call) -> None:
    found = call("kill", "--account", "demo", "--reason", "holiday", "--cancel-only", "--json")
    assert (found["done"], found["report"]["record"]["policy"]) == (True, "cancel")
    stronger = call("kill", "--account", "demo", "--reason", "all out", "--json")["report"]
    assert (stronger["written"], stronger["record"]["policy"], stronger["record"]["epoch"]) == (True, "flatten", 3)
    assert call("kill", "--account", "kq", "--reason", "x", "--json")["done"], "declared accounts can be killed before they trade"


@pytest.mark.parametrize(
    "content", [None, b"", b"rubbish", encode_kill(KillRecord(account="demo", phase=KillPhase.CLEAR, epoch=7))]
)
def test_a_kill_stands_whatever_the_file_held(services: AppServices, call: Call, content: bytes | None) -> None:
    write_account(services, "demo").close()
    if content is not None:
        services.trading().kill("demo").write(content)
    call("kill", "--account", "demo", "--reason", "x", "--json", code=8)
    stands = record_of(services)
    assert (stands.phase, stands.epoch) == (KillPhase.LATCHED, 8 if content and b"clear" in content else 1)


def test_a_kill_needs_an_account_that_somebody_knows_and_a_reason(services: AppServices, call: Call) -> None:
    said = call("kill", "--account", "nobody", "--reason", "x", code=2)
    assert "nobody knows an account 'nobody'" in said
    assert "demo" in said
    assert not folder(services, "nobody").exists()
    assert "needs a reason" in call("kill", "--account", "demo", "--reason", " ", code=2)
    call("kill", "--account", "demo", code=2)


def test_a_living_gateway_obeys_and_is_waited_for(services: AppServices, call: Call) -> None:
    journal = write_account(services, "demo")
    lock = services.trading().locks().acquire(gateway_key("demo"))
    other = services.trading().locks().acquire(strategy_key("demo"))

    def obey() -> None:
        deadline = Deadline(60)
        while record_of(services).phase != KillPhase.LATCHED and not deadline.passed:
            deadline.pause(0.01)
        journal.append([Record(18, 0, T0, RecordKind.KILL, {"record": record_of(services), "late": True})])
        journal.append([Record(19, 18, T0, RecordKind.ORDER_UPDATE, {"order": order("o2", OrderState.CANCELLED)})])

    thread = threading.Thread(target=obey)
    thread.start()
    found = call("kill", "--account", "demo", "--reason", "smoke", "--wait", "60", "--json")
    thread.join()
    assert (found["done"], found["report"]["obeyed"], found["report"]["open_orders"]) == (True, True, [])
    assert found["report"]["gateway"]["pid"] > 0
    assert "yes" in call("kill", "--account", "demo", "--reason", "again")
    lock.release()
    other.release()
    journal.close()


def test_a_gateway_that_does_not_obey_is_told_of(services: AppServices, call: Call) -> None:
    write_account(services, "demo").close()
    lock = services.trading().locks().acquire(gateway_key("demo"))
    said = call("kill", "--account", "demo", "--reason", "smoke", "--wait", "0.05", code=8)
    assert "NOT within 0.05 s" in said
    lock.release()


def test_a_damaged_journal_does_not_stop_a_kill(services: AppServices, call: Call) -> None:
    write_account(services, "demo").close()
    last = max((folder(services) / "journal").glob("*.journal"))
    last.write_bytes(b"rubbish" + last.read_bytes())
    found = call("kill", "--account", "demo", "--reason", "smoke", "--json", code=8)
    assert "has no header" in found["report"]["journal_error"]
    assert record_of(services).phase == KillPhase.LATCHED


def test_a_kill_file_that_cannot_be_read_is_written_all_the_same_and_one_that_cannot_be_written_is_told(
    services: AppServices, call: Call
) -> None:
    write_account(services, "demo").close()
    store = type(services.trading().kill("demo"))
    with mock.patch.object(store, "read", side_effect=StoreError("bad disk")):
        call("kill", "--account", "demo", "--reason", "smoke", "--json", code=8)
    assert record_of(services).phase == KillPhase.LATCHED
    with mock.patch.object(store, "write", side_effect=StoreError("No space left on device")):
        (folder(services) / "kill").unlink()
        assert "No space left" in call("kill", "--account", "demo", "--reason", "smoke", code=6)
