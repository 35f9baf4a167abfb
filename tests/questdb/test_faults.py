"""Servers that die, hang, fill their disk or run out of connections: nothing is lost, doubled or hung, and the cause is named."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from tests.conftest import SAMPLES, Cli, processor_wait_s

from ghtrader.core.clock import Deadline
from ghtrader.core.errors import SchemaError, StoreError
from ghtrader.core.progress import NO_PROGRESS
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.manifests import compare_with_manifest
from ghtrader.data.tables import table_named
from ghtrader.ports.tick_store import DayKey, DayManifest
from ghtrader.questdb.store import QuestdbStore
from ghtrader.testing.builders import SYMBOL, day_manifest, tick_frame
from ghtrader.testing.questdb_server import QuestdbServer
from ghtrader.testing.questdb_stores import open_store, write_note

LIMIT, RESERVE = 12, 4


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[QuestdbServer]:
    options = {"pg.net.connection.limit": str(LIMIT), "cairo.wal.apply.enabled": "true"}
    server = QuestdbServer(tmp_path_factory.mktemp("faults"), options=options, memory="768m").start()
    yield server
    server.stop()


@pytest.fixture
def folder(tmp_path: Path, server: QuestdbServer) -> Path:
    if not server.running:
        server.start()
    write_note(tmp_path, {**server.environment, "GHTRADER_QUESTDB_TABLE_PREFIX": f"f{os.urandom(4).hex()}_"})
    return tmp_path


@pytest.fixture
def store(folder: Path) -> Iterator[QuestdbStore]:
    store = open_store(folder)
    store.schema().migrate()
    yield store
    store.close()


def raced(seconds: float, work) -> float:
    started = time.monotonic() - processor_wait_s()
    with pytest.raises(StoreError) as caught:
        work()
    taken = time.monotonic() - processor_wait_s() - started
    assert caught.value.hint
    assert taken < seconds, f"{taken:.1f} s: {caught.value.message}"
    return taken


def test_a_server_that_is_not_there_is_named_at_once(tmp_path: Path) -> None:
    write_note(tmp_path, {"GHTRADER_QUESTDB_HTTP_PORT": "1", "GHTRADER_QUESTDB_PG_PORT": "1"})
    store = open_store(tmp_path)
    frame = tick_frame(8)
    key, manifest = day_manifest(frame)
    for work in (
        lambda: store.wire.query("SELECT 1"),
        lambda: store.reader.parquet("SELECT 1"),
        lambda: store.ticks().write_day(key, frame, manifest),
        store.schema().status,
        store.ledger().ledgers,
    ):
        raced(2.0, work)


def test_a_host_that_swallows_packets_is_given_up_within_two_seconds(tmp_path: Path) -> None:
    """A listening socket whose queue is full never completes a connection."""
    import socket

    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        waiting = [socket.socket() for _ in range(4)]
        for item in waiting:
            item.setblocking(False)
            item.connect_ex(("127.0.0.1", port))
        write_note(tmp_path, {"GHTRADER_QUESTDB_HTTP_PORT": str(port), "GHTRADER_QUESTDB_PG_PORT": str(port)})
        store = open_store(tmp_path)
        raced(2.0, lambda: store.wire.query("SELECT 1"))
        raced(2.0, lambda: store.reader.parquet("SELECT 1"))
        for item in waiting:
            item.close()


def test_a_port_of_something_else_is_named(server: QuestdbServer, tmp_path: Path) -> None:
    ports = {"GHTRADER_QUESTDB_HTTP_PORT": str(server.pg_port), "GHTRADER_QUESTDB_PG_PORT": str(server.http_port)}
    write_note(tmp_path, ports)
    store = open_store(tmp_path)
    for work in (lambda: store.wire.query("SELECT 1"), lambda: store.reader.parquet("SELECT 1")):
        raced(2.0, work)


def test_a_restart_between_two_statements_is_not_noticed(server: QuestdbServer, store: QuestdbStore) -> None:
    """Connections that were kept for later have died; none of them is used, also for what must not be sent twice."""
    barrier = threading.Barrier(2)

    def work() -> None:
        with store.wire._connection():
            barrier.wait(60)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.wire._idle) == 2
    server.kill()
    server.start()
    assert store.ledger().append("events", {"number": 1}) == 1
    assert store.wire.query("SELECT 1") == [(1,)]


def test_a_server_that_hangs_does_not_hang_the_caller(server: QuestdbServer, folder: Path) -> None:
    from dataclasses import replace

    ready = open_store(folder)
    ready.schema().migrate()
    frame = tick_frame(400)
    key, manifest = day_manifest(frame)
    ready.ticks().write_day(key, frame, manifest)
    store = QuestdbStore(replace(ready.settings, query_timeout_s=1.0, flush_attempts=2), ready._calendar, ready._clock, "test")
    assert store.ticks().manifest(key) == manifest
    server.pause()
    try:
        raced(3.5, lambda: store.wire.query("SELECT 1"))
        raced(3.5, lambda: store.ticks().read_day(key))
        raced(6.0, lambda: store.sender.send(store.settings.name("ticks_raw_v2"), [frame], ["symbol", "trading_day"]))
        raced(2.0, lambda: open_store(folder).wire.query("SELECT 1"))
        raced(2.0, lambda: open_store(folder).reader.parquet("SELECT 1"))
        raced(2.0, open_store(folder).sender._client)
        raced(2.0, lambda: open_store(folder).benchmark(rows=50_000, progress=NO_PROGRESS))
    finally:
        server.resume()
    assert store.ticks().read_day(key).select(frame.columns).equals(frame)
    for item in (ready, store):
        item.close()


def test_the_sender_heals_itself_when_the_server_comes_back(server: QuestdbServer, store: QuestdbStore) -> None:
    frame = tick_frame(40)
    key, manifest = day_manifest(frame)
    store.ticks().write_day(key, frame, manifest)
    server.kill()
    starter = threading.Thread(target=server.start)
    with pytest.raises(StoreError, match="does not answer"):
        store.ticks().write_day(key, frame, manifest)
    starter.start()
    deadline = Deadline(60)
    while True:
        try:
            store.ticks().write_day(key, frame, manifest)
            break
        except StoreError:
            assert not deadline.passed
            deadline.pause(0.05)
    starter.join()
    assert store.ticks().read_day(key).select(frame.columns).equals(frame)


def test_a_refusal_is_not_repeated_and_is_a_failed_write(store: QuestdbStore) -> None:
    wrong = tick_frame(8).with_columns(pl.lit("text where a number belongs").alias("volume"))
    calls = []
    flush = store.sender._flush

    def counted(*given):
        calls.append(1)
        flush(*given)

    store.sender._flush = counted  # type: ignore[method-assign]
    with pytest.raises(StoreError, match="refused rows"):
        store.sender.send(store.settings.name("ticks_raw_v2"), [wrong], ["symbol", "trading_day"])
    assert len(calls) == 1
    assert store.wire.scalar(f"SELECT count() FROM {store.settings.name('ticks_raw_v2')}") == 0


def one_version(day: str, seed: int) -> tuple[pl.DataFrame, DayKey, DayManifest]:
    frame = tick_frame(4000 + 500 * seed, trading_day=day, seed=seed)
    return (frame, *day_manifest(frame, created_ns=seed))


def test_a_server_that_does_not_know_its_tables_yet_is_to_be_asked_again(
    store: QuestdbStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin, asked = store.schema(), iter([True])
    query = store.wire.query

    def starting(sql: str, *given, **named):
        if next(asked, False):
            raise SchemaError("QuestDB: table does not exist")
        return query(sql, *given, **named)

    monkeypatch.setattr(admin._wire, "query", starting)
    with pytest.raises(StoreError, match="is starting") as caught:
        admin.require_tables(table_named("ticks_raw_v2"))
    assert caught.value.retryable
    admin.require_tables(table_named("ticks_raw_v2"))


@pytest.mark.parametrize("kills", [3])
def test_a_server_killed_again_and_again_loses_and_doubles_nothing(server: QuestdbServer, folder: Path, kills: int) -> None:
    """Days are replaced all the time while the server is killed; after each restart every day is one whole version."""
    store = open_store(folder)
    store.schema().migrate()
    days = ("2025-06-05", "2025-06-06", "2025-06-09")
    versions = [[one_version(day, seed) for seed in (0, 1)] for day in days]
    for day in versions:
        frame, key, manifest = day[0]
        store.ticks().write_day(key, frame, manifest)
    acknowledged: dict[str, int] = {}
    stop = threading.Event()

    def work() -> None:
        mine, number = open_store(folder), 0
        while not stop.is_set():
            number += 1
            frame, key, manifest = versions[number % 3][number % 2]
            try:
                mine.ticks().write_day(key, frame, manifest)
                acknowledged[key.trading_day.iso] = number % 2
            except StoreError:
                acknowledged.pop(key.trading_day.iso, None)
                stop.wait(0.05)

    writer = threading.Thread(target=work)
    writer.start()
    for _ in range(kills):
        before = dict(acknowledged)
        deadline = Deadline(60)
        while acknowledged == before and not deadline.passed:
            deadline.pause(0.01)
        server.kill()
        server.start()
    stop.set()
    writer.join()
    for day in versions:
        key = day[0][1]
        found, manifest = store.ticks().read_day(key), store.ticks().manifest(key)
        assert manifest in (day[0][2], day[1][2])
        assert compare_with_manifest(manifest, found) == []
        if key.trading_day.iso in acknowledged:
            assert manifest == day[acknowledged[key.trading_day.iso]][2]
    assert sum(item.rows for item in store.queries().symbol_counts("raw")) == sum(
        store.ticks().manifest(day[0][1]).rows for day in versions
    )
    store.close()


def test_kill_9_of_the_server_during_a_copy_then_again_ends_with_equal_digests(server: QuestdbServer, tmp_path: Path) -> None:
    if not server.running:
        server.start()
    cli = Cli(tmp_path)
    environment = {**server.environment, "GHTRADER_QUESTDB_TABLE_PREFIX": f"c{os.urandom(4).hex()}_"}
    environment.pop("GHTRADER_QUESTDB_IMPORT_DIR")
    cli.json("data", "import", *(str(path) for path in sorted(SAMPLES.glob("*.parquet"))))
    command = [
        sys.executable,
        "-m",
        "ghtrader.app",
        "store",
        "copy",
        "--from",
        "local",
        "--to",
        "questdb",
        "--jobs",
        "1",
        "--json",
    ]
    process = subprocess.Popen(
        command, env={**cli.environment, **environment}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    name = environment["GHTRADER_QUESTDB_TABLE_PREFIX"] + "ticks_raw_v2"
    watcher = open_store_of(tmp_path, environment)
    deadline = Deadline(60)
    while not deadline.passed and process.poll() is None:
        try:
            if watcher.wire.scalar(f"SELECT count() FROM {name}"):
                break
        except Exception:  # noqa: BLE001 - the table is not there yet
            deadline.pause(0.005)
    server.kill()
    said = process.communicate(timeout=60)
    assert process.returncode in {0, 6}, said
    server.start()
    report = cli.json("store", "copy", "--from", "local", "--to", "questdb", **environment)
    assert report["copied"] + report["present"] == 4
    compared = cli.json("store", "verify", **environment)
    assert compared["ok"]
    assert compared["digests"]["local"] == compared["digests"]["questdb"]
    counted = cli.json("store", "counts", "--store", "questdb", **environment)
    assert counted["symbols"][0]["rows"] == 164_969
    watcher.close()


def open_store_of(folder: Path, environment: dict[str, str]) -> QuestdbStore:
    place = folder / "watch"
    place.mkdir()
    write_note(place, environment)
    return open_store(place)


def test_a_table_that_stands_still_is_named_with_its_cause_and_the_way_on(
    store: QuestdbStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What QuestDB does when its disk is full: it accepts rows and applies none."""
    frame = tick_frame(40)
    key, manifest = day_manifest(frame)
    name = store.settings.name("ticks_raw_v2")
    store.wire.execute(f"ALTER TABLE {name} SUSPEND WAL WITH 'DISK FULL', 'no space left on device'")
    with pytest.raises(StoreError, match=r"suspended .*DISK FULL no space left on device") as caught:
        store.ticks().write_day(key, frame, manifest)
    assert caught.value.hint.endswith(f"ghtrader db resume-wal {name}")
    health = store.health()
    assert health.state == "error"
    assert any(name in problem and "DISK FULL" in problem for problem in health.problems)
    store.resume_wal(name)
    assert store.health().state == "ok" or not any(table.suspended for table in store.health().tables)
    assert store.ticks().read_day(key).select(frame.columns).equals(frame)


