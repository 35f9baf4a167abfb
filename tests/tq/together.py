"""Scenarios side by side: what one waits for (the client's own timers) the others use. A scenario is a generator; it yields while it waits."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from unittest import mock

from ghtrader.core.clock import Deadline
from ghtrader.testing.exchange_process import ExchangeProcess

Scenario = Iterator[None]


def together(scenarios: Iterable[tuple[ExchangeProcess, Callable[[], Scenario]]], timeout_s: float = 300.0) -> None:
    """Step every scenario, each with its exchange's environment, until all have ended."""
    deadline = Deadline(timeout_s)
    alive = [(exchange, scenario()) for exchange, scenario in scenarios]
    while alive:
        assert not deadline.passed, [scenario for _, scenario in alive]
        for item in list(alive):
            exchange, scenario = item
            with mock.patch.dict(os.environ, exchange.environment):
                try:
                    next(scenario)
                except StopIteration:
                    alive.remove(item)
