from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from ghtrader.adapters.memory import MemoryTickStore
from ghtrader.adapters.synthetic import SyntheticProvider
from ghtrader.core.clock import SystemClock
from ghtrader.core.errors import ProviderPermanentError, UsageError
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.calendar import Calendar
from ghtrader.data.ingest import Ingest
from ghtrader.data.instruments import InstrumentTable
from ghtrader.research.truth import day_ticks
from ghtrader.sim.market.generate import GeneratedDay, generate_market, market_spec
from ghtrader.sim.market.params import MARKETS

BOOKS = ("planted", "decoy", "hidden", "rich")


def days(name: str, seed: int = 1, count: int = 2) -> list[GeneratedDay]:
    return list(generate_market(name, seed, days=count))


@pytest.fixture(scope="module")
def planted() -> list[GeneratedDay]:
    return days("planted", count=3)


def mids(day: GeneratedDay) -> np.ndarray:
    return (day.columns["bid_price1"] + day.columns["ask_price1"]) / 2 / day.price_tick


@pytest.mark.parametrize("name", list(MARKETS))
def test_books_are_never_crossed_and_counters_are_consistent(name: str) -> None:
    for day in days(name, seed=5):
        c = day.columns
        levels = np.stack([c[f"bid_price{n}"] for n in range(5, 0, -1)] + [c[f"ask_price{n}"] for n in range(1, 6)])
        assert (np.diff(levels, axis=0) > 0).all()
        assert all((c[f"{side}_volume{n}"] > 0).all() for side in ("bid", "ask") for n in range(1, 6))
        volume, amount, interest = (np.diff(c[key]) for key in ("volume", "amount", "open_interest"))
        assert (volume >= 0).all()
        assert (amount >= 0).all()
        assert (np.abs(interest[1:]) <= volume[1:]).all()
        assert ((volume > 0) == (amount > 0)).all()
        assert (np.diff(day.ts_ns) > 0).all()
        assert (day.ts_ns % 500_000_000 == 0).all()


def test_average_trade_price_lies_within_the_quotes_around_it(planted: list[GeneratedDay]) -> None:
    c = planted[0].columns
    volume, amount = np.diff(c["volume"])[1:], np.diff(c["amount"])[1:]
    traded = volume > 0
    price = amount[traded] / volume[traded] / planted[0].multiplier
    low = np.minimum.reduce([c["bid_price1"][1:-1], c["bid_price1"][2:]])[traded]
    high = np.maximum.reduce([c["ask_price1"][1:-1], c["ask_price1"][2:]])[traded]
    assert ((price >= low - 1e-6) & (price <= high + 1e-6)).mean() > 0.97


def test_same_arguments_same_ticks_and_other_seeds_others() -> None:
    one, again, other = days("planted", 7, 1)[0], days("planted", 7, 1)[0], days("planted", 8, 1)[0]
    assert all(np.array_equal(one.columns[name], again.columns[name]) for name in one.columns)
    assert not np.array_equal(one.columns["bid_volume1"][:1000], other.columns["bid_volume1"][:1000])


def test_the_book_has_the_facts_of_the_copper_day_it_was_fitted_to(planted: list[GeneratedDay]) -> None:
    spread = np.concatenate([(d.columns["ask_price1"] - d.columns["bid_price1"]) / d.price_tick for d in planted])
    moves = np.concatenate([np.diff(mids(d)) for d in planted])
    trades = np.concatenate([np.diff(d.columns["volume"]) for d in planted])
    sizes = np.concatenate([d.columns["bid_volume1"] for d in planted])
    assert 0.85 < (spread == 1).mean() < 0.97
    assert 0.80 < (moves == 0).mean() < 0.92
    assert 0.22 < moves.std() < 0.38
    assert np.corrcoef(moves[1:], moves[:-1])[0, 1] < -0.02
    assert ((moves - moves.mean()) ** 4).mean() / moves.var() ** 2 > 10
    assert 0.5 < (trades == 0).mean() < 0.7
    assert 15 < sizes.mean() < 30


def test_imbalance_leads_the_next_move_monotonely(planted: list[GeneratedDay]) -> None:
    imbalance, move = [], []
    for day in planted:
        bid, ask = day.columns["bid_volume1"], day.columns["ask_volume1"]
        imbalance.append(((bid - ask) / (bid + ask))[:-10])
        move.append(mids(day)[10:] - mids(day)[:-10])
    x, y = np.concatenate(imbalance), np.concatenate(move)
    buckets = [y[(x >= low) & (x < low + 0.4)].mean() for low in (-1.0, -0.6, -0.2, 0.2, 0.6)]
    assert (np.diff(buckets) > 0).all()


