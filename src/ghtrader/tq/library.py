"""The tqsdk library, imported once under control: its environment scrubbed, its caches and log in our folders."""

from __future__ import annotations

import contextlib
import importlib
import io
import logging
import os
import sys
import threading
import types
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

from ghtrader.core.errors import ConfigError

__all__ = ["SCRUBBED", "forget_tables", "load_tqsdk", "scrub"]

#: Variables that make the client silently replace the account, the mode or the dates of a program.
SCRUBBED = (
    "TQ_ACTION",
    "TQ_AUTH",
    "TQ_BROKER_ID",
    "TQ_ACCOUNT_ID",
    "TQ_PASSWORD",
    "TQ_HTTP_SERVER_ADDRESS",
    "TQ_INIT_BALANCE",
    "TQ_START_DT",
    "TQ_END_DT",
)
#: Threads that open sessions at once import it once: meanwhile HOME is not what it was.
_importing = threading.Lock()
HINT = "pip install 'ghtrader[tq]'"


def scrub(environment: MutableMapping[str, str]) -> list[str]:
    """Remove the variables by which the client would take over; returns the names that were there.

    >>> scrub({"TQ_ACTION": "run", "TQ_MD_URL": "ws://x"})
    ['TQ_ACTION']
    """
    return [name for name in SCRUBBED if environment.pop(name, None) is not None]


def load_tqsdk(folder: Path) -> Any:
    """Import tqsdk with its caches under ``folder`` and its log silent; raises ConfigError when it is not installed.

    The client takes its folders from HOME when it is imported, asks a changelog server on the first session, and gives
    its debug log to the root logger: each is contained here.
    """
    with _importing:
        return sys.modules["tqsdk"] if "tqsdk.data_series" in sys.modules else _import(folder)


def _import(folder: Path) -> Any:
    scrub(os.environ)
    folder.mkdir(parents=True, exist_ok=True)
    sys.modules.setdefault("tqsdk.changelog_notification", types.ModuleType("tqsdk.changelog_notification"))
    home = os.environ.get("HOME")
    os.environ["HOME"] = str(folder)
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):  # a disclaimer
            module = importlib.import_module("tqsdk")
            importlib.import_module("tqsdk.data_series")  # takes its folder when it is imported
    except ImportError as error:
        raise ConfigError(f"TqSdk cannot be used: {error}", hint=HINT) from error
    finally:
        if home is None:
            os.environ.pop("HOME", None)
        else:
            os.environ["HOME"] = home
    logging.getLogger("TqApi").propagate = False
    return module


def forget_tables() -> None:
    """Let the client fetch the continuous table and the holidays again.

    It keeps both for the life of the process: a process that stays would never hear of a roll.
    """
    calendar: Any = importlib.import_module("tqsdk.calendar")
    calendar.TqContCalendar.continuous = None
    calendar.rest_days_df = None
