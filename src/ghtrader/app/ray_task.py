"""What runs on a node of a Ray cluster: a day's build, with services of its own. No import of Ray outside a call."""

from __future__ import annotations

import os
from functools import cache

import msgspec

from ghtrader.app.paths import resolve_paths
from ghtrader.app.services import AppServices, prepare_process
from ghtrader.pipelines.build_day import DayBuilder
from ghtrader.ports.build_worker import BuildTask

__all__ = ["build_on_node"]


@cache
def _builder(environment: tuple[tuple[str, str], ...], overrides: tuple[tuple[str, str], ...], node: str) -> DayBuilder:
    """This worker's builder, made once."""
    values = {**os.environ, **dict(environment)}
    paths = resolve_paths(values)
    prepare_process(paths, values)
    return DayBuilder(AppServices(paths, values, dict(overrides)), node)


def build_on_node(task: bytes, environment: tuple[tuple[str, str], ...], overrides: tuple[tuple[str, str], ...]) -> bytes:
    """Build a day on this node; task and outcome are JSON, environment and overrides pairs of texts."""
    import ray

    node = ray.get_runtime_context().get_node_id()
    outcome = _builder(environment, overrides, node).run(msgspec.json.decode(task, type=BuildTask))
    return msgspec.json.encode(outcome)