def test_activity_is_higher_at_the_edges_of_the_day(planted: list[GeneratedDay]) -> None:
    volume = np.mean([np.diff(d.columns["volume"])[: 27 * 900].reshape(27, 900).sum(axis=1) for d in planted], axis=0)
    assert volume[[0, 1, -2, -1]].mean() > 1.2 * volume[11:16].mean()


def test_leak_and_effect_never_overlap_and_the_truth_lies_apart(planted: list[GeneratedDay]) -> None:
    day = planted[0]
    assert set(day.truth_phase.tolist()) == {0, 1, 2}
    assert (day.truth_alpha[day.truth_phase == 0] == 0).all()
    assert not {"alpha", "phase", "truth"} & set(day.columns)
    leak = day.truth_phase == 1
    deep = sum(day.columns[f"bid_volume{n}"] - day.columns[f"ask_volume{n}"] for n in (3, 4, 5))
    assert deep[leak & (day.truth_alpha == 1)].mean() > 5 > -5 > deep[leak & (day.truth_alpha == -1)].mean()


def test_the_null_market_is_a_coin() -> None:
    moves = np.concatenate([np.diff(mids(d)) for d in days("null", count=4)])
    steps = moves[moves != 0]
    assert set(np.abs(steps).tolist()) == {1.0}
    assert abs(steps.mean()) < 3 / np.sqrt(len(steps))
    assert abs(np.corrcoef(steps[1:], steps[:-1])[0, 1]) < 3 / np.sqrt(len(steps))


@pytest.mark.parametrize("name", ["planted", "null"])
def test_ingest_keeps_every_generated_row(name: str) -> None:
    store = MemoryTickStore()
    ingest = Ingest(store, Calendar.vendored(), InstrumentTable.vendored(), SystemClock(), "test")
    provider = SyntheticProvider(name, 3, days=2)
    for day in provider.trading_days("SHFE.cu2006"):
        chunk = provider.ticks("SHFE.cu2006", day)
        (result,) = ingest.import_frame(chunk.symbol, chunk.frame, source=chunk.source, sha256=chunk.sha256)
        assert (result.dropped, result.deduped, result.rows_written) == ({}, 0, len(chunk.frame))
    assert provider.continuous_table("SHFE.cu")[0][1] == "SHFE.cu2006"
    with pytest.raises(ProviderPermanentError):
        provider.ticks("SHFE.cu2006", TradingDay.parse("2020-06-01"))


def test_a_generated_day_has_one_auction_row_and_a_closing_row() -> None:
    ticks = day_ticks(days("planted", count=1)[0])
    assert (ticks.phase == 2).sum() == 1
    assert ticks.phase[0] == 2
    assert ticks.ts_ns[-1] % 86_400_000_000_000 == 7 * 3_600_000_000_000  # 15:00 in Shanghai


def test_other_products_use_their_own_sessions_and_tick() -> None:
    day = next(generate_market("planted", 1, days=1, contract="SHFE.rb2510", first_day="2025-06-05"))
    assert day.sessions.has_night
    assert day.price_tick == 1.0
    assert len(day.ts_ns) > 40_000


def test_an_unknown_market_names_the_nearest() -> None:
    with pytest.raises(UsageError) as caught:
        market_spec("plantd")
    assert "planted" in caught.value.hint
    with pytest.raises(UsageError):
        next(generate_market("planted", 1, days=0))


def test_written_files_do_not_say_which_market_they_are(tmp_path, services) -> None:
    from ghtrader.pipelines.market import write_market

    report = write_market(services, "decoy", seed=1, out=tmp_path / "t", days=1, truth=tmp_path / "truth")
    metadata = pl.read_parquet_metadata(report.files[0])
    assert metadata["symbol"] == "SHFE.cu2006"
    assert not any("decoy" in value for value in metadata.values())
    assert "alpha" in pl.read_parquet(report.truth_files[0]).columns
    with pytest.raises(UsageError):
        write_market(services, "decoy", seed=1, out=tmp_path / "t", days=1, truth=tmp_path / "t")
