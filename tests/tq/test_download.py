"""Days through the real client from the loopback exchange: what is stored is what was served, whatever goes wrong between."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests.tq.conftest import DAYS, SYMBOL, OpenServices, Serve, digests

from ghtrader.core.clock import NS_PER_S
from ghtrader.core.errors import (
    ProviderMaintenanceError,
    ProviderPermanentError,
    ProviderTransientError,
    StoreError,
    UnknownInstrumentError,
)
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.maintenance import moment_ns
from ghtrader.data.schema import MARKET_COLUMNS
from ghtrader.pipelines.download import download_series, list_skips
from ghtrader.pipelines.l5_start import l5_start
from ghtrader.pipelines.main_series import fetch_and_build, fetch_schedule
from ghtrader.ports.day_worker import DayOutcome
from ghtrader.testing.exchange_process import ExchangeProcess
from ghtrader.testing.fakes import FakeClock, FakeProvider, FakeWorkers


def history_hits(exchange: ExchangeProcess) -> dict[str, int]:
    """How often each day's ticks were asked for."""
    prefix = f"history {SYMBOL} "
    return {name.removeprefix(prefix): count for name, count in exchange.ask("hits").items() if name.startswith(prefix + "2")}


def test_served_days_are_stored_with_the_digests_of_an_import_and_a_second_run_asks_for_none(
    serve: Serve, open_services: OpenServices, imported: dict[str, str]
) -> None:
    exchange, services = serve(), open_services()
    report = fetch_and_build(services, "rb")
    assert report.download is not None
    assert (report.written, report.download.stored, report.download.present) == (4, 4, 0)
    assert digests(services) == imported
    assert set(history_hits(exchange)) == set(DAYS)
    hits = exchange.ask("hits")
    again = fetch_and_build(services, "rb")
    assert again.noop
    assert again.download is not None
    assert (again.download.stored, again.download.present, again.download.manifest) == (0, 4, "")
    assert history_hits(exchange) == {day: hits[f"history {SYMBOL} {day}"] for day in DAYS}
    assert not fetch_schedule(services, "rb").changed
    start = l5_start(services, "rb")
    assert (start.first_level5_day, start.contract) == ("2025-06-05", SYMBOL)
    assert set(start.probes.values()) == {"level 5"}


def test_maintenance_for_two_days_ends_well_names_exactly_these_and_asks_no_more_than_allowed(
    serve: Serve, open_services: OpenServices, imported: dict[str, str]
) -> None:
    closed = ["2025-06-06", "2025-06-10"]
    exchange, services = serve({"do": "maintenance", "days": closed}), open_services(breaker_cool_down_s=0.1)
    report = download_series(services, "rb")
    assert (report.maintenance, report.stored, report.deferred) == (2, 2, [])
    skips = list_skips(services)
    assert [(skip.trading_day, skip.cause) for skip in skips] == [(day, "maintenance") for day in closed]
    assert all(skip.attempts == 2 and skip.first_seen_ns <= skip.last_seen_ns and "运维" in skip.message for skip in skips)
    assert report.skipped == sorted(skips, key=lambda skip: [item.trading_day for item in report.skipped].index(skip.trading_day))
    assert all(history_hits(exchange)[day] <= 2 for day in closed)  # data.download.attempts_per_day
    assert digests(services) == {day: digest for day, digest in imported.items() if day not in closed}
    exchange.stop()
    serve()
    first_seen = {skip.trading_day: skip.first_seen_ns for skip in skips}
    assert download_series(services, "rb").stored == 2
    assert digests(services) == imported
    assert list_skips(services) == []
    assert first_seen


