"""Ledgers and keyed documents in QuestDB: append-only rows, numbered under a lock, visible when the call returns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from ghtrader.core.clock import Clock
from ghtrader.core.errors import StoreError
from ghtrader.core.ids import canonical_json
from ghtrader.ports.ledger_store import LedgerRow
from ghtrader.questdb.locks import NamedLocks
from ghtrader.questdb.sender import Visibility
from ghtrader.questdb.settings import QuestdbSettings
from ghtrader.questdb.wire import PgWire

__all__ = ["QuestdbLedger"]


class QuestdbLedger:
    """`ports.ledger_store.LedgerStore` on a server. Appending processes share the installation's lock folder."""

    def __init__(self, settings: QuestdbSettings, wire: PgWire, clock: Clock) -> None:
        self._wire = wire
        self._clock = clock
        self._ledger = settings.name("ledger_v2")
        self._documents = settings.name("documents_v2")
        self._locks = NamedLocks(settings.lock_folder)
        self._visible = Visibility(settings, wire)

    def append(self, ledger: str, document: Mapping[str, Any]) -> int:
        """Append one document; returns its sequence number."""
        return self.append_many(ledger, [document])[0]

    def append_many(self, ledger: str, documents: Sequence[Mapping[str, Any]]) -> list[int]:
        """Append documents in one transaction."""
        encoded = [canonical_json(document).decode() for document in documents]
        if not encoded:
            return []
        with self._locks.exclusive(f"{self._ledger}/{ledger}"):
            sql = f"SELECT max(seq), max(datetime)::long, count() FROM {self._ledger} WHERE ledger = %s"
            last, stamp, count = next(iter(self._wire.query(sql, (ledger,))), (0, 0, 0))
            if (last or 0) != count:
                raise self._damaged(ledger)
            start = max(self._clock.now_ns(), (stamp or 0) + 1)
            numbers = [(last or 0) + 1 + index for index in range(len(encoded))]
            rows = [
                (start + index, ledger, number, text) for index, (number, text) in enumerate(zip(numbers, encoded, strict=True))
            ]
            self._wire.insert(self._ledger, ("datetime", "ledger", "seq", "document"), rows)
            self._visible.wait(self._ledger)
        return numbers

    def rows(self, ledger: str, *, after: int = 0, limit: int | None = None) -> list[LedgerRow]:
        """``(sequence, document)`` in order."""
        if limit is not None and limit <= 0:
            return []
        tail = "" if limit is None else f" LIMIT {int(limit)}"
        sql = f"SELECT seq, document FROM {self._ledger} WHERE ledger = %s AND seq > %s ORDER BY seq{tail}"
        found = self._wire.query(sql, (ledger, after))
        whole = [number for number, text in found if text is not None] == list(range(after + 1, after + 1 + len(found)))
        if not whole or (not found and not after and self._unnumbered(ledger)):
            raise self._damaged(ledger)
        return [(number, msgspec.json.decode(text)) for number, text in found]

    def _unnumbered(self, ledger: str) -> int:
        return int(self._wire.scalar(f"SELECT count() FROM {self._ledger} WHERE ledger = %s AND seq IS NULL", (ledger,)) or 0)

    def _damaged(self, ledger: str) -> StoreError:
        """Documents are numbered without holes: whatever has one lost a column, or rows, to something else."""
        return StoreError(
            f"the ledger {ledger} in {self._ledger} is not whole: documents or their numbers are gone",
            hint=f"restore a backup; or DROP TABLE {self._ledger}, ghtrader db migrate, ghtrader store copy --from local --to questdb",
            ledger=ledger,
            table=self._ledger,
        )

    def count(self, ledger: str) -> int:
        """How many documents a ledger holds."""
        return int(self._wire.scalar(f"SELECT count() FROM {self._ledger} WHERE ledger = %s", (ledger,)) or 0)

    def ledgers(self) -> list[str]:
        """Names of ledgers with documents, sorted."""
        return sorted(name for (name,) in self._wire.query(f"SELECT DISTINCT ledger FROM {self._ledger}"))

    def tables(self) -> list[str]:
        """Names of document tables with documents, sorted."""
        sql = f"SELECT DISTINCT table_name FROM ({self._live('')}) WHERE document IS NOT NULL"
        return sorted(name for (name,) in self._wire.query(sql))

    def put(self, table: str, key: str, document: Mapping[str, Any]) -> None:
        """Store a document under a key."""
        self.put_many(table, {key: document})

    def put_many(self, table: str, documents: Mapping[str, Mapping[str, Any]]) -> None:
        """Store several documents in one transaction."""
        self._put(table, {key: canonical_json(document).decode() for key, document in documents.items()})

    def _put(self, table: str, documents: Mapping[str, str | None]) -> None:
        if not documents:
            return
        with self._locks.exclusive(f"{self._documents}/{table}"):
            sql = f"SELECT max(datetime)::long FROM {self._documents} WHERE table_name = %s"
            start = max(self._clock.now_ns(), (self._wire.scalar(sql, (table,)) or 0) + 1)
            rows = [(start + index, table, key, text) for index, (key, text) in enumerate(documents.items())]
            self._wire.insert(self._documents, ("datetime", "table_name", "key", "document"), rows)
            self._visible.wait(self._documents)

    def _live(self, where: str) -> str:
        return f"SELECT table_name, key, document FROM {self._documents} {where} LATEST ON datetime PARTITION BY table_name, key"

    def get(self, table: str, key: str) -> dict[str, Any] | None:
        """The document under a key, or None."""
        rows = self._wire.query(self._live("WHERE table_name = %s AND key = %s"), (table, key))
        return None if not rows or rows[0][2] is None else msgspec.json.decode(rows[0][2])

    def items(self, table: str, *, prefix: str = "") -> list[tuple[str, dict[str, Any]]]:
        """``(key, document)`` sorted by key."""
        rows = self._wire.query(self._live("WHERE table_name = %s"), (table,))
        found = [(key, msgspec.json.decode(text)) for _, key, text in rows if text is not None and key.startswith(prefix)]
        return sorted(found, key=lambda item: item[0])

    def delete(self, table: str, key: str) -> bool:
        """Remove a document: a row without one takes its place."""
        with self._locks.exclusive(f"{self._documents}/{table}"):
            if self.get(table, key) is None:
                return False
            self._put(table, {key: None})
            return True
