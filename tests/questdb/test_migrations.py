"""Migrations on a real server: numbered, checksummed, resumable, and drift that is named before anything writes."""

from __future__ import annotations

import msgspec
import pytest

from ghtrader.core.clock import SystemClock
from ghtrader.core.errors import SchemaError, StoreError
from ghtrader.data.migrations import migrations
from ghtrader.data.tables import LATEST_SCHEMA, TABLES, VIEWS, Column, Table
from ghtrader.questdb.schema_admin import QuestdbSchema
from ghtrader.questdb.store import QuestdbStore
from ghtrader.testing.builders import day_manifest, tick_frame
from ghtrader.testing.questdb_stores import drop_tables, open_store

#: Steps of all migrations, and the number of one that is not there yet.
STEPS, NEXT = sum(len(migration.steps) for migration in migrations()), LATEST_SCHEMA + 1


def admin(store: QuestdbStore, tables: tuple[Table, ...] = TABLES) -> QuestdbSchema:
    return QuestdbSchema(store.settings, store.wire, SystemClock(), "test", migrations(tables, VIEWS))


def test_a_fresh_server_is_virgin_and_a_dry_run_leaves_it_so(root) -> None:
    store = open_store(root)
    schema = store.schema()
    assert schema.virgin
    plan = schema.migrate(dry_run=True)
    assert plan.dry_run
    assert [step.step for step in plan.steps][:2] == ["create ticks_raw_v2", "create ticks_main_l5_v2"]
    assert all(("CREATE" if step.step.startswith("create") else "ADD COLUMN") in step.sql for step in plan.steps)
    assert schema.virgin
    with pytest.raises(SchemaError) as caught:
        schema.require_current()
    assert caught.value.hint == "ghtrader db migrate"


def test_migrating_makes_every_declared_table_and_repeating_it_is_a_noop(questdb: QuestdbStore) -> None:
    schema = questdb.schema()
    schema.require_current()
    status = schema.status()
    assert (status.version, status.latest, status.pending, status.drift) == (LATEST_SCHEMA, LATEST_SCHEMA, [], [])
    assert len({step.checksum for step in status.steps}) == LATEST_SCHEMA
    assert all(step.applied_ns > 0 and step.tool_version == "test" and step.sql for step in status.steps)
    again = schema.migrate()
    assert again.noop
    assert again.steps == []
    assert len(schema.status().steps) == STEPS


def test_keys_partitions_and_timestamps_are_as_declared(questdb: QuestdbStore) -> None:
    rows = questdb.wire.query('SELECT table_name, "partitionBy", "designatedTimestamp", "walEnabled", dedup FROM tables()')
    found = {name.removeprefix(questdb.settings.prefix): rest for name, *rest in rows if name.startswith(questdb.settings.prefix)}
    for table in TABLES:
        partition = "DAY" if table.partition == "ticks" else table.partition
        assert found[table.name] == [partition, "datetime", True, True], table.name
    keys = questdb.wire.query(
        f'SELECT "column" FROM table_columns(\'{questdb.settings.name("ticks_main_l5_v2")}\') WHERE "upsertKey"'
    )
    assert {name for (name,) in keys} == {"datetime", "symbol", "schedule_hash"}
    raw = questdb.wire.query(f'SELECT "column" FROM table_columns(\'{questdb.settings.name("ticks_raw_v2")}\') WHERE "upsertKey"')
    assert {name for (name,) in raw} == {"datetime", "symbol"}


@pytest.mark.parametrize("partition", ["MONTH", "YEAR"])
def test_the_partition_of_tick_tables_is_configuration(root, partition: str) -> None:
    from dataclasses import replace

    store = open_store(root)
    store = QuestdbStore(replace(store.settings, ticks_partition_by=partition), store._calendar, SystemClock(), "test")
    store.schema().migrate()
    rows = dict(store.wire.query('SELECT table_name, "partitionBy" FROM tables()'))
    assert rows[store.settings.name("ticks_raw_v2")] == partition
    frame = tick_frame(40)
    key, manifest = day_manifest(frame)
    store.ticks().write_day(key, frame, manifest)
    assert store.ticks().read_day(key).select(frame.columns).equals(frame)
    store.schema().require_current()
    drop_tables(store)
    store.close()


