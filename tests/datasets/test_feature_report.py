from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
from scipy.stats import spearmanr
from tests.conftest import Cli

from ghtrader.app.services import AppServices
from ghtrader.core.errors import UsageError
from ghtrader.datasets.candidate_selection import CandidateSpec, Limits
from ghtrader.datasets.day_dataset import Horizon
from ghtrader.datasets.factors.catalogue import factor_set
from ghtrader.datasets.factors.engine import compute
from ghtrader.datasets.labels.direction import direction_labels
from ghtrader.pipelines.feature_candidates import feature_candidates
from ghtrader.pipelines.feature_report import feature_report
from ghtrader.pipelines.ingest import import_files
from ghtrader.pipelines.main_series import build_main_l5, make_schedule

SAMPLES = sorted((Path(__file__).parent.parent.parent / "samples").glob("*.parquet"))


def test_the_page_stands_alone_and_its_json_holds_the_same_numbers(cli: Cli, sample_day: Callable, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    found = cli.json("features", "report", *map(str, SAMPLES[:2]), "--set", "minimal16", "--out", str(page))
    text = page.read_text()
    assert not re.findall(r'(?:src|href)="(?!#|data:)|https?://(?!www\.w3\.org)', text)
    assert text.count("<svg") >= 5 + 16
    assert text.count("<tr id=") == 16
    assert json.loads(page.with_suffix(".json").read_text())["factors"] == found["factors"]
    factors = {item["id"]: item for item in found["factors"]}
    assert found["reference_days"] == ["2025-06-05"]
    assert factors["F4"]["psi"][0] == 0.0
    assert factors["F95"]["flip"] == "even"
    assert 0.0 < factors["F61"]["nan_rate"] < 0.05
    assert 0.95 < factors["F61"]["coverage"] < 1.0
    assert factors["F4"]["cost_ns"] > 0.0
    assert any("undecidable" in line for line in found["evidence"])
    assert cli.json("trials", "list")["trials"][0]["kind"] == "feature_report"
    # one number by hand: the mean over days of Spearman's coefficient on one horizon
    ic = next(item for item in factors["F4"]["ic"] if item["horizon"] == "50t")
    by_day, rows = [], 0
    for day in ("2025-06-05", "2025-06-06"):
        ticks, sessions = sample_day(day)
        x = compute(ticks, sessions, factor_set("minimal16"))[:, 1]
        y = direction_labels(ticks, [Horizon("ticks", 50)])[0][:, 0]
        known = np.isfinite(x) & np.isfinite(y)
        by_day.append(float(spearmanr(x[known], y[known])[0]))
        rows += int(known.sum())
    assert ic["ic"] == pytest.approx(np.mean(by_day), abs=2e-3)
    assert ic["low"] < ic["ic"] < ic["high"]
    assert ic["rows"] == pytest.approx(rows, rel=0.01)  # the report knows the gaps of the file


def test_a_stored_series_is_judged_and_gives_candidates_of_its_training_days(services: AppServices, tmp_path: Path) -> None:
    import_files(services, SAMPLES[:3])
    make_schedule(services, "rb")
    build_main_l5(services, "rb")
    report = feature_report(services, variety="rb", set_name="minimal16", reference_days=2, out=tmp_path / "r.html")
    assert report.symbol == "KQ.m@SHFE.rb"
    assert [day.trading_day for day in report.days] == ["2025-06-05", "2025-06-06", "2025-06-09"]
    assert report.notes == []  # the build gate judged these rows
    limits = Limits(parents=2, numerators=1, denominators=1, sample_rows=3000)
    found = feature_candidates(services, "rb", set_name="minimal16", top=3, horizon="10t", out=tmp_path / "c.json", limits=limits)
    assert found.spec.train_days == ("2025-06-05", "2025-06-06")
    assert found.spec.generated == 19
    assert msgspec.json.decode((tmp_path / "c.json").read_bytes(), type=CandidateSpec) == found.spec
    assert found.trial == report.trial + 1
    with pytest.raises(UsageError, match="no fold 2"):
        feature_candidates(services, "rb", set_name="minimal16", fold=2)


def test_days_are_judged_one_after_the_other_and_asked_for_once(services: AppServices, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="either"):
        feature_report(services)
    with pytest.raises(UsageError, match="2025-06-05 stands in"):
        feature_report(services, files=[SAMPLES[0], SAMPLES[0]], set_name="minimal16", out=tmp_path / "r.html")
    with pytest.raises(UsageError, match="3 reference days of 1"):
        feature_report(services, files=SAMPLES[:1], set_name="minimal16", reference_days=3)