def test_a_skipped_day_waits_for_its_time_and_remembers_its_attempts(serve: Serve, open_services: OpenServices) -> None:
    exchange = serve({"do": "maintenance", "days": ["2025-06-06"]})
    services = open_services(retry_after_s=3600, attempts_per_day=1)
    download_series(services, "rb")
    (skip,) = list_skips(services)
    assert skip.retry_after_ns - skip.last_seen_ns == 3600 * NS_PER_S
    report = download_series(services, "rb")
    assert (report.waiting, report.stored, report.present) == (1, 0, 3)
    assert history_hits(exchange)["2025-06-06"] == 1
    clock = FakeClock(skip.retry_after_ns + 1)
    services.clock = clock
    download_series(services, "rb")
    (later,) = list_skips(services)
    assert (later.attempts, later.first_seen_ns, later.last_seen_ns) == (2, skip.first_seen_ns, clock.now_ns())


def test_an_outage_of_everything_is_bounded_and_leaves_the_rest_for_later_by_name(
    serve: Serve, open_services: OpenServices
) -> None:
    exchange = serve({"do": "maintenance", "days": DAYS})
    services = open_services(
        breaker_cool_down_s=0.05, breaker_most_openings=2, breaker_threshold=1, attempts_per_day=1, workers=1
    )
    report = download_series(services, "rb")
    assert (report.maintenance, len(report.deferred), report.stored, report.breaker_opened) == (2, 2, 0, 2)
    causes = [skip.cause for skip in list_skips(services)]
    assert sorted(causes) == ["deferred", "deferred", "maintenance", "maintenance"]
    assert sum(history_hits(exchange).values()) == 2
    exchange.stop()
    serve({"do": "maintenance"})
    with pytest.raises(ProviderMaintenanceError, match="运维"):
        download_series(services, "rb")


def test_days_that_the_provider_lacks_are_told_apart_and_end_well(serve: Serve, open_services: OpenServices) -> None:
    serve({"do": "no_data", "days": ["2025-06-09"]})
    services = open_services()
    report = fetch_and_build(services, "rb")
    assert report.download is not None
    assert (report.download.provider_missing, report.download.engineering_missing, report.missing) == (1, 0, 1)
    assert [(skip.cause, skip.trading_day) for skip in list_skips(services, SYMBOL)] == [("provider_missing", "2025-06-09")]
    assert list_skips(services, "SHFE.cu2507") == []


def test_a_market_rolls_into_one_series_and_a_process_that_stays_hears_of_it(serve: Serve, open_services: OpenServices) -> None:
    """The client keeps the continuous table for the life of its process: here two exchanges follow each other in one."""
    first = serve(options=("--market", "null", "--days", "1", "--contract", "SHFE.cu2006"))
    services = open_services()
    assert {day.contract for day in fetch_and_build(services, "cu").days} == {"SHFE.cu2006"}
    first.stop()
    serve(options=("--market", "null", "--days", "2", "--contract", "SHFE.cu2006", "--contract", "SHFE.cu2007"))
    report = fetch_and_build(services, "cu")
    assert [(day.trading_day, day.contract, day.segment_id) for day in report.days] == [
        ("2020-02-04", "SHFE.cu2006", 1),
        ("2020-02-05", "SHFE.cu2007", 2),
        ("2020-02-06", "SHFE.cu2007", 2),
    ]


def test_links_that_break_and_answers_that_crawl_cost_no_row(
    serve: Serve, open_services: OpenServices, imported: dict[str, str]
) -> None:
    serve(
        {"do": "abort", "link": "md", "after_s": 0.8, "times": 1},
        {"do": "close", "link": "md", "after_s": 0.8, "code": 1000, "times": 1},
        {"do": "slow", "link": "md", "ms": 5, "times": 100},
    )
    services = open_services(timeout_s=5, attempts_per_day=8, breaker_cool_down_s=0.1)
    download_series(services, "rb")
    assert digests(services) == imported
    assert list_skips(services) == []


@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        ({"do": "wrong_password"}, ProviderPermanentError, "密码错误"),
        ({"do": "auth_maintenance"}, ProviderMaintenanceError, "运维"),
    ],
)
def test_a_login_that_is_refused_is_an_error_with_the_way_on(
    serve: Serve, open_services: OpenServices, fault: dict, kind: type, words: str
) -> None:
    exchange = serve(fault)
    with pytest.raises(kind, match=words) as refused:
        download_series(open_services(), "rb")
    assert refused.value.hint
    assert exchange.environment["TQSDK_PASSWORD"] not in f"{refused.value} {refused.value.as_dict()}"
    assert exchange.ask("hits")["login"] == 1