@pytest.mark.parametrize(
    ("table", "column", "kind"),
    [
        ("ticks_raw_v2", "bid_price3", "DOUBLE"),
        ("ticks_raw_v2", "last_price", "DOUBLE"),
        ("manifests_v2", "digest", "VARCHAR"),
        ("ticks_main_l5_v2", "segment_id", "LONG"),
    ],
)
def test_a_dropped_column_is_named_stops_every_writer_and_migrating_restores_it(
    questdb: QuestdbStore, table: str, column: str, kind: str
) -> None:
    frame = tick_frame(40)
    key, manifest = day_manifest(frame)
    questdb.ticks().write_day(key, frame, manifest)
    name = questdb.settings.name(table)
    questdb.wire.execute(f"ALTER TABLE {name} DROP COLUMN {column}")
    with pytest.raises(SchemaError) as caught:
        questdb.schema().require_current()
    error = caught.value
    assert (error.context["table"], error.context["column"], error.context["expected"], error.context["found"]) == (
        name,
        column,
        kind,
        "absent",
    )
    assert error.hint == "ghtrader db migrate"
    if table != "ticks_main_l5_v2":
        with pytest.raises(SchemaError, match=column) as refused:
            questdb.ticks().write_day(key, frame, manifest)
        assert refused.value.hint == "ghtrader db migrate"
    assert [step.sql for step in questdb.schema().migrate(dry_run=True).steps] == [
        f"ALTER TABLE {name} ADD COLUMN {column} {kind}"
    ]
    report = questdb.schema().migrate()
    assert [step.step for step in report.steps] == [f"restore {table}.{column}"]
    questdb.schema().require_current()
    assert questdb.schema().migrate().noop
    questdb.ticks().write_day(key, frame, manifest)
    assert questdb.ticks().read_day(key).select(frame.columns).equals(frame)
    assert questdb.queries().symbol_counts("raw")[0].rows == 40


def test_a_column_of_another_type_is_named_with_both_types_and_migrating_converts_it(questdb: QuestdbStore) -> None:
    name = questdb.settings.name("ticks_raw_v2")
    questdb.wire.execute(f"ALTER TABLE {name} ALTER COLUMN volume TYPE LONG")
    with pytest.raises(SchemaError, match=r"volume should be DOUBLE, but is LONG"):
        questdb.schema().require_current()
    questdb.schema().migrate()
    questdb.schema().require_current()


def test_missing_tables_views_and_keys_are_drift_too(questdb: QuestdbStore) -> None:
    settings, wire = questdb.settings, questdb.wire
    wire.execute(f"DROP MATERIALIZED VIEW {settings.name('main_l5_daily_agg_v2')}")
    wire.execute(f"DROP TABLE {settings.name('tick_gaps_v2')}")
    wire.execute(f"ALTER TABLE {settings.name('ticks_raw_v2')} DEDUP DISABLE")
    found = {(item.table.removeprefix(settings.prefix), item.column) for item in questdb.schema().status().drift}
    assert found == {("main_l5_daily_agg_v2", ""), ("tick_gaps_v2", ""), ("ticks_raw_v2", "datetime"), ("ticks_raw_v2", "symbol")}
    questdb.schema().migrate()
    questdb.schema().require_current()


def test_an_edited_migration_is_a_checksum_error_in_every_verb(questdb: QuestdbStore) -> None:
    first = TABLES[0]
    edited = msgspec.structs.replace(first, columns=(*first.columns, Column("smuggled", "f64")))
    schema = admin(questdb, (edited, *TABLES[1:]))
    for verb in (schema.status, schema.require_current, schema.migrate):
        with pytest.raises(SchemaError, match=r"migration 1 .* was edited") as caught:
            verb()
        assert "new number" in caught.value.hint


