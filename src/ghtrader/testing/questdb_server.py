"""A real QuestDB server for tests and for trying things: obtained, started, killed and started again.

``python -m ghtrader.testing.questdb_server start|stop|status FOLDER``: ``start`` leaves a server running on free loopback ports
with its data under FOLDER and prints the environment that ghtrader needs as shell exports; repeated, it prints them again.

The server comes from the environment (GHTRADER_QUESTDB_HOST set: that one is used, nothing is started), else as the Maven
artifact with Java 17, else from Docker where an engine runs.
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import os
import random
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from ghtrader.core.clock import Deadline
from ghtrader.core.errors import ConfigError, StoreError

__all__ = ["VERSION", "QuestdbServer", "free_ports", "obtain_jar"]

VERSION = "9.3.4"
SHA256 = "939bc53ab22f93dbaa6545143a6e7c536d4904c07b7f2d381e8eef10436be062"
START_TIMEOUT_S, STOP_TIMEOUT_S, FETCH_TIMEOUT_S = 60.0, 20.0, 300
PORTS_TIMEOUT_S = 3.0
POLL_S = 0.05
PORTS = range(10_000, 32_000)
#: A worker without work sleeps soon, instead of giving way thousands of times first: other processes want the cores.
IDLE = {
    f"{pool}.worker.{name}": value
    for pool in ("shared", "http.min", "pg", "wal.apply", "mat.view.refresh", "view.compiler", "export")
    for name, value in (("yield.threshold", "1"), ("nap.threshold", "50"), ("sleep.threshold", "100"), ("sleep.timeout", "2"))
    if (pool, name) != ("pg", "sleep.timeout")
}
#: A server that ends with its test lives too short for the compiler that takes its time.
LIGHT = ("-XX:TieredStopAtLevel=1",)
ENVIRONMENT = "environment.json"


def free_ports(count: int) -> list[int]:
    """Different loopback ports that nobody listens on.

    They are none of those that the system gives to outgoing connections: one of these may be taken before it is used, and while
    a server is down.
    """
    found: list[int] = []
    for port in random.SystemRandom().sample(PORTS, len(PORTS)):
        if len(found) == count:
            break
        if _is_free(port):
            found.append(port)
    return found


def obtain_jar(folder: Path | None = None) -> Path:
    """The server's jar: from the cache, else through Maven; its SHA-256 must be the pinned one."""
    if folder is None:
        home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        folder = Path(os.environ.get("GHTRADER_QUESTDB_JAR_DIR") or home / "ghtrader" / "questdb")
    jar = folder / f"questdb-{VERSION}.jar"
    if not jar.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        if shutil.which("mvn") is None:
            raise ConfigError(
                "QuestDB comes through Maven, which is not installed", hint="apt-get install maven openjdk-17-jre-headless"
            )
        command = [
            "mvn",
            "-q",
            "-B",
            "dependency:copy",
            f"-Dartifact=org.questdb:questdb:{VERSION}",
            f"-DoutputDirectory={folder}",
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=FETCH_TIMEOUT_S)  # noqa: S603 - our own command
        if done.returncode or not jar.is_file():
            raise StoreError(f"Maven could not fetch QuestDB {VERSION}: {(done.stderr or done.stdout).strip()[-400:]}")
    found = hashlib.sha256(jar.read_bytes()).hexdigest()
    if found != SHA256:
        raise StoreError(f"{jar} is not the QuestDB {VERSION} that was tested (SHA-256 {found})", hint=f"remove {jar}")
    return jar


