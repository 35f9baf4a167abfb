"""`ghtrader labels compute`: one row out for each row in, null with a reason where there is no label."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ghtrader.app.services import AppServices
from ghtrader.core.errors import UsageError
from ghtrader.data.day_ticks import GAP_FOLLOWS
from ghtrader.datasets.day_dataset import Horizon, VoidReason
from ghtrader.datasets.labels.day_labels import direction_columns, fill_columns
from ghtrader.datasets.labels.fees import TakerFees
from ghtrader.datasets.labels.spec import LabelSpec
from ghtrader.pipelines.labels import compute_labels, label_spec

SAMPLES = Path(__file__).parents[2] / "samples"
SPEC = LabelSpec(horizons=(Horizon("ticks", 50), Horizon("seconds", 25)))


def sample(day: str) -> pl.DataFrame:
    return pl.read_parquet(SAMPLES / f"SHFE.rb2510.{day}.parquet")


def nulled(values: np.ndarray) -> list[object]:
    absent = np.isnan(values) if values.dtype.kind == "f" else values == -1
    return [None if gone else value for value, gone in zip(values.tolist(), absent.tolist(), strict=True)]


def test_two_days_in_one_file_are_labelled_as_the_stored_days_row_for_row(
    services: AppServices, sample_day: Callable, tmp_path: Path
) -> None:
    days = [sample("20250605")[:9000], sample("20250606")[:9000]]
    extra = days[0][[40, 7]].with_columns(pl.Series("datetime", [days[0]["datetime"][40], days[0]["datetime"][0] - 5 * 10**12]))
    source = pl.concat([days[0][:100], extra, days[0][100:], days[1]])
    source.write_parquet(tmp_path / "two.parquet")
    out = tmp_path / "labels.parquet"
    report = compute_labels(services, tmp_path / "two.parquet", out, symbol="SHFE.rb2510", spec=SPEC)
    frame = pl.read_parquet(out)
    assert (report.rows, report.kept, len(frame)) == (18_002, 18_000, 18_002)
    assert report.dropped == {"duplicate": 1, "outside_session": 1}
    assert frame["dropped"].to_list()[98:104] == ["", "", "duplicate", "outside_session", "", ""]
    assert frame[[100, 101]].drop("datetime", "dropped").null_count().sum_horizontal().to_list() == [2 * (frame.width - 2)]
    kept = frame.filter(pl.col("dropped") == "")
    for number, iso in enumerate(("2025-06-05", "2025-06-06")):
        mine = kept[9000 * number : 9000 * (number + 1)]
        assert set(mine["trading_day"]) == {iso}
        ticks = sample_day(iso)[0].rows(slice(0, 9000))
        if not number:  # the first day breaks off and the file goes on: the rest of the day is missing
            ticks = replace(ticks, gap_after=np.where(np.arange(9000) == 8999, GAP_FOLLOWS, ticks.gap_after).astype(np.int8))
        assert mine["datetime"].to_list() == ticks.ts_ns.tolist()
        for name, values in {**direction_columns(ticks, SPEC), **fill_columns(ticks, SPEC)}.items():
            assert mine[name].to_list() == nulled(values), name
    metadata = pl.read_parquet_metadata(out)
    assert (metadata["symbol"], metadata["label_spec_hash"]) == ("SHFE.rb2510", SPEC.spec_hash)
    assert json.loads(metadata["label_spec"])["patience_s"] == 25.0
    fees = {"fixed": 0.0, "entry_rate": 0.0001, "exit_rate": 0.0001}
    assert json.loads(metadata["taker_fees"]) == {"2025-06-05": fees, "2025-06-06": fees}
    assert [day.fees for day in report.days] == [TakerFees(**fees)] * 2


def test_rows_at_a_hole_a_break_and_the_end_are_null_with_the_reason(services: AppServices, tmp_path: Path) -> None:
    frame = sample("20250605")
    holed = pl.concat([frame[:3000], frame[3240:9000]])
    holed.write_parquet(tmp_path / "SHFE.rb2510.parquet")
    out = tmp_path / "labels.parquet"
    report = compute_labels(services, tmp_path / "SHFE.rb2510.parquet", out, spec=SPEC)
    assert [day.gaps for day in report.days] == [1]
    labels = pl.read_parquet(out)
    assert set(labels["reason_50t"][2950:3000]) == {"gap"}
    assert labels["reason_50t"][3000] == "after_break"
    assert labels["reason_50t"][3001] == ""
    assert set(labels["reason_50t"][-50:]) == {"end"}
    assert set(labels["reason_25s"][-40:]) == {"end"}
    assert set(labels["void_50t"][-50:]) == {int(VoidReason.END)}
    assert labels.filter(pl.col("void_50t") != 0)["y_50t"].null_count() == (labels["void_50t"] != 0).sum()
    assert labels.filter(pl.col("void_50t") == 0)["y_50t"].null_count() == 0
    assert set(labels.filter(pl.col("fill_bid_back").is_null())["fill_bid_back_reason"]) == {"void", "gap", "end"}
    assert report.void["50t"]["gap"] == 50
    # the same rows, read up to a moment: the end comes earlier, everything that does not look beyond it is as it was
    until = int(frame["datetime"][2500])
    cut = tmp_path / "cut.parquet"
    compute_labels(services, tmp_path / "SHFE.rb2510.parquet", cut, spec=SPEC, until_ns=until)
    short = pl.read_parquet(cut)
    assert len(short) == 2501
    assert set(short["reason_50t"][-50:]) == {"end"}
    columns = [name for name in short.columns if not name.startswith("weight")]
    assert short[columns][:2400].equals(labels[columns][:2400])


def test_the_command_names_the_symbol_rule_and_refuses_to_overwrite_its_input(
    services: AppServices, cli: object, tmp_path: Path
) -> None:
    path = tmp_path / "ticks.parquet"
    sample("20250605")[:3000].write_parquet(path, metadata={"symbol": "SHFE.rb2510"})
    out = tmp_path / "out.parquet"
    arguments = ("labels", "compute", str(path), "--out", str(out), "--horizon", "10t", "--fee-ticks", "0.1")
    report = cli.json(*arguments)  # type: ignore[attr-defined]
    assert (report["symbol"], report["rows"], report["spec"]["fee_ticks"]) == ("SHFE.rb2510", 3000, 0.1)
    assert report["days"][0]["fees"] == {"fixed": 0.2, "entry_rate": 0.0, "exit_rate": 0.0}
    assert report["spec"]["horizons"] == [{"unit": "ticks", "length": 10}]
    table = cli.run(*arguments).stdout  # type: ignore[attr-defined]
    assert "rows without one" in table
    assert "bid_pro_rata" in table
    assert cli.json("labels", "show", "fill")["id"] == "fill"  # type: ignore[attr-defined]
    assert len(cli.json("labels", "list")["labels"]) == 7  # type: ignore[attr-defined]
    for wrong in (path, tmp_path / "no" / "out.parquet", tmp_path):
        with pytest.raises(UsageError, match="cannot be written"):
            compute_labels(services, path, wrong)
    with pytest.raises(UsageError, match="no horizon"):
        label_spec(["50m"])
