"""What a command shows: one JSON object on the last line, or tables for people. Rich is loaded only to draw."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ghtrader.core.errors import GhtraderError

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["emit", "finite", "one_line", "print_error", "table"]


def finite(value: Any) -> Any:
    """A value without what JSON does not have: NaN and infinities become null."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return value


def one_line(value: Any, width: int) -> str:
    """A value as JSON on one line of at most ``width`` characters.

    >>> one_line({"a": [1, 2.5]}, 80), one_line("x" * 9, 5)
    ('{"a":[1,2.5]}', '"xxx…')
    """
    import msgspec

    text = value if isinstance(value, str) and len(value) < width else msgspec.json.encode(finite(value)).decode()
    return text if len(text) <= width else text[: width - 1] + "…"


def emit(report: Any, *, as_json: bool, render: Callable[[Console], None]) -> None:
    """Show a report: with ``as_json`` as one JSON object on one line, else drawn by ``render``."""
    if as_json:
        import msgspec

        sys.stdout.write(msgspec.json.encode(finite(msgspec.to_builtins(report))).decode() + "\n")
        sys.stdout.flush()
        return
    from rich.console import Console

    render(Console())


def table(console: Console, title: str, columns: Sequence[str], rows: Sequence[Sequence[object]], *, numbers: int = 0) -> None:
    """A table; the last ``numbers`` columns are right-aligned."""
    from rich.table import Table

    drawn = Table(title=title, title_justify="left", header_style="bold", box=None, pad_edge=False)
    for index, name in enumerate(columns):
        drawn.add_column(name, justify="right" if index >= len(columns) - numbers else "left", overflow="fold")
    for row in rows:
        drawn.add_row(*(f"{cell:,}" if isinstance(cell, int) and not isinstance(cell, bool) else str(cell) for cell in row))
    console.print(drawn)


def print_error(error: GhtraderError, *, as_json: bool) -> None:
    """What happened and what to do next, on stderr; with ``as_json`` also one JSON object on stdout."""
    sys.stderr.write(f"error: {error.message}\n")
    if error.hint:
        sys.stderr.write(f"  next: {error.hint}\n")
    if as_json:
        import msgspec

        sys.stdout.write(msgspec.json.encode(finite(msgspec.to_builtins(error.as_dict(), enc_hook=str))).decode() + "\n")
