"""Both ledger stores keep the contract."""

from __future__ import annotations

from pathlib import Path

import pytest

from ghtrader.adapters.local.ledger_store import SqliteLedger
from ghtrader.adapters.memory import MemoryLedger
from ghtrader.core.errors import StoreError
from ghtrader.testing.contracts.ledger_store import LedgerStoreContract, SharedLedgerContract


class TestMemoryLedger(LedgerStoreContract):
    @pytest.fixture
    def ledger(self) -> MemoryLedger:
        return MemoryLedger()


class TestSqliteLedger(SharedLedgerContract):
    opener = "ghtrader.adapters.local.ledger_store:SqliteLedger"

    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        return tmp_path / "new" / "ledger.sqlite"


def test_a_file_that_is_no_database_is_a_store_error(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    path.write_bytes(b"not a database, but long enough to look at" * 100)
    with pytest.raises(StoreError, match="ledger"):
        SqliteLedger(path).append("a", {})


def test_the_database_is_in_wal_mode_and_synced(tmp_path: Path) -> None:
    ledger = SqliteLedger(tmp_path / "ledger.sqlite")
    ledger.append("a", {})
    assert ledger._file.read("PRAGMA journal_mode")[0][0] == "wal"
    assert ledger._file.read("PRAGMA synchronous")[0][0] == 2
