"""Laws of a series' promotion on any pair of stores. Inherit `SeriesPromotionContract`, give fixtures ``ticks`` and ``ledger``."""

from __future__ import annotations

import threading
from pathlib import Path

import polars as pl
import pytest

from ghtrader.core.errors import DataError
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.calendar import Calendar
from ghtrader.data.main_l5 import Stamp, derive_day
from ghtrader.data.main_schedule import MainSchedule, build_schedule
from ghtrader.data.promotion import PROMOTIONS, PromotedTicks, Promotion, Promotions
from ghtrader.ports.ledger_store import LedgerStore
from ghtrader.ports.tick_store import DayKey, TickStore
from ghtrader.testing.builders import day_manifest, tick_frame
from ghtrader.testing.faults import Mortal, PowerCut

__all__ = ["SeriesPromotionContract"]

ALIAS = "KQ.m@SHFE.rb"
DAYS = ("2025-06-05", "2025-06-06", "2025-06-09")
CONTRACTS = ("SHFE.rb2510", "SHFE.rb2601")
NEVER = 1_000_000
Seen = dict[str, tuple[str, str]]


def _schedule(first: str, contract: str = CONTRACTS[0], roll: str = "") -> MainSchedule:
    table = [(TradingDay.parse(first), contract)] + ([(TradingDay.parse(roll), CONTRACTS[1])] if roll else [])
    last, calendar = TradingDay.parse(DAYS[-1]), Calendar.vendored()
    return build_schedule("SHFE.rb", table, last_day=last, calendar=calendar, source="test")


def _promotion(ticks: TickStore, schedule: MainSchedule, number: int) -> Promotion:
    """Every day of the schedule written anew, every other day of the series removed."""
    stamp = Stamp(created_ns=number, tool_version="test", config_hash="")
    written = {}
    for iso in (day for day in DAYS if day >= schedule.first_day.iso):
        day = TradingDay.parse(iso)
        raw_key = DayKey("raw", schedule.segment_of(day).contract, day)
        raw = ticks.manifest(raw_key)
        assert raw is not None
        written[iso] = derive_day(ticks.read_day(raw_key), raw, schedule, day, stamp)[1].digest
    removed = [day.iso for day in ticks.days("main_l5", ALIAS) if day.iso not in written]
    return Promotion(alias=ALIAS, schedule=schedule, written=written, removed=removed, stamp=stamp)


def _seen(view: TickStore) -> Seen:
    """Every day of the series as a reader has it: digest and the schedule that its rows carry."""
    found = {}
    for day in view.days("main_l5", ALIAS):
        key = DayKey("main_l5", ALIAS, day)
        manifest = view.manifest(key)
        assert manifest is not None
        found[day.iso] = (manifest.digest, str(view.read_day(key, ["schedule_hash"])["schedule_hash"].unique().to_list()))
    return found


