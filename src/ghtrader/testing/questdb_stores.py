"""QuestDB stores for tests: every test works under a table prefix of its own on a server that several tests share."""

from __future__ import annotations

import json
from pathlib import Path

from ghtrader.core.clock import SystemClock
from ghtrader.data.calendar import Calendar
from ghtrader.questdb.ledger_store import QuestdbLedger
from ghtrader.questdb.settings import settings_from
from ghtrader.questdb.store import QuestdbStore
from ghtrader.questdb.tick_store import QuestdbTickStore

__all__ = ["drop_tables", "open_ledger", "open_store", "open_ticks", "write_note"]

NOTE = "questdb.json"


def write_note(folder: Path, environment: dict[str, str]) -> None:
    """Leave in ``folder`` where the server is, for processes that open the store by its folder."""
    (folder / NOTE).write_text(json.dumps(environment))


def open_store(folder: Path) -> QuestdbStore:
    """The store that a note in ``folder`` (or beside a file that is named) describes."""
    place = folder if folder.is_dir() else folder.parent
    settings = settings_from(json.loads((place / NOTE).read_text()), {}, data_folder=place)
    return QuestdbStore(settings, Calendar.vendored(), SystemClock(), "test")


def open_ticks(folder: Path) -> QuestdbTickStore:
    """The tick store of a note."""
    return open_store(folder).ticks()


def open_ledger(path: Path) -> QuestdbLedger:
    """The ledger store of the note beside ``path``."""
    return open_store(path).ledger()


def drop_tables(store: QuestdbStore) -> None:
    """Drop every table of the store's prefix, views first."""
    names = [name for (name,) in store.wire.query("SELECT table_name FROM tables()") if name.startswith(store.settings.prefix)]
    views = {name for (name,) in store.wire.query("SELECT view_name FROM materialized_views()")}
    for name in sorted(names, key=lambda name: name not in views):
        store.wire.execute(f"DROP {'MATERIALIZED VIEW' if name in views else 'TABLE'} {name}")
