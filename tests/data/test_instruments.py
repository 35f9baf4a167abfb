from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.conftest import ROOT
from typer.testing import CliRunner

from ghtrader.app.services import AppServices
from ghtrader.cli.market_facts import calendar_app, instruments_app
from ghtrader.core.errors import ConfigError, DataError, UnknownInstrumentError
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.calendar import Calendar
from ghtrader.data.instrument_document import Dated
from ghtrader.data.instruments import InstrumentTable
from ghtrader.pipelines import market_facts

TABLE = InstrumentTable.vendored()
DOCUMENT = TABLE.document
START, END = "2010-01-01", "2026-12-31"
DAYS = Calendar.vendored().between(TradingDay.parse("2010-01-04"), TradingDay.parse("2026-12-30"))
REAL_TABLES = ROOT.parent / "shared" / "data" / "instruments"
ABSENT = "the instrument tables of the sources are not on this machine: their retyped rows are checked for form only"


def day(text: str) -> TradingDay:
    return TradingDay.parse(text)


def dated_rows() -> list[tuple[str, Sequence[Dated]]]:
    rows: list[tuple[str, Sequence[Dated]]] = [("auctions", DOCUMENT.auctions)]
    rows += [(f"day {name}", hours) for name, hours in DOCUMENT.day_hours.items()]
    rows += [(f"orders {name}", limits) for name, limits in DOCUMENT.order_limits.items()]
    for product in DOCUMENT.products:
        for name in ("multipliers", "price_ticks", "nights", "fees", "margins"):
            rows.append((f"{product.product} {name}", getattr(product, name)))
    return rows


@pytest.mark.parametrize(("name", "rows"), dated_rows())
def test_rows_follow_each_other_without_gap_and_cite_their_sources(name: str, rows: Sequence[Dated]) -> None:
    for row in rows:
        assert row.sources
        assert set(row.sources) <= set(DOCUMENT.sources)
        assert START <= row.valid_from <= row.known_until
        assert row.known_from <= row.known_until <= END
        assert not row.valid_to or max(row.valid_from, row.known_until) <= row.valid_to
    for before, after in pairwise(rows):
        assert dt.date.fromisoformat(before.valid_to) + dt.timedelta(days=1) == dt.date.fromisoformat(after.valid_from), name
    assert not rows or rows[-1].valid_to == ""


def test_every_source_is_cited_and_products_are_listed_once() -> None:
    cited = {source for _, rows in dated_rows() for row in rows for source in row.sources}
    cited |= {source for product in DOCUMENT.products for source in product.listed_sources}
    cited |= {source for gap in (*DOCUMENT.night_suspensions, *DOCUMENT.night_exceptions) for source in gap.sources}
    assert cited == set(DOCUMENT.sources)
    names = [product.product for product in DOCUMENT.products]
    assert len(names) == len(set(names)) == 20


@given(st.sampled_from(TABLE.products), st.sampled_from(DAYS))
def test_every_product_has_every_fact_from_its_first_day_on(product: str, trading_day: TradingDay) -> None:
    row = TABLE.product(product)
    if trading_day.iso < row.listed:
        with pytest.raises(UnknownInstrumentError, match="first trading day"):
            TABLE.spec(product, trading_day)
        return
    spec = TABLE.spec(product, trading_day)
    assert spec.price_tick > 0
    assert 0 < spec.margin_rate < 1
    assert spec.limits.min_lots == 1
    for name, (first, last) in spec.validity.items():
        assert spec.sources[name]
        assert first <= trading_day.iso <= (last or END)


def test_the_gold_tick_changed_on_2019_12_10() -> None:
    ticks = [TABLE.spec("SHFE.au2006", day(text)).price_tick for text in ("2010-01-04", "2019-12-09", "2019-12-10", "2026-11-24")]
    assert ticks == [0.05, 0.05, 0.02, 0.02]
    spec = TABLE.spec("SHFE.au2006", day("2020-03-02"))
    assert "2019-12-02" in spec.sources["price_tick"]
    assert "price_tick" not in spec.carried_forward


@pytest.mark.parametrize("symbol", ["SHFE.rb2610", "INE.sc2612"])
def test_the_exchange_takes_no_market_orders(symbol: str) -> None:
    assert not TABLE.spec(symbol, day("2026-07-06")).has_market_orders


