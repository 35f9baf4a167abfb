"""The `ghtrader` command: lazy verbs, one place where errors become messages and exit codes."""

from __future__ import annotations

import difflib
import importlib
import os
import sys
import traceback
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperGroup

from ghtrader.cli.render import print_error
from ghtrader.cli.verbs import VERBS
from ghtrader.core.errors import EXIT_INTERRUPTED, EXIT_OK, GhtraderError, UsageError, exit_code_of

if TYPE_CHECKING:
    from ghtrader.pipelines.services import Services

__all__ = ["run"]

DEBUG_VARIABLE = "GHTRADER_DEBUG"
EPILOG = (
    "Examples:  ghtrader demo  |  ghtrader data import FILE --symbol SHFE.rb2510  |  ghtrader truth --seeds 3  |  "
    "ghtrader VERB --help"
)


class LazyGroup(TyperGroup):
    """A group that imports a verb's module when the verb is called, not before."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Every verb, in the order of the table."""
        del ctx
        return list(VERBS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Import the verb's module and give its command."""
        del ctx
        verb = VERBS.get(cmd_name)
        if verb is None:
            return None
        command = typer.main.get_command(getattr(importlib.import_module(verb.module), verb.attribute))
        command.name = cmd_name
        return command

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """An unknown verb names the nearest one."""
        if args and args[0] not in VERBS:
            near = difflib.get_close_matches(args[0], VERBS, n=1)
            hint = f"did you mean: ghtrader {near[0]}" if near else "ghtrader --help lists the verbs"
            raise UsageError(f"no verb {args[0]!r}", hint=hint)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Verbs under their headings, from the table alone."""
        del ctx
        sections: dict[str, list[tuple[str, str]]] = {}
        for name, verb in VERBS.items():
            sections.setdefault(verb.section, []).append((name, verb.help))
        for section, rows in sections.items():
            with formatter.section(section):
                formatter.write_dl(rows)


app = typer.Typer(
    cls=LazyGroup,
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=True,
    help="Tick-level research and trading for Shanghai futures.",
    epilog=EPILOG,
)


def _version(context: typer.Context, asked: bool) -> None:
    if asked:
        typer.echo(f"ghtrader {context.obj.tool_version}" if context.obj else "ghtrader")
        raise typer.Exit


@app.callback()
def _root(
    context: typer.Context,
    version: bool = typer.Option(False, "--version", help="Print the version.", callback=_version, is_eager=True),
    settings: list[str] = typer.Option([], "--set", metavar="KEY=VALUE", help="Override a configuration key for this run."),
) -> None:
    del version
    values: dict[str, str] = {}
    for item in settings:
        name, equals, value = item.partition("=")
        if not equals:
            raise UsageError(f"--set {item}: expected KEY=VALUE", hint="ghtrader config list")
        values[name.strip()] = value.strip()
    if values:
        context.obj.override(values)


def _interrupted(as_json: bool) -> int:
    print_error(GhtraderError("interrupted; nothing was half-written", hint="run the same command again"), as_json=as_json)
    return EXIT_INTERRUPTED


def _unexpected(error: Exception, as_json: bool) -> int:
    """What nobody foresaw, as a message and an exit code."""
    if isinstance(error, SystemError) and isinstance(error.__cause__ or error.__context__, KeyboardInterrupt):
        return _interrupted(as_json)  # Ctrl-C while compiled code ran: numba hands it on as the cause
    if getattr(error, "exit_code", None) == 2 and hasattr(error, "show"):
        if as_json:
            said = getattr(error, "format_message", lambda: str(error))()  # names the option, str() does not
            print_error(UsageError(said, hint="the same command with --help"), as_json=True)
        else:
            error.show()
        return 2
    if os.environ.get(DEBUG_VARIABLE):
        traceback.print_exc()
    hint = f"set {DEBUG_VARIABLE}=1 to see where, and report it"
    print_error(GhtraderError(f"internal error: {type(error).__name__}: {error}", hint=hint), as_json=as_json)
    return exit_code_of(error)


def run(services: Services, arguments: list[str]) -> int:
    """Run one command; returns the process exit code. Errors go to stderr, with ``--json`` also to stdout as JSON."""
    as_json = "--json" in arguments
    command = typer.main.get_command(app)
    try:
        result = command.main(args=arguments, prog_name="ghtrader", standalone_mode=False, obj=services)
        if result == EXIT_INTERRUPTED:  # what Typer makes of Ctrl-C
            return _interrupted(as_json)
        return result if isinstance(result, int) else EXIT_OK
    except typer.Exit as error:
        return _interrupted(as_json) if error.exit_code == EXIT_INTERRUPTED else error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        return _interrupted(as_json)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_OK
    except GhtraderError as error:
        print_error(error, as_json=as_json)
        return exit_code_of(error)
    except Exception as error:  # noqa: BLE001 - the last line of defence: message, hint and exit code 1
        return _unexpected(error, as_json)
