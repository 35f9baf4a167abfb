"""The checks before a session: each can fail by itself, red where the mode needs it, and the gateway keeps to them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest
from tests.conftest import SAMPLES, environment_of

from ghtrader.app.paths import resolve_paths
from ghtrader.app.services import AppServices
from ghtrader.cli.main import run
from ghtrader.core.clock import SystemClock
from ghtrader.core.progress import NO_PROGRESS
from ghtrader.pipelines.gateway import GatewayRequest
from ghtrader.pipelines.gateway_process import ReplayProcess
from ghtrader.pipelines.stopping import StopWish
from ghtrader.ports.statement import AccountStatement
from ghtrader.trading.journal.journal import Journal
from ghtrader.trading.journal.records import Record, RecordKind
from ghtrader.trading.preflight.checks import NEEDED, CheckName, CheckState, Finding, PreflightFacts, judge, red_names
from ghtrader.trading.words import Mode

FINE, NOT = Finding(ok=True, message="fine"), Finding(ok=False, message="not so", hint="do it")
GOOD = PreflightFacts(
    account="demo", now_ns=10**18, calendar=FINE, schedule=FINE, journal=FINE, model=FINE, seen_ns=10**18, tick_ns=10**18 + 10**9,
    day="2025-06-06", statement_day="2025-06-05", statement_state="balanced", balance_cny=100.0, available_cny=20.0,
    min_available_share=0.2, free_mb=1024, min_free_mb=1024, filing_reference="F-1",
)  # fmt: skip


def test_everything_in_order_is_green_in_every_mode() -> None:
    for mode in Mode:
        assert {check.state for check in judge(GOOD, mode)} == {CheckState.GREEN}


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("calendar", {"calendar": NOT}),
        ("schedule", {"schedule": NOT}),
        ("settlement", {"statement_state": "different"}),
        ("settlement", {"statement_state": "missing"}),
        ("positions", {"journal": NOT}),
        ("funds", {"balance_cny": None}),
        ("funds", {"available_cny": None}),
        ("funds", {"available_cny": float("nan")}),
        ("funds", {"available_cny": 19.99}),
        ("funds", {"balance_cny": 0.0, "available_cny": 0.0}),
        ("model", {"model": NOT}),
        ("clock", {"seen_ns": 10**18 + 10**9 + 1}),
        ("clock", {"tick_ns": 10**18 + 10**9 + 1}),
        ("disk", {"free_mb": 1023}),
        ("filing", {"filing_reference": " "}),
    ],
)
def test_what_fails_is_red_where_the_mode_needs_it_and_names_the_next_command(name: str, change: dict[str, Any]) -> None:
    for mode in Mode:
        checks = judge(msgspec.structs.replace(GOOD, **change), mode)
        assert red_names(checks) == ((name,) if mode in NEEDED[CheckName(name)] else ())
        (failed,) = [check for check in checks if check.state is not CheckState.GREEN]
        assert (failed.name, bool(failed.message), bool(failed.hint)) == (CheckName(name), True, True)
    assert Mode.LIVE_TRADE in NEEDED[CheckName(name)]


NOW = 1_764_122_400_000_000_000  # 2025-11-26 10:00 in Shanghai


@pytest.fixture
def call(services: AppServices, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    monkeypatch.setattr(SystemClock, "now_ns", lambda _: NOW)

    def run_it(*arguments: str, code: int = 0) -> Any:
        capfd.readouterr()
        assert run(services, ["preflight", *arguments]) == code
        out, err = capfd.readouterr()
        return json.loads(out.splitlines()[-1]) if "--json" in arguments else out + err

    return run_it


def states(report: Any) -> dict[str, str]:
    return {check["name"]: check["state"] for check in report["checks"]}


def test_the_command_says_what_stands_and_blocks_with_exit_code_8(call, services: AppServices) -> None:
    live = call("--mode", "live_trade", "--symbol", "rb", "--json", code=8)
    assert live["red"] == ["schedule", "funds", "model", "filing"]
    assert "ghtrader main-schedule" in next(check["hint"] for check in live["checks"] if check["name"] == "schedule")
    assert "rb2510 was delivered" in call("--symbol", "SHFE.rb2510", code=8)
    assert "no mode 'lively'" in call("--mode", "lively", code=2)
    fine = call("--symbol", "SHFE.rb2601", "--json")
    assert (fine["ok"], fine["trading_day"]) == (True, "2025-11-26")

    store = services.trading().journal("demo")
    journal = Journal(store, "demo")
    late = NOW + 3_600 * 10**9
    journal.append([Record(1, 0, late, RecordKind.DAY, {"trading_day": "2025-06-05", "contracts": {}, "terms": {}})])
    journal.close()
    found = call("--symbol", "SHFE.rb2601", "--json", code=8)
    assert found["red"] == ["clock"]
    assert states(found)["settlement"] == "yellow"  # a day that nobody compared; paper goes on
    services.trading().statements("demo").put(
        AccountStatement(
            trading_day="2025-06-05", pre_balance_cny=5.0, close_profit_cny=0.0, position_profit_cny=0.0, commission_cny=0.0,
            balance_cny=5.0,
        )
    )  # fmt: skip
    assert states(call("--symbol", "SHFE.rb2601", "--json", code=8))["settlement"] == "green"


@pytest.mark.parametrize(("least", "mode"), [("1", Mode.PAPER), ("1000000000", Mode.LIVE_MONITOR)])
def test_a_gateway_begins_with_the_same_checks(tmp_path: Path, least: str, mode: Mode) -> None:
    source = SAMPLES / "SHFE.rb2510.20250605.parquet"
    ticks = tmp_path / "ticks"
    ticks.mkdir()
    pl.read_parquet(source).head(50).write_parquet(ticks / source.name)
    environment = environment_of(tmp_path) | {"GHTRADER_TRADING_PREFLIGHT_MIN_FREE_MB": least}
    services = AppServices(resolve_paths(environment), environment)
    process = ReplayProcess(services, GatewayRequest(account="demo", replay=ticks), lambda *_: None, NO_PROGRESS, StopWish())
    try:
        process._want()
        state = process._shell.state
        assert (state.mode, state.red) == (mode, () if mode is Mode.PAPER else ("disk",))
    finally:
        process.close()
