"""Accounts of `ghtrader paper`, one a run and fill model: their names, and the removal of those of old runs."""

from __future__ import annotations

import re
import shutil

from ghtrader.core.errors import LockHeldError
from ghtrader.pipelines.services import Services
from ghtrader.ports.lock import gateway_key, strategy_key

__all__ = ["paper_account", "prune_paper_accounts"]

_NAME = re.compile(r"paper-(?P<stamp>\d{8}T\d{6})-(?P<fill_model>[a-z_]+)")


def paper_account(stamp: str, fill_model: str) -> str:
    """Name of the account of one run.

    >>> paper_account("20261126T100000", "back")
    'paper-20261126T100000-back'
    """
    return f"paper-{stamp}-{fill_model}"


def prune_paper_accounts(services: Services, kept: int) -> list[str]:
    """Remove the accounts of all but the newest ``kept`` paper runs; returns their names, sorted.

    Only folders that bear the name of a paper run are touched, and none whose gateway or strategy lives.
    """
    media = services.trading()
    runs: dict[str, list[str]] = {}
    for account in media.accounts():
        named = _NAME.fullmatch(account)
        if named is not None:
            runs.setdefault(named["stamp"], []).append(account)
    old = sorted(runs)[: max(0, len(runs) - max(0, kept))]
    return [account for stamp in old for account in sorted(runs[stamp]) if _remove(services, account)]


def _remove(services: Services, account: str) -> bool:
    """Remove an account's folder while both its locks are held; False where somebody trades it."""
    media = services.trading()
    locks = media.locks()
    try:
        gateway = locks.acquire(gateway_key(account))
    except LockHeldError:
        return False
    try:
        strategy = locks.acquire(strategy_key(account))
    except LockHeldError:
        gateway.release()
        return False
    try:
        shutil.rmtree(media.folder(account))
    finally:
        strategy.release()
        gateway.release()
    return True
