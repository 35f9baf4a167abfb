"""Contract of ``ports.table_store.TableStore``. Inherit `TableStoreContract` and give a fixture ``tables``."""

from __future__ import annotations

from typing import Any

import pytest

from ghtrader.core.errors import SchemaError
from ghtrader.ports.table_store import TableStore

__all__ = ["TableStoreContract"]

GAPS = "main_l5_validate_gaps_v2"
SCOPE = "KQ.m@SHFE.rb/2025-06-05"


def gap(number: int, **values: Any) -> dict[str, Any]:
    """A whole row of the gaps table."""
    row = {
        "datetime": 1_749_042_000_000_000_000 + number,
        "symbol": "KQ.m@SHFE.rb",
        "trading_day": "2025-06-05",
        "end_ns": 1_749_042_002_000_000_000 + number,
        "part": "night",
        "seconds": 2.5,
        "cause": "unknown",
        "evidence": "Volumen 螺纹钢 'x'",
        "is_gap": True,
        "volume_step": 120.0,
        "end_part": "night",
    }
    return {**row, **values}


class TableStoreContract:
    """Laws of every table store."""

    def test_rows_come_back_in_order_with_every_column(self, tables: TableStore) -> None:
        """Whatever their stamps say; text beyond ASCII, None, whole numbers where floats are declared."""
        rows = [gap(3), gap(1, seconds=4), gap(2, cause=None, seconds=None, end_ns=None)]
        tables.replace(GAPS, SCOPE, rows)
        assert tables.rows(GAPS, SCOPE) == rows
        assert isinstance(tables.rows(GAPS, SCOPE)[1]["seconds"], float)

    def test_a_scope_is_replaced_whole(self, tables: TableStore) -> None:
        """Fewer rows leave nothing of the old ones; none empties it; other scopes and tables stay."""
        tables.replace(GAPS, SCOPE, [gap(n) for n in range(5)])
        tables.replace(GAPS, "other", [gap(9)])
        tables.replace(GAPS, SCOPE, [gap(7)])
        assert tables.rows(GAPS, SCOPE) == [gap(7)]
        tables.replace(GAPS, SCOPE, [])
        assert tables.rows(GAPS, SCOPE) == []
        assert tables.rows(GAPS, "other") == [gap(9)]
        assert tables.scopes(GAPS) == ["other"]
        assert tables.scopes("tick_gaps_v2") == []

    def test_the_same_rows_again_change_nothing(self, tables: TableStore) -> None:
        """Also after something else stood there."""
        for rows in ([gap(1)], [gap(2)], [gap(1)], [gap(1)]):
            tables.replace(GAPS, SCOPE, rows)
            assert tables.rows(GAPS, SCOPE) == rows

    def test_many_rows_are_one_replacement(self, tables: TableStore) -> None:
        """More than any statement holds."""
        rows = [gap(number) for number in range(1203)]
        tables.replace(GAPS, SCOPE, rows)
        assert tables.rows(GAPS, SCOPE) == rows

    @pytest.mark.parametrize(
        ("row", "column"),
        [
            ({"nonsense": 1}, "nonsense"),
            ({"seconds": "2"}, "seconds"),
            ({"end_ns": 2.5}, "end_ns"),
            ({"end_ns": True}, "end_ns"),
            ({"datetime": None}, "datetime"),
        ],
    )
    def test_rows_that_are_not_as_declared_are_refused_before_anything_is_written(
        self, tables: TableStore, row: dict[str, Any], column: str
    ) -> None:
        """The column is named, the old rows stand."""
        tables.replace(GAPS, SCOPE, [gap(1)])
        with pytest.raises(SchemaError) as caught:
            tables.replace(GAPS, SCOPE, [gap(2), gap(3, **row)])
        assert caught.value.context["column"] == column
        assert tables.rows(GAPS, SCOPE) == [gap(1)]

    def test_tables_that_are_not_declared_or_not_replaced_by_scope_are_refused(self, tables: TableStore) -> None:
        """In every verb."""
        for name in ("nothing", "ticks_raw_v2"):
            with pytest.raises(SchemaError):
                tables.replace(name, SCOPE, [])
            with pytest.raises(SchemaError):
                tables.rows(name, SCOPE)
            with pytest.raises(SchemaError):
                tables.scopes(name)
