"""What a download of days says about itself."""

from __future__ import annotations

import msgspec

__all__ = ["DownloadReport", "Skip"]


class Skip(msgspec.Struct, frozen=True, kw_only=True):
    """A day that could not be fetched: why, since when, how often it was tried, and when it may be tried again.

    cause: ``provider_missing`` (it has no ticks), ``maintenance``, ``permanent`` (refused), ``transient`` (no answer), ``failed``
    (ours: a dead worker, a store), ``deferred`` (left for a later run; ``message`` says why).
    """

    symbol: str
    trading_day: str
    cause: str
    message: str
    first_seen_ns: int
    last_seen_ns: int
    attempts: int
    retry_after_ns: int


class DownloadReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a download did. ``present`` days were stored before, ``waiting`` ones are in the ledger and not due yet.

    provider_missing: the provider has no ticks of the day; engineering_missing: we could not fetch or store it; deferred: left for
    a later run (maintenance window, breaker, refused login). Each is in the ledger of skips.
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
