from __future__ import annotations

import pytest

from ghtrader.app.services import AppServices
from ghtrader.core.errors import UsageError
from ghtrader.pipelines.truth import run_study


def test_planted_is_credited_decoy_is_not_null_is_a_coin_and_rich_has_an_edge(services: AppServices) -> None:
    study = run_study(services, seeds=1, first_seed=31, markets=("planted", "decoy", "null", "rich"))
    runs = {run.market: run for run in study.runs}
    assert runs["planted"].signal_gain.low > 0.03
    assert abs(runs["decoy"].signal_gain.value) < 0.01
    assert abs(runs["null"].directional_auc.value - 0.5) < 0.04
    assert runs["rich"].verdict == "edge"
    again = run_study(services, seeds=1, first_seed=31, markets=("planted", "decoy", "null", "rich"))
    assert (again.reused, again.runs) == (4, study.runs)


def test_an_unknown_market_is_refused_before_anything_runs(services: AppServices) -> None:
    with pytest.raises(UsageError):
        run_study(services, seeds=1, markets=("plantd",))