def test_a_connection_storm_stays_within_the_budget(server: QuestdbServer, folder: Path) -> None:
    """Sixty threads in three processes at once; the server never has more connections of ours than the budget."""
    script = (
        "import sys, threading\n"
        "from dataclasses import replace\n"
        "from pathlib import Path\n"
        "from ghtrader.testing.questdb_stores import open_store\n"
        "from ghtrader.questdb.store import QuestdbStore\n"
        "from ghtrader.questdb.wire import PgWire\n"
        "base = open_store(Path(sys.argv[1]))\n"
        f"wire = PgWire(replace(base.settings, connection_limit={LIMIT}, connection_reserve={RESERVE}))\n"
        "failed = []\n"
        "def work():\n"
        "    try:\n"
        "        for _ in range(2):\n"
        "            assert wire.query('SELECT count() FROM long_sequence(40000000)') == [(40000000,)]\n"
        "    except BaseException as error:\n"
        "        failed.append(error)\n"
        "threads = [threading.Thread(target=work) for _ in range(20)]\n"
        "[thread.start() for thread in threads]\n"
        "[thread.join() for thread in threads]\n"
        "print(failed)\n"
        "sys.exit(len(failed))\n"
    )
    others = connections_to(server.pg_port)  # idle ones of earlier tests
    before = others
    workers = [subprocess.Popen([sys.executable, "-c", script, str(folder)], stdout=subprocess.PIPE, text=True) for _ in range(3)]
    most = 0
    deadline = Deadline(90)
    while any(worker.poll() is None for worker in workers) and not deadline.passed:
        now = connections_to(server.pg_port)
        # a listing takes its time; what stands in two of them was open at one moment between them
        most, before = max(most, len((before & now) - others)), now
        deadline.pause(0.002)
    said = [worker.communicate()[0] for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0, 0], said
    assert 1 <= most <= LIMIT - RESERVE