# --- what feeds have ---------------------------------------------------------------------------------------------------------
def source_days(folder: Path, symbol: str, *, thin: bool) -> dict[str, pl.DataFrame]:
    """Two days of a contract: one with level 1 only, one with five levels (every third row of it without levels 3-5)."""
    from ghtrader.testing.builders import source_frame

    found = {}
    for number, day in enumerate(("2025-06-05", "2025-06-06")):
        frame = source_frame(300, symbol=symbol, trading_day=day, seed=number)
        levels = [name for name in frame.columns if "price" in name and name[-1] in "2345"]  # a size without a price is no level
        if number == 0:
            frame = frame.with_columns(pl.lit(None, dtype=frame.schema[name]).alias(name) for name in levels)
        elif thin:
            outer = [name for name in levels if name[-1] in "345"]
            absent = pl.int_range(pl.len()) % 3 == 0
            frame = frame.with_columns(pl.when(absent).then(None).otherwise(pl.col(name)).alias(name) for name in outer)
        frame.write_parquet(folder / f"{symbol}.{day.replace('-', '')}.parquet")
        found[day] = frame
    return found


def test_ine_gives_five_levels_days_of_one_level_stay_out_and_thin_rows_stay_in(
    tmp_path: Path, serve: Serve, open_services: OpenServices
) -> None:
    folder = tmp_path / "ine"
    folder.mkdir()
    frames = source_days(folder, "INE.sc2507", thin=True)
    serve(options=("--ticks", str(folder)))
    services = open_services()
    chunk = services.provider().ticks("INE.sc2507", services_day("2025-06-06"))
    for name in MARKET_COLUMNS:
        served = frames["2025-06-06"][name].cast(pl.Float64).to_numpy()
        found = chunk.frame[name].to_numpy()
        zero_is_absent = np.where(np.isnan(served) & (found == 0), np.nan, found) if "volume" in name else found
        assert np.array_equal(zero_is_absent, served, equal_nan=True), name
    report = fetch_and_build(services, "sc")
    assert [(day.trading_day, day.outcome) for day in report.days] == [("2025-06-05", "not_level5"), ("2025-06-06", "written")]
    stored = services.tick_store().read_day(main_key("INE.sc", "2025-06-06"))
    assert len(stored) == 300
    assert np.isnan(stored["ask_price5"].to_numpy()).sum() == 100
    assert (stored["ask_volume5"].to_numpy() == 0).sum() == 100
    start = l5_start(services, "sc")
    assert (start.first_level5_day, start.probes) == ("2025-06-06", {"2025-06-05": "level 1", "2025-06-06": "level 5"})


def services_day(text: str):
    from ghtrader.core.trading_day import TradingDay

    return TradingDay.parse(text)


def main_key(product: str, day: str):
    from ghtrader.ports.tick_store import DayKey

    return DayKey("main_l5", f"KQ.m@{product}", services_day(day))


# --- without a client --------------------------------------------------------------------------------------------------------
def unit_services(open_services: OpenServices, provider: FakeProvider, answer, **options: object):
    services = open_services(**options)
    services.provider = lambda: provider  # type: ignore[method-assign]
    services.clock = FakeClock(moment_ns(dt.date(2025, 6, 12), dt.time(16, 0)))  # not in the provider's daily maintenance
    services.workers = None

    def workers(count: int) -> FakeWorkers:
        services.workers = FakeWorkers(count, answer)
        return services.workers

    services.day_workers = workers  # type: ignore[method-assign]
    return services


def rb_provider() -> FakeProvider:
    return FakeProvider({(SYMBOL, day): pl.DataFrame() for day in DAYS}, table=[("2025-06-05", SYMBOL)])


