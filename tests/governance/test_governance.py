from __future__ import annotations

import ast
import importlib
import pkgutil
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

import ghtrader

ROOT = Path(__file__).parent.parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
WORKFLOWS = sorted((ROOT / ".github" / "workflows").iterdir())
MODULES = sorted((ROOT / "src" / "ghtrader").rglob("*.py"))


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))


def test_there_is_one_workflow_for_push_and_pull_request_and_every_job_calls_make() -> None:
    assert [path.name for path in WORKFLOWS] == ["ci.yml"]
    workflow = yaml.safe_load(WORKFLOWS[0].read_text())
    assert set(workflow[True]) == {"push", "pull_request"}  # YAML reads the key `on` as a boolean
    runs = {name: [step["run"] for step in job["steps"] if "run" in step] for name, job in workflow["jobs"].items()}
    targets = make_targets()
    for commands in runs.values():
        assert commands
        assert all(command.split()[0] == "make" and command.split()[1] in targets for command in commands)
    flat = [command for commands in runs.values() for command in commands]
    assert len(flat) == len(set(flat))


def test_the_gate_runs_what_developers_run() -> None:
    assert "make check" in (ROOT / ".ci" / "run").read_text()
    makefile = (ROOT / "Makefile").read_text()
    checks = re.search(r"^check:.*\n((?:\t.*\n)+)", makefile, flags=re.MULTILINE)
    assert checks is not None
    assert {"lint", "types", "contracts", "coverage", "data-contract", "simulate"} <= set(checks[1].split())
    assert "$(MAKE) test" in makefile
    readme = (ROOT / "README.md").read_text()
    assert "make demo" in readme
    assert "make test" in readme


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_modules_stay_below_600_lines_and_functions_on_a_screen(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") <= 600
    long = {"step": 90, "run_book": 130, "run_day": 125, "_arrive": 75, "run_study": 75, "judge": 60}
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or 0) - node.lineno + 1
            assert length <= long.get(node.name, 70), f"{path.name}: {node.name} has {length} lines"


def test_locks_hold_hashes_and_no_host() -> None:
    for path in (ROOT / "requirements").glob("*.txt"):
        text = path.read_text()
        # names and hashes (aiohttp among them), and no address
        assert not re.search(r"://|index-url|find-links|trusted-host", text)
        assert text.count("--hash=sha256:") >= len(re.findall(r"^[a-z0-9-]+==", text, flags=re.MULTILINE)) > 10


def test_no_machine_path_or_registry_host_is_in_the_repository() -> None:
    files = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    pattern = re.compile(r"(?<![\w.])/(work|root|home/[a-z]+)/[\w.]|pypi\.org|pythonhosted|npmjs|maven\.org")
    for name in files:
        path = ROOT / name
        if path.suffix in {".parquet", ".png"} or not path.is_file() or path == Path(__file__):
            continue
        found = pattern.search(path.read_text(errors="replace"))
        if found and name.startswith("tests/"):
            continue
        assert not found, f"{name}: {found[0] if found else ''}"


def test_every_coverage_exclusion_is_documented_with_reason_and_owner() -> None:
    table = (ROOT / "docs" / "coverage-exclusions.md").read_text()
    settings = PYPROJECT["tool"]["coverage"]
    for exclusion in [*settings["run"]["omit"], *settings["report"]["exclude_also"]]:
        row = next((line for line in table.splitlines() if f"`{exclusion}`" in line), None)
        assert row is not None, f"{exclusion} is excluded from coverage without a documented reason"
        assert len([cell for cell in row.split("|") if cell.strip()]) >= 3
    for room in PYPROJECT["tool"]["ghtrader"]["coverage-floors"]:
        assert f"`{room}`" in table


def test_public_names_are_sorted_and_exist() -> None:
    for info in pkgutil.walk_packages(ghtrader.__path__, "ghtrader."):
        if info.name.endswith("__main__"):
            continue
        module = importlib.import_module(info.name)
        names = getattr(module, "__all__", [])
        assert len(names) == len(set(names)), info.name
        for name in names:
            assert hasattr(module, name), f"{info.name}.{name}"


def test_traceability_rows_name_modules_tests_and_commands_that_exist() -> None:
    lines = (ROOT / "docs" / "traceability.md").read_text().splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if re.match(r"\| [A-Z0-9]", line)]
    assert len(rows) >= 8
    verbs = (ROOT / "src" / "ghtrader" / "cli" / "verbs.py").read_text()
    targets = make_targets()
    for row in rows:
        for name in re.findall(r"`(src/[^`]+|tests/[^`]+|docs/[^`]+|scripts/[^`]+)`", " ".join(row)):
            assert (ROOT / name.split("::")[0]).exists(), name
        for command in re.findall(r"`ghtrader ([a-z0-9-]+)", row[3]):
            assert f'"{command}": Verb' in verbs, command
        for target in re.findall(r"`make ([a-z-]+)`", row[3]):
            assert target in targets, target


def test_the_import_contracts_cover_every_room() -> None:
    rooms = {path.name for path in (ROOT / "src" / "ghtrader").iterdir() if (path / "__init__.py").exists()}
    text = str(PYPROJECT["tool"]["importlinter"]["contracts"])
    for room in rooms - {"testing", "app"}:
        assert f"ghtrader.{room}" in text


def test_the_wheel_carries_its_tables_and_templates() -> None:
    from importlib import resources

    assert resources.files("ghtrader.data").joinpath("tables/trading_days.json").is_file()
    assert resources.files("ghtrader.pipelines.report").joinpath("template.html.j2").is_file()
    assert sys.version_info >= (3, 11)
