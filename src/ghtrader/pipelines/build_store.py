"""`ghtrader build`: days x symbols into the process's store, on an engine of choice, resumable, never mixing configurations."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import msgspec

from ghtrader.core.clock import elapsed_s
from ghtrader.core.errors import ConfigError, UsageError
from ghtrader.core.progress import NO_PROGRESS, Progress
from ghtrader.core.trading_day import TradingDay
from ghtrader.datasets.factors.catalogue import factor_set
from ghtrader.datasets.factors.declaration import FactorSet
from ghtrader.datasets.factors.engine import reads_peers
from ghtrader.datasets.labels.direction import DEFAULT_HORIZONS
from ghtrader.datasets.labels.spec import parse_horizon
from ghtrader.pipelines.build import BuildReport, BuiltDay, require_unchanged
from ghtrader.pipelines.build_day import DayHashes, build_config, day_hashes
from ghtrader.pipelines.build_peers import NEXT, PEER, other_of, peer_days
from ghtrader.pipelines.build_run import BuildRun, InlineWorkers
from ghtrader.pipelines.build_sources import Source, contract_source, series_source
from ghtrader.pipelines.day_history import day_histories
from ghtrader.pipelines.prepare import prepare_store
from ghtrader.pipelines.run_records import record_build
from ghtrader.pipelines.services import Services
from ghtrader.ports.build_worker import BuildTask, BuildWorkers, Engine, EngineChoice, PeerDay
from ghtrader.ports.feature_store import BuildConfig, BuildManifest
from ghtrader.ports.tick_store import DayKey, DayManifest

__all__ = ["BuildRequest", "StoreBuild", "StoredBuiltDay", "build_store", "total_digest"]

REGISTRY = "feature_registry_v2"
#: Fewer days are built sooner by this process than by others that have to start.
WORTH_A_PROCESS = 8
_SHOWN = 12


class BuildRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What to build. Empty or None: the key of the configuration, or the default.

    varieties: their main-contract series; symbols: contracts alone. dataset: the name under which the days are stored; default the
    factor set's. workers: 0 takes one a core. overwrite: replace days of another configuration; when there are none, build every
    day again. factors: a file with factors and sets of one's own. peers, following: whom cross-asset factors look at
    (`build_peers.other_of`); sets without such factors ignore it.
    """

    varieties: tuple[str, ...] = ()
    symbols: tuple[str, ...] = ()
    set_name: str = ""
    dataset: str = ""
    horizons: tuple[str, ...] = ()
    fills: bool = True
    strict: bool | None = None
    overwrite: bool = False
    engine: str = ""
    workers: int | None = None
    address: str = ""
    factors: str = ""
    peers: tuple[str, ...] = ()
    following: tuple[str, ...] = ()


class StoredBuiltDay(BuiltDay, frozen=True, kw_only=True):
    """One day in the store. ``gaps`` is 0 where nobody judged the rows (``unvalidated_days`` names them)."""

    symbol: str
    content_digest: str


class StoreBuild(msgspec.Struct, frozen=True, kw_only=True):
    """What a build did.

    digest: SHA-256 over the content digests of all days, whatever engine built them in whatever order. node_ids: nodes that built
    days in this run (Ray; empty when every day was reused). retries: tasks that were given again because a worker, a node or the
    store failed. removed: days of another configuration that were taken out of the dataset. Otherwise as `BuildReport`.
    """

    alias: str
    symbols: list[str]
    store: str
    dataset: str
    factor_set: str
    set_hash: str
    config: BuildConfig
    days: list[StoredBuiltDay]
    reused: int
    digest: str
    engine: Engine
    workers: int
    node_ids: list[str]
    retries: int
    left_out: list[str]
    unvalidated_days: list[str]
    removed: list[str]
    seconds: float
    run: str = ""
    runs: list[str] = []


