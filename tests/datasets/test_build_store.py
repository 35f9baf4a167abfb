"""`ghtrader build`: the same bytes whoever builds, resumed where it was ended, one configuration a dataset."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import psutil
import pytest
from tests.conftest import SAMPLES, Cli, environment_of

from ghtrader.app.build_workers import BuildProcesses, died
from ghtrader.app.paths import resolve_paths
from ghtrader.app.ray_driver import loopback_only
from ghtrader.app.services import AppServices
from ghtrader.cli.main import run
from ghtrader.core.clock import Deadline
from ghtrader.core.errors import ConfigError, DataError, SchemaError, StaleFeatureError, StoreError, UsageError
from ghtrader.core.progress import NO_PROGRESS
from ghtrader.core.trading_day import TradingDay
from ghtrader.datasets.factors.catalogue import factor_set
from ghtrader.datasets.labels.day_labels import direction_columns, fill_columns
from ghtrader.datasets.labels.fills import FillEnd
from ghtrader.datasets.labels.spec import LabelSpec
from ghtrader.datasets.online import OnlineFeatures
from ghtrader.datasets.point_in_time import features_as_of, row_as_of
from ghtrader.pipelines.build import build_datasets
from ghtrader.pipelines.build_run import ATTEMPTS, BuildRun, InlineWorkers
from ghtrader.pipelines.build_store import BuildRequest, StoreBuild, build_store
from ghtrader.pipelines.feature_files import compute_features
from ghtrader.pipelines.ingest import import_files
from ghtrader.pipelines.known_gaps import stored_ticks
from ghtrader.pipelines.main_series import build_main_l5, make_schedule
from ghtrader.ports.build_worker import BuildOutcome, BuildTask, EngineChoice
from ghtrader.ports.feature_store import BuildKey
from ghtrader.ports.tick_store import DayKey

FILES = sorted(SAMPLES.glob("*.parquet"))
ALIAS, CONTRACT = "KQ.m@SHFE.rb", "SHFE.rb2510"
DAYS = ["2025-06-05", "2025-06-06", "2025-06-09", "2025-06-10"]
TIMEOUT_S = 120.0


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four days of the series, never built."""
    folder = tmp_path_factory.mktemp("series")
    environment = environment_of(folder)
    services = AppServices(resolve_paths(environment), environment)
    import_files(services, FILES)
    make_schedule(services, "rb")
    build_main_l5(services, "rb")
    return folder


@pytest.fixture
def services(folder: Path, tmp_path: Path) -> AppServices:
    """The series in a folder of its own."""
    own = Cli(tmp_path).environment
    shutil.copytree(folder / "data", tmp_path / "data")
    return AppServices(resolve_paths(own), own)


def build(services: AppServices, **values: Any) -> StoreBuild:
    return build_store(services, BuildRequest(**{"varieties": ("rb",), **values}))


def stored(services: AppServices, dataset: str = "minimal16", symbol: str = ALIAS) -> list[str]:
    return [manifest.trading_day for manifest in services.store().features().manifests(symbol, dataset)]


class Dying(InlineWorkers):
    """Workers of which some die: ``deaths`` tasks fail as if their process had ended."""

    def __init__(self, services: AppServices, deaths: int) -> None:
        super().__init__(services)
        self.deaths = deaths

    def wait(self, timeout_s: float) -> list[BuildOutcome]:
        if self.deaths and self._task is not None:
            self.deaths -= 1
            task, self._task = self._task, None
            return [died(task, "killed")]
        return super().wait(timeout_s)


