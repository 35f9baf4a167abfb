"""`ghtrader config`: list, explain, change and roll back configuration."""

from __future__ import annotations

import getpass
from typing import Any

import typer

from ghtrader.cli.render import emit, table
from ghtrader.core.clock import iso_utc
from ghtrader.core.errors import UsageError
from ghtrader.ports.config_store import ConfigRevision

__all__ = ["app"]

app = typer.Typer(
    rich_markup_mode=None,
    no_args_is_help=True,
    help="Configuration with history. Effective value: command line (--set) > environment > store > default.",
    epilog="Examples:  ghtrader config set data.validation.gap_min_s=3 --reason 'thin market'  |  ghtrader config rollback 2",
)
JSON = typer.Option(False, "--json", help="One JSON object on the last line.")
REASON = typer.Option("", "--reason", help="Why; kept in the history.")
ACTOR = typer.Option("", "--actor", help="Who; default: the login name.")


def _actor(given: str) -> str:
    return given or getpass.getuser()


@app.command("list")
def list_keys(context: typer.Context, as_json: bool = JSON) -> None:
    """Every key with its effective value and where it comes from."""
    items = context.obj.config().effective()
    rows = [(item.name, item.value, item.unit, item.source, item.doc) for item in items]
    emit(
        {"keys": items, "config_hash": context.obj.settings().config_hash},
        as_json=as_json,
        render=lambda console: table(console, "", ("key", "value", "unit", "source", "meaning"), rows),
    )


@app.command("get")
def get(context: typer.Context, name: str, as_json: bool = JSON) -> None:
    """The effective value of one key."""
    item = context.obj.config().explain(name)
    emit({"name": name, "value": item.value}, as_json=as_json, render=lambda console: console.print(str(item.value)))


@app.command("explain")
def explain(context: typer.Context, name: str, as_json: bool = JSON) -> None:
    """One key: meaning, type, effective value, its source and what that shadows."""
    item, key = context.obj.config().explain(name), context.obj.config().registry.key(name)
    rows: list[tuple[str, object]] = [("meaning", item.doc), ("type", key.kind), ("value", item.value), ("source", item.source)]
    rows += [(f"shadows {source}", value) for source, value in item.shadows]
    bounds = " to ".join("" if bound is None else f"{bound:g}" for bound in (key.minimum, key.maximum))
    rows += [("unit", key.unit), ("bounds", bounds), ("choices", ", ".join(key.choices)), ("environment", item.env)]
    emit(item, as_json=as_json, render=lambda console: table(console, name, ("", ""), rows))


def _show_revision(revision: ConfigRevision, as_json: bool) -> None:
    rows = [(name, old, new) for name, (old, new) in revision.changes.items()]
    title = f"revision {revision.number}"
    emit(revision, as_json=as_json, render=lambda console: table(console, title, ("key", "before", "now"), rows))


@app.command("set")
def set_values(
    context: typer.Context, assignments: list[str], reason: str = REASON, actor: str = ACTOR, as_json: bool = JSON
) -> None:
    """Store values as one revision: KEY=VALUE..., or KEY VALUE. Secrets, paths and server addresses are refused."""
    if len(assignments) == 2 and "=" not in assignments[0]:
        assignments = [f"{assignments[0]}={assignments[1]}"]
    values: dict[str, object] = {}
    for item in assignments:
        name, equals, value = item.partition("=")
        if not equals:
            raise UsageError(f"expected KEY=VALUE, but got a word without '=' after {len(values)} assignments")
        values[name.strip()] = value
    _show_revision(context.obj.config().set(values, actor=_actor(actor), reason=reason), as_json)


@app.command("unset")
def unset(context: typer.Context, names: list[str], reason: str = REASON, actor: str = ACTOR, as_json: bool = JSON) -> None:
    """Take values out of the store; what they shadowed counts again."""
    _show_revision(context.obj.config().unset(names, actor=_actor(actor), reason=reason), as_json)


@app.command("history")
def history(context: typer.Context, as_json: bool = JSON) -> None:
    """Every revision: who, when, why, what."""
    revisions = context.obj.config().history()
    rows = [(r.number, iso_utc(r.created_ns)[:19], r.actor, r.reason, ", ".join(r.changes)) for r in revisions]
    emit(
        {"revisions": revisions},
        as_json=as_json,
        render=lambda console: table(console, "", ("revision", "when (UTC)", "actor", "reason", "keys"), rows),
    )


@app.command("diff")
def diff(context: typer.Context, older: int, newer: int, as_json: bool = JSON) -> None:
    """What changed between two revisions (0: the empty beginning)."""
    changes: dict[str, Any] = context.obj.config().diff(older, newer)
    rows = [(name, old, new) for name, (old, new) in changes.items()]
    emit(
        {"older": older, "newer": newer, "changes": changes},
        as_json=as_json,
        render=lambda console: table(console, "", ("key", f"revision {older}", f"revision {newer}"), rows),
    )


@app.command("rollback")
def rollback(context: typer.Context, revision: int, reason: str = REASON, actor: str = ACTOR, as_json: bool = JSON) -> None:
    """Make the values of an earlier revision count again, as a new revision."""
    _show_revision(context.obj.config().rollback(revision, actor=_actor(actor), reason=reason), as_json)