class _Target(msgspec.Struct, kw_only=True):
    """A symbol, the ticks it is built of, whom it looks at, and what the store holds of it."""

    symbol: str
    product: str
    config: BuildConfig
    ticks: dict[TradingDay, DayManifest]
    left_out: list[str]
    others: dict[int, Source] = {}
    peers: dict[str, tuple[PeerDay, ...]] = {}
    stored: dict[str, BuildManifest] = {}
    hashes: dict[str, DayHashes] = {}
    again: set[str] = set()
    histories: dict[str, tuple[float, ...]] = {}


def total_digest(days: Sequence[tuple[str, str, str]]) -> str:
    """SHA-256 over ``(symbol, trading day, content digest)``, in whatever order they come.

    >>> total_digest([("a", "1", "x"), ("a", "2", "y")]) == total_digest([("a", "2", "y"), ("a", "1", "x")])
    True
    """
    lines = "".join(f"{symbol} {day} {digest}\n" for symbol, day, digest in sorted(days))
    return hashlib.sha256(lines.encode()).hexdigest()


def build_store(services: Services, request: BuildRequest, progress: Progress = NO_PROGRESS) -> StoreBuild:
    """Build what is missing and report; raises ConfigError rather than mix two configurations in one dataset."""
    started = services.clock.monotonic_ns()
    if not (request.varieties or request.symbols):
        raise UsageError("nothing to build", hint="ghtrader build --var rb, or --symbol SHFE.rb2510")
    prepare_store(services.store())
    settings = services.settings()
    chosen = factor_set(request.set_name or str(settings.get("datasets.factor_set")), request.factors)
    dataset = request.dataset or chosen.name
    targets = _targets(services, request, chosen)
    removed: list[tuple[_Target, BuildManifest]] = []
    for target in targets:
        removed += _compare(services, target, dataset, request, chosen)
    _register(services, chosen)
    tasks = [task for target in targets for task in _tasks(target, dataset, chosen.user_file)]
    workers = _workers(services, request, len(tasks))
    progress.start("build", len(tasks))
    run = BuildRun(workers, tasks, progress)
    run.execute()
    for target in targets:
        require_unchanged(services, target.config.kind, target.symbol, target.ticks)
        for other in target.others.values():
            require_unchanged(services, other.kind, other.symbol, other.days)
    for _, manifest in removed:
        services.store().features().delete(manifest.key)
    days = [day for target in targets for day in _days(target, run)]
    progress.finish(f"{len(days)} days, {len(days) - len(tasks)} reused")
    several = len(targets) > 1
    report = StoreBuild(
        alias=",".join(target.symbol for target in targets),
        symbols=[target.symbol for target in targets],
        store=services.store().name,
        dataset=dataset,
        factor_set=chosen.name,
        set_hash=chosen.set_hash,
        config=targets[0].config,
        days=days,
        reused=len(days) - len(tasks),
        digest=total_digest([(day.symbol, day.trading_day, day.content_digest) for day in days]),
        engine=_choice(services, request).engine,
        workers=workers.count,
        node_ids=sorted(run.nodes - {"local"}),
        retries=run.retries,
        left_out=[f"{t.symbol} {day}" if several else day for t in targets for day in t.left_out],
        unvalidated_days=[
            f"{t.symbol} {day}" if several else day for t in targets for day, hashes in t.hashes.items() if hashes.gaps < 0
        ],
        removed=[f"{manifest.symbol} {manifest.trading_day}" for _, manifest in removed],
        seconds=round(elapsed_s(services.clock, started), 3),
    )
    runs = [_record(services, target, report, started, request) for target in targets]
    found = [name for name in runs if name]
    return msgspec.structs.replace(report, run=found[0] if found else "", runs=found)


