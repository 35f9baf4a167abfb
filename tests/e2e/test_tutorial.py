from __future__ import annotations

import re
import shlex
import subprocess
import sys

from tests.conftest import ROOT, Cli


def test_every_command_of_the_tutorial_runs(cli: Cli) -> None:
    commands = re.findall(r"^\$ ghtrader (.*)$", (ROOT / "docs" / "tutorial.md").read_text(), flags=re.MULTILINE)
    assert len(commands) >= 12
    for command in commands:
        arguments = [sys.executable, "-m", "ghtrader.app", *shlex.split(command)]
        done = subprocess.run(arguments, cwd=ROOT, env=cli.environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command}\n{done.stderr}"
        assert done.stdout.strip()