def test_the_store_holds_what_training_reads(services: AppServices) -> None:
    report = build(services)
    datasets, own = build_datasets(services, "rb", set_name="minimal16")
    assert own.reused == 4  # the arrays of training are those of the build
    assert [day.trading_day for day in report.days] == DAYS == stored(services)
    features = services.store().features()
    for dataset, day in zip(datasets, report.days, strict=True):
        key = BuildKey(ALIAS, "minimal16", dataset.trading_day)
        frame = features.features(key)
        assert frame.columns == ["datetime", *dataset.factor_names, "eligible"]
        assert np.array_equal(frame.select(dataset.factor_names).to_numpy(), dataset.factors, equal_nan=True)
        assert np.array_equal(frame["eligible"].to_numpy(), dataset.eligible)
        labels = features.labels(key)
        for index, horizon in enumerate(dataset.horizons):
            assert np.array_equal(labels[f"y_{horizon}"].to_numpy(), dataset.y[:, index], equal_nan=True)
            assert np.array_equal(labels[f"void_{horizon}"].to_numpy(), dataset.void[:, index])
        assert day.build_hash == dataset.build_hash
    registry = services.tables().rows("feature_registry_v2", report.set_hash)
    assert [row["factor_id"] for row in registry] == list(datasets[0].factor_names)


def test_the_store_holds_every_label_that_labels_compute_writes(services: AppServices) -> None:
    report = build(services)
    key = BuildKey(ALIAS, "minimal16", TradingDay.parse(DAYS[1]))
    ticks, spec = stored_ticks(services, DayKey("main_l5", ALIAS, key.trading_day)), LabelSpec()
    labels, fills = (read(key) for read in (services.store().features().labels, services.store().features().fills))
    for name, values in direction_columns(ticks, spec).items():
        assert np.array_equal(labels[name].to_numpy(), values, equal_nan=values.dtype.kind == "f"), name
    assert labels.columns[1:] == list(direction_columns(ticks, spec))
    columns = fill_columns(ticks, spec)
    for (side, model), orders in fills.partition_by("side", "fill_model", as_dict=True).items():
        name = f"{side}_{model}"
        rows = np.searchsorted(ticks.ts_ns, orders["datetime"].to_numpy())
        for kind in ("cost", "adverse"):
            assert np.array_equal(orders[kind].to_numpy(), columns[f"{kind}_{name}"][rows], equal_nan=True), name
        if model == "taker":
            assert np.array_equal(rows, np.flatnonzero(~np.isnan(columns[f"cost_{name}"])))
            assert orders.select((pl.col("filled") & ~pl.col("censored")).all()).item()
            continue
        end = columns[f"fill_{name}_end"]
        assert np.array_equal(rows, np.flatnonzero(end))
        assert np.array_equal(orders["filled"].to_numpy(), end[rows] == FillEnd.FILLED)
        assert np.array_equal(orders["censored"].to_numpy(), end[rows] >= FillEnd.BREAK)
        assert np.array_equal(orders["time_to_fill_ns"].to_numpy() / 1e9, columns[f"fill_{name}_seconds"][rows])
    assert set(fills["fill_model"].unique()) == {"back", "pro_rata", "front", "taker"}
    assert fills.select(pl.col("time_to_fill_ns").min()).item() >= 0
    assert report.days[1].rows == len(labels)


def test_every_engine_and_order_gives_the_same_digest_and_a_second_build_reuses_it(services: AppServices, folder: Path) -> None:
    first = build(services, workers=1)
    again = build(services, workers=2)
    assert (first.reused, again.reused, again.digest) == (0, 4, first.digest)
    assert again.run == ""
    shutil.rmtree(services.paths.artifacts / "datasets")
    pool = build(services, workers=2, overwrite=True)
    assert (pool.reused, pool.workers, pool.engine, pool.digest) == (0, 2, "local", first.digest)
    day = services.store().features().manifests(ALIAS, "minimal16")[2]
    services.store().features().delete(day.key)
    mended = build(services)
    assert (mended.reused, mended.digest) == (3, first.digest)


def test_two_configurations_never_meet_in_one_dataset(services: AppServices) -> None:
    build(services, fills=False)
    before = services.store().features().manifests(ALIAS, "minimal16")
    with pytest.raises(ConfigError, match=r"holds 4 days of another configuration: horizons .* there, 7t now") as caught:
        build(services, fills=False, horizons=("7t",))
    assert "ghtrader build --var SHFE.rb --overwrite" in caught.value.hint
    assert caught.value.context["stored"]["horizons"] != caught.value.context["asked"]["horizons"] == ("7t",)
    assert services.store().features().manifests(ALIAS, "minimal16") == before
    for other in ({"set_name": "channel"}, {"fills": True}):
        with pytest.raises(ConfigError, match="another configuration"):
            build(services, **{"fills": False, "dataset": "minimal16", **other})
    aside = build(services, fills=False, horizons=("7t",), dataset="short")
    assert aside.reused == 0
    replaced = build(services, fills=False, horizons=("7t",), overwrite=True)
    assert (replaced.reused, replaced.digest) == (0, aside.digest)
    assert {manifest.config.horizons for manifest in services.store().features().manifests(ALIAS, "minimal16")} == {("7t",)}


