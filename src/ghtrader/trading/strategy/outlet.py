"""What a strategy's process says to operators: its state to every sink, and what became of sinks and halts. Nothing here waits or fails."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from msgspec.structs import replace

from ghtrader.trading.state.publish import StatePublisher
from ghtrader.trading.state.revision import Revisions
from ghtrader.trading.strategy.halts import HaltChange
from ghtrader.trading.strategy.report import StrategyDocument, StrategyEvent

__all__ = ["StrategyOutlet"]

#: Events that the state document carries.
KEPT_EVENTS = 20


class StrategyOutlet:
    """Sinks of one account's strategy; owned by its thread."""

    def __init__(self, publisher: StatePublisher, revisions: Revisions) -> None:
        self._publisher, self._revisions = publisher, revisions
        self._newest: deque[StrategyEvent] = deque(maxlen=KEPT_EVENTS)
        self._said = ""

    @property
    def reasons(self) -> tuple[str, ...]:
        """Codes of what is degraded now, sorted."""
        return self._publisher.reasons

    def publish(self, document: StrategyDocument) -> StrategyDocument:
        """Give the state to every sink under the next revision; what it was then."""
        numbered = replace(
            document, revision=self._revisions.following(), degraded=self._publisher.reasons, events=tuple(self._newest)
        )
        self._publisher.publish(numbered)
        return numbered

    def look(self, now_ns: int, halts: Iterable[HaltChange] = ()) -> list[StrategyEvent]:
        """What happened to the sinks since the last call, and these changes of halts, as events."""
        self._publisher.look(now_ns)
        found = [
            StrategyEvent(
                name=event.name,
                at_ns=now_ns,
                fields={"reasons": ",".join(event.reasons), "changed": event.changed, "message": event.message},
            )
            for event in self._publisher.events()
        ]
        found += [
            StrategyEvent(name=halt.name, at_ns=now_ns, fields={"reasons": ",".join(halt.reasons), "message": halt.message})
            for halt in halts
        ]
        failure = self._revisions.failure
        if failure != self._said:
            self._said = failure
            if failure:
                found.append(StrategyEvent(name="revisions_not_reserved", at_ns=now_ns, fields={"message": failure}))
        self._newest.extend(found)
        return found

    def close(self) -> None:
        """Write what waits, and let go of every sink."""
        self._publisher.close()