def connections_to(port: int) -> set[tuple[str, str]]:
    """Established connections to a loopback port, seen from the clients: local address and inode."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {(row[1], row[9]) for row in rows if row[3] == "01" and row[2].endswith(f":{port:04X}")}


def test_a_budget_that_is_used_up_says_so(folder: Path) -> None:
    from ghtrader.questdb.locks import ConnectionBudget

    budget = ConnectionBudget(folder / "locks", 2)
    held = [budget.take(0.1), budget.take(0.1)]
    with pytest.raises(StoreError, match="all 2 QuestDB connections"):
        budget.take(0.05)
    os.close(held.pop())
    os.close(budget.take(0.1))
    os.close(held.pop())


def test_a_wrong_password_is_refused_with_the_variable_and_never_shown(folder: Path) -> None:
    from dataclasses import replace

    base = open_store(folder)
    store = QuestdbStore(replace(base.settings, pg_password="s3cret-wrong"), base._calendar, base._clock, "test")
    with pytest.raises(StoreError, match="refuses the login") as caught:
        store.wire.query("SELECT 1")
    assert "GHTRADER_QUESTDB_PG_PASSWORD" in caught.value.hint
    assert "s3cret" not in f"{caught.value} {caught.value.context} {store.settings!r}"


def test_a_server_with_logins_of_its_own_takes_rows_and_gives_them_and_a_wrong_one_is_named(tmp_path: Path) -> None:
    from dataclasses import replace

    logins = {"http.user": "web", "http.password": "w3b", "pg.user": "boss", "pg.password": "b0ss"}
    server = QuestdbServer(tmp_path / "server", options=logins, memory="512m").start()
    try:
        environment = {f"GHTRADER_QUESTDB_{name.replace('.', '_').upper()}": value for name, value in logins.items()}
        write_note(tmp_path, {**server.environment, **environment})
        base = open_store(tmp_path)
        store = QuestdbStore(replace(base.settings, import_folder=None), base._calendar, base._clock, "test")
        store.schema().migrate()
        frame = tick_frame(400)
        key, manifest = day_manifest(frame)
        store.ticks().write_day(key, frame, manifest)
        assert compare_with_manifest(manifest, store.ticks().read_day(key)) == []
        assert store.health().state == "ok"
        wrong = QuestdbStore(replace(store.settings, http_password="s3cret-wrong"), base._calendar, base._clock, "test")
        for work in (lambda: wrong.ticks().read_day(key), lambda: wrong.ticks().write_day(key, frame, manifest)):
            with pytest.raises(StoreError, match="refuses the login") as caught:
                work()
            assert "GHTRADER_QUESTDB_HTTP_PASSWORD" in caught.value.hint
            assert "s3cret" not in f"{caught.value} {caught.value.context}"
        assert wrong.health().state == "error"
        cli = Cli(tmp_path)
        given = {**server.environment, **environment, "GHTRADER_QUESTDB_HTTP_PASSWORD": "s3cret-wrong"}
        said = cli.json("store", "verify", code=6, **given)
        assert "refuses the login" in said["message"]
        for item in (store, wrong):
            item.close()
    finally:
        server.stop()


def test_a_backup_is_restored_by_another_server(tmp_path: Path) -> None:
    """The how-to's steps: checkpoint, copy, release; a server that finds `_restore` in the copy comes up with the same days."""
    import shutil

    server = QuestdbServer(tmp_path / "server", memory="512m").start()
    write_note(tmp_path, server.environment)
    store = open_store(tmp_path)
    store.schema().migrate()
    frame = tick_frame(4000)
    key, manifest = day_manifest(frame)
    store.ticks().write_day(key, frame, manifest)
    store.wire.execute("CHECKPOINT CREATE")
    copy = tmp_path / "backup"
    try:
        shutil.copytree(server.root, copy, ignore=shutil.ignore_patterns("import", "*.lock", "server.log"))
    finally:
        store.wire.execute("CHECKPOINT RELEASE")
    late = tick_frame(4200, seed=3)
    store.ticks().write_day(key, late, day_manifest(late, created_ns=3)[1])
    store.close()
    server.stop()
    (copy / "_restore").touch()
    restored = QuestdbServer(copy, memory="512m").start()
    try:
        place = tmp_path / "restored"
        place.mkdir()
        write_note(place, restored.environment)
        other = open_store(place)
        other.schema().require_current()
        assert other.ticks().manifest(key) == manifest
        assert compare_with_manifest(manifest, other.ticks().read_day(key)) == []
        assert other.ticks().days("raw", SYMBOL) == [TradingDay.parse("2025-06-05")]
        assert other.ticks().read_day(DayKey("raw", SYMBOL, key.trading_day)).height == 4000
        other.close()
    finally:
        restored.stop()


