from __future__ import annotations

from pathlib import Path

import pytest

from ghtrader.questdb.feature_store import QuestdbFeatures
from ghtrader.questdb.ledger_store import QuestdbLedger
from ghtrader.questdb.queries import QuestdbQueries
from ghtrader.questdb.store import QuestdbStore
from ghtrader.questdb.table_store import QuestdbTables
from ghtrader.questdb.tick_store import QuestdbTickStore
from ghtrader.testing.contracts.feature_store import FeatureStoreContract
from ghtrader.testing.contracts.ledger_store import SharedLedgerContract
from ghtrader.testing.contracts.series_promotion import SeriesPromotionContract
from ghtrader.testing.contracts.table_store import TableStoreContract
from ghtrader.testing.contracts.tick_queries import TickQueriesContract
from ghtrader.testing.contracts.tick_store import SharedTickStoreContract


class TestTicks(SharedTickStoreContract):
    opener = "ghtrader.testing.questdb_stores:open_ticks"

    @pytest.fixture
    def store(self, questdb: QuestdbStore) -> QuestdbTickStore:
        return questdb.ticks()


class TestTicksOverTheWire(TestTicks):
    """The same laws where the server cannot see this machine's files."""

    @pytest.fixture
    def root(self, root: Path) -> Path:
        import json

        note = root / "questdb.json"
        environment = json.loads(note.read_text())
        environment.pop("GHTRADER_QUESTDB_IMPORT_DIR", None)
        note.write_text(json.dumps(environment))
        return root


class TestLedger(SharedLedgerContract):
    opener = "ghtrader.testing.questdb_stores:open_ledger"

    @pytest.fixture
    def path(self, root: Path) -> Path:
        return root / "ledger"

    @pytest.fixture
    def ledger(self, questdb: QuestdbStore) -> QuestdbLedger:
        return questdb.ledger()


class TestSeriesPromotion(SeriesPromotionContract):
    @pytest.fixture
    def ticks(self, questdb: QuestdbStore) -> QuestdbTickStore:
        return questdb.ticks()

    @pytest.fixture
    def ledger(self, questdb: QuestdbStore) -> QuestdbLedger:
        return questdb.ledger()


class TestTables(TableStoreContract):
    @pytest.fixture
    def tables(self, questdb: QuestdbStore) -> QuestdbTables:
        return questdb.tables()


class TestFeatures(FeatureStoreContract):
    @pytest.fixture
    def features(self, questdb: QuestdbStore) -> QuestdbFeatures:
        return questdb.features()


class TestQueries(TickQueriesContract):
    @pytest.fixture
    def store(self, questdb: QuestdbStore) -> QuestdbTickStore:
        return questdb.ticks()

    @pytest.fixture
    def queries(self, questdb: QuestdbStore) -> QuestdbQueries:
        return questdb.queries()
