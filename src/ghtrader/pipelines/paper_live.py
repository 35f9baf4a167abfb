"""`ghtrader paper` without a replay: gateway and strategy on live ticks, orders to the simulated exchange in the gateway."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

from ghtrader.core.clock import NS_PER_S
from ghtrader.core.errors import ConfigError, DataError
from ghtrader.core.instruments import product_of
from ghtrader.pipelines.gateway import check_fill_model
from ghtrader.pipelines.model_cards import StoredModel, load_model
from ghtrader.pipelines.paper import PaperReport, check_strategy_words, shown_model
from ghtrader.pipelines.paper_pair import run_pair
from ghtrader.pipelines.services import Services
from ghtrader.pipelines.stopping import StopWish
from ghtrader.pipelines.strategy_models import newest_model

__all__ = ["LivePaperRequest", "run_live_paper"]


@dataclass(frozen=True, kw_only=True)
class LivePaperRequest:
    """Options of ``ghtrader paper`` on live ticks, as in `pipelines.paper` and `pipelines.gateway`."""

    symbol: str
    for_s: float | None = None
    market_time: bool = False
    fill_model: str = "back"
    policy: str = "passive"
    file: Path | None = None
    params: tuple[str, ...] = ()
    model: str | None = None

    def __post_init__(self) -> None:
        check_fill_model(self.fill_model)
        check_strategy_words(self.policy, self.file, self.params)


def run_live_paper(services: Services, request: LivePaperRequest) -> PaperReport:
    """Both processes until the time is over, SIGINT or SIGTERM, on an account of their own.

    Raises ConfigError without a login of the data provider, DataError when no model is stored and no strategy of one's own given.
    """
    if not services.has_provider():
        raise ConfigError(
            "there is no login of the data provider", hint="export TQSDK_USER=... TQSDK_PASSWORD=..., or --replay samples"
        )
    model = None if request.file is not None else _model(services, request)
    stamp = dt.datetime.fromtimestamp(services.clock.now_ns() // NS_PER_S, tz=dt.UTC).strftime("%Y%m%dT%H%M%S")
    account = f"paper-{stamp}-live"
    strategy = ["--file", str(request.file)] if request.file is not None else ["--policy", request.policy]
    if model is not None:
        strategy += ["--model", model.card.card.artefact]
    for param in request.params:
        strategy += ["--param", param]
    in_sample = ["--in-sample"] if request.market_time else []  # days that are served again may have been trained on
    gateway = ["--mode", "paper", "--symbol", request.symbol]
    if request.for_s is not None:
        gateway += ["--for", str(request.for_s)]
    if request.market_time:
        gateway.append("--market-time")
    stop = StopWish()
    with stop.installed():
        run = run_pair(services, account, request.fill_model, ["--symbol", request.symbol, *strategy, *in_sample], gateway, stop)
    days, orders = [day.trading_day for day in run.gateway.days], run.gateway.order_ids
    return PaperReport(
        symbol=request.symbol,
        policy=request.policy if request.file is None else str(request.file),
        speed="live",
        model=None if model is None else shown_model(model, False, days),
        runs=[run],
        days=days,
        next_commands=[
            f"ghtrader journal list --account {account}",
            *([f"ghtrader journal why {orders[0]} --json"] if orders else []),
        ],
    )


def _model(services: Services, request: LivePaperRequest) -> StoredModel:
    if request.model is not None:
        return load_model(services, request.model)
    found = newest_model(services, product_of(request.symbol))
    if found is None:
        variety = product_of(request.symbol).split(".")[1]
        raise DataError(f"no model of {request.symbol} is stored", hint=f"ghtrader train --var {variety}, or --file STRATEGY.py")
    return found
