"""The `ghtrader` command: build the services, run the command line, turn errors into exit codes."""

from __future__ import annotations

import os
import sys

from ghtrader.app.paths import resolve_paths
from ghtrader.app.services import AppServices, prepare_process
from ghtrader.cli.main import run

__all__ = ["main"]


def main() -> None:
    """Entry point of the console script; never returns normally."""
    paths = resolve_paths(os.environ)
    prepare_process(paths, os.environ)
    sys.exit(run(AppServices(paths, os.environ), sys.argv[1:]))
