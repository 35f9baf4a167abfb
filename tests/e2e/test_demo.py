from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tests.conftest import SAMPLES, Cli

FIELDS = {
    "report", "symbols", "trading_days", "ticks", "dropped", "models", "fills", "conclusion", "config_hash", "timings_s", "peak_rss_mb",
}  # fmt: skip


def judged(report: dict[str, Any]) -> dict[str, Any]:
    return {name: report[name] for name in ("models", "fills", "conclusion", "ticks", "trading_days", "symbols", "dropped")}


@pytest.fixture(scope="module")
def sample_demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Cli, dict[str, Any]]:
    """The demo on the sample days in a folder of its own, and what it said."""
    cli = Cli(tmp_path_factory.mktemp("demo"))
    return cli, cli.json("demo")


def test_the_demo_runs_twice_and_reuses_what_did_not_change(sample_demo: tuple[Cli, dict[str, Any]]) -> None:
    cli, first = sample_demo
    second = cli.json("demo")
    assert set(first) >= FIELDS
    assert judged(first) == judged(second)
    assert first["reused"] == []
    assert {"import", "main_series", "validate", "build", "train", "simulate"} <= set(second["reused"])
    assert second["trials"] == first["trials"] > 0
    assert first["symbols"] == ["SHFE.rb2510"]
    assert first["ticks"] == 164_969
    assert first["conclusion"] == "undecidable"
    assert set(first["fills"]) == {"back", "pro_rata", "front"}
    assert first["peak_rss_mb"] < 1500
    page = Path(first["report"]).read_text()
    assert not re.findall(r'(?:src|href)="https?:', page)
    for words in ("undecidable", "reliability", "equity", "alpha decay", "label balance"):
        assert words in page.lower()
    config = json.loads((Path(first["report"]).parent / "config.json").read_text())
    assert config["config_hash"] == first["config_hash"]


def test_a_generated_market_and_its_files_under_other_names_give_the_same_result(cli: Cli, tmp_path: Path) -> None:
    direct = cli.json("demo", "--market", "null", "--seed", "5", "--days", "9")
    assert direct["truth"]["market"] == "null"
    assert direct["truth"]["signal_gain"]["low"] < direct["truth"]["signal_gain"]["high"]
    cli.json("market", "generate", "null", "--seed", "5", "--days", "9", "--out", str(tmp_path / "out"))
    renamed = tmp_path / "renamed"
    renamed.mkdir()
    for number, path in enumerate(sorted((tmp_path / "out").glob("*.parquet"), reverse=True)):
        shutil.copy(path, renamed / f"part{number}.parquet")
    fed = cli.json("demo", "--ticks", str(renamed))
    assert judged(fed) == judged(direct)
    assert fed["truth"] is None


def test_several_symbols_are_one_run_each(cli: Cli, tmp_path: Path) -> None:
    for name in ("20250605", "20250606", "20250609"):
        frame = pl.read_parquet(SAMPLES / f"SHFE.rb2510.{name}.parquet").head(12_000)
        for symbol in ("SHFE.rb2510", "SHFE.hc2510"):
            frame.write_parquet(tmp_path / f"{symbol}.{name}.parquet")
    pl.read_parquet(SAMPLES / "SHFE.rb2510.20250610.parquet").head(200).write_parquet(tmp_path / "SHFE.cu2510.20250610.parquet")
    report = cli.json("demo", "--ticks", str(tmp_path))
    assert [item["symbol"] for item in report["skipped"]] == ["SHFE.cu2510"]  # one day is too few; the others run
    assert report["symbols"] == ["SHFE.hc2510", "SHFE.rb2510"]
    assert [run["symbol"] for run in report["runs"]] == report["symbols"]
    assert set(report["fills"]) == set(report["symbols"])


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--ticks", "/nonexistent"], 4),
        (["--market", "plantd"], 2),
        (["--market", "null", "--ticks", "x"], 2),
        (["--market", "null", "--days", "2"], 2),
    ],
)
def test_bad_input_is_a_clear_error(cli: Cli, arguments: list[str], code: int) -> None:
    assert cli.json("demo", *arguments, code=code)["hint"]


def test_the_report_draws_in_a_real_browser_in_light_and_dark(sample_demo: tuple[Cli, dict[str, Any]], tmp_path: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert browser, "a browser is needed: apt-get install chromium (make test installs it)"
    report = sample_demo[1]["report"]
    flags = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
    ]
    dom = subprocess.run(
        [browser, *flags, f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", f"file://{report}"],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    ).stdout
    assert dom.count("<svg") >= 8
    assert "SHFE.rb2510" in dom
    sizes = []
    for number, mode in enumerate(("0", "1")):
        image = tmp_path / f"{mode}.png"
        subprocess.run(
            [
                browser,
                *flags,
                f"--user-data-dir={tmp_path / f'p{number}'}",
                f"--blink-settings=preferredColorScheme={mode}",
                "--window-size=900,2000",
                f"--screenshot={image}",
                f"file://{report}",
            ],
            capture_output=True,
            timeout=120,
            check=True,
        )
        sizes.append(image.stat().st_size)
    assert min(sizes) > 50_000
    assert sizes[0] != sizes[1]
