"""What somebody did to the tables behind our back: named, mended where that is possible, and never answered with half the truth."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tests.conftest import Cli
from tests.questdb.test_parity import services_on

from ghtrader.core.errors import DataError, SchemaError, StoreError
from ghtrader.data.manifests import compare_with_manifest
from ghtrader.data.tables import TABLES
from ghtrader.pipelines.prepare import prepare_store
from ghtrader.pipelines.store_copy import compare_stores, copy_store
from ghtrader.questdb.store import QuestdbStore
from ghtrader.testing.builders import SYMBOL, day_manifest, tick_frame
from ghtrader.testing.questdb_stores import drop_tables, open_store

FRAME = tick_frame(400)
KEY, MANIFEST = day_manifest(FRAME)
GAP = {"datetime": 1, "symbol": SYMBOL, "trading_day": "2025-06-05", "seconds": 1.5, "cause": "unexplained", "is_gap": True}


@pytest.fixture
def filled(questdb: QuestdbStore) -> QuestdbStore:
    """A day, a ledger and a scope."""
    questdb.ticks().write_day(KEY, FRAME, MANIFEST)
    questdb.ledger().append("trials", {"number": 1})
    questdb.tables().replace("tick_gaps_v2", "a/b", [GAP])
    return questdb


def alter(store: QuestdbStore, table: str, what: str) -> str:
    name = store.settings.name(table)
    store.wire.execute(f"ALTER TABLE {name} {what}")
    return name


def whole(store: QuestdbStore) -> bool:
    return compare_with_manifest(MANIFEST, store.ticks().read_day(KEY)) == []


@pytest.mark.parametrize(
    ("column", "staged"),
    [("ask_volume2", False), ("phase", False), ("row_hash", True), ("write_id", False), ("trading_day", False)],
)
def test_a_writer_that_stays_connected_fills_a_column_that_was_restored(filled: QuestdbStore, column: str, staged: bool) -> None:
    """The server keeps the columns of a table for each ILP connection, and acknowledges what it then drops."""
    from dataclasses import replace

    folder = filled.settings.import_folder if staged else None
    store = QuestdbStore(replace(filled.settings, import_folder=folder), filled._calendar, filled._clock, "test")
    store.ticks().write_day(KEY, FRAME, MANIFEST)
    alter(filled, "ticks_raw_v2", f"DROP COLUMN {column}")
    filled.schema().migrate()
    store.ticks().write_day(KEY, FRAME, MANIFEST)
    assert whole(store)
    store.close()


def test_infinite_and_absent_numbers_are_taken_as_they_are(questdb: QuestdbStore) -> None:
    odd = [float("inf"), float("-inf"), float("nan"), -0.0, 5e-324]
    frame = FRAME.with_columns(pl.Series("average", odd + FRAME["average"].to_list()[len(odd) :]))
    key, manifest = day_manifest(frame)
    questdb.ticks().write_day(key, frame, manifest)
    assert questdb.ticks().read_day(key)["average"].to_numpy().tobytes() == frame["average"].to_numpy().tobytes()


def test_a_lost_key_column_comes_back_as_a_key_in_one_run_and_its_rows_are_no_symbol(filled: QuestdbStore) -> None:
    name = alter(filled, "ticks_raw_v2", "DROP COLUMN symbol")
    plan = [step.sql for step in filled.schema().migrate(dry_run=True).steps]
    assert plan == [
        f"ALTER TABLE {name} ADD COLUMN symbol SYMBOL CAPACITY 4096 CACHE",
        f"ALTER TABLE {name} DEDUP ENABLE UPSERT KEYS(datetime, symbol)",
    ]
    assert [step.sql for step in filled.schema().migrate().steps] == plan
    filled.schema().require_current()
    assert filled.ticks().symbols("raw") == []
    filled.refresh_daily()
    assert filled.queries().symbol_counts("raw") == []
    assert filled.queries().latest("raw") == []
    filled.ticks().write_day(KEY, FRAME, MANIFEST)
    assert whole(filled)
    assert [(item.symbol, item.rows) for item in filled.queries().symbol_counts("raw")] == [(SYMBOL, 400)]


def test_a_renamed_column_is_told_from_a_lost_one_and_nothing_is_done_unasked(filled: QuestdbStore) -> None:
    name = alter(filled, "ticks_raw_v2", "RENAME COLUMN ask_volume2 TO second_ask")
    back = f"ALTER TABLE {name} RENAME COLUMN second_ask TO ask_volume2"
    verbs: list[Callable[[], object]] = [
        filled.schema().require_current,
        filled.schema().migrate,
        lambda: filled.schema().migrate(dry_run=True),
        lambda: filled.ticks().write_day(KEY, FRAME, MANIFEST),
    ]
    for verb in verbs:
        with pytest.raises(SchemaError, match="ask_volume2 should be DOUBLE, but is absent, and second_ask") as caught:
            verb()
        assert caught.value.hint == f"{back}; when they are two columns: ALTER TABLE {name} ADD COLUMN ask_volume2 DOUBLE"
    filled.wire.execute(back)
    filled.schema().require_current()
    assert filled.schema().migrate().noop
    assert whole(filled)


@pytest.mark.parametrize(
    "changes",
    [
        ["DROP COLUMN checksum"],
        ["DROP COLUMN number", "DROP COLUMN statement", "ALTER COLUMN tool_version TYPE SYMBOL"],
    ],
)
def test_a_damaged_migration_ledger_is_named_and_filled_again(filled: QuestdbStore, changes: list[str]) -> None:
    schema = filled.schema()
    for what in changes:
        name = alter(filled, "schema_migrations_v2", what)
    with pytest.raises(SchemaError, match=f"{name}.* should be") as caught:
        schema.require_current()
    assert caught.value.hint == "ghtrader db migrate"
    assert not schema.status().current
    assert schema.migrate(dry_run=True).steps[0].sql.startswith(f"ALTER TABLE {name}")
    with pytest.raises(SchemaError):
        schema.require_current()
    schema.migrate()
    schema.require_current()
    assert schema.migrate().noop
    assert whole(filled)


@pytest.mark.parametrize("done", [3, len(TABLES) + 1])
def test_a_first_creation_that_was_killed_is_finished_by_the_next_writer_unless_something_differs(root: Path, done: int) -> None:
    store = open_store(root)
    schema = store.schema()
    schema._make_ledger()
    steps = schema.migrate(dry_run=True).steps
    for step in steps[:done]:
        store.wire.execute(step.sql)
        schema._record(step)
    assert not schema.virgin
    assert len(prepare_store(store)) == len(steps) - done
    assert prepare_store(store) == []
    schema.require_current()
    alter(store, "ticks_raw_v2", "DROP COLUMN ask_volume2")
    store.wire.execute(f"DROP TABLE {store.settings.name('schema_migrations_v2')}")
    with pytest.raises(SchemaError) as caught:
        prepare_store(store)
    assert caught.value.hint == "ghtrader db migrate"
    drop_tables(store)
    store.close()


def test_migrating_is_done_when_the_server_has_applied_it_and_not_when_it_has_taken_note(filled: QuestdbStore) -> None:
    name = alter(filled, "ticks_raw_v2", "DROP COLUMN ask_volume2")
    with pytest.raises(SchemaError, match="ask_volume2"):
        filled.schema().require_current()
    alter(filled, "ticks_raw_v2", "SUSPEND WAL")
    with pytest.raises(StoreError, match="has suspended") as caught:
        filled.schema().migrate()
    assert caught.value.hint.endswith(f"ghtrader db resume-wal {name}")
    filled.resume_wal(name)
    filled.schema().require_current()
    assert filled.schema().migrate().noop


@pytest.mark.parametrize("column", ["document", "seq"])
def test_a_ledger_that_lost_documents_or_numbers_is_not_read_as_if_it_were_whole(filled: QuestdbStore, column: str) -> None:
    alter(filled, "ledger_v2", f"DROP COLUMN {column}")
    filled.schema().migrate()
    ledger = filled.ledger()
    with pytest.raises(StoreError, match=r"ledger trials .* is not whole") as caught:
        ledger.rows("trials")
    assert "ghtrader store copy" in caught.value.hint
    if column == "seq":
        with pytest.raises(StoreError, match="not whole"):
            ledger.append("trials", {"number": 2})


@pytest.mark.parametrize(("table", "column"), [("tick_gaps_v2", "write_id"), ("scopes_v2", "rows")])
def test_a_scope_that_lost_rows_is_an_error_and_not_a_hole(filled: QuestdbStore, table: str, column: str) -> None:
    alter(filled, table, f"DROP COLUMN {column}")
    filled.schema().migrate()
    with pytest.raises(StoreError, match="of the scope a/b") as caught:
        filled.tables().rows("tick_gaps_v2", "a/b")
    assert caught.value.hint
    assert filled.tables().scopes("tick_gaps_v2") == ["a/b"]
    filled.tables().replace("tick_gaps_v2", "a/b", [GAP])
    assert [row["cause"] for row in filled.tables().rows("tick_gaps_v2", "a/b")] == ["unexplained"]


def test_rows_whose_manifest_is_gone_are_named_as_such(filled: QuestdbStore) -> None:
    alter(filled, "manifests_v2", "DROP COLUMN document")
    filled.schema().migrate()
    assert filled.ticks().manifest(KEY) is None
    with pytest.raises(DataError, match="400 rows without a manifest") as caught:
        filled.ticks().read_day(KEY)
    assert caught.value.hint == "import or copy the day again"
    filled.ticks().write_day(KEY, FRAME, MANIFEST)
    assert whole(filled)


def test_a_copy_goes_on_where_the_server_was_killed_while_it_made_the_tables(
    tmp_path: Path, server_environment: dict[str, str]
) -> None:
    services = services_on(tmp_path, server_environment, f"k{tmp_path.stat().st_ino:x}_", "local")
    local, store = services.store("local"), services.server_store()
    assert isinstance(store, QuestdbStore)
    local.ticks().write_day(KEY, FRAME, MANIFEST)
    schema = store.schema()
    schema._make_ledger()
    for step in schema.migrate(dry_run=True).steps[:3]:
        store.wire.execute(step.sql)
    assert copy_store(services, "local", "questdb").copied == 1
    assert compare_stores(services, "local", "questdb").ok
    drop_tables(store)
    store.close()


def test_a_copy_fills_what_a_dropped_column_took(tmp_path: Path, server_environment: dict[str, str]) -> None:
    services = services_on(tmp_path, server_environment, f"r{tmp_path.stat().st_ino:x}_", "local")
    local, store = services.store("local"), services.server_store()
    assert isinstance(store, QuestdbStore)
    local.ticks().write_day(KEY, FRAME, MANIFEST)
    local.tables().replace("tick_gaps_v2", "a/b", [GAP])
    assert copy_store(services, "local", "questdb").copied == 1
    alter(store, "ticks_raw_v2", "DROP COLUMN last_price")
    alter(store, "tick_gaps_v2", "DROP COLUMN scope")
    store.schema().migrate()
    assert not compare_stores(services, "local", "questdb").ok
    report = copy_store(services, "local", "questdb")
    assert (report.copied, report.mended, report.present, report.scopes) == (1, 1, 0, 1)
    assert compare_stores(services, "local", "questdb").ok
    assert store.tables().rows("tick_gaps_v2", "a/b") == local.tables().rows("tick_gaps_v2", "a/b")
    again = copy_store(services, "local", "questdb")
    assert (again.copied, again.present, again.scopes) == (0, 1, 0)
    drop_tables(store)
    store.close()


def test_an_import_folder_that_is_not_there_is_a_problem_that_is_named(questdb: QuestdbStore, tmp_path: Path) -> None:
    from dataclasses import replace

    away = replace(questdb.settings, import_folder=tmp_path / "away")
    store = QuestdbStore(away, questdb._calendar, questdb._clock, "test")
    store.ticks().write_day(KEY, FRAME, MANIFEST)
    assert whole(store)
    health = store.health()
    assert health.state == "warn"
    assert any("GHTRADER_QUESTDB_IMPORT_DIR" in problem for problem in health.problems)
    store.close()


def commands(group: str) -> list[Any]:
    from importlib import import_module

    return list(import_module(f"ghtrader.cli.{group}").app.registered_commands)


@pytest.mark.parametrize("group", ["db", "store"])
def test_every_verb_has_examples_and_json(tmp_path: Path, group: str) -> None:
    import inspect

    for command in commands(group):
        assert (command.epilog or "").startswith(f"Examples:  ghtrader {group} {command.name}"), command.name
        assert "as_json" in inspect.signature(command.callback).parameters, command.name
    said = Cli(tmp_path).run(group, commands(group)[0].name, "--help")
    assert "Examples:" in said.stdout
    assert "--json" in said.stdout
