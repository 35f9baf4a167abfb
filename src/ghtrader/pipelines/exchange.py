"""What the loopback exchange serves, put together from what the command line says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ghtrader.core.errors import UsageError
from ghtrader.pipelines.services import Services

__all__ = ["ExchangeRequest", "parse_accounts", "run_exchange"]


@dataclass(frozen=True, kw_only=True)
class ExchangeRequest:
    """Options of ``ghtrader serve-exchange``."""

    ticks: Path | None
    market: str | None
    seed: int
    days: int
    contracts: tuple[str, ...]
    first_day: str
    table: Path | None
    speed: float
    start: str | None
    accounts: str
    port: int
    script: Path | None
    packets: Path | None


def parse_accounts(text: str) -> dict[str, str]:
    """``user:password,user:password`` as a mapping; raises UsageError otherwise.

    >>> parse_accounts("demo:secret,other:pw")
    {'demo': 'secret', 'other': 'pw'}
    """
    found: dict[str, str] = {}
    for item in text.split(","):
        user, colon, password = item.partition(":")
        if not colon or not user or not password:
            raise UsageError("--accounts takes user:password, more separated by commas", hint="--accounts demo:secret")
        found[user] = password
    return found


def run_exchange(services: Services, request: ExchangeRequest, ready: Callable[[dict[str, str]], None]) -> None:
    """Serve until SIGTERM or SIGINT; ``ready`` gets the environment of clients once the port is bound."""
    if (request.ticks is None) == (request.market is None):
        raise UsageError("say what to serve: --ticks FOLDER or --market NAME", hint="ghtrader serve-exchange --ticks samples")
    services.serve_exchange(request, parse_accounts(request.accounts), ready)
