"""Build one day: ticks and gaps from the store, factors, labels and fill labels into it. What every engine's workers run."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

import msgspec

from ghtrader.core.clock import elapsed_s
from ghtrader.core.errors import DataError, GhtraderError
from ghtrader.core.ids import content_hash, short_id
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.calendar import Calendar
from ghtrader.data.day_ticks import DayTicks
from ghtrader.data.instruments import InstrumentTable
from ghtrader.data.sessions import sessions_for
from ghtrader.datasets.build import LABEL_VERSION, DatasetStore, build_day, build_identity
from ghtrader.datasets.day_dataset import DayDataset
from ghtrader.datasets.factors.catalogue import factor_set
from ghtrader.datasets.factors.declaration import FactorSet
from ghtrader.datasets.labels.fees import taker_fees
from ghtrader.datasets.labels.runs import runs_of
from ghtrader.datasets.labels.spec import LabelSpec, parse_horizon
from ghtrader.datasets.stored_day import content_digest, fill_frame, label_frame, stored_day
from ghtrader.pipelines.build_peers import peer_array, peer_identity
from ghtrader.pipelines.ingest import calendar_of
from ghtrader.pipelines.known_gaps import gaps_of_day, stored_ticks
from ghtrader.pipelines.services import Services
from ghtrader.ports.build_worker import BuildOutcome, BuildTask, PeerDay
from ghtrader.ports.feature_store import BuildConfig, BuildManifest
from ghtrader.ports.tick_store import DayKey, DayManifest

__all__ = ["DayBuilder", "DayHashes", "build_config", "day_hashes", "failed"]


class DayHashes(NamedTuple):
    """Identities of a day's features and direction labels, of all its labels with their fees, of its fill labels ("" without them);
    known gaps, -1 where nobody judged the rows.
    """

    build: str
    labels: str
    fills: str
    gaps: int


def _spec(horizons: Sequence[str]) -> LabelSpec:
    """Parameters of a dataset's labels."""
    return LabelSpec(horizons=tuple(parse_horizon(text) for text in horizons))


def build_config(
    kind: str,
    chosen: FactorSet,
    horizons: tuple[str, ...],
    *,
    with_fills: bool,
    row_hash_version: int,
    peer: str = "",
    following: str = "",
) -> BuildConfig:
    """What the days of a dataset share."""
    return BuildConfig(
        kind=kind,
        factor_set=chosen.name,
        set_hash=chosen.set_hash,
        horizons=horizons,
        labels=content_hash([LABEL_VERSION, _spec(horizons).spec_hash]),
        fills=LabelSpec().spec_hash if with_fills else "",
        row_hash_version=row_hash_version,
        peer=peer,
        following=following,
    )


def day_hashes(
    services: Services,
    manifest: DayManifest,
    config: BuildConfig,
    chosen: FactorSet,
    history: tuple[float, ...] = (),
    peers: tuple[PeerDay, ...] = (),
) -> DayHashes:
    """What a day of this configuration is known by. Raises DataError when a peer's day was replaced."""
    gaps = gaps_of_day(services.ledger(), manifest)
    known = [] if gaps is None else gaps.tolist()
    horizons = [parse_horizon(text) for text in config.horizons]
    schedule_hash = manifest.lineage.get("schedule_hash", "")
    day = TradingDay.parse(manifest.trading_day)
    beside = peer_identity(services, day, peers)
    identity = build_identity(manifest.digest, chosen, horizons, known, schedule_hash, history, beside)
    fills = short_id([identity, config.fills]) if config.fills else ""
    fees = msgspec.to_builtins(taker_fees(manifest.symbol, day))
    return DayHashes(identity, short_id([identity, config.labels, fees]), fills, -1 if gaps is None else len(known))


def failed(task: BuildTask, error: GhtraderError, node: str = "local") -> BuildOutcome:
    """The outcome of a task that an error ended."""
    return BuildOutcome(symbol=task.symbol, trading_day=task.trading_day, kind="failed", node=node, error=error.as_dict())


