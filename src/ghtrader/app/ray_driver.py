"""The driver of a Ray cluster: ``python -m ghtrader.app.ray_driver ADDRESS COUNT KEY=VALUE ...`` reads tasks, answers outcomes.

Without an address it starts two nodes of one processor each on 127.0.0.1, for this build only, and ends them with it. It ends when
its input does, so a killed command leaves no cluster behind.
"""

from __future__ import annotations

import logging
import os
import queue
import shutil
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec

from ghtrader.app.build_workers import answers_only, died
from ghtrader.app.paths import resolve_paths
from ghtrader.app.ray_cluster import DriverMessage
from ghtrader.app.ray_task import build_on_node
from ghtrader.app.services import prepare_process
from ghtrader.core.clock import Deadline
from ghtrader.core.errors import GhtraderError, StoreError
from ghtrader.pipelines.build_day import failed
from ghtrader.ports.build_worker import BuildOutcome, BuildTask

__all__ = ["loopback_only", "main"]

NODES = 2
OBJECT_STORE_BYTES = 80 << 20
POLL_S = 0.1
LOOK_S = 1.0
CONNECT_S = 5.0
#: Before Ray is imported: no telemetry, no proxy, the loopback address as that of every node, no event log, quick news of dead nodes.
OWN_CLUSTER = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_DISABLE_IMPORT_WARNING": "1",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_failure_threshold": "3",
}
#: What nodes of a cluster that runs already are told: where the store is, and its login.
TOLD = ("GHTRADER_", "NUMBA_CACHE_DIR")


@contextmanager
def _own_cluster() -> Iterator[str]:
    """Two nodes on this machine, in a folder with a short path (sockets allow no long ones)."""
    folder = tempfile.mkdtemp(prefix="ghr", dir="/tmp")
    os.environ["RAY_TMPDIR"] = folder
    Path(folder, "ray").mkdir()
    try:
        from ray.cluster_utils import Cluster

        cluster: Any = Cluster(initialize_head=False)
        try:
            for index in range(NODES):
                head = {"include_dashboard": False, "temp_dir": f"{folder}/ray"} if index == 0 else {}
                cluster.add_node(
                    num_cpus=1,
                    node_ip_address="127.0.0.1",
                    object_store_memory=OBJECT_STORE_BYTES,
                    include_log_monitor=False,
                    **head,
                )
            yield cluster.address
        finally:
            cluster.shutdown()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class _Driver:
    """Tasks in flight on a cluster, spread over its nodes."""

    def __init__(self, count: int, overrides: dict[str, str]) -> None:
        import ray

        self._ray: Any = ray
        told = tuple(sorted((name, value) for name, value in os.environ.items() if name.startswith(TOLD)))
        remote = ray.remote(num_cpus=1, max_retries=0)(build_on_node)
        self._start: Callable[[bytes, Any], Any] = lambda task, strategy: remote.options(scheduling_strategy=strategy).remote(
            task, told, tuple(sorted(overrides.items()))
        )
        self._flying: dict[Any, tuple[BuildTask, str]] = {}
        self._own = ray.get_runtime_context().get_node_id()
        self._looked = Deadline(LOOK_S)
        cores = int(sum(node["Resources"].get("CPU", 0) for node in self._nodes()))
        self.capacity = min(count, cores) if count else cores
        if not self.capacity:
            raise StoreError("the cluster has no processor", hint="ray status")

    def _nodes(self) -> list[dict[str, Any]]:
        return [node for node in self._ray.nodes() if node["Alive"] and node["Resources"].get("CPU", 0)]

    def require_own_node(self) -> None:
        """Raise StoreError when this driver's node died: the others take no more tasks from it."""
        if not self._looked.passed:
            return
        self._looked = Deadline(LOOK_S)
        if self._own not in {node["NodeID"] for node in self._ray.nodes() if node["Alive"]}:
            raise StoreError("the node of the cluster's driver died", retryable=True)

    def give(self, task: BuildTask) -> None:
        """Start a task on the node with the fewest; another one takes it should that node die before."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        busy = [node for _, node in self._flying.values()]
        nodes = sorted(node["NodeID"] for node in self._nodes())
        node = min(nodes, key=busy.count)
        reference = self._start(msgspec.json.encode(task), NodeAffinitySchedulingStrategy(node_id=node, soft=True))
        self._flying[reference] = (task, node)

    def outcomes(self) -> list[BuildOutcome]:
        """Outcomes that are there; a task whose node or worker died may be given again."""
        if not self._flying:
            return []
        done, _ = self._ray.wait(list(self._flying), num_returns=1, timeout=POLL_S)
        found = []
        for reference in done:
            task, _ = self._flying.pop(reference)
            try:
                found.append(msgspec.json.decode(self._ray.get(reference), type=BuildOutcome))
            except self._ray.exceptions.RayTaskError as error:
                found.append(failed(task, StoreError(f"on a node: {str(error).strip().splitlines()[-1]}", hint="report it")))
            except self._ray.exceptions.RayError as error:
                found.append(died(task, f"a node or a worker of the cluster died: {type(error).__name__}"))
        return found


def _serve(driver: _Driver, tasks: queue.Queue[BuildTask | None], say: Callable[[DriverMessage], None]) -> None:
    """Until the input ends."""
    say(DriverMessage(capacity=driver.capacity))
    while True:
        driver.require_own_node()
        for outcome in driver.outcomes():
            say(DriverMessage(outcome=outcome))
        try:
            task = tasks.get(timeout=POLL_S / 5)
        except queue.Empty:
            continue
        if task is None:
            return
        driver.give(task)


def _read(tasks: queue.Queue[BuildTask | None]) -> None:
    for line in os.fdopen(os.dup(sys.stdin.fileno()), "rb", buffering=0):  # a buffer's lock would outlive this thread
        tasks.put(msgspec.json.decode(line, type=BuildTask))
    tasks.put(None)


def _answers(host: str, port: int) -> str:
    """Why nobody takes connections there; empty when somebody does."""
    try:
        socket.create_connection((host, port), CONNECT_S).close()
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _own_host() -> str:
    """The address that this machine has for others, as Ray finds it; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])


