"""A lineage as a tree of nodes, and the runs that wrote them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from ghtrader.core.clock import iso_utc
from ghtrader.core.errors import DataError
from ghtrader.pipelines.run_report import RunRecord, list_runs, load_run
from ghtrader.pipelines.services import Services

__all__ = ["Node", "RunIndex", "run_nodes"]

KINDS = ("import", "download", "main_l5", "validate", "build", "rehash")


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """One step back: what it is, its name, facts about it, what is wrong or unknown, and what it was made of."""

    what: str
    name: str
    facts: dict[str, Any] = {}
    problem: str = ""
    children: list[Node] = []

    def all_problems(self) -> Iterator[str]:
        """Problems of the node and everything below, each once."""
        seen: set[str] = set()
        stack = [self]
        while stack:
            node = stack.pop(0)
            if node.problem and node.problem not in seen:
                seen.add(node.problem)
                yield node.problem
            stack += node.children


class RunIndex:
    """Which run wrote what: outputs of all data runs by name and identity. Read once."""

    def __init__(self, services: Services) -> None:
        self._by_output: dict[tuple[str, str], list[RunRecord]] = {}
        for entry in list_runs(services):
            if entry.kind in KINDS and entry.outputs is not None:
                try:
                    record = load_run(services, entry.run)[1]
                except DataError:
                    continue  # a run that cannot be read vouches for nothing
                for item in record.outputs:
                    if item.state in {"written", "moved"}:
                        self._by_output.setdefault((item.name, item.identity), []).append(record)

    def wrote(self, name: str, identity: str) -> list[RunRecord]:
        """Runs that wrote this, newest first."""
        return self._by_output.get((name, identity), [])


def run_nodes(runs: RunIndex, name: str, identity: str) -> list[Node]:
    """A node for each run that wrote this; one that says so when no manifest of it is kept."""
    found = runs.wrote(name, identity)
    if not found:
        return [Node(what="run", name="not kept", facts={"note": f"no manifest under runs/ names {name} {identity[:16]}"})]
    return [
        Node(
            what="run",
            name=record.run,
            facts={
                "started": iso_utc(record.started_ns),
                "tool_version": record.tool_version,
                "code": record.code,
                "config_hash": record.config_hash[:16],
            },
        )
        for record in found
    ]
