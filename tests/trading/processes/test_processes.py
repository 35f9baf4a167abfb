"""Gateway and strategy as real processes, from the command line."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path

import polars as pl
from tests.conftest import SAMPLES, Cli

STRATEGY = """
from ghtrader.core.messages import ExecutionStyle, Style
from ghtrader.trading.strategy.api import Decision, Strategy


class Swing(Strategy):
    needs_model = False
    factor_set = "minimal16"

    def __init__(self):
        self.ticks = 0

    def on_tick(self, view):
        self.ticks += 1
        if not view.can_trade or not view.settled or self.ticks % 100:
            return None
        lots = 0 if view.position else 1
        return Decision(lots, ExecutionStyle(style=Style.TAKER), "swing", True)
"""


def test_paper_runs_two_processes_and_every_order_explains_itself(cli: Cli, tmp_path: Path) -> None:
    folder = tmp_path / "ticks"
    folder.mkdir()
    source = SAMPLES / "SHFE.rb2510.20250605.parquet"
    pl.read_parquet(source).head(4000).write_parquet(folder / source.name)
    strategy = tmp_path / "swing.py"
    strategy.write_text(textwrap.dedent(STRATEGY))
    words = ("paper", "--replay", str(folder), "--file", str(strategy), "--fill-model", "back", "--fill-model", "front", "--json")
    report = json.loads(cli.run(*words).stdout.splitlines()[-1])
    assert [run["fill_model"] for run in report["runs"]] == ["back", "front"]
    for run in report["runs"]:
        gateway = run["gateway"]
        assert run["gateway_pid"] != run["strategy_pid"]
        assert gateway["pid"] == run["gateway_pid"]
        assert gateway["ticks"] == 4000
        assert gateway["targets"] == gateway["orders"] > 10
        assert gateway["fills"] > 10
        assert len(set(gateway["order_ids"])) == gateway["orders"]
        assert [day["trading_day"] for day in gateway["days"]] == ["2025-06-05"]
        assert gateway["latency"]["tick_round_trip"]["count"] == 4000
        assert run["strategy"]["ticks"] == 4000
        assert run["strategy"]["gaps"] == 0
    order = report["runs"][0]["gateway"]["order_ids"][3]
    chain = json.loads(cli.run("journal", "why", order, "--json").stdout.splitlines()[-1])["chain"]
    assert chain["tick"]["symbol"] == "SHFE.rb2510"
    row = pl.read_parquet(source).filter(pl.col("datetime") == chain["tick"]["ts_ns"]).row(0, named=True)
    quote = chain["tick"]["quote"]
    shown = [quote[name] for name in ("bid", "bid_lots", "ask", "ask_lots", "last")]
    assert shown == [row[name] for name in ("bid_price1", "bid_volume1", "ask_price1", "ask_volume1", "last_price")]
    assert len(chain["factors"]) == 16
    assert chain["target"]["note"] == "swing"
    assert chain["verdict"]["approved"] is True
    run = report["runs"][0]
    costs = cli.json("tca", "--account", run["account"])
    assert (costs["days"], costs["total"]["orders"]) == (["2025-06-05"], run["gateway"]["orders"])
    assert costs["total"]["filled"] == run["gateway"]["fills"]  # a lot each
    settled = cli.json("trade", "statement", "--account", run["account"])
    assert [(day["trading_day"], day["state"]) for day in settled["days"]] == [("2025-06-05", "balanced")]
    assert settled["days"][0]["check"]["trades"] == run["gateway"]["fills"]


HOSTILE = """
import os
from ghtrader.trading.strategy.api import Strategy


class Hostile(Strategy):
    needs_model = False
    ticks = 0

    def on_tick(self, view):
        self.ticks += 1
        print("{", end="")
        if self.ticks == 100:
            {fails}
"""


def test_a_strategy_that_fails_ends_its_run_with_the_reason(cli: Cli, tmp_path: Path) -> None:
    folder = tmp_path / "ticks"
    folder.mkdir()
    source = SAMPLES / "SHFE.rb2510.20250605.parquet"
    pl.read_parquet(source).slice(3000, 800).write_parquet(folder / source.name)
    strategy = tmp_path / "hostile.py"
    strategy.write_text(HOSTILE.replace("{fails}", "os._exit(0)"))
    gone = cli.run("backtest", "--replay", str(folder), "--file", str(strategy), "--json")
    assert gone.returncode == 1
    assert "the strategy of the paper run failed: it ended by itself with exit code 0" in gone.stderr
    strategy.write_text(HOSTILE.replace("{fails}", "raise ValueError('enough')"))
    words = ("paper", "--replay", str(folder), "--file", str(strategy), "--fill-model", "back")
    (run,) = cli.json(*words, code=8)["runs"]
    assert run["strategy"]["halts"][0]["message"] == "Hostile raised ValueError: enough (line 14)"
    assert (run["gateway"]["ticks"], run["gateway"]["orders"]) == (800, 0)


def test_the_kill_switch_drill_passes(cli: Cli) -> None:
    report = json.loads(cli.run("drill", "kill-switch", "--account", "demo", "--json").stdout.splitlines()[-1])
    assert report["passed"] is True, [step for step in report["steps"] if not step["passed"]]
    assert report["flips"] > 500
    assert len(set(report["pids"])) == 3