def test_fees_are_dated_and_close_today_has_its_own() -> None:
    fees = {
        text: TABLE.spec("INE.sc2607", day(text)).fee.close_today_cny
        for text in ("2026-05-18", "2026-05-19", "2026-06-24", "2026-06-25")
    }
    assert fees == {"2026-05-18": 0.0, "2026-05-19": 60.0, "2026-06-24": 60.0, "2026-06-25": 0.0}
    assert TABLE.spec("INE.nr2109", day("2021-04-15")).fee.open_cny == 3.0
    assert TABLE.spec("INE.nr2109", day("2021-04-16")).fee.open_rate == 2e-5


def test_what_no_source_says_of_the_day_is_marked() -> None:
    spec = TABLE.spec("SHFE.rb2510", day("2025-06-05"))
    assert spec.carried_forward == ("fee", "margin")
    assert spec.unverified == ()
    wire_rod = TABLE.spec("SHFE.wr2510", day("2025-06-05"))
    assert wire_rod.unverified == ("fee", "margin")
    assert set(wire_rod.unverified) <= set(wire_rod.carried_forward)
    assert TABLE.spec("SHFE.cu2006", day("2020-03-02")).carried_forward == ()
    assert TABLE.spec("SHFE.cu2510", day("2025-06-05")).carried_forward == ("fee", "margin")  # known of 2026 only
    assert "fee" in TABLE.spec("SHFE.cu1206", day("2012-05-10")).carried_forward


@pytest.mark.parametrize(
    ("symbol", "near"),
    [("SHFE.lu2510", "INE.lu"), ("SHFE.RB2510", "SHFE.rb"), ("INE.cu2510", "SHFE.cu"), ("SHFE.rbb2510", "SHFE.rb")],
)
def test_an_unknown_product_names_the_nearest(symbol: str, near: str) -> None:
    with pytest.raises(UnknownInstrumentError) as caught:
        TABLE.product_of(symbol)
    assert f"did you mean {near}?" in caught.value.hint


@pytest.mark.parametrize("text", ["rb", "SHFE.rb", "SHFE.rb2510", "KQ.m@SHFE.rb"])
def test_a_product_is_found_by_any_of_its_names(text: str) -> None:
    assert TABLE.resolve_product(text) == "SHFE.rb"


def real(name: str, encoding: str) -> Any:
    if not REAL_TABLES.is_dir():
        pytest.skip(ABSENT)
    return json.loads((REAL_TABLES / name).read_text(encoding=encoding))


def test_ticks_multipliers_and_nights_are_those_of_the_wondertrader_tables() -> None:
    commodities = real("wondertrader_commodities.json", "gbk")
    sessions = real("wondertrader_sessions.json", "gbk")
    for exchange in ("SHFE", "INE"):
        for code, theirs in commodities[exchange].items():
            spec = TABLE.spec(f"{exchange}.{code}", day("2022-03-01"))
            assert (spec.price_tick, spec.multiplier) == (theirs["pricetick"], theirs["volscale"]), code
            if code == "nr":  # their table says 02:30; the listing notice and a table of 2025 say 23:00
                continue
            night = TABLE.night_hours(spec.product, day("2022-03-01"))
            first = sessions[theirs["session"]]["sections"][0]
            ends = {100: "25:00", 230: "26:30", 2300: "23:00"}
            assert (night.windows if night else ()) == ((("21:00", ends[first["to"]]),) if first["from"] == 2100 else ()), code


def test_fees_of_2022_are_those_of_the_wondertrader_table_where_it_is_cited() -> None:
    theirs = real("wondertrader_fees.json", "utf-8")
    for symbol in ("SHFE.ag", "SHFE.al", "SHFE.au", "SHFE.bu", "SHFE.ni", "SHFE.rb", "SHFE.ru", "SHFE.sp"):
        fee, row = TABLE.spec(symbol, day("2022-03-31")).fee, theirs[symbol]
        ours = (
            (fee.open_cny, fee.close_cny, fee.close_today_cny)
            if row["byvolume"]
            else (fee.open_rate, fee.close_rate, fee.close_today_rate)
        )
        assert ours == (row["open"], row["close"], row["closetoday"]), symbol