def test_an_overwrite_that_was_ended_leaves_a_mix_that_nobody_reads_and_goes_on(
    services: AppServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(services, fills=False)
    with monkeypatch.context() as patch:
        patch.setattr("ghtrader.pipelines.build_store.InlineWorkers", lambda services: Dying(services, 99))
        with pytest.raises(StoreError):
            build(services, fills=False, horizons=("7t",), overwrite=True)
    task_done = []
    run = InlineWorkers.wait

    def one_day(self: InlineWorkers, timeout_s: float) -> list[BuildOutcome]:
        if task_done:
            raise KeyboardInterrupt
        task_done.append(1)
        return run(self, timeout_s)

    with monkeypatch.context() as patch:
        patch.setattr(InlineWorkers, "wait", one_day)
        with pytest.raises(KeyboardInterrupt):
            build(services, fills=False, horizons=("7t",), overwrite=True)
    store = services.store().features()
    with pytest.raises(DataError, match="mixes configurations"):
        features_as_of(store, ALIAS, "minimal16", 1 << 62)
    with pytest.raises(ConfigError, match="holds 3 days"):
        build(services, fills=False, horizons=("7t",))
    assert build(services, fills=False, horizons=("7t",), overwrite=True).reused == 1


def test_a_worker_that_dies_is_given_its_day_again_but_not_for_ever(services: AppServices) -> None:
    for deaths, survives in ((ATTEMPTS - 1, True), (ATTEMPTS, False)):
        tasks = tasks_of(services)[:1]
        run = BuildRun(Dying(services, deaths), tasks, NO_PROGRESS)
        if survives:
            run.execute()
            assert (run.retries, len(run.built)) == (deaths, 1)
        else:
            with pytest.raises(StoreError, match="killed"):
                run.execute()


def tasks_of(services: AppServices) -> list[BuildTask]:
    """What a build would give to its workers."""
    found: list[BuildTask] = []

    class Looking(InlineWorkers):
        def submit(self, task: BuildTask) -> None:
            found.append(task)
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ghtrader.pipelines.build_store.InlineWorkers", Looking)
        with pytest.raises(KeyboardInterrupt):
            build(services, fills=False, overwrite=True)
    return found


def test_a_worker_with_other_data_or_code_refuses(services: AppServices) -> None:
    from msgspec.structs import replace

    (task,) = tasks_of(services)
    for other, message in (
        (replace(task, tick_digest="other"), "replaced while it was read"),
        (replace(task, build_hash="other"), "other gaps or other code"),
    ):
        (outcome,) = [InlineWorkers(services)._builder.run(other)]
        assert outcome.kind == "failed"
        assert message in outcome.error["message"]
    assert stored(services) == []


def test_a_killed_process_is_replaced_and_every_day_is_built(services: AppServices) -> None:
    workers = BuildProcesses(2, {}, Cli(services.paths.data.parent).environment)
    killed: list[int] = []

    class Killing:
        count = 2
        idle = property(lambda self: workers.idle)
        close = staticmethod(workers.close)

        @staticmethod
        def submit(task: BuildTask) -> None:
            workers.submit(task)
            if not killed:
                killed.append(workers._workers[0].process.pid)
                os.kill(killed[0], signal.SIGKILL)

        wait = staticmethod(workers.wait)

    (task,) = tasks_of(services)
    run = BuildRun(Killing(), [task], NO_PROGRESS)
    run.execute()
    assert (run.retries, list(run.built)) == (1, [(ALIAS, DAYS[0])])


def test_several_symbols_and_contracts_without_a_series(services: AppServices) -> None:
    both = build(services, symbols=(CONTRACT,), fills=False)
    assert both.symbols == [ALIAS, CONTRACT]
    assert len(both.days) == 8
    assert len(both.runs) == 2
    alone = build(services, varieties=(), symbols=(CONTRACT,), fills=False)
    assert (alone.reused, alone.config.kind, alone.symbols) == (4, "raw", [CONTRACT])
    series = {day.trading_day: day for day in both.days if day.symbol == ALIAS}
    assert all(day.rows == series[day.trading_day].rows for day in alone.days)
    with pytest.raises(DataError, match=r"no days of SHFE\.rb2601"):
        build(services, varieties=(), symbols=("SHFE.rb2601",))
    with pytest.raises(UsageError, match="nothing to build"):
        build(services, varieties=())
    with pytest.raises(UsageError, match="no engine"):
        build(services, engine="slow", overwrite=True)


def test_a_moment_sees_what_was_known_then(services: AppServices) -> None:
    build(services, fills=False)
    store = services.store().features()
    whole = features_as_of(store, ALIAS, "minimal16", 1 << 62)
    assert whole["trading_day"].unique(maintain_order=True).to_list() == DAYS
    assert whole["datetime"].is_sorted()
    moment = int(whole.filter(pl.col("trading_day") == DAYS[1])["datetime"][1000])
    names = factor_set("minimal16").ids[2:0:-1]
    then = features_as_of(store, ALIAS, "minimal16", moment, factors=names)
    assert then.equals(whole.filter(pl.col("datetime") <= moment).select("datetime", "trading_day", *names, "eligible"))
    assert features_as_of(store, ALIAS, "minimal16", moment - 1).height == then.height - 1
    middle = features_as_of(store, ALIAS, "minimal16", 1 << 62, first=TradingDay.parse(DAYS[1]), last=TradingDay.parse(DAYS[2]))
    assert middle["trading_day"].unique(maintain_order=True).to_list() == DAYS[1:3]
    with pytest.raises(DataError, match="no day"):
        features_as_of(store, ALIAS, "minimal16", 1 << 62, first=TradingDay.parse("2025-06-11"))


def test_one_moment_on_the_command_line_is_the_last_row_before_it_or_stale(
    services: AppServices, capsys: pytest.CaptureFixture[str]
) -> None:
    build(services, fills=False)
    store = services.store().features()
    whole = features_as_of(store, ALIAS, "minimal16", 1 << 62)
    names = factor_set("minimal16").ids
    first = whole.filter(pl.col("trading_day") == DAYS[2])
    moments = [
        (first["datetime"][500], 0),
        (first["datetime"][500], 1),
        (first["datetime"][0], -1),
        (first["datetime"][-1], 10**9),
    ]
    for stamp, shift in moments:
        row = whole.filter(pl.col("datetime") <= stamp + shift).row(-1, named=True)
        found = row_as_of(store, ALIAS, "minimal16", stamp + shift)
        assert (found.datetime_ns, found.build.trading_day, found.eligible) == (
            row["datetime"],
            row["trading_day"],
            row["eligible"],
        )
        assert found.age_s == (stamp + shift - row["datetime"]) / 1e9
        assert [np.float64(found.values[name]).tobytes() for name in names] == [np.float64(row[name]).tobytes() for name in names]

    def say(code: int, *arguments: str) -> Any:
        given = ["features", "at", "--var", "rb", "--set", "minimal16", *arguments, "--json"]
        assert run(services, given) == code
        return json.loads(capsys.readouterr().out.splitlines()[-1])

    told = say(0, "--at", "2025-06-06T09:30:00.000000001", "--factor", "F31", "--max-age", "1")
    assert (told["symbol"], told["at_ns"], told["trading_day"]) == (ALIAS, 1_749_173_400_000_000_001, DAYS[1])
    assert told["age_s"] < 1
    assert told["values"] == {"F31": row_as_of(store, ALIAS, "minimal16", told["at_ns"]).values["F31"]}
    at_noon = ("--at", "2025-06-06T12:00:00")
    assert say(0, *at_noon)["age_s"] > 1700
    stale = say(4, *at_noon, "--max-age", "1700")
    assert (stale["error"], stale["retryable"]) == ("StaleFeatureError", False)
    assert "1700 s are allowed" in stale["message"]
    assert "at or before" in say(4, "--at", "2025-06-01T12:00:00")["message"]
    assert say(4, *at_noon, "--factor", "F999")["error"] == "SchemaError"
    assert say(2, *at_noon, "--symbol", CONTRACT)["error"] == "UsageError"
    assert say(2, "--at", "noon")["message"] == "not a moment: 'noon'"
    assert run(services, ["features", "at", "--symbol", ALIAS, "--set", "minimal16", *at_noon]) == 0
    assert "a model may not predict here" not in capsys.readouterr().out


def test_the_online_store_forgets_nothing_and_answers_nothing_stale() -> None:
    chosen = factor_set("minimal16")
    online = OnlineFeatures(chosen, ttl_s=1.0, ttl_by_factor_s={chosen.ids[0]: 5.0})
    with pytest.raises(StaleFeatureError, match="no features of x yet") as caught:
        online.get("x", 0)
    assert caught.value.retryable
    assert caught.value.hint
    values = np.arange(len(chosen.ids), dtype=float)
    values[3] = np.nan
    assert online.push("x", 10**9, values)
    values[:] = -1  # the caller's array is the caller's
    assert not online.push("x", 10**9 - 1, values)
    found = online.get("x", 2 * 10**9)
    assert found[1] == 1
    assert np.isnan(found[3])
    with pytest.raises(StaleFeatureError, match=rf"{chosen.ids[1]} of x is 1\.000 s old, 1 s are allowed"):
        online.get("x", 2 * 10**9 + 1)
    assert online.get("x", 6 * 10**9, chosen.ids[:1]).tolist() == [0]
    assert online.stamp_ns("x") == 10**9
    assert online.stamp_ns("y") is None
    with pytest.raises(SchemaError, match="no factor F9999"):
        online.get("x", 0, ["F9999"])
    with pytest.raises(SchemaError, match="16 factors"):
        online.push("x", 10**10, values[:3])


def test_the_command_line_ends_with_its_report_and_names_both_configurations(services: AppServices) -> None:
    cli = Cli(services.paths.data.parent)
    report = cli.json("build", "--var", "rb", "--no-fills", "--workers", "1")
    assert (report["engine"], report["node_ids"], report["reused"], report["store"]) == ("local", [], 0, "local")
    refused = cli.json("build", "--var", "rb", "--no-fills", "--horizon", "7t", code=7)
    assert "another configuration" in refused["message"]
    assert "--overwrite" in refused["hint"]


def start(services: AppServices, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "ghtrader.app", "build", "--var", "rb", "--no-fills", *arguments, "--json"]
    environment = Cli(services.paths.data.parent).environment
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def until(seen: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = Deadline(TIMEOUT_S)
    while not seen():
        assert process.poll() is None, process.communicate()[1]
        assert not deadline.passed
        deadline.pause(0.01)


def family(process: subprocess.Popen[str]) -> list[psutil.Process]:
    try:
        return psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def raylets(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """Both nodes of the cluster, the driver's first; nothing while one is missing."""
    found = sorted((item for item in family(process) if item.name() == "raylet"), key=lambda item: item.create_time())
    return found if len(found) == 2 else []


def busy(nodes: list[psutil.Process]) -> bool:
    """Whether one of these nodes is building a day."""
    try:
        return any(child.cmdline()[:1] == ["ray::build_on_node"] for node in nodes for child in node.children())
    except psutil.NoSuchProcess:
        return False


def test_a_build_killed_at_any_moment_goes_on_where_it_was(services: AppServices) -> None:
    reference = build(services, fills=False, dataset="reference")
    for moment in (1, 3):
        process = start(services, "--workers", "2")
        until(lambda moment=moment: len(stored(services)) >= moment, process)  # type: ignore[misc]
        workers = family(process)
        process.kill()
        process.communicate()
        _, alive = psutil.wait_procs(workers, timeout=30)
        assert not alive
    before = len(stored(services))
    process = start(services)
    report = json.loads(process.communicate(timeout=TIMEOUT_S)[0].splitlines()[-1])
    assert (report["reused"], report["digest"]) == (before, reference.digest)


@pytest.mark.slow
@pytest.mark.parametrize("which", ["head", "other"])
def test_ray_builds_the_same_bytes_on_two_nodes_also_when_one_is_killed(services: AppServices, which: str) -> None:
    reference = build(services, fills=False, dataset="reference", symbols=(CONTRACT,))
    process = start(services, "--engine", "ray", "--symbol", CONTRACT)
    place = int(which == "other")
    until(lambda: busy(raylets(process)[place : place + 1]), process)
    everybody = family(process)
    node = raylets(process)[place]
    for item in (*node.children(recursive=True), node):
        item.kill()
    out, err = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 0, err
    report = json.loads(out.splitlines()[-1])
    assert (report["engine"], report["digest"]) == ("ray", reference.digest)
    assert report["retries"] >= 1
    assert report["node_ids"]
    _, alive = psutil.wait_procs(everybody, timeout=30)
    assert not alive


@pytest.mark.slow
def test_ray_works_on_two_nodes_and_leaves_nothing_behind_when_it_is_ended(services: AppServices) -> None:
    reference = build(services, fills=False, dataset="reference")
    process = start(services, "--engine", "ray")
    out, err = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 0, err
    report = json.loads(out.splitlines()[-1])
    assert len(report["node_ids"]) == 2
    assert (report["digest"], report["workers"], report["retries"]) == (reference.digest, 2, 0)
    process = start(services, "--engine", "ray", "--overwrite")
    until(lambda: bool(raylets(process)), process)
    everybody = family(process)
    process.terminate()
    process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 130
    _, alive = psutil.wait_procs(everybody, timeout=30)
    assert not alive


#: A cluster of one node that is there already, at this machine's address, until its input ends.
CLUSTER = """
import os, sys, tempfile
from ghtrader.app import ray_driver
os.environ.update({**ray_driver.OWN_CLUSTER, "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "1"})
from ray.cluster_utils import Cluster
with tempfile.TemporaryDirectory(prefix="ghr", dir="/tmp", ignore_cleanup_errors=True) as folder:
    given = {"include_dashboard": False, "include_log_monitor": False, "temp_dir": folder}
    given |= {"num_cpus": 2, "node_ip_address": ray_driver._own_host()}
    cluster = Cluster(initialize_head=True, head_node_args=given)
    print("at", cluster.address, flush=True)
    sys.stdin.read()
    cluster.shutdown()
"""


@pytest.fixture
def cluster() -> Iterator[tuple[str, psutil.Process]]:
    """Address and node of a running cluster that nobody of ours started."""
    process = subprocess.Popen([sys.executable, "-c", CLUSTER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    address = next(line.split()[1] for line in process.stdout if line.startswith("at "))
    everybody = family(process)
    (node,) = (item for item in everybody if item.name() == "raylet")
    yield address, node
    process.communicate(timeout=TIMEOUT_S)
    _, alive = psutil.wait_procs(everybody, timeout=30)
    assert not alive


@pytest.mark.slow
def test_ray_builds_on_a_cluster_that_runs_already_and_leaves_it_running(
    services: AppServices, cluster: tuple[str, psutil.Process]
) -> None:
    address, node = cluster
    reference = build(services, fills=False, dataset="reference")
    process = start(services, "--engine", "ray", "--address", address)
    until(lambda: bool(stored(services)), process)
    assert "raylet" not in {item.name() for item in family(process)}  # no cluster of its own
    out, err = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 0, err
    report = json.loads(out.splitlines()[-1])
    assert (report["engine"], report["digest"], report["reused"], report["workers"]) == ("ray", reference.digest, 0, 2)
    assert len(report["node_ids"]) == 1
    assert stored(services) == DAYS
    assert node.is_running()


def test_an_address_is_a_cluster_of_this_machine_or_of_others_or_an_error_at_once() -> None:
    for host, alone in (("127.0.0.1", True), ("0.0.0.0", False)):
        with socket.create_server((host, 0)) as server:
            port = server.getsockname()[1]
            assert loopback_only(f"127.0.0.1:{port}") is alone
    for wrong, why in ((f"127.0.0.1:{port}", "refused"), ("127.0.0.1", "host:port"), ("auto", "host:port")):
        with pytest.raises(StoreError, match=f"no Ray cluster at {wrong}: .*{why}"):
            loopback_only(wrong)


def test_ray_is_an_extra(services: AppServices, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="engine ray") as caught:
        services.build_workers(EngineChoice(engine="ray"))
    assert "ghtrader[dist]" in caught.value.hint


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_days(tmp_path: Path) -> None:
    """A generated market of 12 days, and its first four: one process builds each."""
    market = Cli(tmp_path / "market")
    market.json("market", "generate", "planted", "--days", "12", "--out", str(tmp_path / "ticks"))
    files = sorted((tmp_path / "ticks").glob("*.parquet"))
    peaks = []
    for days in (4, 12):
        cli = Cli(tmp_path / str(days))
        cli.json("data", "import", *map(str, files[:days]))
        command = [sys.executable, "-m", "ghtrader.app", "build", "--symbol", "SHFE.cu2006", "--workers", "1"]
        process = subprocess.Popen(command, env=cli.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0
        peaks.append(usage.ru_maxrss)
    assert peaks[1] < 1.15 * peaks[0]


def test_a_build_knows_what_earlier_days_left_as_a_file_of_all_days_does(services: AppServices, tmp_path: Path) -> None:
    report = build(services, set_name="full", fills=False)
    features = services.store().features()
    built = pl.concat([features.features(BuildKey(ALIAS, "full", TradingDay.parse(day))) for day in DAYS])
    joined, out = tmp_path / "joined.parquet", tmp_path / "features.parquet"
    pl.concat([pl.read_parquet(path) for path in FILES]).write_parquet(joined)
    compute_features(services, joined, out, symbol=CONTRACT, set_name="full")
    names = list(factor_set("full").ids)
    computed = pl.read_parquet(out).filter(pl.col("dropped").is_null() | (pl.col("dropped") == ""))
    assert np.array_equal(
        built.select(names).to_numpy(), computed.select(names).fill_null(float("nan")).to_numpy(), equal_nan=True
    )
    first = len(features.features(BuildKey(ALIAS, "full", TradingDay.parse(DAYS[0]))))
    for name in ("F80", "F81", "F99"):
        known = np.isfinite(built[name].to_numpy())
        assert not known[:first].any(), name
        assert known[2 * first :].mean() > 0.75, name  # VPIN waits for ten buckets of the day
    again = build(services, set_name="full", fills=False)
    assert (again.reused, again.digest) == (4, report.digest)
    shutil.rmtree(services.paths.artifacts)
    assert build(services, set_name="full", fills=False, overwrite=True).digest == report.digest


OWN = """
from ghtrader.datasets.factors.user import user_factor


@user_factor("X_TWO", "twice the spread", "2 s", unit="ticks", lookback="none", flip="even")
def twice(f, state, bid_px, bid_sz, ask_px, ask_sz):
    return 2.0 * (ask_px[0] - bid_px[0])


SETS = {"mine": ("F1", "X_TWO")}
"""


def test_factors_of_ones_own_are_built_by_workers_too(services: AppServices, tmp_path: Path) -> None:
    own = tmp_path / "own.py"
    own.write_text(OWN)
    build(services, set_name="mine", factors=str(own), fills=False, workers=2)
    frame = services.store().features().features(BuildKey(ALIAS, "mine", TradingDay.parse(DAYS[0])))
    assert np.array_equal(frame["X_TWO"].to_numpy(), 2.0 * frame["F1"].to_numpy(), equal_nan=True)
    own.write_text(OWN.replace("2.0 *", "3.0 *"))
    with pytest.raises(ConfigError, match="another configuration"):
        build(services, set_name="mine", factors=str(own), fills=False)