def test_prose_is_no_part_of_a_checksum(questdb: QuestdbStore) -> None:
    reworded = tuple(msgspec.structs.replace(table, doc="other words") for table in TABLES)
    admin(questdb, reworded).require_current()


def test_a_later_migration_adds_columns_and_tables_and_is_resumed_where_it_was_killed(questdb: QuestdbStore) -> None:
    first = TABLES[0]
    grown = msgspec.structs.replace(
        first, columns=(*first.columns, Column("turnover", "f64", NEXT), Column("venue", "sym", NEXT, 16))
    )
    new = msgspec.structs.replace(TABLES[2], name="more_manifests_v2", since=NEXT)
    schema = admin(questdb, (grown, *TABLES[1:], new))
    with pytest.raises(
        SchemaError, match=rf"migration {NEXT} is not complete: add ticks_raw_v2\.turnover is pending \(3 steps\)"
    ):
        schema.require_current()
    # killed after the server had done the first step and before it was recorded
    questdb.wire.execute(f"ALTER TABLE {questdb.settings.name('ticks_raw_v2')} ADD COLUMN turnover DOUBLE")
    report = schema.migrate()
    assert [step.step for step in report.steps] == [
        "add ticks_raw_v2.turnover",
        "add ticks_raw_v2.venue",
        "create more_manifests_v2",
    ]
    assert schema.status().version == NEXT
    assert schema.migrate().noop
    with pytest.raises(SchemaError, match=f"this version knows {LATEST_SCHEMA}"):
        questdb.schema().status()


@pytest.mark.parametrize("killed_after", [0, 1, 5, 15, 16, 18])
def test_a_migration_killed_at_any_step_is_finished_by_the_next_run(
    root, killed_after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(root)
    schema, done = store.schema(), []
    record = schema._record

    def dying(step):
        if len(done) == killed_after:
            raise KeyboardInterrupt
        done.append(step)
        return record(step)

    monkeypatch.setattr(schema, "_record", dying)
    with pytest.raises(KeyboardInterrupt):
        schema.migrate()
    monkeypatch.undo()
    fresh = open_store(root)
    assert len(fresh.schema().migrate().steps) == STEPS - killed_after
    fresh.schema().require_current()
    steps = [step.step for step in fresh.schema().status().steps]
    assert len(steps) == len(set(steps)) == STEPS
    drop_tables(fresh)
    for item in (store, fresh):
        item.close()


def test_a_view_that_the_server_gave_up_is_found_answers_go_on_and_refreshing_mends_it(questdb: QuestdbStore) -> None:
    frame = tick_frame(40)
    key, manifest = day_manifest(frame)
    questdb.ticks().write_day(key, frame, manifest)
    name = questdb.settings.name("ticks_raw_v2")
    queries = questdb.queries()
    assert queries.symbol_counts("raw")[0].rows == 40
    assert queries.degraded == ""
    questdb.wire.execute(f"ALTER TABLE {name} ALTER COLUMN last_price TYPE FLOAT")
    questdb.wire.execute(f"ALTER TABLE {name} ALTER COLUMN last_price TYPE DOUBLE")
    questdb.wire.query(f"SELECT wait_wal_table('{name}')")
    counts = queries.symbol_counts("raw")
    assert counts[0].rows == 40
    assert queries.degraded.startswith("view_invalid")
    assert questdb.ticks().days("raw", key.symbol) == [key.trading_day]
    health = questdb.health()
    assert health.state == "warn"
    assert any("refresh-main-l5-daily-agg" in problem for problem in health.problems)
    assert questdb.ensure_daily() == "refreshed"
    assert questdb.ensure_daily() == "current"
    assert queries.symbol_counts("raw") == counts
    assert queries.degraded == ""
    assert set(questdb.refresh_daily().values()) == {"current"}


def test_a_table_that_is_not_ours_cannot_be_resumed(questdb: QuestdbStore) -> None:
    with pytest.raises(StoreError, match="of ours"):
        questdb.resume_wal("sys.text_import_log")
