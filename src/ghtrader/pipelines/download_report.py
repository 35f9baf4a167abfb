"""What a download of days says about itself."""

from __future__ import annotations

import msgspec

__all__ = ["DownloadReport", "Skip"]


class Skip(msgspec.Struct, frozen=True, kw_only=True):
    """A day that could not be fetched: why, since when, how often it was tried, and when it may be tried again."""

    symbol: str
    trading_day: str
    cause: str
    message: str
    first_seen_ns: int
    last_seen_ns: int
    attempts: int
    retry_after_ns: int


class DownloadReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a download did. ``present`` days were stored before; ``deferred`` ones were not tried, as the provider is closed.

    provider_missing: the provider has no ticks of the day; engineering_missing: we could not fetch or store it.
    """

    product: str
    schedule_hash: str
    stored: int
    present: int
    rows: int
    skipped: list[Skip]
    provider_missing: int
    engineering_missing: int
    maintenance: int
    deferred: list[str]
    waiting: int
    breaker_opened: int
    seconds: float
    rows_per_s: float
    manifest: str = ""