def fill_up(path: Path, quiet_s: float = 3.0) -> None:
    """Fill a file system, and what the server gives back of it meanwhile (applied WAL segments), until it stays full."""
    end, quiet = Deadline(60.0), Deadline(quiet_s)
    with path.open("wb", buffering=0) as ballast:
        while not quiet.passed and not end.passed:
            try:
                ballast.write(bytes(1 << 16))
                quiet = Deadline(quiet_s)
            except OSError:
                end.pause(0.1)


def test_a_disk_that_is_really_full_is_named_and_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    """A server on a small file system that fills up: the day is refused with the cause; with room again the table goes on."""
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=700m", "tmpfs", str(place)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    server = QuestdbServer(place / "server", memory="512m")
    try:
        write_note(tmp_path, server.environment)
        server.start()
        store = open_store(tmp_path)
        store.schema().migrate()
        first = tick_frame(2000)
        key, manifest = day_manifest(first)
        store.ticks().write_day(key, first, manifest)
        fill_up(place / "ballast")
        big = tick_frame(20_000, trading_day="2025-06-06")
        other, described = day_manifest(big)
        with pytest.raises(StoreError, match="DISK FULL") as caught:
            store.ticks().write_day(other, big, described)
        assert caught.value.hint
        assert store.ticks().read_day(key).select(first.columns).equals(first)
        (place / "ballast").unlink()
        for table in store.health().tables:
            if table.suspended:
                store.resume_wal(table.table)
        store.ticks().write_day(other, big, described)
        assert store.ticks().read_day(other).select(big.columns).equals(big)
        assert store.ticks().read_day(key).select(first.columns).equals(first)
        store.close()
    finally:
        server.kill()
        subprocess.run(["umount", str(place)], check=False)
