"""Everything a gateway's core asks of its shell, in the order in which it must be done.

The shell does them one after another; where one fails, what stands behind it in the same turn is not done and the core is told.
"""

from __future__ import annotations

import msgspec

from ghtrader.core.messages import AccountView, CommandAnswer
from ghtrader.trading.journal.records import Record
from ghtrader.trading.kill.events import WriteKill as KillWrite
from ghtrader.trading.risk.gate import ApprovedOrder
from ghtrader.trading.state.revision import StateDocument

__all__ = [
    "Append",
    "CancelOrder",
    "Effect",
    "PublishState",
    "PublishView",
    "QueryVenue",
    "Reply",
    "SubmitOrder",
    "Subscribe",
    "Sync",
    "Tell",
    "WriteKill",
]


class Effect(msgspec.Struct, frozen=True, kw_only=True):
    """Base of all effects."""


class Append(Effect, frozen=True):
    """Append a record to the journal (buffered)."""

    record: Record


class Sync(Effect, frozen=True, kw_only=True):
    """Bring the journal to the disk; stands before every order, cancel and answer."""


class WriteKill(Effect, frozen=True, kw_only=True):
    """Write the kill file as the kill switch says, atomic and synced; answered by `events.KillWritten`."""

    write: KillWrite


class SubmitOrder(Effect, frozen=True, kw_only=True):
    """Send an approved order."""

    approved: ApprovedOrder


class CancelOrder(Effect, frozen=True, kw_only=True):
    """Ask the venue to cancel."""

    client_order_id: str


class QueryVenue(Effect, frozen=True, kw_only=True):
    """Ask for the whole account; answered by `events.VenueAnswered`."""

    reason: str


class Reply(Effect, frozen=True, kw_only=True):
    """Answer a command on the way it came."""

    source: str
    answer: CommandAnswer


class PublishView(Effect, frozen=True, kw_only=True):
    """Tell the strategy what the account looks like (session and seq are the shell's to fill in)."""

    view: AccountView


class PublishState(Effect, frozen=True, kw_only=True):
    """Give the state to every sink."""

    document: StateDocument


class Subscribe(Effect, frozen=True, kw_only=True):
    """Have ticks of exactly these contracts."""

    symbols: tuple[str, ...]


class Tell(Effect, frozen=True, kw_only=True):
    """A line for operators: event name and fields (never a secret)."""

    name: str
    fields: dict[str, str | int | float | bool] = {}
