"""A gateway on live ticks as a forked process: what is heavy is imported once, by the server that forks it."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ghtrader.app.paths import resolve_paths
from ghtrader.app.services import AppServices
from ghtrader.core.clock import SystemClock
from ghtrader.data.calendar import Calendar
from ghtrader.data.instruments import InstrumentTable
from ghtrader.pipelines import gateway_live
from ghtrader.pipelines.gateway import GatewayRequest, run_gateway
from ghtrader.tq.library import load_tqsdk
from ghtrader.trading.gateway.market import MarketViews

__all__ = ["serve"]

#: Where the client keeps its caches, when the server that forks imports this module.
FOLDER = "GHTRADER_LIVE_WORKER_FOLDER"
#: No loss limit ends a rehearsal.
LIMITS = {
    f"trading.risk.{name}": "1000000000"
    for name in ("max_daily_loss_cny", "max_drawdown_cny", "max_symbol_loss_cny", "max_consecutive_losses", "reject_streak")
}

if FOLDER in os.environ:
    load_tqsdk(Path(os.environ[FOLDER]))
    MarketViews(Calendar.vendored(), InstrumentTable.vendored()).warm_up()


def serve(environment: Mapping[str, str], request: GatewayRequest) -> None:
    """Run a gateway until it is killed; what it tells goes to standard error."""
    assert gateway_live.WAIT_S
    os.environ.update(environment)
    services = AppServices(resolve_paths(os.environ), os.environ, LIMITS)
    services.clock = SystemClock()

    def tell(name: str, fields: dict[str, Any]) -> None:
        sys.stderr.write(f"{os.getpid()} {name} {fields}\n")

    run_gateway(services, request, tell)
