from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest
from tests.trading.risk.cases import LIMITS, METERS, S

from ghtrader.core.errors import ConfigError, DataError, UnknownInstrumentError
from ghtrader.trading.risk.config import KEYS
from ghtrader.trading.risk.limits import RiskLimits
from ghtrader.trading.risk.meters import ExchangeMeters, Level, MeterLevels, MeterRow, MeterTable

DEFAULTS = {key.name: key.default for key in KEYS}
ABOVE_ZERO = ["stale_feed_ns", "bad_equity_readings", "reject_streak", "max_consecutive_losses", "max_daily_loss_cny", "max_drawdown_cny", "max_symbol_loss_cny"]  # fmt: skip


def test_the_defaults_suit_a_small_account() -> None:
    assert msgspec.structs.astuple(LIMITS) == (
        *(10, 5, 4, 4, 2_000_000.0, 20, 5 * S, 20_000.0, 50_000.0, 10_000.0, 20, 5, 5, 0.2, 10, 30 * S, False, 400, 3500, 0.8),
    )


def test_the_keys_give_the_limits_and_their_defaults_are_theirs() -> None:
    assert RiskLimits.from_values(DEFAULTS) == LIMITS == RiskLimits()
    assert RiskLimits.from_values({}) == LIMITS
    changed = RiskLimits.from_values(
        {**DEFAULTS, "trading.risk.end_guard_s": 0.5, "trading.risk.max_order_lots": 2, "sim.lots": 9}
    )
    assert changed == msgspec.structs.replace(LIMITS, end_guard_ns=S // 2, max_order_lots=2)
    for key in KEYS:
        if key.kind != "bool":
            assert key.minimum is not None
            RiskLimits.from_values({key.name: int(key.minimum) if key.kind == "int" else key.minimum})
    assert {key.name for key in KEYS if key.maximum is not None} == {
        "trading.risk.min_available_share",
        "trading.risk.warn_share",
    }
    assert {key.maximum for key in KEYS} == {None, 1.0}
    least = {key.name.removeprefix("trading.risk."): key.minimum for key in KEYS if key.minimum}
    ones = ("max_consecutive_losses", "bad_equity_readings", "reject_streak")
    losses = ("max_daily_loss_cny", "max_drawdown_cny", "max_symbol_loss_cny")
    assert least == {"stale_feed_s": 0.001, **dict.fromkeys(ones, 1), **dict.fromkeys(losses, 0.01)}


@pytest.mark.parametrize(
    "values", [{"trading.risk.max_lots": 1}, {"trading.risk.max_order_lots": "many"}, {"trading.risk.warn_share": 1.1}]
)
def test_values_that_are_no_limits_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        RiskLimits.from_values(values)


def test_limits_that_bind_nothing_leave_all_money_and_keep_no_distance() -> None:
    free = RiskLimits.unbound()
    assert (free.min_available_share, free.limit_proximity_ticks, free.end_guard_ns) == (0.0, 0, 0)
    assert free.delivery_month_opening
    assert min(free.stale_feed_ns, free.max_notional_cny, free.max_cancels, free.max_messages) >= 10**9


@pytest.mark.parametrize("name", RiskLimits.__struct_fields__)
def test_a_limit_is_a_number_not_below_its_least(name: str) -> None:
    for bad in (-1, float("nan")):
        with pytest.raises(ConfigError, match=name):
            RiskLimits(**{name: bad})
    if name in ABOVE_ZERO:
        with pytest.raises(ConfigError, match=name):
            RiskLimits(**{name: 0})
    else:
        RiskLimits(**{name: 0})


@pytest.mark.parametrize("name", ["min_available_share", "warn_share"])
def test_a_share_is_at_most_one(name: str) -> None:
    assert getattr(RiskLimits(**{name: 1.0}), name) == 1.0
    with pytest.raises(ConfigError, match=f"{name} is a share"):
        RiskLimits(**{name: 1.0001})


def test_the_vendored_table_is_ordered_dated_and_sourced() -> None:
    table = METERS.table
    assert {row.meter for row in table.rows} == {
        name for name in MeterLevels.__struct_fields__ if name not in {"large_lots", "carried_forward"}
    }
    assert len({(row.meter, row.applies_to, row.valid_from) for row in table.rows}) == len(table.rows)
    for row in table.rows:
        assert 0 < row.warn < row.stop <= row.free
        assert row.source in table.sources
        assert re.fullmatch(r"|\d{4}-\d\d-\d\d", row.valid_from)
        assert not row.valid_to or row.valid_from <= row.known_until <= row.valid_to
        assert (row.large_lots > 0) == (row.meter == "large_cancels")
    assert {row.source for row in table.rows} == set(table.sources)
    cancels = [row.stop for row in table.rows if row.meter == "cancels"]
    messages = [row.stop for row in table.rows if row.meter == "messages"]
    assert (max(cancels), max(messages)) == (400, 3500)


def test_levels_of_a_contract_follow_the_day() -> None:
    def opened(day: str, symbol: str = "SHFE.ag2604") -> int | None:
        level = METERS.levels(symbol, day).opened_lots
        return level.free if level else None

    assert [
        opened(day) for day in ("2026-01-08", "2026-01-09", "2026-01-19", "2026-01-20", "2026-01-26", "2026-01-27", "2027-01-04")
    ] == [None, 7000, 7000, 3000, 3000, 800, 800]
    assert (opened("2024-04-11", "SHFE.cu2406"), opened("2024-04-12", "SHFE.cu2406"), opened("2024-04-12", "SHFE.au2406")) == (
        None,
        2000,
        2800,
    )
    assert opened("2026-02-02", "SHFE.rb2610") is None
    assert METERS.levels("DCE.m2609", "2026-02-02").cancels == Level(320, 400, 499)
    assert METERS.levels("SHFE.rb2610", "2026-02-02").large_lots == 300
    with pytest.raises(UnknownInstrumentError):
        METERS.levels("nonsense", "2026-02-02")


def test_a_level_that_its_source_does_not_speak_of_says_so() -> None:
    assert METERS.levels("SHFE.ag2604", "2024-10-24").carried_forward == ()
    assert METERS.levels("SHFE.ag2604", "2026-01-27").carried_forward == ("large_cancels", "self_trades")
    assert METERS.levels("SHFE.ag2604", "2026-01-28").carried_forward == ("large_cancels", "opened_lots", "self_trades")


def row(applies_to: str, valid_from: str, stop: int, valid_to: str = "", meter: str = "cancels") -> MeterRow:
    return MeterRow(
        meter=meter,
        applies_to=applies_to,
        valid_from=valid_from,
        valid_to=valid_to,
        known_until="9",
        warn=1,
        stop=stop,
        free=99,
        source="s",
    )


def test_the_most_particular_row_wins_then_the_later_one() -> None:
    rows = (
        row("SHFE.rb", "2025-01-01", 5),
        row("*", "2025-03-01", 1),
        row("SHFE", "2025-02-01", 4),
        row("SHFE", "2024-01-01", 3),
        row("SHFE", "2023-01-01", 2),
        row("SHFE.rb", "2025-06-01", 6, "2025-06-30"),
    )
    for ordered in (rows, rows[::-1]):
        meters = ExchangeMeters(MeterTable(about="", retrieved="", sources={}, rows=ordered))
        stops = []
        for symbol, day in [
            ("DCE.m2509", "2025-06-05"),
            ("SHFE.cu2509", "2023-06-05"),
            ("SHFE.cu2509", "2025-06-05"),
            ("SHFE.rb2510", "2024-12-31"),
            ("SHFE.rb2510", "2025-01-01"),
            ("SHFE.rb2510", "2025-06-30"),
            ("SHFE.rb2510", "2025-07-01"),
        ]:
            level = meters.levels(symbol, day).cancels
            assert level is not None
            stops.append(level.stop)
        assert stops == [1, 2, 4, 3, 5, 6, 5]


def test_own_caps_lower_the_stop_levels_and_stand_where_the_table_is_silent() -> None:
    own = RiskLimits(max_cancels=10, max_messages=25)
    levels = METERS.levels("SHFE.rb2510", "2025-06-05", own)
    assert (levels.cancels, levels.messages) == (Level(8, 10, 499), Level(20, 25, 4000))
    assert METERS.levels("SHFE.rb2510", "2025-06-05", RiskLimits(max_cancels=450, max_messages=3900)).cancels == Level(
        320, 400, 499
    )
    assert METERS.levels("SHFE.rb2510", "2025-06-05").cancels == Level(320, 400, 499)
    silent = ExchangeMeters(MeterTable(about="", retrieved="", sources={}, rows=()))
    assert silent.levels("SHFE.rb2510", "2025-06-05", own) == MeterLevels(cancels=Level(8, 10, 10), messages=Level(20, 25, 25))
    assert METERS.levels("SHFE.rb2510", "2025-06-05") is METERS.levels("SHFE.rb2510", "2025-06-05")


def test_a_meter_that_would_warn_beyond_where_it_stops_is_refused() -> None:
    rows = (row("SHFE.rb", "2025-01-01", 1), row("*", "2025-01-01", 0))
    assert ExchangeMeters(MeterTable(about="", retrieved="", sources={}, rows=rows[:1])).table.rows[0].stop == 1
    with pytest.raises(DataError, match=r"warn too late: cancels of \*$"):
        ExchangeMeters(MeterTable(about="", retrieved="", sources={}, rows=rows))
