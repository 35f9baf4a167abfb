from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.conftest import SAMPLES, Cli

from ghtrader.app.services import AppServices
from ghtrader.cli.main import run
from ghtrader.cli.verbs import VERBS

HEAVY = ("numpy", "pandas", "polars", "pyarrow", "numba", "sklearn", "scipy", "torch", "lightgbm", "duckdb", "matplotlib", "rich")


def loaded(code: str) -> set[str]:
    script = f"import sys\n{code}\nprint(chr(10).join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return {name.split(".")[0] for name in done.stdout.split()}


def test_importing_the_package_and_its_help_loads_nothing_heavy() -> None:
    assert not set(HEAVY) & loaded("import ghtrader")
    run = (
        "import sys; sys.argv = ['ghtrader', '--help']\nfrom ghtrader.app.main import main\ntry: main()\nexcept SystemExit: pass"
    )
    assert not set(HEAVY) & loaded(run)


def test_help_lists_every_verb_under_its_heading(cli: Cli) -> None:
    text = cli.run("--help").stdout
    for name, verb in VERBS.items():
        assert name in text
        assert verb.section in text


@pytest.mark.parametrize("name", list(VERBS))
def test_every_verb_has_help_with_examples(cli: Cli, name: str) -> None:
    done = cli.run(name, "--help")
    assert done.returncode == 0, done.stderr
    assert "Examples:" in done.stdout


def test_an_unknown_verb_names_the_nearest_and_exits_2(cli: Cli) -> None:
    done = cli.run("trian")
    assert (done.returncode, "ghtrader train" in done.stderr) == (2, True)


def test_a_missing_option_is_a_usage_error(cli: Cli) -> None:
    assert cli.run("main-l5").returncode == 2
    assert cli.json("main-l5", code=2)["error"] == "UsageError"


def test_errors_name_what_why_and_the_next_command_and_as_json_too(cli: Cli) -> None:
    done = cli.run("main-l5", "--var", "rb", "--json")
    error = json.loads(done.stdout.splitlines()[-1])
    assert (done.returncode, error["error"]) == (4, "DataError")
    assert "next: ghtrader main-schedule" in done.stderr


def test_version_and_broken_settings(cli: Cli) -> None:
    assert cli.run("--version").stdout.startswith("ghtrader 0.")
    assert cli.run("--set", "nonsense", "config", "list").returncode == 2
    assert cli.run("--set", "sim.lots=zero", "config", "list").returncode == 7


def test_config_round_trip_on_the_command_line(cli: Cli) -> None:
    cli.json("config", "set", "sim.lots=3", "--reason", "more")
    assert cli.json("config", "get", "sim.lots")["value"] == 3
    assert cli.json("config", "explain", "sim.lots")["source"] == "store"
    cli.json("config", "unset", "sim.lots")
    assert len(cli.json("config", "history")["revisions"]) == 2
    cli.json("config", "rollback", "1")
    assert cli.json("config", "diff", "2", "3")["changes"] == {"sim.lots": [None, 3]}
    assert any(key["name"] == "sim.lots" for key in cli.json("config", "list")["keys"])
    assert "meaning" in cli.run("config", "explain", "sim.lots").stdout


@pytest.mark.parametrize("key", ["TQ_PASSWORD", "broker.password", "GHTRADER_LIVE_ENABLED", "GHTRADER_DATA_DIR", "questdb.host"])
def test_secrets_are_refused_on_the_command_line_and_never_echoed(cli: Cli, key: str) -> None:
    done = cli.run("config", "set", f"{key}=hunter2", "--json")
    assert done.returncode == 7
    assert "hunter2" not in done.stdout + done.stderr


def test_market_facts_on_the_command_line(cli: Cli, tmp_path: Path) -> None:
    assert len(cli.json("calendar", "show", "--year", "2025")["trading_days"]) == 243
    assert cli.json("calendar", "day", "2025-06-05", "--product", "rb")["windows"][0]["phase"] == "order_entry"
    assert cli.run("calendar", "day", "2025-06-07").returncode == 4
    assert cli.json("instruments", "show", "SHFE.au2006", "--day", "2020-03-02")["price_tick"] == 0.02
    assert {"SHFE.cu", "INE.sc"} <= {item["product"] for item in cli.json("instruments", "list")["products"]}
    for command in (
        ("calendar", "show", "--year", "2025"),
        ("instruments", "list"),
        ("instruments", "show", "SHFE.rb2510", "--day", "2025-06-05"),
    ):
        assert cli.run(*command).returncode == 0


