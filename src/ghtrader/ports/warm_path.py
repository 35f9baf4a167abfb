"""What serves operators beside trading (state, commands from afar) may fail, and must say so: reason codes and outcomes.

An adapter tells of each attempt: which reason it speaks to, and whether it went well. It never decides what a failure means;
`ghtrader.trading.link.warm_path` does, by streaks.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol

import msgspec

__all__ = ["Outcome", "WarmReason", "Watched"]


class WarmReason(StrEnum):
    """Codes of what is degraded."""

    REDIS_UNAVAILABLE = "redis_unavailable"  # no connection to the server
    REDIS_STREAM_FAILED = "redis_stream_failed"  # commands cannot be read from it, or answered
    REDIS_STATE_WRITE_FAILED = "redis_state_write_failed"  # the state cannot be written to it
    WS_DISCONNECTED = "ws_disconnected"  # a WebSocket of the provider is down
    FILE_STATE_WRITE_FAILED = "file_state_write_failed"  # the mirror file cannot be written
    BUS_STATE_WRITE_FAILED = "bus_state_write_failed"  # the state cannot be sent to local readers
    RECORD_FAILED = "record_failed"  # ticks cannot be kept
    RECORD_IMPORT_FAILED = "record_import_failed"  # ticks are kept, and cannot be brought into the store
    MAILBOX_FAILED = "mailbox_failed"  # the folder of commands cannot be read, or answers not written


class Outcome(msgspec.Struct, frozen=True):
    """One attempt: the reason that stands while it fails, whether it went well, why not."""

    reason: WarmReason
    ok: bool
    message: str = ""


class Watched(Protocol):
    """Whatever works beside the thread that trades."""

    def outcomes(self) -> list[Outcome]:
        """Attempts since the last call, oldest first; never waits."""
