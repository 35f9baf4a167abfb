"""What is known about stored days beside their rows: evidence, peers, counters of the import, comparable days, spills."""

from __future__ import annotations

from typing import NamedTuple

from ghtrader.core.phases import Phase
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.calendar import Calendar
from ghtrader.data.causes import Peers
from ghtrader.data.expected_counts import expected_rows
from ghtrader.data.instruments import InstrumentTable
from ghtrader.data.sessions import sessions_for
from ghtrader.data.thresholds import Thresholds
from ghtrader.data.validation import DayContext
from ghtrader.pipelines.evidence import known_evidence
from ghtrader.ports.ledger_store import LedgerStore
from ghtrader.ports.tick_store import DayKey, DayManifest, TickStore

__all__ = ["PROVIDER_HISTORY", "AskedPeers", "DayContexts"]

#: Rows of this source are the provider's complete answer for the day.
PROVIDER_HISTORY = "tqsdk history"
MOST_PEERS = 12
#: A day whose rows are a smaller share of what the same file gave to another day holds strays of it.
SPILL_SHARE = 0.05


class _Seen(NamedTuple):
    parts: tuple[int, ...]
    rows: int


class AskedPeers:
    """Peers of one day, read when they are asked for; ``asked`` says whether they were."""

    def __init__(self, store: TickStore, keys: list[DayKey]) -> None:
        self._store = store
        self._keys = keys
        self._peers: Peers | None = None

    @property
    def asked(self) -> bool:
        """Whether the verdict rests on them."""
        return self._peers is not None

    def identity(self) -> list[tuple[str, str]]:
        """Peers and the digests of their rows."""
        found = [(key.symbol, self._store.manifest(key)) for key in self._keys]
        return [(symbol, manifest.digest) for symbol, manifest in found if manifest is not None]

    def __call__(self) -> Peers:
        """Read them, once."""
        if self._peers is None:
            stamps = {}
            for key in self._keys:
                frame = self._store.read_day(key, ["datetime", "phase"])
                stamps[key.symbol] = frame["datetime"].to_numpy()[frame["phase"].to_numpy() == int(Phase.CONTINUOUS)]
            self._peers = Peers(stamps)
        return self._peers


class DayContexts:
    """Contexts of one symbol's stored days, in time order; holds a few numbers per day, never rows."""

    def __init__(self, store: TickStore, ledger: LedgerStore, calendar: Calendar, limits: Thresholds, *, product: str) -> None:
        self._store = store
        self._ledger = ledger
        self._calendar = calendar
        self._instruments = InstrumentTable.vendored()
        self._limits = limits.at(product)
        self._product = product
        self._seen: list[_Seen] = []
        self._from_file: dict[str, int] = {}
        self._days_of: dict[str, set[TradingDay]] | None = None

    def learn_files(self, symbol: str, days: list[TradingDay]) -> None:
        """Note how many rows each source file gave to its largest day."""
        for day in days:
            manifest = self._store.manifest(DayKey("raw", symbol, day))
            for source in () if manifest is None else manifest.sources:
                if source.sha256:
                    self._from_file[source.sha256] = max(self._from_file.get(source.sha256, 0), source.rows)

    def of(self, manifest: DayManifest, *, schedule_hash: str = "") -> tuple[DayContext, AskedPeers]:
        """The context of a stored day; its own row count then tells later days what to expect."""
        day = TradingDay.parse(manifest.trading_day)
        contract = manifest.lineage.get("underlying_symbol", manifest.symbol)
        counters = manifest if contract == manifest.symbol else self._store.manifest(DayKey("raw", contract, day)) or manifest
        parts = tuple(int(window.part) for window in sessions_for(self._product, day, self._calendar, self._instruments).parts)
        expected = expected_rows(
            [(seen.parts, seen.rows) for seen in self._seen], parts, lookback_days=self._limits.expected_days
        )
        self._seen.append(_Seen(parts, manifest.rows))
        peers = AskedPeers(self._store, self._peer_keys(contract, day))
        context = DayContext(
            evidence=known_evidence(self._ledger, contract, day),
            peers=peers,
            dropped=counters.dropped,
            deduped=counters.deduped,
            reordered=counters.reordered,
            schedule_hash=schedule_hash,
            asked_provider=any(source.name.startswith(PROVIDER_HISTORY) for source in counters.sources),
            spilled=self._spilled(counters),
            expected=expected,
        )
        return context, peers

    def _spilled(self, manifest: DayManifest) -> bool:
        """Whether every source of the day gave far more rows to another day."""
        shares = [source.rows / max(1, self._from_file.get(source.sha256, source.rows)) for source in manifest.sources]
        return bool(shares) and max(shares) < SPILL_SHARE

    def _peer_keys(self, contract: str, day: TradingDay) -> list[DayKey]:
        if self._days_of is None:
            self._days_of = {symbol: set(self._store.days("raw", symbol)) for symbol in self._store.symbols("raw")}
        exchange = contract.split(".", maxsplit=1)[0]
        names = [
            name for name, days in self._days_of.items() if name.startswith(f"{exchange}.") and name != contract and day in days
        ]
        return [DayKey("raw", name, day) for name in sorted(names)[:MOST_PEERS]]
