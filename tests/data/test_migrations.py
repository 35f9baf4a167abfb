from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from ghtrader.core.errors import SchemaError
from ghtrader.data.migrations import migrations, pending_steps
from ghtrader.data.schema import MAIN_L5_COLUMNS, RAW_COLUMNS
from ghtrader.data.tables import LATEST_SCHEMA, TABLES, VIEWS, Column, table_named, tick_table
from ghtrader.ports.schema_admin import StepReport

GOLDEN = Path(__file__).parent.parent / "golden" / "migration_checksums.json"


def test_checksums_of_published_migrations_never_change() -> None:
    """A changed checksum means an edited migration: every store that applied it would refuse to go on."""
    assert {str(item.number): item.checksum for item in migrations()} == json.loads(GOLDEN.read_text())
    assert max(item.number for item in migrations()) == LATEST_SCHEMA


def test_every_table_has_its_timestamp_and_keys_among_its_columns() -> None:
    for table in TABLES:
        names = [column.name for column in table.columns]
        assert len(names) == len(set(names)), table.name
        assert table.column(table.timestamp).type == "ts"
        assert set(table.keys) <= set(names)
        assert "row_hash" not in table.keys
        assert table.timestamp in table.keys
        assert table.doc
    for view in VIEWS:
        assert set(view.by) <= {column.name for column in table_named(view.base).columns}


def test_tick_tables_hold_exactly_the_canonical_columns_and_the_write() -> None:
    for kind, columns in (("raw", RAW_COLUMNS), ("main_l5", MAIN_L5_COLUMNS)):
        assert [column.name for column in tick_table(kind)[0].columns] == [*columns, "write_id"]


def test_pending_steps_are_what_the_ledger_does_not_name() -> None:
    first = migrations()[0]
    rows = [StepReport(number=1, step=step.name, checksum=first.checksum) for step in first.steps[:3]]
    assert [step.name for step in pending_steps([first], rows)] == [step.name for step in first.steps[3:]]
    with pytest.raises(SchemaError, match="edited"):
        pending_steps([first], [msgspec.structs.replace(rows[0], checksum="0" * 64)])
    with pytest.raises(SchemaError, match="knows 1"):
        pending_steps([first], [msgspec.structs.replace(rows[0], number=7)])


def test_a_column_with_a_later_number_is_a_step_of_its_own_and_leaves_the_first_checksum_alone() -> None:
    grown = msgspec.structs.replace(TABLES[0], columns=(*TABLES[0].columns, Column("turnover", "f64", LATEST_SCHEMA + 1)))
    *earlier, last = migrations((grown, *TABLES[1:]), VIEWS)
    assert [item.checksum for item in earlier] == [item.checksum for item in migrations()]
    assert [step.name for step in last.steps] == ["add ticks_raw_v2.turnover"]


def test_unknown_names_are_schema_errors() -> None:
    with pytest.raises(SchemaError, match="nothing"):
        table_named("nothing")
    with pytest.raises(SchemaError, match="kind"):
        tick_table("l2")
    with pytest.raises(SchemaError, match="no column"):
        TABLES[0].column("nothing")
