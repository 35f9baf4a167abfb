"""Recorded files as a provider."""

from __future__ import annotations

from pathlib import Path

import pytest

from ghtrader.adapters.replay import ReplayProvider
from ghtrader.core.errors import DataError, ProviderPermanentError
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.calendar import Calendar
from ghtrader.data.instruments import InstrumentTable
from ghtrader.testing.builders import source_frame


def _provider(folder: Path) -> ReplayProvider:
    return ReplayProvider(folder, Calendar.vendored(), InstrumentTable.vendored())


def test_days_are_served_by_symbol_whatever_files_they_lie_in(tmp_path: Path) -> None:
    day = source_frame(40)
    day[:25].write_parquet(tmp_path / "SHFE.rb2510.a.parquet")
    day[25:].write_parquet(tmp_path / "SHFE.rb2510.b.parquet")
    source_frame(8, symbol="SHFE.cu2507", trading_day="2025-06-06").write_parquet(tmp_path / "SHFE.cu2507.parquet")
    provider = _provider(tmp_path)
    assert provider.symbols() == ["SHFE.cu2507", "SHFE.rb2510"]
    (found,) = provider.trading_days("SHFE.rb2510")
    chunk = provider.ticks("SHFE.rb2510", found)
    assert (found.iso, chunk.source) == ("2025-06-05", "SHFE.rb2510.a.parquet, SHFE.rb2510.b.parquet")
    assert chunk.frame.select(day.columns).equals(day)
    assert provider.ticks("SHFE.rb2510", found).sha256 == chunk.sha256
    assert provider.continuous_table("SHFE.rb") == []


def test_a_day_that_no_file_holds_is_refused_for_good(tmp_path: Path) -> None:
    with pytest.raises(ProviderPermanentError):
        _provider(tmp_path).ticks("SHFE.rb2510", TradingDay.parse("2025-06-05"))


@pytest.mark.parametrize("name", ["none", "file"])
def test_what_is_no_folder_is_an_error_that_names_it(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=f"{name}: No") as caught:
        _provider(tmp_path / name)
    assert "samples" in caught.value.hint