class SeriesPromotionContract:
    """What readers of a series see while it is replaced, and after whoever replaced it was killed."""

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        """Where the locks are."""
        return tmp_path / "locks"

    @pytest.fixture
    def stocked(self, ticks: TickStore, ledger: LedgerStore, folder: Path) -> TickStore:
        """Raw days of two contracts, and a series of the first one over all days."""
        for number, iso in enumerate(DAYS):
            for contract in CONTRACTS:
                frame = tick_frame(16, symbol=contract, trading_day=iso, seed=number)
                key, manifest = day_manifest(frame)
                ticks.write_day(key, frame, manifest)
        self._promote(ticks, ledger, folder, _schedule(DAYS[0]), 1)
        return ticks

    @staticmethod
    def _promote(ticks: TickStore, ledger: LedgerStore, folder: Path, schedule: MainSchedule, number: int) -> None:
        promotions = Promotions(ticks, ledger, folder)
        with promotions.locks.exclusive(ALIAS):
            promotions.promote(_promotion(ticks, schedule, number))

    @staticmethod
    def _view(ticks: TickStore, ledger: LedgerStore, folder: Path) -> PromotedTicks:
        """The store as a process sees it that was not there before."""
        return PromotedTicks(ticks, Promotions(ticks, ledger, folder))

    def _mortal(self, ticks: TickStore, ledger: LedgerStore, step: int) -> tuple[Mortal, tuple[TickStore, LedgerStore]]:
        life = Mortal(step)
        return life, (life.over(ticks, "write_day", "delete_day"), life.over(ledger, "put", "put_many", "delete"))

    def test_a_killed_promoter_leaves_the_old_series_or_the_new_one(
        self, stocked: TickStore, ledger: LedgerStore, folder: Path
    ) -> None:
        """Each change of the medium in turn is the first that does not happen: no mix is ever read, whoever reads next."""
        old_schedule, new_schedule = _schedule(DAYS[0]), _schedule(DAYS[1], roll=DAYS[2])
        old, number, outcomes = _seen(self._view(stocked, ledger, folder)), 2, []
        life, ports = self._mortal(stocked, ledger, NEVER)
        self._promote(*ports, folder, new_schedule, number)
        new = _seen(self._view(stocked, ledger, folder))
        assert sorted(old) == list(DAYS)
        assert sorted(new) == list(DAYS[1:])
        assert life.steps == 5  # one document, two days, one removal, the document again
        for step in range(1, life.steps + 1):
            number += 1
            self._promote(stocked, ledger, folder, old_schedule, number)
            _, ports = self._mortal(stocked, ledger, step)
            with pytest.raises(PowerCut):
                self._promote(*ports, folder, new_schedule, number)
            found = _seen(self._view(stocked, ledger, folder))
            assert found in (old, new), step
            outcomes.append(found == new)
            assert ledger.get(PROMOTIONS, ALIAS) is None
        assert outcomes == [False, True, True, True, True]

    def test_finishing_for_a_killed_promoter_may_be_killed_as_well(
        self, stocked: TickStore, ledger: LedgerStore, folder: Path
    ) -> None:
        """Whoever finishes dies too, again and again; the last one finishes."""
        schedule = _schedule(DAYS[1], roll=DAYS[2])
        _, ports = self._mortal(stocked, ledger, 2)
        with pytest.raises(PowerCut):
            self._promote(*ports, folder, schedule, 2)
        for step in (1, 2, 2, 2):
            _, ports = self._mortal(stocked, ledger, step)
            with pytest.raises(PowerCut):
                _seen(self._view(*ports, folder))
        assert sorted(_seen(self._view(stocked, ledger, folder))) == list(DAYS[1:])

    def test_readers_beside_a_promoter_never_go_back(self, stocked: TickStore, ledger: LedgerStore, folder: Path) -> None:
        """Days are read in the order in which they are written, while series follow each other: no older one after a newer one."""
        schedules = (_schedule(DAYS[0], roll=DAYS[1]), _schedule(DAYS[0]))
        rounds, failed = 4, []

        def promote() -> None:
            try:
                for number in range(2, 2 + rounds):
                    self._promote(stocked, ledger, folder, schedules[number % 2], number)
            except BaseException as error:  # noqa: BLE001 - handed to the test
                failed.append(error)

        view = self._view(stocked, ledger, folder)
        worker = threading.Thread(target=promote)
        worker.start()
        newest, reads = 0, 0
        while worker.is_alive() or not reads:
            for iso in DAYS:
                manifest = view.manifest(DayKey("main_l5", ALIAS, TradingDay.parse(iso)))
                assert manifest is not None
                assert manifest.created_ns >= newest
                newest, reads = manifest.created_ns, reads + 1
        worker.join()
        assert failed == []
        last = view.manifest(DayKey("main_l5", ALIAS, TradingDay.parse(DAYS[0])))
        assert last is not None
        assert last.created_ns == 1 + rounds

    def test_a_raw_day_is_written_after_what_was_promised_of_it(
        self, stocked: TickStore, ledger: LedgerStore, folder: Path
    ) -> None:
        """An import beneath a promotion whose promoter was killed first finishes it, from the rows that were judged."""
        schedule = _schedule(DAYS[1], roll=DAYS[2])
        promised = _promotion(stocked, schedule, 2)
        _, ports = self._mortal(stocked, ledger, 2)
        with pytest.raises(PowerCut):
            self._promote(*ports, folder, schedule, 2)
        frame = tick_frame(20, symbol=CONTRACTS[0], trading_day=DAYS[1], seed=99)
        key, manifest = day_manifest(frame, created_ns=9)
        view = self._view(stocked, ledger, folder)
        with view.exclusive(key):
            view.write_day(key, frame, manifest)
        assert {day: digest for day, (digest, _) in _seen(view).items()} == promised.written
        assert view.manifest(key) == manifest

    def test_raw_days_that_changed_behind_its_back_are_named_and_may_be_replaced(
        self, stocked: TickStore, ledger: LedgerStore, folder: Path
    ) -> None:
        """Nothing is served that nobody judged; the hint is the command that builds again, and imports still work."""
        _, ports = self._mortal(stocked, ledger, 2)
        with pytest.raises(PowerCut):
            self._promote(*ports, folder, _schedule(DAYS[1], roll=DAYS[2]), 2)
        frame = tick_frame(20, symbol=CONTRACTS[0], trading_day=DAYS[1], seed=99)
        key, manifest = day_manifest(frame, created_ns=9)
        stocked.write_day(key, frame, manifest)  # past every view
        view = self._view(stocked, ledger, folder)
        with pytest.raises(DataError, match=DAYS[1]) as caught:
            view.days("main_l5", ALIAS)
        assert caught.value.hint == "ghtrader main-l5 --var SHFE.rb"
        view.write_day(key, frame.with_columns(pl.col("open_interest") + 1), manifest)
        self._promote(stocked, ledger, folder, _schedule(DAYS[1], roll=DAYS[2]), 3)
        assert sorted(_seen(view)) == list(DAYS[1:])