class QuestdbServer:
    """A server process on loopback with its data under ``root``. Ports stay the same over restarts."""

    def __init__(self, root: Path, *, options: dict[str, str] | None = None, memory: str = "1g") -> None:
        self.root = root
        self.memory = memory
        self.http_port, self.pg_port, self.health_port = free_ports(3)
        self.options = options or {}
        self._process: subprocess.Popen[bytes] | None = None

    def take_ports(self, known: Mapping[str, str]) -> None:
        """Take the ports of an earlier server of this folder, when they are free or about to be: shells know them."""
        names = ("GHTRADER_QUESTDB_HTTP_PORT", "GHTRADER_QUESTDB_PG_PORT")
        if not set(names) <= set(known):
            return
        ports = [int(known[name]) for name in names]
        deadline = Deadline(PORTS_TIMEOUT_S)
        while not all(_is_free(port) for port in ports):
            if deadline.passed:
                return
            deadline.pause(POLL_S)
        self.http_port, self.pg_port = ports

    @property
    def pid(self) -> int:
        """Process id of the running server."""
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.poll() is None

    @property
    def environment(self) -> dict[str, str]:
        """What ghtrader needs to find this server."""
        return {
            "GHTRADER_QUESTDB_HOST": "127.0.0.1",
            "GHTRADER_QUESTDB_HTTP_PORT": str(self.http_port),
            "GHTRADER_QUESTDB_PG_PORT": str(self.pg_port),
            "GHTRADER_QUESTDB_IMPORT_DIR": str(self.root / "import"),
        }

    def _server_environment(self) -> dict[str, str]:
        options = {
            "http.net.bind.to": f"127.0.0.1:{self.http_port}",
            "pg.net.bind.to": f"127.0.0.1:{self.pg_port}",
            "http.min.net.bind.to": f"127.0.0.1:{self.health_port}",
            "line.tcp.enabled": "false",
            "telemetry.enabled": "false",
            "cairo.writer.data.append.page.size": "1M",
            "http.export.connection.limit": "8",
            "line.auto.create.new.tables": "false",
            "line.auto.create.new.columns": "false",
            "dev.mode.enabled": "true",
            **IDLE,
            **self.options,
        }
        return {**os.environ, **{"QDB_" + name.upper().replace(".", "_"): value for name, value in options.items()}}

    def start(self, *, detached: bool = False) -> QuestdbServer:
        """Start and wait until it is healthy; raises StoreError with the end of its log when it does not come up."""
        jar = obtain_jar()
        if shutil.which("java") is None:
            raise ConfigError("QuestDB needs Java 17, which is not installed", hint="apt-get install openjdk-17-jre-headless")
        self.root.mkdir(parents=True, exist_ok=True)
        command = [
            "java",
            f"-Xmx{self.memory}",
            "-XX:+UseSerialGC",
            *(() if detached else LIGHT),
            "-p",
            str(jar),
            "-m",
            "io.questdb/io.questdb.ServerMain",
            "-d",
            str(self.root),
        ]
        with (self.root / "server.log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own command
                command,
                env=self._server_environment(),
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=detached,
            )
        deadline = Deadline(START_TIMEOUT_S)
        while not self.healthy():
            if not self.running or deadline.passed:
                log_end = (self.root / "server.log").read_text(errors="replace")[-1500:]
                raise StoreError(f"QuestDB did not start: {log_end}", hint=f"look into {self.root / 'server.log'}")
            deadline.pause(POLL_S)
        return self

    def _login(self) -> dict[str, str]:
        user = self.options.get("http.user", "")
        word = f"{user}:{self.options.get('http.password', '')}"
        return {"Authorization": f"Basic {base64.b64encode(word.encode()).decode()}"} if user else {}

    def healthy(self) -> bool:
        """Whether the server answers and its query engine works."""
        try:
            connection = http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=2)
            connection.request("GET", "/exec?query=select%201", headers=self._login())
            answer = connection.getresponse()
            body = answer.read()
            connection.close()
        except (OSError, http.client.HTTPException):
            return False
        return answer.status == 200 and b"dataset" in body

    def kill(self) -> None:
        """kill -9, and wait until it is gone."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()

    def stop(self) -> None:
        """End the server in order, then with force."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.kill()

    def pause(self) -> None:
        """Freeze the process, and wait until its last thread stands: it keeps its sockets, and answers nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        deadline = Deadline(STOP_TIMEOUT_S)
        while os.waitid(os.P_PID, self._process.pid, os.WSTOPPED | os.WNOHANG) is None:
            if deadline.passed:
                raise StoreError(f"QuestDB (process {self._process.pid}) was told to stand still and did not")
            deadline.pause(POLL_S / 10)

    def resume(self) -> None:
        """Let a frozen process go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)


