"""The invariants, judged by the venue's log, the disk and the operators' own notes, never by the gateway's word alone."""

from __future__ import annotations

from dataclasses import dataclass, field

from ghtrader.core.messages import AccountView, Heartbeat, Target
from ghtrader.core.orders import Offset
from ghtrader.ports.bus import StreamFrame
from ghtrader.trading.gateway.contract_days import ContractDay
from ghtrader.trading.kill.record import KillRecord, decode_kill
from ghtrader.trading.risk.gate import ApprovedOrder
from ghtrader.trading.simulation.desk import SimLink
from ghtrader.trading.simulation.media import SimDisk
from ghtrader.trading.simulation.venue import SimVenue
from ghtrader.trading.simulation.world import SECOND, World
from ghtrader.trading.state.revision import StateDocument
from ghtrader.trading.words import Origin

__all__ = ["Judge", "Violation"]

#: A wall clock that jumps makes a tick look this much younger.
CLOCK_ERROR_NS = 5 * SECOND


@dataclass(frozen=True)
class Violation:
    """An invariant that did not hold: which, when (virtual ns), and what was seen."""

    invariant: str
    at_ns: int
    detail: str


@dataclass
class Judge:
    """Watches one run. limit: lots. stale_ns: oldest tick on which an order may leave."""

    world: World
    disk: SimDisk
    account: str
    limit: int
    stale_ns: int
    violations: list[Violation] = field(default_factory=list)
    ticks_at: dict[str, int] = field(default_factory=dict)
    days: dict[str, ContractDay] = field(default_factory=dict)
    retired: set[str] = field(default_factory=set)
    resets: set[tuple[str, str]] = field(default_factory=set)
    revision: int = 0
    stored: int = 0
    seen_session: str = ""
    seen_seq: int = 0
    views: set[str] = field(default_factory=set)
    kill: KillRecord | None = None
    put_back: bytes | None = None
    venue: SimVenue | None = None
    link: SimLink | None = None
    sent: dict[str, ApprovedOrder] = field(default_factory=dict)

    def fail(self, invariant: str, detail: str) -> None:
        """Note a violation."""
        self.world.note("VIOLATION", invariant, detail)
        self.violations.append(Violation(invariant, self.world.clock.true_ns, detail))

    # --- orders ---------------------------------------------------------------------------------------------------------
    def order_leaves(self, approved: ApprovedOrder) -> None:
        """An order is handed to the link."""
        intent, identity = approved.intent, approved.client_order_id
        now = self.world.clock.true_ns
        if self.disk.unsynced:
            self.fail("journal before send", f"{identity} left with {self.disk.unsynced} bytes of the journal not on the disk")
        if identity in self.sent:
            self.fail("sent once", f"{identity} was sent twice")
        self.sent[identity] = approved
        opens = intent.offset is Offset.OPEN
        if self._killed() and not (intent.origin is Origin.KILL and not opens):
            self.fail("no order while killed", f"{identity} {intent.origin} {intent.offset}")
        day = self.days.get(intent.symbol)
        wall = self.world.clock.now_ns()
        if day is None or not (day.accepts_orders(wall) or day.accepts_orders(now)):
            self.fail("no order outside the session", f"{identity} on {intent.symbol}")
        seen = self.ticks_at.get(intent.symbol)
        if opens and (seen is None or now - seen > self.stale_ns + CLOCK_ERROR_NS):
            self.fail(
                "no opening on a stale feed", f"{identity}: last tick {None if seen is None else (now - seen) / SECOND} s ago"
            )
        if opens and intent.symbol in self.retired:
            self.fail("no opening in a rolled contract", f"{identity} on {intent.symbol}")
        self._within_limit(intent.symbol, approved)

    def _within_limit(self, symbol: str, approved: ApprovedOrder) -> None:
        """The worst position that everything in flight can make, this order included."""
        assert self.venue is not None
        assert self.link is not None
        net = self.venue.net(symbol)
        buys, sells = self.venue.working(symbol)
        flying = [*self.link.transit.values(), approved]
        for order in flying:
            if order.intent.symbol != symbol:
                continue
            if order.intent.side > 0:
                buys += order.intent.lots
            else:
                sells += order.intent.lots
        opens = approved.intent.offset is Offset.OPEN
        if opens and (net + buys > self.limit or net - sells < -self.limit):
            self.fail("position limit", f"{symbol}: {net:+d}, buying {buys}, selling {sells}, limit {self.limit}")

    def _killed(self) -> bool:
        stood = self.kill is not None and self.kill.killed
        return stood or decode_kill(self.disk.kill, True, self.account).killed

    # --- kill -----------------------------------------------------------------------------------------------------------
    def look_at_kill(self) -> None:
        """A kill that stood is never lost: only a reset that an operator gave clears it, and no old copy of the file."""
        content = self.disk.kill
        if content is not None and content == self.put_back:
            return
        self.put_back = None
        record = decode_kill(content, content is not None, self.account) if content is not None else None
        before, self.kill = self.kill, record
        if before is None or not before.killed:
            return
        if record is None or (not record.killed and (record.actor, record.reason) not in self.resets):
            self.fail("a kill is never lost", f"epoch {before.epoch} ({before.reason}) is gone")

    # --- the strategy ---------------------------------------------------------------------------------------------------
    def runner_began(self) -> None:
        """A run of the strategy knows nothing."""
        self.seen_session, self.seen_seq = "", 0
        self.views.clear()

    def runner_hears(self, frame: StreamFrame) -> None:
        """What the strategy has heard of how the account stands; after a hole, and of another run of the gateway, it knows nothing."""
        expected = self.seen_seq + (0 if isinstance(frame, Heartbeat) else 1)
        missed = frame.seq > expected
        if frame.session != self.seen_session or missed:
            self.views.clear()
        self.seen_session, self.seen_seq = (
            frame.session,
            max(frame.seq, self.seen_seq if frame.session == self.seen_session else 0),
        )
        if isinstance(frame, AccountView):
            self.views.add(frame.symbol)

    def target_leaves(self, target: Target) -> None:
        """The runner wants a position."""
        if target.symbol not in self.views:
            self.fail("no target without an account", f"{target.session} {target.seq} of {target.symbol}")

    # --- what it says ---------------------------------------------------------------------------------------------------
    def published(self, document: StateDocument) -> None:
        """A state was flushed."""
        if document.revision <= self.revision:
            self.fail("revisions rise", f"{document.revision} after {self.revision}")
        self.revision = max(self.revision, document.revision)

    def state_shown(self, revision: int) -> None:
        """The state that readers find on the Redis server was replaced."""
        if revision <= self.stored:
            self.fail("revisions rise", f"{revision} after {self.stored} on the Redis server")
        self.stored = max(self.stored, revision)

    def reset_given(self, actor: str, reason: str) -> None:
        """An operator gave a reset that counts."""
        self.resets.add((actor, reason))
