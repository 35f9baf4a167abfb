"""Workers that build days: processes of this machine, or a Ray cluster.

A worker answers every task with one outcome. ``built`` means that the day is in the store, whole and durable; a task that failed,
or whose worker or node died, left the day as it was. Arrays never travel: a worker reads ticks from the store and writes there.
"""

from __future__ import annotations

import math
from typing import Any, Literal, Protocol

import msgspec

from ghtrader.ports.feature_store import BuildConfig, BuildManifest

__all__ = ["BuildOutcome", "BuildTask", "BuildWorkers", "Engine", "EngineChoice", "PeerDay"]

Engine = Literal["local", "ray"]


class EngineChoice(msgspec.Struct, frozen=True, kw_only=True):
    """Who builds. workers: how many days at once; 0: one a core of this machine, or of the cluster. address: of a Ray cluster
    that runs already (host:port); empty: a cluster of two nodes on this machine, for this build only.
    """

    engine: Engine = "local"
    workers: int = 0
    address: str = ""


class PeerDay(msgspec.Struct, frozen=True, kw_only=True):
    """Another instrument's rows of the same trading day, known by their digest. place: 0 the peer, 1 the next main contract."""

    place: int
    kind: str
    symbol: str
    digest: str


class BuildTask(msgspec.Struct, frozen=True, kw_only=True):
    """Build one day. tick_digest and hashes: what the caller saw; a worker that sees something else refuses.

    history: what earlier days of the contract left, for sets that read it (1,549 numbers; None where undefined: JSON has no NaN).
    peers: whom cross-asset factors look at. factor_file: of sets that a user declares.
    """

    symbol: str
    trading_day: str
    dataset: str
    product: str
    config: BuildConfig
    tick_digest: str
    build_hash: str
    label_hash: str
    fill_hash: str
    history: tuple[float | None, ...] = ()
    peers: tuple[PeerDay, ...] = ()
    factor_file: str = ""

    @property
    def left(self) -> tuple[float, ...]:
        """``history`` with NaN where it is undefined."""
        return tuple(math.nan if value is None else value for value in self.history)


class BuildOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a task. node: where it ran: ``local``, or the id of a Ray node. error: `GhtraderError.as_dict`."""

    symbol: str
    trading_day: str
    kind: Literal["built", "failed"]
    manifest: BuildManifest | None = None
    node: str = "local"
    seconds: float = 0.0
    error: dict[str, Any] = {}


class BuildWorkers(Protocol):
    """Workers of one build."""

    @property
    def count(self) -> int:
        """How many days can be built at once."""

    @property
    def idle(self) -> int:
        """How many tasks could be given now; 0 while workers start."""

    def submit(self, task: BuildTask) -> None:
        """Give a task; allowed when ``idle`` is above 0."""

    def wait(self, timeout_s: float) -> list[BuildOutcome]:
        """Outcomes that arrived, at the latest after the timeout. Raises what kept the workers from starting."""

    def close(self) -> None:
        """End all workers; those in the middle of a task are terminated (their day is then as it was, or built)."""
