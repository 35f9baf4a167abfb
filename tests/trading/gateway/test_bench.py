"""The benchmarks of the runtime do the work that they time."""

from __future__ import annotations

import pytest

from ghtrader.app.bench_child import MEDIA
from ghtrader.core.clock import SystemClock
from ghtrader.pipelines.bench import gateway_orders, links


def test_every_target_of_the_gateway_bench_becomes_an_order() -> None:
    assert gateway_orders.gateway_call(25, MEDIA)() == 25.0


def test_the_gateway_bench_times_every_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"HOT": 12, "SYNCED": 8, "PACED": 4, "WARM": 3, "PACE_S": 0.0}.items():
        monkeypatch.setattr(gateway_orders, name, value)
    figures = gateway_orders.gateway_figures(SystemClock(), 1, MEDIA)
    assert {f"{kind}_order_p99_us" for kind in ("hot", "hot_synced", "paced", "paced_synced")} <= figures.keys()
    assert figures["hot_synced_sync_p50_us"] > 0
    assert figures["hot_order_p50_us"] > figures["hot_step_p50_us"] > 0


def test_the_window_of_the_dedupe_bench_judges_every_command_rightly() -> None:
    assert links.dedupe_call(130_000)() == 0.0