def _targets(services: Services, request: BuildRequest, chosen: FactorSet) -> list[_Target]:
    """Every symbol once, behind its gate."""
    strict = bool(services.settings().get("datasets.strict_provenance")) if request.strict is None else request.strict
    horizons = tuple(str(parse_horizon(text)) for text in request.horizons) or tuple(map(str, DEFAULT_HORIZONS))
    if len(set(horizons)) != len(horizons):
        raise UsageError("a horizon is named twice", hint="ghtrader build --help")
    sources = [series_source(services, variety, strict=strict) for variety in request.varieties]
    sources += [contract_source(services, symbol) for symbol in request.symbols]
    return [_target(services, source, request, chosen, horizons, strict) for source in {s.symbol: s for s in sources}.values()]


def _target(
    services: Services, source: Source, request: BuildRequest, chosen: FactorSet, horizons: tuple[str, ...], strict: bool
) -> _Target:
    """A symbol with its configuration and the days that its days look at."""
    others: dict[int, Source] = {}
    if reads_peers(chosen):
        default = str(services.settings().get("datasets.build_peer"))
        asked = {PEER: request.peers or ((default,) if default else ()), NEXT: request.following}
        found = {place: other_of(services, texts, source, place, strict=strict) for place, texts in asked.items()}
        others = {place: other for place, other in found.items() if other is not None}
    names = {place: other.symbol for place, other in others.items()}
    config = build_config(
        source.kind,
        chosen,
        horizons,
        with_fills=request.fills,
        row_hash_version=max((manifest.row_hash_version for manifest in source.days.values()), default=0),
        peer=names.get(PEER, ""),
        following=names.get(NEXT, ""),
    )
    return _Target(
        symbol=source.symbol,
        product=source.product,
        config=config,
        ticks=source.days,
        left_out=source.left_out,
        others=others,
        peers={day.iso: peer_days(others, day, manifest) for day, manifest in source.days.items()},
    )


def _compare(
    services: Services, target: _Target, dataset: str, request: BuildRequest, chosen: FactorSet
) -> list[tuple[_Target, BuildManifest]]:
    """What is to be built (``target.again``); the stored days of another configuration that no build will replace."""
    stored = services.store().features().manifests(target.symbol, dataset)
    others = [manifest for manifest in stored if manifest.config != target.config]
    if others and not request.overwrite:
        raise _mixed(target, dataset, others)
    target.stored = {manifest.trading_day: manifest for manifest in stored}
    target.histories = day_histories(services, target.config.kind, target.symbol, target.product, target.ticks, chosen)
    target.hashes = {
        day.iso: day_hashes(services, ticks, target.config, chosen, target.histories.get(day.iso, ()), target.peers[day.iso])
        for day, ticks in target.ticks.items()
    }
    everything = request.overwrite and not others
    for day, hashes in target.hashes.items():
        kept = target.stored.get(day)
        same = kept is not None and (kept.config, kept.build_hash, kept.label_hash, kept.fill_hash, kept.gaps) == (
            target.config, *hashes,
        )  # fmt: skip
        if everything or not same:
            target.again = {*target.again, day}
    return [(target, manifest) for manifest in others if manifest.trading_day not in target.hashes]


def _mixed(target: _Target, dataset: str, others: Sequence[BuildManifest]) -> ConfigError:
    """The error that names both configurations."""
    other = others[0].config
    words = [
        f"{name} {_short(there)} there, {_short(here)} now" for name, (here, there) in target.config.differs_in(other).items()
    ]
    which = f"--symbol {target.symbol}" if target.config.kind == "raw" else f"--var {target.product}"
    return ConfigError(
        f"the dataset {dataset} of {target.symbol} holds {len(others)} days of another configuration: {'; '.join(words)}",
        hint=f"ghtrader build {which} --dataset OTHER_NAME, or to replace them: ghtrader build {which} --overwrite",
        dataset=dataset,
        symbol=target.symbol,
        stored=msgspec.to_builtins(other),
        asked=msgspec.to_builtins(target.config),
        days=[manifest.trading_day for manifest in others],
    )


def _short(value: object) -> str:
    text = ",".join(value) if isinstance(value, tuple) else str(value)
    return (text[:_SHOWN] if isinstance(value, str) else text) or "none"


