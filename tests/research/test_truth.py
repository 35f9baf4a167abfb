"""The truth machine on small markets: what is planted is credited, what is not is not. `rich` needs 20 test days and is judged end to end."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import psutil
import pytest

from ghtrader.adapters.memory import MemoryTickStore
from ghtrader.app.services import AppServices
from ghtrader.cli.main import run
from ghtrader.core.clock import SystemClock
from ghtrader.core.errors import DataError, UsageError
from ghtrader.data.calendar import Calendar
from ghtrader.data.ingest import Ingest
from ghtrader.data.instruments import InstrumentTable
from ghtrader.data.loading import load_day_ticks
from ghtrader.data.readers import read_ticks
from ghtrader.pipelines.market import write_market
from ghtrader.pipelines.truth import MarketSummary, SeedTruth, requirements_of, run_study, seed_task, seed_truth
from ghtrader.ports.tick_store import DayKey
from ghtrader.research.truth import channel_datasets, day_ticks, signal_truth
from ghtrader.sim.market.generate import generate_market

SHORT = 12


def _judge(services: AppServices, market: str, seed: int, days: int = SHORT) -> SeedTruth:
    return seed_truth(seed_task(services.settings(), market, seed, days))


def test_planted_is_credited(services: AppServices) -> None:
    found = _judge(services, "planted", 101)
    assert found.signal_gain.low > 0.03
    assert found.directional_auc.low > 0.65


def test_decoy_is_not_credited_although_its_book_is_predictable(services: AppServices) -> None:
    found = _judge(services, "decoy", 102)
    assert abs(found.signal_gain.value) < 0.01
    assert found.directional_auc.low > 0.6


def test_hidden_is_not_credited(services: AppServices) -> None:
    assert abs(_judge(services, "hidden", 103).signal_gain.value) < 0.01


def test_null_is_at_chance(services: AppServices) -> None:
    found = [_judge(services, "null", seed) for seed in (104, 105, 106)]
    assert abs(np.mean([item.directional_auc.value for item in found]) - 0.5) < 0.02
    assert all(item.directional_auc.low <= 0.5 <= item.directional_auc.high for item in found)


def test_same_days_give_the_same_truth_on_any_number_of_threads() -> None:
    datasets = channel_datasets(generate_market("planted", 5, days=8))
    one, two = (signal_truth(datasets, seed=7, replicates=200, threads=threads) for threads in (1, 2))
    assert msgspec.json.encode(one) == msgspec.json.encode(two)
    assert (one.train_days, one.test_days) == (6, 2)


def test_too_few_days_for_the_truth_are_an_error() -> None:
    with pytest.raises(DataError, match="7 days"):
        signal_truth(channel_datasets(generate_market("null", 1, days=7)), seed=1, replicates=100, threads=1)


def test_a_generated_day_in_memory_equals_the_same_day_written_imported_and_loaded(services: AppServices, tmp_path: Path) -> None:
    report = write_market(services, "planted", seed=9, out=tmp_path / "ticks", days=1)
    source, store, instruments = read_ticks(Path(report.files[0])), MemoryTickStore(), InstrumentTable.vendored()
    Ingest(store, Calendar.vendored(), instruments, SystemClock(), "test").import_frame(
        source.symbol, source.frame, source="x", sha256=""
    )
    day = next(iter(generate_market("planted", 9, days=1)))
    stored = load_day_ticks(store, DayKey("raw", source.symbol, day.trading_day), instruments)
    ticks = day_ticks(day)
    for name in ("ts_ns", "bid_px", "bid_sz", "ask_px", "ask_sz", "last_px", "volume", "amount", "phase", "part", "break_before"):
        assert np.array_equal(getattr(stored, name), getattr(ticks, name)), name


def _summary(market: str, **values: object) -> MarketSummary:
    base = {"seeds": 20, "mean_gain": 0.0, "credited": 0, "mean_auc": 0.5, "intervals_off_half": 0, "verdicts": {}}
    return msgspec.convert({"market": market, **base, **values}, MarketSummary)


@pytest.mark.parametrize(("seeds", "least"), [(1, 1), (3, 3), (10, 9), (20, 18), (40, 36)])
def test_few_seeds_allow_no_miss(seeds: int, least: int) -> None:
    for credited, met in ((least, True), (least - 1, False)):
        assert [item.met for item in requirements_of([_summary("planted", seeds=seeds, credited=credited)])] == [met]


@pytest.mark.parametrize(
    ("summary", "met"),
    [
        (_summary("planted", credited=18), True),
        (_summary("planted", credited=17), False),
        (_summary("decoy", mean_gain=-0.0099), True),
        (_summary("decoy", mean_gain=0.01), False),
        (_summary("null", mean_auc=0.5119, intervals_off_half=3), True),
        (_summary("null", mean_auc=0.4879, intervals_off_half=0), False),
        (_summary("null", intervals_off_half=4), False),
        (_summary("rich", verdicts={"edge": 18, "undecidable": 2}), True),
        (_summary("rich", verdicts={"edge": 17, "undecidable": 3}), False),
    ],
)
def test_requirements_over_twenty_seeds(summary: MarketSummary, met: bool) -> None:
    assert [item.met for item in requirements_of([summary])] == [met]


def test_a_study_goes_on_where_it_stopped_and_counts_only_new_trials(services: AppServices) -> None:
    first = run_study(services, seeds=1, markets=["null"], days=8, workers=1)
    more = run_study(services, seeds=2, markets=["null"], days=8, workers=1)
    assert (first.reused, more.reused) == (0, 1)
    assert [item.seed for item in more.runs] == [1, 2]
    assert more.runs[0] == first.runs[0]
    assert services.ledger().count("trials") == 2


def test_processes_give_what_one_process_gives_and_torn_results_are_computed_again(services: AppServices) -> None:
    alone = run_study(services, seeds=2, markets=["null"], days=8, workers=1)
    for path in (services.paths.artifacts / "truth").glob("*.json"):
        path.write_bytes(b"{torn")
    several = run_study(services, seeds=2, markets=["null"], days=8, workers=2)
    assert several.reused == 0
    assert [(item.signal_gain, item.directional_auc) for item in several.runs] == [
        (item.signal_gain, item.directional_auc) for item in alone.runs
    ]


def test_a_killed_study_keeps_what_was_finished_and_leaves_no_process_behind(tmp_path: Path) -> None:
    environment = {**os.environ, **{f"GHTRADER_{name}_DIR": str(tmp_path / name) for name in ("DATA", "RUNS", "ARTIFACTS")}}
    arguments = ["truth", "--seeds", "20", "--markets", "null", "--days", "8", "--workers", "2", "--json"]
    study = subprocess.Popen([sys.executable, "-m", "ghtrader.app", *arguments], env=environment, stderr=subprocess.DEVNULL)
    finished = tmp_path / "ARTIFACTS" / "truth"
    while not list(finished.glob("*.json")):
        with contextlib.suppress(subprocess.TimeoutExpired):
            study.wait(timeout=0.1)
        assert study.returncode is None
    workers = psutil.Process(study.pid).children(recursive=True)
    study.kill()
    study.wait()
    assert len(workers) >= 2
    assert not psutil.wait_procs(workers, timeout=30)[1]
    assert all(msgspec.json.decode(path.read_bytes(), type=SeedTruth).market == "null" for path in finished.glob("*.json"))


def test_a_requirement_that_is_not_met_is_a_data_error_after_the_report(
    services: AppServices, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run(services, ["truth", "--seeds", "1", "--markets", "rich", "--days", "8", "--workers", "1", "--json"])
    report = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert code == 4  # two test days: undecidable, whatever the market
    assert report["ok"] is False
    assert report["runs"][0]["verdict"] == "undecidable"
    assert report["requirements"][0]["met"] is False


def test_an_unknown_market_names_the_nearest_one(services: AppServices) -> None:
    with pytest.raises(UsageError) as caught:
        run_study(services, seeds=1, markets=["plantd"])
    assert "planted" in caught.value.hint
