"""The plans of hot queries: partitions are pruned, trading_day is compared as it is; and what the tables really hold."""

from __future__ import annotations

import msgspec
import polars as pl
import pytest

from ghtrader.core.errors import DataError, SchemaError, StoreError
from ghtrader.data.calendar import Calendar
from ghtrader.ports.tick_store import DayKey
from ghtrader.questdb.sql import day_predicate, day_window_ns, quote
from ghtrader.questdb.store import QuestdbStore
from ghtrader.testing.builders import SYMBOL, day_manifest, day_sessions, source_frame, tick_frame


def written(store: QuestdbStore, rows: int = 40, seed: int = 0, **choice: str) -> tuple[DayKey, pl.DataFrame]:
    frame = tick_frame(rows, seed=seed, **choice)
    key, manifest = day_manifest(frame, created_ns=seed)
    store.ticks().write_day(key, frame, manifest)
    return key, frame


def plan(store: QuestdbStore, sql: str) -> str:
    return "\n".join(line for (line,) in store.wire.query(f"EXPLAIN {sql}"))


def test_a_day_is_an_interval_scan_with_an_exact_uncast_predicate(questdb: QuestdbStore) -> None:
    key, _ = written(questdb)
    where = day_predicate(Calendar.vendored(), key)
    text = plan(questdb, f"SELECT * FROM {questdb.settings.name('ticks_raw_v2')} WHERE {where}")
    assert "Interval forward scan" in text
    assert "trading_day='2025-06-05'" in text
    assert "cast" not in text.lower()
    assert "::" not in where.split("trading_day")[1]