def test_the_calendar_is_refreshed_from_a_file_and_never_loses_days(cli: Cli, tmp_path: Path) -> None:
    days = [day for year in (2025, 2026) for day in cli.json("calendar", "show", "--year", str(year))["trading_days"]]
    fresh = ["2027-01-04", "2027-01-05", "2027-01-06"]
    (tmp_path / "days.csv").write_text("day\n" + "\n".join([*days, *fresh]))
    report = cli.json("calendar", "refresh", "--from", str(tmp_path / "days.csv"))
    assert (report["last_day"], report["added"], report["removed"]) == ("2027-01-06", fresh, [])
    assert not cli.json("calendar", "day", "2027-01-04")["has_night"]
    (tmp_path / "few.csv").write_text("2026-12-30\n2027-01-04\n2027-01-08\n")
    assert cli.run("calendar", "refresh", "--from", str(tmp_path / "few.csv")).returncode == 4


def test_features_and_markets_are_listed(cli: Cli) -> None:
    assert len(cli.json("features", "list", "--set", "minimal16")["factors"]) == 16
    assert cli.json("features", "show", "f31")["flip"] == "odd"
    assert {market["name"] for market in cli.json("market", "list")["markets"]} == {"planted", "decoy", "hidden", "null", "rich"}
    assert cli.run("features", "show", "F4").returncode == 0


def test_a_whole_variety_by_single_commands(cli: Cli) -> None:
    files = sorted(str(path) for path in SAMPLES.glob("*.parquet"))
    imported = cli.json("data", "import", *files)
    assert imported["rows_written"] == imported["rows_in"] == 164_969
    assert cli.json("data", "import", *files)["rows_written"] == 0
    assert cli.json("main-schedule", "--var", "rb")["changed"]
    assert cli.json("main-l5", "--var", "rb")["written"] == 4
    assert cli.json("data", "main-l5-validate", "--var", "rb")["overall_state"] == "ok"
    assert cli.json("build", "--var", "rb")["reused"] == 0
    trained = cli.json("train", "--var", "rb", "--models", "logistic", "--horizons", "50t")
    auc = next(m for m in trained["evaluation"]["metrics"] if m["metric"] == "directional_auc")
    assert auc["low"] > 0.55
    tested = cli.json("backtest", "--var", "rb", "--models", "logistic", "--horizons", "50t")
    assert "train" in tested["reused"]
    assert tested["simulation"]["verdict"]["conclusion"] == "undecidable"
    assert {row["fill_model"] for row in tested["simulation"]["fills"]} == {"back", "pro_rata", "front", "first"}
    trials = cli.json("trials", "list")
    assert trials["count"] == 3  # one evaluation, two policies
    assert cli.json("trials", "show", "1")["kind"] == "evaluation"
    assert cli.run("trials", "show", "99").returncode == 4
    for command in (
        ("main-schedule", "--var", "rb", "--show"),
        ("main-l5", "--var", "rb"),
        ("data", "main-l5-validate", "--var", "rb"),
        ("build", "--var", "rb"),
        ("backtest", "--var", "rb", "--models", "logistic", "--horizons", "50t"),
        ("trials", "list"),
    ):
        done = cli.run(*command)
        assert done.returncode == 0, done.stderr


def test_ctrl_c_exits_130_and_leaves_nothing_half_written(cli: Cli, tmp_path: Path) -> None:
    out = tmp_path / "ticks"
    command = [sys.executable, "-m", "ghtrader.app", "market", "generate", "planted", "--days", "400", "--out", str(out)]
    process = subprocess.Popen(command, env=cli.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and len(list(out.glob("*.parquet"))) < 2:
        assert process.poll() is None
        os.sched_yield()
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "interrupted" in stderr
    import polars as pl

    assert not list(out.glob("*.writing"))
    assert all(len(pl.read_parquet(path)) > 1000 for path in out.glob("*.parquet"))


def test_a_full_disk_is_a_store_error(cli: Cli) -> None:
    done = cli.run("market", "generate", "null", "--days", "1", "--out", "/dev/full/x")
    assert done.returncode != 0


def test_ctrl_c_inside_compiled_code_is_an_interruption(monkeypatch: pytest.MonkeyPatch, services: AppServices) -> None:
    def interrupted(**_: object) -> None:
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt as error:
            raise SystemError("returned a result with an exception set") from error

    monkeypatch.setattr("ghtrader.pipelines.features.catalogue", lambda *_: interrupted())
    assert run(services, ["features", "list", "--json"]) == 130
    monkeypatch.setattr("ghtrader.pipelines.features.catalogue", lambda *_: (_ for _ in ()).throw(SystemError("something else")))
    assert run(services, ["features", "list", "--json"]) == 1
