"""`ghtrader tca`: an account's journal beside the ticks that it traded on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import msgspec

from ghtrader.core.errors import DataError
from ghtrader.core.instruments import InstrumentSpec
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.day_ticks import DayTicks
from ghtrader.data.instruments import InstrumentTable
from ghtrader.data.loading import load_day_ticks
from ghtrader.pipelines.demo import files_by_symbol, tick_files
from ghtrader.pipelines.ingest import calendar_of
from ghtrader.pipelines.journal import account_journal
from ghtrader.pipelines.services import Services
from ghtrader.pipelines.tick_file import load_tick_file
from ghtrader.ports.tick_store import DayKey
from ghtrader.trading.journal.days import days_of, records_of_day
from ghtrader.trading.journal.reading import JournalRecords
from ghtrader.trading.journal.records import Record
from ghtrader.trading.tca.costs import CostParts, TargetCost, target_cost
from ghtrader.trading.tca.days import TradedDay, positions_at_start, traded_days
from ghtrader.trading.tca.quotes import DayQuotes
from ghtrader.trading.tca.reading import targets_of
from ghtrader.trading.tca.summary import CostSummary, summarise, summarise_by

__all__ = ["TcaOrder", "TcaReport", "TcaTarget", "trading_costs"]

R = TypeVar("R", bound=msgspec.Struct)


class TcaOrder(CostParts, frozen=True, kw_only=True):
    """One order; prices in ticks, costs in ticks times lots, positive is lost. missed: see `trading.tca.costs.OrderCost`."""

    order_id: str
    target_id: int
    symbol: str
    trading_day: str
    side: str
    style: str
    lots: int
    filled: int
    arrival: float
    price: float
    missed: float


class TcaTarget(CostParts, frozen=True, kw_only=True):
    """One target or direct order with everything that was done for it; units as in `TcaOrder`.

    expected, realised, surprise: ticks a filled lot, without fees. decision_ns: exchange time of the tick that was decided on, UTC.
    """

    target_id: int
    symbol: str
    trading_day: str
    side: str
    style: str
    decision_ns: int
    wanted: int
    filled: int
    unfilled: int
    orders: int
    arrival: float
    price: float
    opportunity: float
    expected: float
    realised: float
    surprise: float


class TcaReport(msgspec.Struct, frozen=True, kw_only=True):
    """What an account's trading cost. ticks: what it was measured against: a folder, or the store."""

    account: str
    days: list[str]
    ticks: list[str]
    total: CostSummary
    by_day: dict[str, CostSummary]
    by_contract: dict[str, CostSummary]
    by_style: dict[str, CostSummary]
    targets: list[TcaTarget]
    orders: list[TcaOrder]


def trading_costs(services: Services, account: str = "", *, day: str = "", ticks: Path | None = None) -> TcaReport:
    """Costs of everything that an account traded, or of one trading day.

    ticks: a folder of tick files to measure against; without one the folder that a replay was run on, else the tick store. Raises
    DataError for a day that the journal does not have, and where ticks of a traded day are missing.
    """
    name, store = account_journal(services, account)
    records: Iterable[Record] = JournalRecords(store)
    positions: dict[str, int] = {}
    days = days_of(records)
    if day:
        wanted = TradingDay.parse(day).iso
        if wanted not in days:
            hint = f"it has {', '.join(days[-5:])}" if days else f"ghtrader journal tail --account {name}"
            raise DataError(f"the journal of {name} has no trading day {wanted}", hint=hint, account=name, day=wanted)
        own = records_of_day(store, wanted)
        records, positions, days = own, positions_at_start(own), [wanted]
    traded = traded_days(JournalRecords(store), only=set(days))
    if ticks is not None:
        traded = [msgspec.structs.replace(item, folder=str(ticks)) for item in traded]
    instruments = InstrumentTable.vendored()

    def spec_of(symbol: str, trading_day: str) -> InstrumentSpec:
        return instruments.spec(symbol, TradingDay.parse(trading_day))

    quotes = DayQuotes(_ticks(services, traded, instruments))
    entries = [entry for entry in targets_of(records, quotes, spec_of, positions=positions) if entry.trading_day in days]
    return _report(name, days, sorted({item.folder or "store" for item in traded}), [target_cost(entry) for entry in entries])


def _ticks(services: Services, traded: list[TradedDay], instruments: InstrumentTable) -> Iterator[DayTicks]:
    """The days, from their folders and the store. Raises DataError for one that nobody has."""
    wanted = {(item.symbol, item.trading_day, item.folder) for item in traded}
    missing = set(wanted)
    for folder in sorted({item.folder for item in traded if item.folder}):
        groups = files_by_symbol(tick_files(Path(folder)))
        for symbol in sorted({item.symbol for item in traded if item.folder == folder}):
            for path in groups.get(symbol, ([], ""))[0]:
                for found in load_tick_file(path, None, calendar_of(services), instruments).days:
                    if (key := (symbol, found.ticks.trading_day.iso, folder)) in wanted:
                        missing.discard(key)
                        yield found.ticks
    reader = services.day_reader()
    for symbol, trading_day, _ in sorted(item for item in missing if not item[2]):
        stored = DayKey("raw", symbol, TradingDay.parse(trading_day))
        if reader.manifest(stored) is not None:
            missing.remove((symbol, trading_day, ""))
            yield load_day_ticks(reader, stored, instruments)
    if missing:
        symbol, trading_day, folder = min(missing)
        where = folder or "the tick store"
        raise DataError(
            f"{where} has no ticks of {symbol} on {trading_day} to measure costs against",
            hint="ghtrader tca --ticks FOLDER, a folder of tick files",
            symbol=symbol,
            day=trading_day,
        )


def _style(cost: TargetCost) -> str:
    return "direct" if cost.style is None else str(cost.style)


def _row(kind: type[R], *holders: object, **own: object) -> R:
    """A row whose fields are ``own``, or those of the first holder that has them."""
    found = {
        name: next(getattr(holder, name) for holder in holders if hasattr(holder, name))
        for name in kind.__struct_fields__
        if name not in own
    }
    return kind(**found, **own)


def _report(account: str, days: list[str], ticks: list[str], costs: list[TargetCost]) -> TcaReport:
    targets: list[TcaTarget] = []
    orders: list[TcaOrder] = []
    for cost in costs:
        words = {"side": cost.side.name.lower(), "style": _style(cost)}
        targets.append(_row(TcaTarget, cost, cost.cost, orders=len(cost.orders), **words))
        for order in cost.orders:
            shortfall_cny = order.cost.shortfall * cost.tick_value_cny
            orders.append(_row(TcaOrder, order, order.cost, cost, shortfall_cny=shortfall_cny, **words))
    return TcaReport(
        account=account,
        days=days,
        ticks=ticks,
        total=summarise(costs),
        by_day=summarise_by(costs, lambda cost: cost.trading_day),
        by_contract=summarise_by(costs, lambda cost: cost.symbol),
        by_style=summarise_by(costs, _style),
        targets=targets,
        orders=orders,
    )
