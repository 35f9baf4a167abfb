"""Everything that can happen to a gateway. Each event says when it was noticed (``now_ns``, the gateway's clock, UTC)."""

from __future__ import annotations

import msgspec

from ghtrader.core.messages import Command, Heartbeat, Target
from ghtrader.ports.broker import AccountFunds, BrokerFill, BrokerOrder
from ghtrader.trading.gateway.contract_days import ContractDay
from ghtrader.trading.reconcile import VenueSnapshot
from ghtrader.trading.words import MarketView

__all__ = [
    "BrokerLinkChanged",
    "CancelFailed",
    "ClockTicked",
    "CommandArrived",
    "DayBegan",
    "Event",
    "FeedLinkChanged",
    "FillArrived",
    "FundsArrived",
    "KillSeen",
    "KillWritten",
    "OrderChanged",
    "PreflightDone",
    "SinksReported",
    "StrategyBeat",
    "StrategyLost",
    "SubmitFailed",
    "TargetArrived",
    "TickArrived",
    "VenueAnswered",
]


class Event(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Base: ``now_ns`` is the time at which the gateway noticed it."""

    now_ns: int


class TickArrived(Event, frozen=True, kw_only=True):
    """A tick of a subscribed contract, already published to the strategy."""

    market: MarketView


class TargetArrived(Event, frozen=True, kw_only=True):
    """The strategy wants a position."""

    target: Target


class StrategyBeat(Event, frozen=True, kw_only=True):
    """The strategy lives; ``beat.state`` says how (``trading``, ``safe_halt``)."""

    beat: Heartbeat


class StrategyLost(Event, frozen=True, kw_only=True):
    """Nothing was heard from the strategy for too long, or its messages have a hole."""

    reason: str


class CommandArrived(Event, frozen=True, kw_only=True):
    """A command; ``source`` names the way it came (``socket``, ``redis``, ``mailbox``), the answer goes back there."""

    command: Command
    source: str


class OrderChanged(Event, frozen=True, kw_only=True):
    """The broker's word about an order."""

    order: BrokerOrder


class FillArrived(Event, frozen=True, kw_only=True):
    """A trade of an order."""

    fill: BrokerFill


class SubmitFailed(Event, frozen=True, kw_only=True):
    """An order did not leave. never_sent: it certainly did not reach the venue; else nobody knows."""

    client_order_id: str
    never_sent: bool
    reason: str
    message: str


class CancelFailed(Event, frozen=True, kw_only=True):
    """A cancel did not leave (``never_sent``), or nobody knows."""

    client_order_id: str
    never_sent: bool
    message: str


class VenueAnswered(Event, frozen=True, kw_only=True):
    """The account as the venue has it: the answer to `effects.QueryVenue`."""

    snapshot: VenueSnapshot


class FundsArrived(Event, frozen=True, kw_only=True):
    """Money of the account; NaN where the broker said nothing."""

    funds: AccountFunds


class BrokerLinkChanged(Event, frozen=True, kw_only=True):
    """Orders may leave (``up``), or the link is down."""

    up: bool
    message: str = ""


class FeedLinkChanged(Event, frozen=True, kw_only=True):
    """The feed is live (``up``), or not."""

    up: bool
    message: str = ""


class DayBegan(Event, frozen=True, kw_only=True):
    """A trading day began. contracts: the contract of every traded symbol that day (an alias maps to its main contract).

    days: facts by contract, also of those that are only held. missing: symbols that no schedule resolves: their orders are
    refused. settlements: prices of the day before, by contract, in CNY.
    """

    trading_day: str
    contracts: dict[str, str]
    days: dict[str, ContractDay]
    missing: tuple[str, ...] = ()
    settlements: dict[str, float] = {}


class PreflightDone(Event, frozen=True, kw_only=True):
    """The checks before a session: ``red`` names those that failed; order modes wait until it is empty."""

    red: tuple[str, ...]


class KillWritten(Event, frozen=True, kw_only=True):
    """The kill record was written and synced, or that failed (disk full); ``epoch`` names the record."""

    epoch: int
    ok: bool
    message: str = ""


class KillSeen(Event, frozen=True, kw_only=True):
    """The kill file as it stands on the disk: ``b""`` when it cannot be read, None when there is none."""

    content: bytes | None


class SinksReported(Event, frozen=True, kw_only=True):
    """How the state's sinks are: degraded reason codes, empty when all is well."""

    degraded: tuple[str, ...]


class ClockTicked(Event, frozen=True, kw_only=True):
    """Time passed. leapt_ns: how much further the clock has come since the last one than the gateway can have listened meanwhile.

    A clock that was set, a market that is over its break (`market_clock`), a gateway that was busy: nobody was silent for that time.
    """

    leapt_ns: int = 0