def loopback_only(address: str) -> bool:
    """Whether the cluster at ``host:port`` can be reached on this machine's loopback address alone: Ray asks for another one unless told.

    Raises StoreError when nobody listens there: Ray itself would wait for minutes.
    """
    host, _, port = address.rpartition(":")
    why = _answers(host, int(port)) if host and port.isdigit() else "expected host:port"
    if why:
        raise _no_cluster(address, why)
    return host in ("127.0.0.1", "localhost") and bool(_answers(_own_host(), int(port)))


def _no_cluster(place: str, why: object) -> StoreError:
    hint = "check --address or GHTRADER_RAY_ADDRESS; without one a cluster is started here"
    return StoreError(f"no Ray cluster at {place}: {why}", hint=hint)


def _up(stack: ExitStack, address: str) -> GhtraderError | None:
    """Join the cluster at the address, or start one; what went wrong when it is not there."""
    try:
        joins = bool(address) and not loopback_only(address)
    except StoreError as error:
        return error
    os.environ.update({**OWN_CLUSTER, "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "1"} if joins else OWN_CLUSTER)
    place = address or stack.enter_context(_own_cluster())
    import ray

    try:
        ray.init(address=place, log_to_driver=False, logging_level=logging.ERROR, namespace="ghtrader")
    except (ConnectionError, RuntimeError, ValueError) as error:
        return _no_cluster(place, error)
    stack.callback(ray.shutdown)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # Ray puts its own there
    return None


def main(arguments: list[str]) -> None:
    """Bring up the cluster, serve tasks, take it down."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's: it ends us in order
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    answers = answers_only()
    address, count, *settings = arguments
    overrides = dict(item.split("=", 1) for item in settings)
    prepare_process(resolve_paths(os.environ), os.environ)

    def say(message: DriverMessage) -> None:
        os.write(answers, msgspec.json.encode(message) + b"\n")

    tasks: queue.Queue[BuildTask | None] = queue.Queue()
    threading.Thread(target=_read, args=(tasks,), daemon=True).start()
    with suppress(KeyboardInterrupt, BrokenPipeError), ExitStack() as stack:
        error = _up(stack, address)
        if error is not None:
            say(DriverMessage(error=error.as_dict()))
            return
        try:
            _serve(_Driver(int(count), overrides), tasks, say)
        except GhtraderError as refused:
            if not refused.retryable:  # else the command sees this process end, starts another one and gives its tasks again
                say(DriverMessage(error=refused.as_dict()))


if __name__ == "__main__":
    main(sys.argv[1:])
