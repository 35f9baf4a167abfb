"""The stored days that a build reads: of a variety's series behind its gate, or of a contract by itself."""

from __future__ import annotations

import msgspec

from ghtrader.core.errors import DataError
from ghtrader.core.instruments import product_of
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.instruments import InstrumentTable
from ghtrader.data.manifests import require_one_hash_version
from ghtrader.pipelines.build import clean_series
from ghtrader.pipelines.main_series import current_schedule
from ghtrader.pipelines.services import Services
from ghtrader.ports.tick_store import DayKey, DayManifest

__all__ = ["Source", "contract_source", "series_source"]


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """A symbol's days and what they are made of. left_out: days without clean provenance."""

    kind: str
    symbol: str
    product: str
    days: dict[TradingDay, DayManifest]
    left_out: list[str] = []


def series_source(services: Services, variety: str, *, strict: bool) -> Source:
    """Clean days of the main-contract series; strict: ProvenanceError for one that is not."""
    schedule = current_schedule(services, variety)
    days, left_out = clean_series(services, schedule, strict)
    return Source(kind="main_l5", symbol=schedule.alias, product=schedule.product, days=days, left_out=left_out)


def contract_source(services: Services, symbol: str) -> Source:
    """Stored days of a contract; raises DataError when there are none."""
    InstrumentTable.vendored().resolve_product(symbol)
    store = services.tick_store()
    keys = [DayKey("raw", symbol, day) for day in store.days("raw", symbol)]
    if not keys:
        raise DataError(f"no days of {symbol} are stored", hint=f"ghtrader data import FILE --symbol {symbol}", symbol=symbol)
    require_one_hash_version(services.day_reader(), keys)
    found = ((key.trading_day, store.manifest(key)) for key in keys)
    days = {day: manifest for day, manifest in found if manifest is not None}
    return Source(kind="raw", symbol=symbol, product=product_of(symbol), days=days)
