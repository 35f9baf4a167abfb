"""`ghtrader build` joins peers from stored days: as a file of the peer does, by content, and only where they changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from tests.conftest import SAMPLES

from ghtrader.app.services import AppServices
from ghtrader.core.errors import ConfigError, DataError, UsageError
from ghtrader.core.trading_day import TradingDay
from ghtrader.datasets.factors.catalogue import factor_set
from ghtrader.pipelines.build_peers import NEXT, PEER, other_of
from ghtrader.pipelines.build_sources import contract_source
from ghtrader.pipelines.build_store import BuildRequest, StoreBuild, build_store
from ghtrader.pipelines.feature_files import compute_features
from ghtrader.pipelines.ingest import import_files
from ghtrader.pipelines.main_series import build_main_l5, make_schedule
from ghtrader.ports.feature_store import BuildKey

FILES = sorted(SAMPLES.glob("*.parquet"))[:3]
OWN, HC, LATER = "SHFE.rb2510", "SHFE.hc2510", "SHFE.rb2601"
DAYS = ["2025-06-05", "2025-06-06", "2025-06-09"]
CROSS = [f"F{number}" for number in range(100, 109)]


def put(services: AppServices, folder: Path, symbol: str, source: Path, first: int) -> Path:
    """Every second row of a sample as the ticks of another contract, imported."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{symbol}.{source.stem.split('.')[-1]}.parquet"
    pl.read_parquet(source).gather_every(2, first).write_parquet(path)
    import_files(services, [path])
    return path


@pytest.fixture
def peers(services: AppServices, tmp_path: Path) -> list[Path]:
    """Three days of rb2510, two of hc2510, one of rb2601."""
    import_files(services, FILES)
    return [
        put(services, tmp_path / "a", HC, FILES[0], 0),
        put(services, tmp_path / "a", HC, FILES[1], 0),
        put(services, tmp_path / "a", LATER, FILES[0], 1),
    ]


def build(services: AppServices, **values: Any) -> StoreBuild:
    given = {"symbols": (OWN,), "set_name": "full", "fills": False, "peers": (HC,), "following": (LATER,)}
    return build_store(services, BuildRequest(**{**given, **values}))


def factors(services: AppServices, day: str, dataset: str = "full", symbol: str = OWN) -> pl.DataFrame:
    return services.store().features().features(BuildKey(symbol, dataset, TradingDay.parse(day)))


def known(frame: pl.DataFrame) -> set[str]:
    return {name for name in CROSS if np.isfinite(frame[name].to_numpy()).any()}


def test_a_build_joins_what_a_file_of_the_peer_gives_and_follows_its_days(
    services: AppServices, peers: list[Path], tmp_path: Path
) -> None:
    report = build(services)
    assert (report.config.peer, report.config.following) == (HC, LATER)
    out, names = tmp_path / "f.parquet", list(factor_set("full").ids)
    compute_features(services, FILES[0], out, symbol=OWN, set_name="full", peer=peers[0], following=peers[2])
    computed = pl.read_parquet(out).filter(pl.col("dropped").is_null())
    built = factors(services, DAYS[0])
    assert built.select(names).fill_nan(None).equals(computed.select(names))
    assert known(built) == set(CROSS)
    assert known(factors(services, DAYS[1])) == set(CROSS) - {"F107"}
    assert known(factors(services, DAYS[2])) == set()
    assert (build(services).reused, build(services, dataset="pool", workers=2).digest) == (3, report.digest)
    with pytest.raises(ConfigError, match=f"peer {HC} there, none now"):
        build(services, peers=())
    # a day of the peer changes: that day is built again, and no other
    put(services, tmp_path / "b", HC, FILES[1], 1)
    again = build(services)
    assert [day.reused for day in again.days] == [True, False, True]
    assert [day.content_digest == old.content_digest for day, old in zip(again.days, report.days, strict=True)] == [
        True,
        False,
        True,
    ]
    # a set that looks at nobody does not care
    assert build(services, set_name="minimal16").config == build(services, set_name="minimal16", peers=(), following=()).config


def test_a_series_looks_at_the_series_of_its_declared_peer(services: AppServices, peers: list[Path]) -> None:
    make_schedule(services, "rb", contract=OWN)
    build_main_l5(services, "rb")
    asked = {"varieties": ("rb",), "symbols": (), "following": (), "peers": ("default",)}
    with pytest.raises(DataError) as caught:
        build(services, **asked)
    assert "main-schedule" in caught.value.hint
    make_schedule(services, "hc")
    build_main_l5(services, "hc")
    report = build(services, **asked)
    assert report.config.peer == "KQ.m@SHFE.hc"
    assert known(factors(services, DAYS[0], symbol="KQ.m@SHFE.rb")) == set(CROSS) - {"F107"}
    own = build(services, peers=("KQ.m@SHFE.rb",), following=(), dataset="own")
    assert known(factors(services, DAYS[0], "own")) == set()  # the series shows this very contract
    assert own.config.peer == "KQ.m@SHFE.rb"


def test_whom_a_symbol_looks_at(services: AppServices, peers: list[Path]) -> None:
    own = contract_source(services, OWN)

    def found(*asked: str, place: int = PEER) -> str:
        other = other_of(services, asked, own, place, strict=True)
        return "" if other is None else other.symbol

    assert found() == ""
    assert found(HC) == HC
    assert found(f"hc={OWN}") == ""
    assert found(f"rb={HC}", LATER) == found(f"{OWN}={HC}", f"hc={LATER}") == HC
    assert found(f"rb={LATER}", place=NEXT) == LATER
    with pytest.raises(UsageError, match=r"two of --peer: SHFE\.hc2510, SHFE\.rb2601"):
        found(HC, LATER)
    with pytest.raises(UsageError, match="no peer of its own"):
        found(OWN)
    with pytest.raises(DataError, match=r"no days of SHFE\.hc2601"):
        found("SHFE.hc2601")
