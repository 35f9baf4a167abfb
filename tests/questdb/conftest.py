"""One real server, in the worker that has these files (`tests.conftest.TOGETHER`), a table prefix per test; fault tests start servers of their own."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from ghtrader.questdb.store import QuestdbStore
from ghtrader.testing.questdb_server import QuestdbServer
from ghtrader.testing.questdb_stores import drop_tables, open_store, write_note


@pytest.fixture(scope="session")
def server_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    given = {name: value for name, value in os.environ.items() if name.startswith("GHTRADER_QUESTDB_")}
    if "GHTRADER_QUESTDB_HOST" in given:
        yield given
        return
    server = QuestdbServer(tmp_path_factory.mktemp("questdb"), memory="768m").start()
    yield server.environment
    server.stop()


@pytest.fixture
def root(tmp_path: Path, server_environment: dict[str, str]) -> Path:
    environment = {**server_environment, "GHTRADER_QUESTDB_TABLE_PREFIX": f"t{uuid.uuid4().hex[:10]}_"}
    folder = tmp_path / "questdb"
    folder.mkdir()
    write_note(folder, environment)
    return folder


@pytest.fixture
def questdb(root: Path) -> Iterator[QuestdbStore]:
    """A store with all migrations applied."""
    store = open_store(root)
    store.schema().migrate()
    yield store
    drop_tables(store)
    store.close()
