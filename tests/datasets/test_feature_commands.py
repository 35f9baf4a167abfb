"""`ghtrader features compute`: causal, one row per input row, the same whatever follows."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.conftest import SAMPLES, Cli
from tests.datasets.rough_files import SYMBOL, frame_of, plan, rough_rows, same_bits

from ghtrader.core.errors import DataError
from ghtrader.data.readers import read_tick_batches
from ghtrader.datasets.factors.engine import compute
from ghtrader.pipelines.feature_files import feature_frames

DAY = SAMPLES / "SHFE.rb2510.20250605.parquet"
Rows = tuple[np.ndarray, np.ndarray]


def features(frame: pl.DataFrame, set_name: str = "full", until: int | None = None, *, pieces: int = 1) -> pl.DataFrame:
    size = max(1, len(frame) // pieces)
    frames = list(feature_frames(plan(set_name), iter(frame.iter_slices(size)), until=until))
    return pl.concat(frames) if frames else frame.select("datetime").head(0)


@settings(max_examples=60, deadline=None)
@given(rows=rough_rows(), cut=st.integers(0, 40), pieces=st.integers(1, 5))
def test_the_future_changes_nothing(rows: Rows, cut: int, pieces: int) -> None:
    frame = frame_of(*rows)
    whole = features(frame)
    assert whole["datetime"].len() == len(frame)
    assert same_bits(features(frame, pieces=pieces), whole)
    if cut and len(frame):
        assert same_bits(features(frame.head(cut)), whole.head(cut))
        until = int(frame["datetime"][min(cut, len(frame)) - 1])
        assert same_bits(features(frame, until=until), whole.filter(frame["datetime"] <= until))


def test_a_real_day_has_the_factors_that_the_engine_gives_its_imported_rows(sample_day) -> None:  # type: ignore[no-untyped-def]
    ticks, sessions = sample_day("2025-06-05")
    wanted = plan("channel", "SHFE.rb2510")
    found = pl.concat(feature_frames(wanted, read_tick_batches(DAY, rows=10_000)[1]))
    np.testing.assert_array_equal(found["datetime"].to_numpy(), ticks.ts_ns)
    np.testing.assert_array_equal(found.select(wanted.chosen.ids).to_numpy(), compute(ticks, sessions, wanted.chosen))
    assert found["dropped"].null_count() == len(found)


def test_several_days_carry_what_earlier_days_left(tmp_path: Path) -> None:
    days = [pl.read_parquet(path).tail(3000) for path in sorted(SAMPLES.glob("*.parquet"))[:2]]
    wanted = plan("full", "SHFE.rb2510")
    both = pl.concat(feature_frames(wanted, iter(days)))
    alone = pl.concat(feature_frames(wanted, iter(days[1:])))
    assert same_bits(both.head(3000), pl.concat(feature_frames(wanted, iter(days[:1]))))
    remembered = [name for name in wanted.chosen.ids if not same_bits(both.tail(3000).select(name), alone.select(name))]
    assert set(remembered) <= {item.id for item in wanted.chosen.factors if item.needs == "history" or item.id in {"F15", "F16"}}


def test_fitted_parameters_refuse_the_rows_they_know(tmp_path: Path) -> None:
    from dataclasses import replace

    from ghtrader.datasets.factors.parameters import FittedParameters

    frame = pl.read_parquet(DAY).head(100)
    last = int(frame["datetime"][50])
    fit = FittedParameters(symbol="SHFE.rb2510", days=("2025-06-05",), first_ns=0, last_ns=last, rows=1, values={})
    fitted = replace(plan("full", "SHFE.rb2510"), fit=fit)
    with pytest.raises(DataError, match="know its future"):
        list(feature_frames(fitted, iter([frame])))
    assert same_bits(
        pl.concat(feature_frames(replace(fitted, in_sample=True), iter([frame]))),
        pl.concat(feature_frames(plan("full", "SHFE.rb2510"), iter([frame]))),
    )


def test_the_command_writes_a_row_per_input_row_and_says_what_it_dropped(cli: Cli, tmp_path: Path) -> None:
    source, out, part = pl.read_parquet(DAY).head(400), tmp_path / "f.parquet", tmp_path / "part.parquet"
    rough = pl.concat([source.head(200), source.slice(199, 1), source.slice(50, 1), source.tail(200)])
    rough.write_parquet(tmp_path / "ticks.parquet")
    report = cli.json(
        "features", "compute", str(tmp_path / "ticks.parquet"), "--symbol", "SHFE.rb2510", "--set", "channel", "--out", str(out)
    )
    assert (report["rows"], report["computed"], report["dropped"]) == (402, 400, {"duplicate": 1, "late_row": 1})
    assert report["differs_from_import"] == {"late_row": 1}
    found = pl.read_parquet(out)
    assert found.columns == ["datetime", *plan("channel").chosen.ids, "dropped"]
    assert found.filter(pl.col("dropped").is_not_null()).select(pl.col("F1").is_null().all()).item()
    assert pl.read_parquet_metadata(out)["set_hash"] == plan("channel").chosen.set_hash
    cut = int(rough["datetime"][300])
    cli.json(
        "features", "compute", str(tmp_path / "ticks.parquet"), "--symbol", "SHFE.rb2510", "--set", "channel", "--out", str(part),
        "--until", str(cut),
    )  # fmt: skip
    assert same_bits(pl.read_parquet(part), found.filter(rough["datetime"] <= cut))
    assert [item.name for item in tmp_path.iterdir() if item.name.startswith(".")] == []


def test_a_file_that_cannot_be_read_leaves_nothing_behind(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("datetime,last_price\n2025-06-05 09:00:00,1\n")
    answer = cli.json(
        "features", "compute", str(tmp_path / "x.csv"), "--symbol", SYMBOL, "--out", str(tmp_path / "o.parquet"), code=4
    )
    assert "columns missing" in answer["message"]
    assert not (tmp_path / "o.parquet").exists()
    (tmp_path / "t.parquet").write_bytes(DAY.read_bytes())
    for verb in (("compute",), ("stream", "--ticks")):
        cli.json("features", *verb, str(tmp_path / "t.parquet"), "--symbol", SYMBOL, "--out", str(tmp_path / "t.parquet"), code=2)
    assert (tmp_path / "t.parquet").read_bytes() == DAY.read_bytes()


def test_a_card_is_shown(cli: Cli) -> None:
    shown = cli.run("features", "show", "F31").stdout
    assert "odd: changes sign" in shown
    assert json.loads(cli.run("features", "show", "F31", "--json").stdout)["id"] == "F31"
    assert len(cli.json("features", "list", "--set", "minimal16")["factors"]) == 16


def test_files_of_a_peer_and_of_the_next_contract_give_the_cross_asset_factors(cli: Cli, tmp_path: Path) -> None:
    pl.read_parquet(DAY).head(3000).write_parquet(tmp_path / "own.parquet")
    shutil.copy(tmp_path / "own.parquet", tmp_path / "SHFE.hc2510.parquet")
    shutil.copy(tmp_path / "own.parquet", tmp_path / "SHFE.rb2601.parquet")
    out = tmp_path / "f.parquet"
    asked = ("features", "compute", str(tmp_path / "own.parquet"), "--symbol", "SHFE.rb2510", "--out", str(out))
    cli.json(*asked, "--peer", str(tmp_path / "SHFE.hc2510.parquet"), "--next", str(tmp_path / "SHFE.rb2601.parquet"))
    found = pl.read_parquet(out)
    known = found.filter(pl.col("F100").is_not_null())
    assert len(known) > 2900
    # a peer with our own ticks: the same return in its own volatilities, no calendar spread, the same micro-price
    assert np.allclose(known["F100"].to_numpy(), known["F59"].to_numpy() / np.maximum(0.05, known["F68"].to_numpy()))
    assert known["F107"].unique().to_list() == [0.0]
    assert np.allclose(known["F108"].to_numpy(), known["F12"].to_numpy() / known["F1"].to_numpy())
    shutil.copy(tmp_path / "own.parquet", tmp_path / "SHFE.rb2510.parquet")
    refused = cli.json(*asked, "--peer", str(tmp_path / "SHFE.rb2510.parquet"), code=2)
    assert "no peer of its own" in refused["message"]