def _is_free(port: int) -> bool:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _is_ours(known: dict[str, str]) -> bool:
    """Whether the environment names the server that this folder had: a shell keeps the exports of one that has died."""
    return bool(known) and all(os.environ.get(name) == value for name, value in known.items())


def _alive(pid: int) -> bool:
    try:
        return b"questdb" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def _exports(environment: dict[str, str]) -> str:
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in environment.items())


def _docker(root: Path) -> dict[str, str]:
    http_port, pg_port = free_ports(2)
    name = f"ghtrader-questdb-{hashlib.sha256(str(root).encode()).hexdigest()[:8]}"
    command = [
        "docker",
        "run",
        "-d",
        "--rm",
        "--name",
        name,
        "-p",
        f"127.0.0.1:{http_port}:9000",
        "-p",
        f"127.0.0.1:{pg_port}:8812",
    ]
    command += ["-v", f"{root.absolute()}:/var/lib/questdb", f"questdb/questdb:{VERSION}"]
    subprocess.run(command, check=True, capture_output=True, timeout=FETCH_TIMEOUT_S)  # noqa: S603 - our own command
    return {
        "GHTRADER_QUESTDB_HOST": "127.0.0.1",
        "GHTRADER_QUESTDB_HTTP_PORT": str(http_port),
        "GHTRADER_QUESTDB_PG_PORT": str(pg_port),
        "GHTRADER_QUESTDB_CONTAINER": name,
    }


def main(arguments: list[str]) -> int:
    """Start, stop or show the server of a folder."""
    what, folder = arguments[0], Path(arguments[1]).absolute()
    note = folder / ENVIRONMENT
    known: dict[str, str] = json.loads(note.read_text()) if note.exists() else {}
    pid = int(known.pop("pid", "0"))
    container = known.pop("GHTRADER_QUESTDB_CONTAINER", "")
    alive = _alive(pid) or bool(container)
    if what == "status":
        sys.stdout.write(_exports(known) if alive else f"no server runs in {folder}\n")
        return 0 if alive else 1
    if what == "stop":
        if container:
            subprocess.run(["docker", "stop", container], check=False, capture_output=True)  # noqa: S603, S607 - our own command
        elif alive:
            os.kill(pid, signal.SIGTERM)
            deadline = Deadline(STOP_TIMEOUT_S)
            while _alive(pid) and not deadline.passed:
                deadline.pause(POLL_S)
            if _alive(pid):
                os.kill(pid, signal.SIGKILL)
        if container or not known:
            note.unlink(missing_ok=True)
        else:
            note.write_text(json.dumps(known))  # the next start takes the same ports
        return 0
    if os.environ.get("GHTRADER_QUESTDB_HOST") and not _is_ours(known):
        known = {name: value for name, value in os.environ.items() if name.startswith("GHTRADER_QUESTDB_")}
        sys.stdout.write(_exports({name: value for name, value in known.items() if "PASSWORD" not in name}))
        return 0
    if not alive:
        if shutil.which("java") is None and shutil.which("docker") is not None:
            known = _docker(folder)
            note.write_text(json.dumps(known))
        else:
            server = QuestdbServer(folder, memory=os.environ.get("GHTRADER_QUESTDB_MEMORY", "2g"))
            server.take_ports(known)
            server.start(detached=True)
            known = server.environment
            note.write_text(json.dumps({**known, "pid": str(server.pid)}))
    sys.stdout.write(_exports(known))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
