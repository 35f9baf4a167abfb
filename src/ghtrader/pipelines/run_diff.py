"""Two runs side by side: what differs in inputs, outputs, verdicts, counters, configuration and code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from ghtrader.pipelines.run_report import Item, load_run, run_config
from ghtrader.pipelines.services import Services

__all__ = ["Change", "RunDiff", "diff_runs"]


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One difference: in which part (inputs, outputs, findings, counters, config, code ...), of what, and both values.

    what: identity (the digest or hash), rows, state, or value. An absent side is None.
    """

    part: str
    name: str
    what: str
    left: Any
    right: Any


class RunDiff(msgspec.Struct, frozen=True, kw_only=True):
    """Two runs; ``same`` when nothing but their time differs."""

    left: str
    right: str
    same: bool
    changed: dict[str, int]
    changes: list[Change]


def diff_runs(services: Services, left: str, right: str) -> RunDiff:
    """Compare two runs by name (see `run_report.load_run`)."""
    left_folder, one = load_run(services, left)
    right_folder, other = load_run(services, right)
    changes: list[Change] = []
    for name in ("kind", "subject", "state", "noop"):
        changes += _values("run", {name: getattr(one, name)}, {name: getattr(other, name)})
    for part in ("inputs", "outputs", "findings"):
        changes += _items(part, getattr(one, part), getattr(other, part))
    changes += _values("counters", one.counters, other.counters)
    changes += _values("parameters", one.parameters, other.parameters)
    code = [{"code": run.code, "tool_version": run.tool_version} for run in (one, other)]
    changes += _values("code", code[0], code[1])
    values = [run_config(folder).get("values", {}) for folder in (left_folder, right_folder)]
    changes += _values("config", values[0], values[1])
    counts: dict[str, int] = {}
    for change in changes:
        counts[change.part] = counts.get(change.part, 0) + 1
    return RunDiff(left=one.run, right=other.run, same=not changes, changed=counts, changes=changes)


def _values(part: str, left: Mapping[str, Any], right: Mapping[str, Any]) -> list[Change]:
    return [
        Change(part=part, name=name, what="value", left=left.get(name), right=right.get(name))
        for name in sorted({*left, *right})
        if left.get(name) != right.get(name)
    ]


def _items(part: str, left: Sequence[Item], right: Sequence[Item]) -> list[Change]:
    ours, theirs = {item.name: item for item in left}, {item.name: item for item in right}
    changes: list[Change] = []
    for name in sorted({*ours, *theirs}):
        one, other = ours.get(name), theirs.get(name)
        if one is None or other is None:
            present = [None if item is None else item.identity or item.state or "there" for item in (one, other)]
            changes.append(Change(part=part, name=name, what="presence", left=present[0], right=present[1]))
            continue
        for what in ("identity", "rows", "state", "note"):
            if getattr(one, what) != getattr(other, what):
                changes.append(Change(part=part, name=name, what=what, left=getattr(one, what), right=getattr(other, what)))
    return changes
