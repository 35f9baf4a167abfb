"""The client stays in its room: one importer, a scrubbed environment, its folders in ours, its log silent."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.conftest import ROOT
from tests.tq.conftest import Serve

SOURCES = sorted((ROOT / "src" / "ghtrader").rglob("*.py"))
TAKING_OVER = {
    "TQ_ACTION": "run",
    "TQ_AUTH": "x,y",
    "TQ_BROKER_ID": "evil",
    "TQ_ACCOUNT_ID": "evil",
    "TQ_PASSWORD": "evil",
    "TQ_HTTP_SERVER_ADDRESS": "127.0.0.1:1",
    "TQ_INIT_BALANCE": "1",
    "TQ_START_DT": "20200101",
    "TQ_END_DT": "20200102",
}
SESSION = """
import json, logging, os, sys
from pathlib import Path
logging.basicConfig(level=logging.DEBUG)
from ghtrader.core.clock import SystemClock
from ghtrader.data.instruments import InstrumentTable
from ghtrader.tq.accounts import TradingAccount
from ghtrader.tq.broker import TqBroker
from ghtrader.tq.session import credentials_from
folder = Path(sys.argv[1])
port = TqBroker(TradingAccount("demo", "broker", "simnow", "demo", "secret"), credentials_from(os.environ, folder), folder, InstrumentTable.vendored(), SystemClock())
port.poll(0.2)
balance = port.funds().balance
port.close()
import tqsdk
left = [name for name in os.environ if name in json.loads(sys.argv[2])]
print(json.dumps({"balance": balance, "left": left, "home": os.environ["HOME"]}))
"""


def test_only_the_adapter_imports_the_client() -> None:
    importing = re.compile(r"^\s*(import|from) tqsdk\b|import_module\(.tqsdk", re.MULTILINE)
    found = {path.relative_to(ROOT / "src" / "ghtrader").as_posix() for path in SOURCES if importing.search(path.read_text())}
    assert found == {"tq/library.py"}
    contracts = (ROOT / "pyproject.toml").read_text()
    assert 'forbidden_modules = ["tqsdk", "aiohttp"]' in contracts


def test_a_session_takes_no_orders_from_the_environment_and_writes_nothing_at_home(serve: Serve, tmp_path: Path) -> None:
    exchange = serve(options=("--market", "null", "--days", "1"))
    home, folder = tmp_path / "home", tmp_path / "ours"
    home.mkdir()
    environment = {**os.environ, **exchange.environment, **TAKING_OVER, "HOME": str(home)}
    done = subprocess.run(
        [sys.executable, "-c", SESSION, str(folder), json.dumps(list(TAKING_OVER))],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said == {"balance": 10_000_000.0, "left": [], "home": str(home)}
    assert list(home.iterdir()) == []
    assert "TqApi" not in done.stderr  # its debug log holds every packet, and logins
    for path in folder.rglob("*"):
        assert not path.is_file() or b"secret" not in path.read_bytes(), path


def test_a_missing_client_says_what_to_install(tmp_path: Path) -> None:
    program = (
        "import sys\nsys.modules['tqsdk'] = None\n"
        "from pathlib import Path\nfrom ghtrader.tq.library import load_tqsdk\n"
        "from ghtrader.core.errors import ConfigError\n"
        "try:\n    load_tqsdk(Path(sys.argv[1]))\nexcept ConfigError as error:\n    print(error.hint)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "pip install 'ghtrader[tq]'", done.stderr


@pytest.mark.parametrize("module", ["ghtrader.tq.library", "ghtrader.tq.broker", "ghtrader.tq.live", "ghtrader.tq.history"])
def test_importing_the_adapter_does_not_import_the_client(module: str) -> None:
    program = f"import sys, {module}; print('tqsdk' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "False", done.stderr
