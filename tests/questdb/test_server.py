"""`make questdb`: a server that stays, its environment as exports, found again, stopped."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ghtrader.core.errors import ConfigError, StoreError
from ghtrader.testing.questdb_server import QuestdbServer, free_ports, obtain_jar

ROOT = Path(__file__).parent.parent.parent


def launch(what: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ghtrader.testing.questdb_server", what, str(folder)]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GHTRADER_QUESTDB_H")}
    return subprocess.run(command, env={**clean, **environment}, capture_output=True, text=True, check=False)


def evaluated(exports: str) -> dict[str, str]:
    """What a shell makes of the printed exports."""
    show = 'eval "$1"; env -0'
    command = ["env", "-i", shutil.which("bash") or "bash", "-c", show, "-", exports]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    known = dict(item.split("=", 1) for item in done.stdout.split("\0") if "=" in item)
    return {name: value for name, value in known.items() if name.startswith("GHTRADER_")}


def test_start_is_idempotent_prints_exports_and_stop_ends_it(tmp_path: Path) -> None:
    folder = tmp_path / "a server's folder"
    first = launch("start", folder, GHTRADER_QUESTDB_MEMORY="512m")
    try:
        assert first.returncode == 0, first.stderr
        exports = evaluated(first.stdout)
        assert set(exports) == {
            "GHTRADER_QUESTDB_HOST",
            "GHTRADER_QUESTDB_HTTP_PORT",
            "GHTRADER_QUESTDB_PG_PORT",
            "GHTRADER_QUESTDB_IMPORT_DIR",
        }
        assert exports["GHTRADER_QUESTDB_IMPORT_DIR"] == str(folder / "import")
        assert launch("start", folder).stdout == first.stdout
        assert launch("status", folder).stdout == first.stdout
        done = subprocess.run(
            [sys.executable, "-m", "ghtrader.app", "db", "questdb-health", "--json"],
            env={**os.environ, **exports, "GHTRADER_DATA_DIR": str(tmp_path / "data")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        os.kill(int(json.loads((folder / "environment.json").read_text())["pid"]), signal.SIGKILL)
        again = launch("start", folder, GHTRADER_QUESTDB_MEMORY="512m", **exports)  # by the shell that has the old exports
        assert again.stdout == first.stdout, again.stderr
        assert launch("status", folder).returncode == 0
    finally:
        assert launch("stop", folder).returncode == 0
    assert launch("status", folder).returncode == 1
    assert launch("stop", folder).returncode == 0


def test_a_server_of_the_environment_is_used_and_none_is_started(tmp_path: Path) -> None:
    given = {"GHTRADER_QUESTDB_HOST": "db.example", "GHTRADER_QUESTDB_PG_PORT": "1234", "GHTRADER_QUESTDB_PG_PASSWORD": "s3cret"}
    said = launch("start", tmp_path / "server", **given)
    assert "export GHTRADER_QUESTDB_HOST=db.example" in said.stdout
    assert "s3cret" not in said.stdout
    assert not (tmp_path / "server").exists()


def test_a_jar_that_is_another_is_refused_and_missing_tools_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jar = obtain_jar()
    wrong = tmp_path / jar.name
    wrong.write_bytes(b"not a jar")
    with pytest.raises(StoreError, match="SHA-256"):
        obtain_jar(tmp_path)
    wrong.unlink()
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(ConfigError, match="Maven") as caught:
        obtain_jar(tmp_path)
    assert "apt-get" in caught.value.hint
    with pytest.raises(ConfigError, match="Java 17"):
        QuestdbServer(tmp_path / "server").start()
    assert len(set(free_ports(5))) == 5


def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    server = QuestdbServer(tmp_path / "server", memory="512m")
    (tmp_path / "server").mkdir()
    (tmp_path / "server" / "conf").write_text("a file where a folder should be")
    with pytest.raises(StoreError, match="did not start"):
        server.start()


@pytest.mark.parametrize("name", ["server-small.conf", "server-large.conf"])
def test_the_shipped_configurations_start_a_server(tmp_path: Path, name: str) -> None:
    """Every key is one that this server knows, and is used."""
    server = QuestdbServer(tmp_path / "server", memory="512m")
    conf = tmp_path / "server" / "conf"
    conf.mkdir(parents=True)
    shutil.copy(ROOT / "infra" / "questdb" / name, conf / "server.conf")
    keys = re.findall(r"^([a-z.]+)=(.*)$", (conf / "server.conf").read_text(), flags=re.MULTILINE)
    server.start()
    try:
        import json
        import urllib.parse
        import urllib.request

        query = urllib.parse.quote("SELECT property_path, value_source FROM (SHOW PARAMETERS)")
        with urllib.request.urlopen(f"http://127.0.0.1:{server.http_port}/exec?query={query}", timeout=10) as answer:
            known = dict(json.load(answer)["dataset"])
    finally:
        server.stop()
    for key, _ in keys:
        assert known.get(key) in {"conf", "env"}, f"{key}: {known.get(key)}"


def test_the_container_listens_where_its_published_ports_arrive() -> None:
    """The shipped configurations bind loopback; a port published by Docker comes in on another address of the container."""
    compose = (ROOT / "infra" / "questdb" / "compose.yaml").read_text()
    published = re.findall(r'^ +- "127\.0\.0\.1:\$\{.+\}:(\d+)"$', compose, flags=re.MULTILINE)
    bound = re.findall(r"^ +QDB_\w+_BIND_TO: 0\.0\.0\.0:(\d+)$", compose, flags=re.MULTILINE)
    assert sorted(published) == sorted(bound) == ["8812", "9000", "9003"]


def test_the_limits_check_names_what_is_too_low(tmp_path: Path) -> None:
    script = ROOT / "infra" / "questdb" / "check-limits.sh"
    done = subprocess.run(
        ["bash", "-c", f"ulimit -n 1024; bash {script} {tmp_path}"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "LOW   open files: 1024" in done.stdout
    assert "LimitNOFILE" in done.stdout
