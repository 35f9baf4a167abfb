"""One system, two stores: the real days come out bit for bit the same, and everything moves between them and back."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from tests.conftest import SAMPLES, Cli, environment_of

from ghtrader.app.paths import resolve_paths
from ghtrader.app.services import AppServices
from ghtrader.core.errors import ConfigError, DataError, StoreError, UsageError
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.day_cache import CachedDays
from ghtrader.data.tables import LATEST_SCHEMA
from ghtrader.datasets.point_in_time import features_as_of
from ghtrader.pipelines.build import build_datasets
from ghtrader.pipelines.build_store import BuildRequest, build_store
from ghtrader.pipelines.ingest import digest_store, import_files
from ghtrader.pipelines.main_series import build_main_l5, make_schedule
from ghtrader.pipelines.store_copy import compare_stores, copy_store
from ghtrader.pipelines.validate import validate_main_l5
from ghtrader.ports.tick_store import DayKey
from ghtrader.questdb.store import QuestdbStore
from ghtrader.testing.questdb_stores import drop_tables

FILES = sorted(SAMPLES.glob("*.parquet"))


def services_on(folder: Path, server: dict[str, str], prefix: str, store: str) -> AppServices:
    environment = {**environment_of(folder), **server, "GHTRADER_QUESTDB_TABLE_PREFIX": prefix, "GHTRADER_STORE": store}
    return AppServices(resolve_paths(environment), environment)


@pytest.fixture(scope="module")
def prefix() -> str:
    return f"p{os.urandom(4).hex()}_"


@pytest.fixture(scope="module")
def both(
    tmp_path_factory: pytest.TempPathFactory, server_environment: dict[str, str], prefix: str
) -> Iterator[dict[str, AppServices]]:
    """The whole data path on each store: import, schedule, series, verdicts."""
    found = {}
    for name in ("local", "questdb"):
        services = services_on(tmp_path_factory.mktemp(name), server_environment, prefix, name)
        import_files(services, FILES)
        make_schedule(services, "rb")
        build_main_l5(services, "rb")
        validate_main_l5(services, "rb")
        found[name] = services
    yield found
    server = found["questdb"].server_store()
    assert isinstance(server, QuestdbStore)
    drop_tables(server)


def test_digests_are_equal_for_both_kinds(both: dict[str, AppServices]) -> None:
    for kind in ("raw", "main_l5"):
        local, served = (digest_store(both[name], kind=kind) for name in ("local", "questdb"))
        assert local.digest == served.digest
        assert [day.digest for day in local.days] == [day.digest for day in served.days]
        assert len(local.days) == 4


def test_every_cell_and_type_of_every_day_is_equal(both: dict[str, AppServices]) -> None:
    local, served = both["local"].tick_store(), both["questdb"].tick_store()
    for kind, symbol in (("raw", "SHFE.rb2510"), ("main_l5", "KQ.m@SHFE.rb")):
        assert served.days(kind, symbol) == local.days(kind, symbol)
        for day in local.days(kind, symbol):
            key = DayKey(kind, symbol, day)
            left, right = local.read_day(key), served.read_day(key)
            assert right.schema == left.schema
            assert right.equals(left)
            one, other = local.manifest(key), served.manifest(key)
            assert one is not None
            assert other is not None
            assert (one.digest, one.columns, one.lineage) == (other.digest, other.columns, other.lineage)


def test_factors_labels_and_voids_are_bit_for_bit_equal(both: dict[str, AppServices]) -> None:
    left, _ = build_datasets(both["local"], "rb", set_name="minimal16")
    right, report = build_datasets(both["questdb"], "rb", set_name="minimal16")
    assert report.reused == 0
    for one, other in zip(left, right, strict=True):
        assert one.build_hash == other.build_hash
        for name in ("ts_ns", "part", "break_before", "mid_ticks", "factors", "y", "void", "eligible"):
            first, second = getattr(one, name), getattr(other, name)
            assert first.dtype == second.dtype
            assert np.array_equal(first.view(np.uint8), second.view(np.uint8)), name


def test_builds_have_one_digest_and_moments_see_the_same(both: dict[str, AppServices]) -> None:
    reports = {name: build_store(services, BuildRequest(varieties=("rb",))) for name, services in both.items()}
    assert reports["local"].digest == reports["questdb"].digest
    assert (reports["questdb"].store, reports["questdb"].reused) == ("questdb", 0)
    assert build_store(both["questdb"], BuildRequest(varieties=("rb",))).reused == 4
    stores = [both[name].store().features() for name in ("local", "questdb")]
    (first, second) = (store.manifests("KQ.m@SHFE.rb", "minimal16") for store in stores)
    moment = both["local"].tick_store().read_day(DayKey("main_l5", "KQ.m@SHFE.rb", first[1].key.trading_day))["datetime"][5000]
    seen = [features_as_of(store, "KQ.m@SHFE.rb", "minimal16", int(moment)) for store in stores]
    assert seen[0].equals(seen[1])
    assert seen[0].height == first[0].rows + 5001
    for one, other in zip(first, second, strict=True):
        assert one.content_digest == other.content_digest
        assert stores[0].labels(one.key).equals(stores[1].labels(one.key))
        assert stores[0].fills(one.key).equals(stores[1].fills(one.key))
    registry = [both[name].tables().rows("feature_registry_v2", reports[name].set_hash) for name in ("local", "questdb")]
    assert registry[0] == registry[1]
    with pytest.raises(ConfigError, match="another configuration"):
        build_store(both["questdb"], BuildRequest(varieties=("rb",), fills=False))


def test_verdicts_gaps_and_schedules_are_equal_rows(both: dict[str, AppServices]) -> None:
    local, served = both["local"].tables(), both["questdb"].tables()
    for table in ("main_schedule_v2", "main_l5_validate_summary_v2", "main_l5_validate_gaps_v2"):
        assert served.scopes(table) == local.scopes(table)
        for scope in local.scopes(table):
            assert served.rows(table, scope) == local.rows(table, scope)
    assert len(local.scopes("main_l5_validate_summary_v2")) == 4
    assert both["questdb"].ledger().items("validation") == both["local"].ledger().items("validation")


def test_repeating_the_path_on_the_server_changes_nothing(both: dict[str, AppServices]) -> None:
    services = both["questdb"]
    again = import_files(services, FILES[:1])
    assert (again.rows_written, again.deduped) == (0, again.rows_in)
    assert not make_schedule(services, "rb").changed
    report = build_main_l5(services, "rb")
    assert report.noop
    assert report.daily_aggregate == "current"
    assert validate_main_l5(services, "rb").noop


def test_the_second_pass_over_a_day_reads_no_wire(both: dict[str, AppServices], monkeypatch: pytest.MonkeyPatch) -> None:
    services = both["questdb"]
    reader = services.day_reader()
    assert isinstance(reader, CachedDays)
    key = DayKey("raw", "SHFE.rb2510", TradingDay.parse("2025-06-05"))
    first = reader.read_day(key)
    store = services.server_store()
    assert isinstance(store, QuestdbStore)
    monkeypatch.setattr(store.reader, "parquet", lambda sql: pytest.fail("the wire was read"))
    assert reader.read_day(key).equals(first)
    assert reader.read_day(key, ["volume", "datetime"]).equals(first.select("volume", "datetime"))
    monkeypatch.undo()
    (cached,) = (services.paths.artifacts / "day_cache" / "questdb" / "raw").rglob("2025-06-05/*.parquet")
    cached.write_bytes(b"torn")
    assert reader.read_day(key).equals(first)
    absent = DayKey("raw", "SHFE.rb2510", TradingDay.parse("2025-06-12"))
    with pytest.raises(DataError):
        reader.read_day(absent)


def test_a_copy_moves_everything_is_resumed_and_verified(
    tmp_path: Path, both: dict[str, AppServices], server_environment: dict[str, str]
) -> None:
    source = both["local"]
    built = build_store(source, BuildRequest(varieties=("rb",)))
    target = f"copy{os.urandom(4).hex()}_"
    mixed = services_on(source.paths.data.parent, server_environment, target, "local")
    report = copy_store(mixed, "local", "questdb")
    assert (report.copied, report.present) == (8, 0)
    assert [(day.dataset, day.outcome) for day in report.builds] == [("minimal16", "copied")] * 4
    assert report.documents >= 5
    assert report.scopes >= 5
    assert report.prepared
    again = copy_store(mixed, "local", "questdb")
    assert (again.copied, again.present, again.documents, again.ledger_documents, again.scopes, again.prepared) == (
        0,
        8,
        0,
        0,
        0,
        [],
    )
    assert {day.outcome for day in again.builds} == {"present"}
    compared = compare_stores(mixed, "local", "questdb")
    assert compared.ok
    assert [day.equal for day in compared.builds] == [True] * 4
    assert compared.digests["local"] == compared.digests["questdb"]
    # and back, into an empty folder
    back = services_on(tmp_path, server_environment, target, "local")
    assert copy_store(back, "questdb", "local").copied == 8
    assert compare_stores(back, "questdb", "local").ok
    assert "feature_builds" not in back.ledger().tables()
    again_built = build_store(back, BuildRequest(varieties=("rb",)))
    assert (again_built.reused, again_built.digest) == (4, built.digest)
    assert back.ledger().items("validation") == source.ledger().items("validation")
    assert validate_main_l5(back, "rb").noop
    # ledgers that went on differently are not mixed
    back.ledger().append("trials", {"n": 1})
    mixed.store("questdb").ledger().append("trials", {"n": 2})
    with pytest.raises(DataError, match="gone on differently"):
        copy_store(back, "local", "questdb")
    # a changed cell is found and named
    store = back.tick_store()
    key = DayKey("raw", "SHFE.rb2510", TradingDay.parse("2025-06-05"))
    frame, manifest = store.read_day(key), store.manifest(key)
    assert manifest is not None
    store.write_day(key, frame.with_columns(pl.col("bid_volume1") + 1), manifest)
    compared = compare_stores(back, "local", "questdb", symbol="SHFE.rb2510")
    assert not compared.ok
    assert [day.trading_day for day in compared.days if not day.equal] == ["2025-06-05"]
    assert "cell_changed" in compared.days[0].problem
    with pytest.raises(DataError, match="not as its manifest says"):
        copy_store(services_on(tmp_path, server_environment, f"x{os.urandom(4).hex()}_", "local"), "local", "questdb")
    server = mixed.server_store()
    assert isinstance(server, QuestdbStore)
    drop_tables(server)


def test_stores_that_do_not_exist_or_are_the_same_are_refused(tmp_path: Path, server_environment: dict[str, str]) -> None:
    services = services_on(tmp_path, server_environment, "n_", "local")
    with pytest.raises(UsageError):
        copy_store(services, "local", "local")
    with pytest.raises(ConfigError, match="no store"):
        services.store("redis")
    with pytest.raises(DataError, match="holds no ticks"):
        copy_store(services, "local", "questdb")
    drop_tables(services.server_store())  # type: ignore[arg-type]


def test_the_command_line_from_import_to_drift(tmp_path: Path, server_environment: dict[str, str]) -> None:
    cli = Cli(tmp_path)
    prefix = f"c{os.urandom(4).hex()}_"
    environment = {**server_environment, "GHTRADER_QUESTDB_TABLE_PREFIX": prefix}
    cli.json("data", "import", str(FILES[0]), str(FILES[1]))
    cli.json("db", "check", code=4, **environment)
    dry = cli.json("db", "migrate", "--dry-run", **environment)
    assert dry["steps"][0]["sql"].startswith("CREATE TABLE")
    assert cli.json("db", "questdb-init", **environment)["health"]["state"] == "ok"
    assert cli.json("db", "ensure-schema", **environment)["noop"]
    assert cli.json("db", "check", **environment)["ok"]
    assert cli.json("store", "copy", "--from", "local", "--to", "questdb", **environment)["copied"] == 2
    assert cli.json("store", "verify", **environment)["ok"]
    served = {**environment, "GHTRADER_STORE": "questdb"}
    assert cli.json("store", "coverage", "--symbol", "SHFE.rb2510", **served)["bounds"]["rows"] == 82_431
    assert cli.json("store", "latest", **served)["symbols"][0]["trading_day"] == "2025-06-06"
    assert set(cli.json("db", "refresh-main-l5-daily-agg", **environment)["views"].values()) == {"current"}
    cli.json("main-schedule", "--var", "rb", **served)
    cli.json("main-l5", "--var", "rb", **served)
    services = services_on(tmp_path, environment, prefix, "questdb")
    store = services.server_store()
    assert isinstance(store, QuestdbStore)
    table = f"{prefix}ticks_main_l5_v2"
    store.wire.execute(f"ALTER TABLE {table} DROP COLUMN ask_volume4")
    refused = cli.json("db", "check", code=4, **environment)
    assert (refused["error"], refused["context"]["column"], refused["hint"]) == (
        "SchemaError",
        "ask_volume4",
        "ghtrader db migrate",
    )
    for verb in (("main-l5", "--var", "rb", "--full"), ("build", "--var", "rb"), ("data", "main-l5-validate", "--var", "rb")):
        done = cli.run(*verb, **served)
        assert done.returncode == 4
        assert "ask_volume4" in done.stderr
        assert "ghtrader db migrate" in done.stderr
    assert [step["step"] for step in cli.json("db", "migrate", **environment)["steps"]] == [
        "restore ticks_main_l5_v2.ask_volume4"
    ]
    status = cli.json("db", "status", **environment)
    assert (status["version"], status["drift"]) == (LATEST_SCHEMA, [])
    cli.json("main-l5", "--var", "rb", "--full", **served)
    assert cli.json("data", "verify", **served)["ok"]
    for verb in (
        ("db", "status"),
        ("db", "questdb-health"),
        ("db", "check"),
        ("db", "migrate"),
        ("store", "counts"),
        ("store", "verify", "--symbol", "SHFE.rb2510"),
    ):
        done = cli.run(*verb, **environment)
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip()
    drop_tables(store)


def test_the_local_store_has_a_schema_too(tmp_path: Path) -> None:
    cli = Cli(tmp_path)
    assert cli.json("db", "check", "--store", "local", code=4)["hint"] == "ghtrader db migrate --store local"
    assert not cli.json("db", "migrate", "--store", "local")["noop"]
    assert cli.json("db", "migrate", "--store", "local")["noop"]
    assert cli.json("db", "check", "--store", "local")["ok"]


def test_a_server_that_is_away_is_an_error_with_the_way_on_and_configuration_still_works(tmp_path: Path) -> None:
    cli = Cli(tmp_path)
    away = {"GHTRADER_STORE": "questdb", "GHTRADER_QUESTDB_PG_PORT": "1", "GHTRADER_QUESTDB_HTTP_PORT": "1"}
    said = cli.json("data", "list", code=6, **away)
    assert said["error"] == StoreError.__name__
    assert "make questdb" in said["hint"]
    cli.json("config", "list", **away)
    wrong = cli.json("data", "list", code=7, GHTRADER_STORE="oracle")
    assert "local or questdb" in wrong["message"]
    assert cli.json("db", "check", code=7, GHTRADER_QUESTDB_PG_PORT="high")["hint"] == "export GHTRADER_QUESTDB_PG_PORT=8812"


def test_the_benchmark_measures_every_kind_of_work_and_leaves_nothing(
    tmp_path: Path, server_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On few rows: the figures mean nothing then, their presence does."""
    from ghtrader.core.progress import NO_PROGRESS
    from ghtrader.questdb import bench

    for name, value in {"DAY_ROWS": 2000, "REPEATS": 1, "QUERY_REPEATS": 2, "FLUSH_ROWS": 1000}.items():
        monkeypatch.setattr(bench, name, value)
    services = services_on(tmp_path, server_environment, "b_", "questdb")
    store = services.server_store()
    assert isinstance(store, QuestdbStore)
    report = store.benchmark(rows=4000, progress=NO_PROGRESS)
    words = " ".join(item.work for item in report.results)
    for work in (
        "one sender",
        "two senders",
        "read_parquet",
        "into polars",
        "bounds",
        "latest",
        "symbol counts",
        "coverage",
        "day list",
    ):
        assert work in words
    assert set(report.parts) == {"client_encode_rows_per_s", "network_and_server_rows_per_s", "server_visibility_ms"}
    assert not [
        name for (name,) in store.wire.query("SELECT table_name FROM tables()") if name.startswith(("bench", "barebench"))
    ]
