"""Contract of ``ports.tick_queries.TickQueries``. Give fixtures ``store`` (a tick store) and ``queries`` over it."""

from __future__ import annotations

import polars as pl

from ghtrader.ports.tick_queries import TickQueries
from ghtrader.ports.tick_store import DayKey, TickStore
from ghtrader.testing.builders import SYMBOL, day_manifest, tick_frame

__all__ = ["TickQueriesContract"]

ALIAS = "KQ.m@SHFE.rb"


def write(
    store: TickStore, symbol: str, day: str, rows: int, seed: int = 0, schedule_hash: str = ""
) -> tuple[DayKey, pl.DataFrame]:
    """Write one day; with a schedule hash as a day of the main series."""
    frame = tick_frame(rows, symbol=symbol, trading_day=day, seed=seed)
    if not schedule_hash:
        key, manifest = day_manifest(frame, created_ns=seed)
        store.write_day(key, frame, manifest)
        return key, frame
    frame = frame.with_columns(
        pl.lit(ALIAS).alias("symbol"),
        pl.lit(symbol).alias("underlying_symbol"),
        pl.lit(1, dtype=pl.Int64).alias("segment_id"),
        pl.lit(schedule_hash).alias("schedule_hash"),
    )
    key, manifest = day_manifest(frame, kind="main_l5", created_ns=seed)
    import msgspec

    manifest = msgspec.structs.replace(manifest, lineage={"schedule_hash": schedule_hash})
    store.write_day(key, frame, manifest)
    return key, frame


class TickQueriesContract:
    """Laws of every adapter: answers are exact, at once after a write."""

    def test_counts_bounds_and_coverage_agree_with_the_rows(self, store: TickStore, queries: TickQueries) -> None:
        """Several symbols and days."""
        frames = {}
        for symbol, day, rows in ((SYMBOL, "2025-06-06", 30), (SYMBOL, "2025-06-05", 20), ("SHFE.cu2507", "2025-06-05", 16)):
            frames[symbol, day] = write(store, symbol, day, rows)[1]
        assert [(item.symbol, item.rows, item.days) for item in queries.symbol_counts("raw")] == [
            ("SHFE.cu2507", 16, 1),
            (SYMBOL, 50, 2),
        ]
        found = queries.bounds("raw", SYMBOL)
        assert found is not None
        assert (found.first_day, found.last_day, found.rows) == ("2025-06-05", "2025-06-06", 50)
        assert (found.first_ns, found.last_ns) == (
            frames[SYMBOL, "2025-06-05"]["datetime"][0],
            frames[SYMBOL, "2025-06-06"]["datetime"][-1],
        )
        covered = queries.coverage("raw", SYMBOL)
        assert [(item.trading_day, item.rows) for item in covered] == [("2025-06-05", 20), ("2025-06-06", 30)]
        for item in covered:
            stamps = frames[SYMBOL, item.trading_day]["datetime"]
            assert (item.first_ns, item.last_ns) == (stamps[0], stamps[-1])
        assert queries.degraded == ""

    def test_a_replaced_day_is_counted_as_it_is_now(self, store: TickStore, queries: TickQueries) -> None:
        """Fewer rows than before, then none."""
        key, _ = write(store, SYMBOL, "2025-06-05", 40)
        write(store, SYMBOL, "2025-06-05", 12, seed=2)
        assert [item.rows for item in queries.symbol_counts("raw")] == [12]
        assert [item.rows for item in queries.coverage("raw", SYMBOL)] == [12]
        store.delete_day(key)
        assert queries.symbol_counts("raw") == []
        assert queries.bounds("raw", SYMBOL) is None
        assert queries.coverage("raw", SYMBOL) == []
        assert queries.latest("raw") == []
        assert queries.recent("raw", SYMBOL, 5).height == 0

    def test_latest_and_recent_are_the_last_rows(self, store: TickStore, queries: TickQueries) -> None:
        """Over the border of days, fewer when there are fewer."""
        first = write(store, SYMBOL, "2025-06-05", 20)[1]
        second = write(store, SYMBOL, "2025-06-06", 8, seed=3)[1]
        write(store, "SHFE.cu2507", "2025-06-05", 8)
        (latest,) = queries.latest("raw", SYMBOL)
        assert (latest.symbol, latest.trading_day, latest.ts_ns) == (SYMBOL, "2025-06-06", second["datetime"][-1])
        assert latest.last_price == second["last_price"][-1]
        assert [item.symbol for item in queries.latest("raw")] == ["SHFE.cu2507", SYMBOL]
        whole = pl.concat([first, second])
        for rows in (1, 8, 15, 100):
            recent = queries.recent("raw", SYMBOL, rows)
            assert recent.equals(whole.tail(rows).select(recent.columns))

    def test_the_main_series_is_scoped_by_schedule(self, store: TickStore, queries: TickQueries) -> None:
        """Days of another schedule are another matter."""
        write(store, SYMBOL, "2025-06-05", 20, schedule_hash="a" * 64)
        write(store, SYMBOL, "2025-06-06", 24, schedule_hash="b" * 64)
        assert [item.rows for item in queries.symbol_counts("main_l5")] == [44]
        assert [item.rows for item in queries.symbol_counts("main_l5", "a" * 64)] == [20]
        assert [item.trading_day for item in queries.coverage("main_l5", ALIAS, "b" * 64)] == ["2025-06-06"]
        found = queries.bounds("main_l5", ALIAS, "a" * 64)
        assert found is not None
        assert (found.last_day, found.rows) == ("2025-06-05", 20)
        assert queries.bounds("main_l5", ALIAS, "c" * 64) is None

    def test_a_new_schedule_replaces_the_day(self, store: TickStore, queries: TickQueries) -> None:
        """One version of a day is visible, whatever the schedule."""
        key, _ = write(store, SYMBOL, "2025-06-05", 20, schedule_hash="a" * 64)
        _, frame = write(store, SYMBOL, "2025-06-05", 20, seed=1, schedule_hash="b" * 64)
        assert queries.day(key).select(frame.columns).equals(frame)
        assert [item.rows for item in queries.symbol_counts("main_l5")] == [20]
        assert queries.bounds("main_l5", ALIAS, "a" * 64) is None