def test_nothing_is_asked_in_the_maintenance_window_and_a_run_that_meets_it_leaves_the_rest(open_services: OpenServices) -> None:
    provider, clock = rb_provider(), FakeClock(moment_ns(dt.date(2025, 6, 12), dt.time(19, 10)))
    asked: list[str] = []

    def answer(task):
        asked.append(task.trading_day)
        if len(asked) == 2:
            clock.ns = moment_ns(dt.date(2025, 6, 13), dt.time(19, 0))
        return DayOutcome(symbol=task.symbol, trading_day=task.trading_day, kind="stored", rows=1)

    services = unit_services(open_services, provider, answer, workers=1)
    services.clock = clock
    for ask in (
        lambda: download_series(services, "rb"),
        lambda: fetch_schedule(services, "rb"),
        lambda: l5_start(services, "rb"),
    ):
        with pytest.raises(ProviderMaintenanceError, match=r"until 2025-06-12T11:30 UTC; nothing was asked"):
            ask()
    clock.ns = moment_ns(dt.date(2025, 6, 13), dt.time(18, 59))
    report = download_series(services, "rb")
    assert asked == DAYS[:2]
    assert report.deferred == [f"{SYMBOL}/{day}" for day in DAYS[2:]]
    skips = list_skips(services)
    assert [(skip.trading_day, skip.cause, skip.attempts) for skip in skips] == [(day, "deferred", 0) for day in DAYS[2:]]
    opens = moment_ns(dt.date(2025, 6, 13), dt.time(19, 30))
    assert all(skip.retry_after_ns == opens and "daily maintenance" in skip.message for skip in skips)
    assert download_series(unit_opened(services, opens), "rb").stored == 4  # nothing was really stored


def unit_opened(services, moment: int):
    services.clock.ns = moment
    return services


def test_the_questions_before_the_first_day_are_put_again_when_the_line_breaks(open_services: OpenServices) -> None:
    asked: dict[str, int] = {}

    class Broken(FakeProvider):
        silent = 1

        def _meet(self, question: str) -> None:
            asked[question] = asked.get(question, 0) + 1
            if asked[question] <= self.silent:
                raise ProviderTransientError(f"no answer to {question}")

        def continuous_table(self, product: str) -> list[tuple[TradingDay, str]]:
            self._meet("table")
            return super().continuous_table(product)

        def trading_days(self, symbol: str) -> list[TradingDay]:
            self._meet(symbol)
            return super().trading_days(symbol)

    provider = Broken({(SYMBOL, day): pl.DataFrame() for day in DAYS}, table=[("2025-06-05", SYMBOL)])
    services = unit_services(open_services, provider, None, attempts_per_day=3)
    assert len(fetch_schedule(services, "rb").schedule.segments) == 1
    assert asked == {"table": 2, SYMBOL: 2}
    asked.clear()
    provider.silent = 3
    with pytest.raises(ProviderTransientError, match="no answer to table"):
        fetch_schedule(services, "rb")
    assert asked == {"table": 3}


def test_silence_is_the_lines_fault_a_dead_worker_ours_and_a_refused_login_ends_the_run(open_services: OpenServices) -> None:
    def always(kind: str):
        return lambda task: DayOutcome(symbol=task.symbol, trading_day=task.trading_day, kind=kind, message="so it is")

    options = {"breaker_cool_down_s": 0, "breaker_most_openings": 3, "breaker_threshold": 2, "workers": 1}
    silent = unit_services(open_services, rb_provider(), always("transient"), folder="silent", **options)
    with pytest.raises(ProviderTransientError, match=r"4 days of .* are left for later"):
        download_series(silent, "rb")
    causes = [skip.cause for skip in list_skips(silent)]
    assert set(causes) <= {"transient", "deferred"}
    assert sum(skip.attempts for skip in list_skips(silent)) == 2 + 1 + 1  # threshold, then one probe for each further opening
    dead = unit_services(open_services, rb_provider(), always("failed"), folder="dead", **options)
    with pytest.raises(StoreError, match="4 days"):
        download_series(dead, "rb")
    assert {skip.cause for skip in list_skips(dead)} == {"failed"}
    tolerant = unit_services(
        open_services, rb_provider(), always("failed"), folder="tolerant", missing_tolerance_days=4, **options
    )
    assert download_series(tolerant, "rb").engineering_missing == 4
    refused = unit_services(open_services, rb_provider(), always("permanent"), folder="refused", **options)
    with pytest.raises(ProviderPermanentError, match="so it is"):
        download_series(refused, "rb")
    assert sorted(skip.cause for skip in list_skips(refused)) == ["deferred", "deferred", "deferred", "permanent"]
    assert refused.workers is not None
    assert refused.workers.closed


