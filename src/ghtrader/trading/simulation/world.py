"""Virtual time and chance: one seeded generator, one queue of what happens next. Nothing else moves."""

from __future__ import annotations

import hashlib
import heapq
import random
from collections import Counter
from collections.abc import Callable

__all__ = ["Crash", "Faults", "VirtualClock", "World"]

MS, SECOND = 1_000_000, 1_000_000_000


class Crash(BaseException):
    """The gateway's process dies here. power: the machine with it, so that what was not synced is lost."""

    def __init__(self, power: bool) -> None:
        super().__init__("power cut" if power else "kill -9")
        self.power = power


class VirtualClock:
    """`core.clock.Clock` of a simulation. The wall clock may be wrong by ``skew_ns``; the monotonic one never is."""

    def __init__(self, now_ns: int) -> None:
        self.true_ns = now_ns
        self.skew_ns = 0

    def now_ns(self) -> int:
        """What the gateway's wall clock shows."""
        return self.true_ns + self.skew_ns

    def monotonic_ns(self) -> int:
        """Nanoseconds that passed."""
        return self.true_ns


class Faults:
    """Whether and how often things go wrong; ``on`` is switched off before the end, so that recovery can be judged."""

    def __init__(self, chance: random.Random, intensity: float) -> None:
        self._chance = chance
        self.intensity = intensity
        self.on = True
        self.counts: Counter[str] = Counter()

    def hits(self, name: str, probability: float) -> bool:
        """Draw: does this fault happen now? The draw is made whether or not faults are on, so that runs stay comparable."""
        drawn = self._chance.random() < probability * self.intensity
        if drawn and self.on:
            self.counts[name] += 1
            return True
        return False


class World:
    """Clock, chance and queue of one seed; ``trace`` hashes everything that happened in order."""

    def __init__(self, seed: int, start_ns: int) -> None:
        self.seed = seed
        self.chance = random.Random(seed)  # noqa: S311 - a simulation must repeat
        self.clock = VirtualClock(start_ns)
        self.faults = Faults(self.chance, self.chance.choice((0.3, 1.0, 1.0, 3.0)))
        self.trace = hashlib.sha256()
        self.last: list[str] = []
        self._queue: list[tuple[int, int, Callable[[], None]]] = []
        self._count = 0

    def at(self, when_ns: int, what: Callable[[], None]) -> None:
        """Do something at a moment (not before now); equal moments keep their order."""
        self._count += 1
        heapq.heappush(self._queue, (max(when_ns, self.clock.true_ns), self._count, what))

    def after(self, delay_ns: int, what: Callable[[], None]) -> None:
        """Do something after a while."""
        self.at(self.clock.true_ns + delay_ns, what)

    def delay(self, low_ms: float, high_ms: float) -> int:
        """A random duration in ns."""
        return int(self.chance.uniform(low_ms, high_ms) * MS)

    def note(self, *words: object) -> None:
        """Add to the trace, and to the last words that a failing seed prints."""
        line = f"{self.clock.true_ns} " + " ".join(str(word) for word in words)
        self.trace.update(line.encode())
        self.last.append(line)
        if len(self.last) > 60:
            del self.last[:30]

    def run_until(self, end_ns: int) -> None:
        """Let everything happen up to a moment."""
        while self._queue and self._queue[0][0] <= end_ns:
            when, _, what = heapq.heappop(self._queue)
            self.clock.true_ns = max(self.clock.true_ns, when)
            what()
        self.clock.true_ns = max(self.clock.true_ns, end_ns)

    def jump(self, to_ns: int) -> None:
        """Let the time between two sessions pass: what was due meanwhile happens at its end."""
        self.clock.true_ns = max(self.clock.true_ns, to_ns)
