"""Parity: a certificate when the live path and the batch path agree bit for bit, the first difference when they do not."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import pytest
from tests.conftest import SAMPLES, Cli

from ghtrader.app.services import AppServices
from ghtrader.core.errors import DataError, UsageError
from ghtrader.datasets.factors.catalogue import factor_set, kernel_hash
from ghtrader.pipelines import parity, parity_compare
from ghtrader.pipelines.ingest import import_files

SYMBOL = "SHFE.rb2510"


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    path = tmp_path / "SHFE.rb2510.20250605.parquet"
    rows = pl.read_parquet(SAMPLES / path.name)
    pl.concat([rows[1000:1100], rows[9000:9001], rows[1100:2999]]).write_parquet(path)  # one row out of place: two stretches
    return path


def test_a_recorded_stream_earns_the_same_certificate_again(services: AppServices, recorded: Path) -> None:
    one = parity.certify(services, set_name="channel", path=recorded)
    other = parity.certify(services, set_name="channel", path=recorded)
    assert (one.rows, one.days, one.mismatches, one.first_mismatch) == (2000, 1, 0, None)
    assert one.kernel_hash == kernel_hash()
    assert one.set_hash == factor_set("channel").set_hash
    assert one.certificate == other.certificate
    assert json.loads(Path(one.file).read_bytes())["certificate"] == one.certificate
    standing = parity.standing_certificate(services, one.set_hash)
    assert standing is not None
    assert standing.certificate == one.certificate
    assert parity.certify(services, set_name="minimal16", path=recorded).certificate != one.certificate


def test_stored_days_are_replayed_with_their_gaps(services: AppServices, recorded: Path) -> None:
    import_files(services, [recorded])
    for found in (
        parity.certify(services, set_name="full"),
        parity.certify(services, set_name="full", symbol=SYMBOL, day="2025-06-05"),
    ):
        assert found.mismatches == 0
        assert [item.name for item in found.data] == ["raw/SHFE.rb2510/2025-06-05"]
        assert found.data[0].digest
    with pytest.raises(DataError, match="no raw days"):
        parity.certify(services, set_name="full", symbol=SYMBOL, day="2025-06-06")
    with pytest.raises(UsageError):
        parity.certify(services, set_name="full", path=recorded, variety="rb")


def test_one_bit_is_a_mismatch_and_no_certificate_stands(
    services: AppServices, recorded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = parity_compare.compute_day

    def off_by_a_bit(*args: object, **kwargs: object) -> object:
        values, summary = whole(*args, **kwargs)  # type: ignore[arg-type]
        values[700, 3] = np.nextafter(values[700, 3], np.inf)
        return values, summary

    import_files(services, [recorded])
    monkeypatch.setattr(parity_compare, "compute_day", off_by_a_bit)
    found = parity.certify(services, set_name="channel", symbol=SYMBOL)
    assert found.mismatches == 1
    assert found.first_mismatch is not None
    assert (found.first_mismatch.row, found.first_mismatch.column) == (700, factor_set("channel").ids[3])
    assert parity.standing_certificate(services, found.set_hash) is None


def test_absence_against_a_number_and_signs_of_zero_are_mismatches() -> None:
    found = parity_compare.Compared(name="x", digest="")
    batch = np.array([[np.nan, 0.0], [1.0, np.nan]])
    parity_compare.compare_values(found, ["a", "b"], batch, np.array([[np.nan, -0.0], [np.nan, np.nan]]))
    assert found.mismatches == 2
    assert msgspec.to_builtins(found.first)["column"] == "b"
    assert found.first is not None
    assert found.first.row == 0


def test_the_command_shows_parity_on_the_sample_days_when_nothing_is_stored(cli: Cli, recorded: Path) -> None:
    answer = cli.json("features", "parity", str(recorded), "--set", "minimal16")
    assert answer["mismatches"] == 0
    assert len(answer["certificate"]) == 64


def test_model_cards_carry_the_certificate(services: AppServices, recorded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = parity.certify(services, set_name="minimal16", path=recorded)
    assert parity.certificate_of_series(services, "KQ.m@SHFE.rb", "minimal16", "2025-06-05") == found.certificate
    bad = msgspec.structs.replace(found, mismatches=3)
    monkeypatch.setattr(parity, "standing_certificate", lambda *arguments: None)
    monkeypatch.setattr(parity, "certify", lambda services, **options: bad)
    with pytest.raises(DataError, match="come out differently live"):
        parity.certificate_of_series(services, "KQ.m@SHFE.rb", "minimal16", "2025-06-05")