def test_an_unknown_variety_is_no_provider_error(open_services: OpenServices) -> None:
    with pytest.raises(UnknownInstrumentError):
        download_series(unit_services(open_services, rb_provider(), None), "zz")


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ones=st.integers(0, 4), fives=st.integers(1, 6), holes=st.sets(st.integers(0, 9)))
def test_the_first_day_with_five_levels_is_found_whatever_days_are_missing(ones: int, fives: int, holes: set[int]) -> None:
    from ghtrader.core.progress import NO_PROGRESS
    from ghtrader.pipelines.l5_start import _Search
    from ghtrader.testing.builders import source_frame

    deep = source_frame(4)
    flat = deep.with_columns(pl.lit(0).alias(name) for name in deep.columns if name[-1] in "2345" and "volume" in name)
    feeds = [flat] * ones + [deep] * fives
    days = [services_day(f"2025-06-{2 + n:02d}") for n in range(len(feeds))]
    frames = {(SYMBOL, days[n].iso): frame for n, frame in enumerate(feeds) if n not in holes}
    provider = FakeProvider(frames)
    wanted = next((n for n in range(ones, len(feeds)) if n not in holes), None)
    assert _Search(provider, [(day, SYMBOL) for day in days], 0.01, NO_PROGRESS).first() == wanted
    assert len(set(provider.asked)) == len(provider.asked)


# --- any fault script --------------------------------------------------------------------------------------------------------
def some_days() -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(DAYS), min_size=1, max_size=2, unique=True)


SCRIPTS = st.lists(
    st.one_of(
        st.builds(lambda days: {"do": "maintenance", "days": days}, some_days()),
        st.builds(lambda days: {"do": "no_data", "days": days}, some_days()),
        st.builds(lambda after: {"do": "abort", "link": "md", "after_s": after, "times": 1}, st.sampled_from([0.2, 0.5])),
        st.builds(
            lambda after, code: {"do": "close", "link": "md", "after_s": after, "code": code, "times": 1},
            st.sampled_from([0.2, 0.5]),
            st.sampled_from([1000, 1001]),
        ),
        st.builds(lambda ms: {"do": "slow", "link": "md", "ms": ms, "times": 30}, st.sampled_from([1, 20])),
        st.just({"do": "half_open", "link": "md", "after_s": 0.3, "for_s": 30, "times": 1}),
    ),
    min_size=1,
    max_size=3,
)


@settings(
    max_examples=4,
    deadline=None,
    phases=[Phase.generate],  # an example takes seconds: the script as it stands says what broke
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(script=SCRIPTS)
def test_for_any_fault_script_what_is_stored_is_what_was_served_minus_what_the_ledger_names(
    serve: Serve, open_services: OpenServices, imported: dict[str, str], script: list[dict]
) -> None:
    exchange = serve(*script)
    services = open_services(
        folder=f"script{abs(hash(msgspec.json.encode(script)))}",
        timeout_s=1.5,
        attempts_per_day=2,
        breaker_cool_down_s=0.05,
        missing_tolerance_days=4,
    )
    try:
        fetch_and_build(services, "rb")
    except (ProviderMaintenanceError, ProviderTransientError):  # not even the schedule could be had
        assert digests(services) == {}
        return
    finally:
        exchange.stop()
        services.close_provider()
    named = {skip.trading_day for skip in list_skips(services)}
    assert digests(services) == {day: digest for day, digest in imported.items() if day not in named}
