"""Disk of the simulation: journal segments and kill file with what a power cut spares, torn writes, a full disk, crash points.

The kill file may also be out of reach: it cannot be written or read for a while, is damaged, or an old copy of it is put back.
"""

from __future__ import annotations

from collections.abc import Callable

from ghtrader.core.errors import LockHeldError, StoreError
from ghtrader.trading.kill.record import KillPhase, decode_kill
from ghtrader.trading.simulation.world import Crash, World

__all__ = ["CrashPoints", "SimDisk", "SimJournalStore", "SimKillStore"]


#: How likely a gateway dies at a place, where it is likelier than elsewhere: an order has left, and the journal does not say so yet.
DEADLY = {"after submit": 0.006}


class CrashPoints:
    """Every call of a port is a place to die, before and after its effect. ``armed`` while a gateway runs."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.armed = False
        self.probability = 0.0006

    def __call__(self, where: str) -> None:
        """Perhaps die here."""
        if not self.armed:
            return
        faults = self._world.faults
        if faults.hits(f"crash {where}", DEADLY.get(where, self.probability)):
            power = self._world.chance.random() < 0.5
            self._world.note("crash", where, "power" if power else "kill")
            raise Crash(power)


class SimDisk:
    """What survives: segments with their durable length, the kill file (cached and durable).

    kill_stuck, kill_blind: the kill file cannot be written, or read. clear_copies: what it was whenever it said clear.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self.segments: dict[str, bytearray] = {}
        self.durable: dict[str, int] = {}
        self.kill: bytes | None = None
        self.kill_durable: bytes | None = None
        self.full = self.kill_stuck = self.kill_blind = False
        self.clear_copies: list[bytes] = []
        self.writer: object | None = None

    def mend(self) -> None:
        """There is room again, and everything can be read and written."""
        self.full = self.kill_stuck = self.kill_blind = False

    def damage_kill(self) -> None:
        """A byte of the kill file is another one, or its end is gone."""
        chance, content = self._world.chance, self.kill
        place = chance.randint(0, max(0, len(content or b"") - 1))
        cut = chance.random() < 0.5
        if content:
            self.kill = self.kill_durable = content[:place] + (
                b"" if cut else bytes([content[place] ^ 0x11]) + content[place + 1 :]
            )

    @property
    def unsynced(self) -> int:
        """Bytes of the journal that a power cut would lose."""
        return sum(len(content) - self.durable[name] for name, content in self.segments.items())

    def die(self, *, power: bool) -> None:
        """The process, or the machine, is gone."""
        self.writer = None
        if not power:
            return
        chance = self._world.chance
        for name in list(self.segments):
            content, durable = self.segments[name], self.durable[name]
            kept = durable + chance.randint(0, len(content) - durable)
            del content[kept:]
            if kept > durable and chance.random() < 0.3:
                content[-1] ^= 0x5A
                self._world.faults.counts["torn write"] += 1
            self.durable[name] = len(content)
        self.kill = self.kill_durable


class SimJournalStore:
    """`ports.journal.JournalStore` on a `SimDisk`."""

    def __init__(self, disk: SimDisk, world: World, crash: CrashPoints) -> None:
        self._disk, self._world, self._crash = disk, world, crash
        self._current = ""
        self._broken = False
        self.place = "simulated disk"

    def segments(self) -> list[str]:
        """Names of the segments, sorted."""
        return sorted(self._disk.segments)

    def size(self, segment: str) -> int:
        """Bytes of a segment."""
        return len(self._disk.segments[segment])

    def read(self, segment: str, offset: int = 0) -> bytes:
        """A segment's bytes."""
        return bytes(self._disk.segments[segment][offset:])

    def claim(self) -> None:
        """Become the one writer."""
        if self._disk.writer not in {None, self}:
            raise LockHeldError("another gateway writes this journal", owner="simulated")
        self._disk.writer = self

    def create(self, segment: str, content: bytes) -> None:
        """Begin a segment, durable."""
        self._fail_when_full()
        self._crash("journal create")
        self._disk.segments[segment] = bytearray(content)
        self._disk.durable[segment] = len(content)
        self._current = segment

    def resume(self, segment: str, size: int) -> None:
        """Cut a segment, durable, and go on."""
        del self._disk.segments[segment][size:]
        self._disk.durable[segment] = size
        self._current = segment

    def append(self, content: bytes) -> None:
        """Add bytes to the current segment; a crash may leave a piece of them."""
        self._fail_when_full()
        self._crash("before append")
        target = self._disk.segments[self._current]
        if self._crash.armed and self._world.faults.hits("crash in append", self._crash.probability):
            target += content[: self._world.chance.randint(0, len(content))]
            raise Crash(power=True)
        target += content
        self._world.trace.update(content)
        self._crash("after append")

    def _fail_when_full(self) -> None:
        if self._disk.full or self._broken:
            self._broken = True
            self._world.faults.counts["disk full"] += 1
            raise StoreError("no space left on the simulated disk")

    def sync(self) -> None:
        """Make what was appended durable."""
        if self._broken:
            raise StoreError("the journal is broken")
        self._crash("before sync")
        for name, content in self._disk.segments.items():
            self._disk.durable[name] = len(content)
        self._crash("after sync")

    def close(self) -> None:
        """Give the claim back."""
        if self._disk.writer is self:
            self._disk.writer = None


class SimKillStore:
    """`ports.kill_store.KillStore` on a `SimDisk`. watch: is called whenever it changed."""

    def __init__(self, disk: SimDisk, crash: CrashPoints, watch: Callable[[], None]) -> None:
        self._disk, self._crash, self._watch = disk, crash, watch

    def read(self) -> bytes | None:
        """What is there."""
        if self._disk.kill_blind:
            raise StoreError("the simulated kill file cannot be read")
        return self._disk.kill

    def write(self, content: bytes) -> None:
        """Replace, durable."""
        self._crash("before kill write")
        self._fail_when_stuck()
        if self._disk.full and len(content) > len(self._disk.kill or b""):
            raise StoreError("no space left on the simulated disk")
        self._put(content)
        self._crash("after kill write")

    def replace(self, expected: bytes | None, content: bytes) -> bool:
        """Replace if nobody else wrote."""
        self._crash("before kill replace")
        self._fail_when_stuck()
        if self._disk.kill != expected:
            return False
        self._put(content)
        self._crash("after kill replace")
        return True

    def _fail_when_stuck(self) -> None:
        if self._disk.kill_stuck:
            raise StoreError("the simulated kill file cannot be written")

    def _put(self, content: bytes) -> None:
        self._disk.kill = self._disk.kill_durable = content
        if decode_kill(content, had_journal=True).phase is KillPhase.CLEAR:
            self._disk.clear_copies.append(content)
        self._watch()