def test_specs_are_those_of_the_tqsdk_tables_on_their_days() -> None:
    if not REAL_TABLES.is_dir():
        pytest.skip(ABSENT)
    frame = pl.read_parquet(REAL_TABLES / "tqsdk_shfe_cu_au_ag_rb.parquet").filter(~pl.col("expired"))
    assert len(frame) > 50
    for row in frame.iter_rows(named=True):
        spec = TABLE.spec(f"SHFE.{row['ins_id']}", day(row["snapshot"]))
        assert (spec.price_tick, spec.multiplier) == (row["price_tick"], row["volume_multiple"])
        assert (spec.limits.max_limit_lots, spec.limits.max_market_lots) == (
            row["max_limit_order_volume"],
            row["max_market_order_volume"],
        )
        per_lot = row["margin"] / spec.margin_rate  # the price that their margin and their fee were computed with
        assert spec.fee.open_rate * per_lot + spec.fee.open_cny == pytest.approx(row["commission"], rel=2e-3)


def invoke(services: AppServices, app: Any, *arguments: str) -> Any:
    done = CliRunner().invoke(app, [*arguments, "--json"], obj=services)
    if done.exception is not None:
        raise done.exception
    return json.loads(done.stdout.splitlines()[-1])


def test_the_commands_print_a_year_a_day_a_product_and_all_products(services: AppServices) -> None:
    year = invoke(services, calendar_app, "show", "--year", "2025")
    assert (len(year["trading_days"]), year["closed_weekdays"][0], year["horizon"]) == (243, "2025-01-01", "2026-12-31")
    windows = invoke(services, calendar_app, "day", "2025-06-05", "--product", "SHFE.rb")
    assert windows["has_night"]
    assert windows["windows"][0] == {
        "phase": "order_entry",
        "part": "night",
        "start": "2025-06-04 20:55:00",
        "end": "2025-06-04 20:59:00",
    }
    assert len(invoke(services, instruments_app, "list")["products"]) == 20
    shown = invoke(services, instruments_app, "show", "SHFE.au2006", "--day", "2020-03-02")
    assert (shown["price_tick"], shown["multiplier"], shown["validity"]["price_tick"]) == (0.02, 1000.0, ["2019-12-10", ""])


@pytest.mark.parametrize(
    ("app", "arguments", "words"),
    [
        (calendar_app, ["show", "--year", "2026"], "trading days 242 source"),
        (calendar_app, ["day", "2025-10-09", "--product", "rb"], "no night session continuous"),
        (instruments_app, ["list"], "SHFE.cu copper 21:00-25:00"),
        (instruments_app, ["show", "SHFE.wr2510", "--day", "2025-06-05"], "no market orders unverified recollection"),
    ],
)
def test_tables_are_drawn_for_people(services: AppServices, app: Any, arguments: list[str], words: str) -> None:
    done = CliRunner().invoke(app, arguments, obj=services)
    assert done.exception is None, done.output
    assert all(word in done.output for word in words.split())


def test_a_refresh_is_written_for_the_data_folder_and_used(services: AppServices) -> None:
    listed = services.paths.runs.parent / "days.json"
    listed.write_text(json.dumps(["2027-01-04", "2027-01-05"]))
    report = invoke(services, calendar_app, "refresh", "--from", str(listed))
    assert (report["added"], report["removed"], report["last_day"]) == (["2027-01-04", "2027-01-05"], [], "2027-01-05")
    assert market_facts.trading_days(services, 2027).trading_days == ["2027-01-04", "2027-01-05"]
    again = market_facts.refresh_calendar(services, report["path"])
    assert (again.added, again.removed) == ([], [])
    drawn = CliRunner().invoke(calendar_app, ["refresh", "--from", str(listed)], obj=services)
    assert "none" in drawn.output


@pytest.mark.parametrize(
    ("name", "content"),
    [("days.json", "{"), ("days.json", '{"a": 1}'), ("days.csv", "day\nsoon\n"), ("days.csv", ""), ("none.csv", None)],
)
def test_a_file_that_is_no_list_of_days_changes_nothing(services: AppServices, name: str, content: str | None) -> None:
    path = services.paths.runs.parent / name
    if content is not None:
        path.write_text(content)
    with pytest.raises(DataError):
        market_facts.refresh_calendar(services, str(path))
    assert not list(services.paths.data.glob("trading_days*"))


def test_a_refresh_from_the_library_needs_it(services: AppServices, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "exchange_calendars", None)
    with pytest.raises(ConfigError, match="not installed"):
        market_facts.refresh_calendar(services, "exchange_calendars")
