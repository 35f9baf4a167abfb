"""P0-A1: one gateway and one strategy per account; neither is in the other's way."""

from __future__ import annotations

import json
import os

import pytest
from tests.conftest import SAMPLES

from ghtrader.app.services import AppServices
from ghtrader.cli.main import run
from ghtrader.ports.lock import gateway_key, strategy_key

RUNS = {"gateway": (gateway_key, ("--replay", str(SAMPLES))), "strategy": (strategy_key, ())}


@pytest.mark.parametrize("name", list(RUNS))
def test_a_second_one_for_an_account_is_refused_naming_the_holder(
    services: AppServices, capfd: pytest.CaptureFixture[str], name: str
) -> None:
    key, options = RUNS[name]
    locks = services.trading().locks()
    held = locks.acquire(key("demo"))
    (other,) = RUNS.keys() - {name}
    locks.acquire(RUNS[other][0]("demo")).release()  # that one is free
    try:
        assert run(services, [name, "run", "--account", "demo", *options, "--json"]) == 3
    finally:
        held.release()
    told = json.loads(capfd.readouterr().out.splitlines()[-1])
    assert told["error"] == "LockHeldError"
    assert str(os.getpid()) in told["message"]
    assert key("demo") == {"gateway": "trade:account=demo", "strategy": "trade:strategy:account=demo"}[name]