def test_every_statement_of_the_hot_paths_is_free_of_casts_on_trading_day(
    questdb: QuestdbStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, _ = written(questdb)
    said: list[str] = []
    run, fetch = questdb.wire._run, questdb.reader.parquet
    monkeypatch.setattr(questdb.wire, "_run", lambda sql, *rest: (said.append(sql), run(sql, *rest))[1])
    monkeypatch.setattr(questdb.reader, "parquet", lambda sql: (said.append(sql), fetch(sql))[1])
    queries, store = questdb.queries(), questdb.ticks()
    store.read_day(key)
    store.manifest(key)
    store.days("raw", SYMBOL)
    store.symbols("raw")
    store.strays("raw")
    queries.bounds("raw", SYMBOL)
    queries.coverage("raw", SYMBOL)
    queries.symbol_counts("raw")
    queries.latest("raw")
    queries.recent("raw", SYMBOL, 5)
    about_days = [sql for sql in said if "trading_day" in sql]
    assert len(about_days) >= 8
    for sql in about_days:
        assert "trading_day::" not in sql
        assert "cast(trading_day" not in sql.lower()


@pytest.mark.parametrize("day", ["2025-06-05", "2025-06-09", "2025-10-09", "2025-05-06", "2020-02-04"])
def test_the_window_of_a_day_holds_its_sessions_and_none_of_its_neighbours(day: str) -> None:
    """Mondays, the days after holidays with and without a night, nights that were suspended."""
    calendar = Calendar.vendored()
    for symbol in ("SHFE.rb2510", "SHFE.au2512", "SHFE.cu2507"):
        key, _ = day_manifest(tick_frame(8, symbol=symbol, trading_day=day))
        first, last = day_window_ns(calendar, key)
        sessions = day_sessions(symbol, day)
        assert first <= sessions.first_ns - 3600 * 10**9
        assert sessions.parts[-1].end_ns <= last
        before = msgspec.structs.replace(key, trading_day=calendar.previous(key.trading_day))
        assert day_window_ns(calendar, before)[1] == first - 1


def test_a_replaced_day_leaves_no_trace_in_counts_and_a_removed_row_has_no_trading_day(questdb: QuestdbStore) -> None:
    key, _ = written(questdb, 40)
    written(questdb, 12, seed=1)
    name = questdb.settings.name("ticks_raw_v2")
    assert questdb.wire.scalar(f"SELECT count() FROM {name} WHERE trading_day = '2025-06-05'") == 12
    assert questdb.wire.scalar(f"SELECT count() FROM {name} WHERE trading_day IS NULL") == 40 - len(
        set(tick_frame(40)["datetime"]) & set(tick_frame(12, seed=1)["datetime"])
    )
    questdb.ticks().delete_day(key)
    assert questdb.wire.scalar(f"SELECT count() FROM {name} WHERE trading_day IS NOT NULL") == 0


def test_a_corrected_row_replaces_the_old_one(questdb: QuestdbStore) -> None:
    key, frame = written(questdb)
    source = source_frame(40).with_columns(pl.col("bid_volume1") + 1)
    corrected = tick_frame(source=source)
    questdb.ticks().write_day(key, corrected, day_manifest(corrected, created_ns=9)[1])
    name = questdb.settings.name("ticks_raw_v2")
    assert questdb.wire.scalar(f"SELECT count() FROM {name}") == len(frame)
    assert questdb.ticks().read_day(key).select(corrected.columns).equals(corrected)


def test_rows_that_something_else_wrote_are_no_partition_but_a_stray_and_mixed_ones_are_refused(questdb: QuestdbStore) -> None:
    key, frame = written(questdb)
    stamps = frame["datetime"]
    name = questdb.settings.name("ticks_raw_v2")
    questdb.wire.execute(
        f"INSERT INTO {name} (datetime, symbol, trading_day, last_price) VALUES ({stamps[3] + 7}::timestamp_ns, {quote(SYMBOL)}, '2025-06-05', 1.0)"
    )
    questdb.wire.query(f"SELECT wait_wal_table('{name}')")
    with pytest.raises(StoreError, match="several writes"):
        questdb.ticks().read_day(key)
    questdb.ticks().write_day(key, frame, day_manifest(frame)[1])
    assert questdb.ticks().read_day(key).select(frame.columns).equals(frame)
    other = DayKey("raw", "SHFE.cu2507", key.trading_day)
    questdb.wire.execute(
        f"INSERT INTO {name} (datetime, symbol, trading_day, last_price) VALUES ({stamps[3]}::timestamp_ns, 'SHFE.cu2507', '2025-06-05', 1.0)"
    )
    questdb.wire.query(f"SELECT wait_wal_table('{name}')")
    assert questdb.ticks().manifest(other) is None
    assert questdb.ticks().strays("raw") == [other]
    with pytest.raises(DataError, match="no raw ticks"):
        questdb.ticks().read_day(other)


def test_rows_of_another_day_or_with_equal_stamps_are_refused_before_anything_is_written(questdb: QuestdbStore) -> None:
    frame = tick_frame(40)
    key, manifest = day_manifest(frame)
    shifted = frame.with_columns(pl.col("datetime") + 3 * 24 * 3600 * 10**9)
    with pytest.raises(DataError, match="outside the trading day"):
        questdb.ticks().write_day(key, shifted, manifest)
    twice = frame.with_columns(pl.lit(frame["datetime"][0]).alias("datetime"))
    with pytest.raises(DataError, match="ascend strictly"):
        questdb.ticks().write_day(key, twice, manifest)
    assert questdb.ticks().manifest(key) is None


def test_a_symbol_that_is_no_name_cannot_leave_its_quotes(questdb: QuestdbStore) -> None:
    written(questdb)
    evil = "x' OR symbol != 'x"
    assert questdb.ticks().days("raw", evil) == []
    assert questdb.queries().coverage("raw", evil) == []
    assert questdb.queries().latest("raw", evil) == []
    with pytest.raises(DataError):
        quote("zero\0byte")


def test_raw_ticks_have_no_schedule(questdb: QuestdbStore) -> None:
    with pytest.raises(SchemaError, match="schedule_hash"):
        questdb.queries().coverage("raw", SYMBOL, "a" * 64)