def _register(services: Services, chosen: FactorSet) -> None:
    """Names and order of the set's factors, once."""
    tables = services.tables()
    rows = [
        {
            "datetime": 0,
            "set_hash": chosen.set_hash,
            "set_name": chosen.name,
            "factor_id": item.id,
            "name": item.name,
            "version": item.version,
            "formula": item.formula,
        }
        for item in chosen.factors
    ]
    if len(tables.rows(REGISTRY, chosen.set_hash)) != len(rows):
        tables.replace(REGISTRY, chosen.set_hash, rows)


def _tasks(target: _Target, dataset: str, factor_file: str) -> list[BuildTask]:
    return [
        BuildTask(
            symbol=target.symbol,
            trading_day=day.iso,
            dataset=dataset,
            product=target.product,
            config=target.config,
            tick_digest=ticks.digest,
            build_hash=target.hashes[day.iso].build,
            label_hash=target.hashes[day.iso].labels,
            fill_hash=target.hashes[day.iso].fills,
            history=target.histories.get(day.iso, ()),
            peers=target.peers[day.iso],
            factor_file=factor_file,
        )
        for day, ticks in target.ticks.items()
        if day.iso in target.again
    ]


def _choice(services: Services, request: BuildRequest) -> EngineChoice:
    settings = services.settings()
    engine = request.engine or str(settings.get("datasets.build_engine"))
    if engine not in ("local", "ray"):
        raise UsageError(f"no engine {engine!r}: expected local or ray", hint="ghtrader build --engine local")
    asked = settings.get("datasets.build_workers") if request.workers is None else request.workers
    assert isinstance(asked, int)
    return EngineChoice(engine="ray" if engine == "ray" else "local", workers=asked, address=request.address)


def _workers(services: Services, request: BuildRequest, tasks: int) -> BuildWorkers:
    choice = _choice(services, request)
    if request.address and choice.engine != "ray":
        raise UsageError("--address names a Ray cluster", hint="ghtrader build --engine ray --address HOST:PORT")
    if not tasks or (choice.engine == "local" and choice.workers == 1):
        return InlineWorkers(services)
    if choice.engine == "local" and choice.workers == 0 and tasks < WORTH_A_PROCESS:
        return InlineWorkers(services)
    return services.build_workers(msgspec.structs.replace(choice, workers=min(choice.workers, tasks)))


def _days(target: _Target, run: BuildRun) -> list[StoredBuiltDay]:
    found = []
    for day, hashes in target.hashes.items():
        built = run.built.get((target.symbol, day))
        manifest = built or target.stored[day]
        found.append(
            StoredBuiltDay(
                symbol=target.symbol,
                trading_day=day,
                rows=manifest.rows,
                eligible=manifest.eligible,
                labelled=manifest.labelled,
                build_hash=hashes.build,
                reused=built is None,
                gaps=max(hashes.gaps, 0),
                content_digest=manifest.content_digest,
            )
        )
    return found


def _record(services: Services, target: _Target, report: StoreBuild, started: int, request: BuildRequest) -> str:
    """Record the build of one symbol."""
    days: list[BuiltDay] = [day for day in report.days if day.symbol == target.symbol]
    own = BuildReport(
        alias=target.symbol,
        factor_set=report.factor_set,
        set_hash=report.set_hash,
        days=days,
        reused=sum(day.reused for day in days),
        left_out=target.left_out,
    )
    parameters = {"engine": report.engine, "dataset": report.dataset, "store": report.store, "digest": report.digest}
    parameters |= {"peer": target.config.peer, "following": target.config.following}
    beside = [
        DayKey(peer.kind, peer.symbol, TradingDay.parse(day)) for day, peers in target.peers.items() for peer in peers
    ]  # fmt: skip
    return record_build(services, own, started, kind=target.config.kind, beside=beside, strict=request.strict, **parameters)