class DayBuilder:
    """Builds days for one process; what days share is read once."""

    def __init__(self, services: Services, node: str = "local") -> None:
        self._services = services
        self._node = node
        self._cache = DatasetStore(services.paths.artifacts / "datasets")

    @cached_property
    def _calendar(self) -> Calendar:
        return calendar_of(self._services)

    @cached_property
    def _instruments(self) -> InstrumentTable:
        return InstrumentTable.vendored()

    def run(self, task: BuildTask) -> BuildOutcome:
        """Build a day; every deliberate error becomes an outcome."""
        started = self._services.clock.monotonic_ns()
        try:
            manifest = self.build(task)
        except GhtraderError as error:
            return failed(task, error, self._node)
        return BuildOutcome(
            symbol=task.symbol,
            trading_day=task.trading_day,
            kind="built",
            manifest=manifest,
            node=self._node,
            seconds=round(elapsed_s(self._services.clock, started), 3),
        )

    def build(self, task: BuildTask) -> BuildManifest:
        """Compute a day and store it. Raises DataError when data, code or gaps are not those that the task names."""
        key = DayKey(task.config.kind, task.symbol, TradingDay.parse(task.trading_day))
        ticks_manifest, gaps = self._seen(task, key)
        ticks, spec = stored_ticks(self._services, key), _spec(task.config.horizons)
        kept = self._cache.load(task.symbol, key.trading_day, task.build_hash)
        dataset = self._computed(task, ticks, spec) if kept is None else kept
        runs = runs_of(ticks)
        labels = label_frame(ticks, spec, runs)
        fills = fill_frame(ticks, spec, runs) if task.fill_hash else None
        self._seen(task, key)
        if kept is None:
            self._cache.save(dataset)
        digest, fill_rows = content_digest(dataset, labels, fills), 0 if fills is None else len(fills)
        manifest = self._manifest(task, ticks_manifest, dataset, digest, fill_rows, gaps)
        self._services.store().features().write(manifest, stored_day(dataset, labels, fills))
        return manifest

    def _computed(self, task: BuildTask, ticks: DayTicks, spec: LabelSpec) -> DayDataset:
        sessions = sessions_for(task.product, ticks.trading_day, self._calendar, self._instruments)
        chosen = factor_set(task.config.factor_set, task.factor_file)
        peers = peer_array(self._services, ticks.ts_ns, ticks.trading_day, task.peers, self._calendar, self._instruments)
        return build_day(ticks, sessions, chosen, spec.horizons, build_hash=task.build_hash, history=task.left, peers=peers)

    def _seen(self, task: BuildTask, key: DayKey) -> tuple[DayManifest, int]:
        """The ticks' manifest and number of gaps, when they are still those of the task."""
        manifest = self._services.tick_store().manifest(key)
        if manifest is None or manifest.digest != task.tick_digest:
            raise DataError(
                f"{task.symbol} {task.trading_day} was replaced while it was read",
                hint="run the same command again",
                retryable=True,
            )
        chosen = factor_set(task.config.factor_set, task.factor_file)
        found = day_hashes(self._services, manifest, task.config, chosen, task.left, task.peers)
        if found[:3] != (task.build_hash, task.label_hash, task.fill_hash):
            raise DataError(
                f"{task.symbol} {task.trading_day}: this worker has other gaps or other code than the command",
                hint="run the same command again; on a cluster: install the same version on every node",
                symbol=task.symbol,
                day=task.trading_day,
            )
        return manifest, found.gaps

    def _manifest(
        self, task: BuildTask, ticks: DayManifest, dataset: DayDataset, digest: str, fill_rows: int, gaps: int
    ) -> BuildManifest:
        known = (dataset.void == 0).mean(axis=0)
        return BuildManifest(
            symbol=task.symbol,
            dataset=task.dataset,
            trading_day=task.trading_day,
            config=task.config,
            build_hash=task.build_hash,
            label_hash=task.label_hash,
            fill_hash=task.fill_hash,
            content_digest=digest,
            tick_digest=ticks.digest,
            factors=dataset.factor_names,
            rows=len(dataset),
            eligible=int(dataset.eligible.sum()),
            fill_rows=fill_rows,
            gaps=gaps,
            labelled={str(h): round(float(share), 6) for h, share in zip(dataset.horizons, known, strict=True)},
            schedule_hash=dataset.schedule_hash,
            segment_ids=dataset.segment_ids,
            tool_version=self._services.tool_version,
            created_ns=self._services.clock.now_ns(),
        )
