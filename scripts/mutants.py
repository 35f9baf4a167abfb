"""Do the tests of the trading cores notice when a core is wrong? `make mutants`, or `scripts/mutants.py [--core NAME] [--seed N] [--json]`.

A seeded sample of small changes (`mutation.py`), spread evenly over the cores and over the kinds of change; each is put to the narrow
tests and doctests of its core, two at a time. Sources and tests are copied to a temporary folder first, and a mutant is no file at all:
the process that tests it imports the changed text, so nothing that kills this command leaves a change behind. Hypothesis draws the same
examples in every run. Fails when fewer than `FLOOR` of the mutants are caught. A mutant that no test can tell from the original counts
as not caught; `mutants_equivalent.toml` says why it is none.

Own code, for want of a library that fits: mutmut changes and tests everything, not a seeded sample, and cosmic-ray writes into the tree.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.machinery
import importlib.util
import json
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import tomllib
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import hypothesis
import msgspec  # noqa: F401 - loaded once here instead of once in every process
import pytest
from mutation import Mutant, enum_members, mutants_of

ROOT = Path(__file__).resolve().parent.parent
TRADING = "src/ghtrader/trading"
EQUIVALENT = ROOT / "scripts/mutants_equivalent.toml"
#: Share of the mutants that must be caught.
FLOOR = 0.9
#: A mutant that takes so much longer than the unchanged sources hangs, and is caught.
PATIENCE, LEAST_S = 5.0, 20.0
MEMORY_BYTES = 8 << 30


@dataclass(frozen=True, kw_only=True)
class Core:
    """What is changed, and the tests that guard it, quickest first (below tests/trading)."""

    sources: str
    tests: tuple[str, ...]


CORES = {
    "risk": Core(
        sources="risk",
        tests=(
            "risk/test_gate.py",
            "risk/test_rules.py",
            "risk/test_clear.py",
            "risk/test_limits.py",
            "risk/test_losses.py",
            "risk/test_counts.py",
            "risk/test_laws.py",
        ),
    ),
    "kill": Core(sources="kill", tests=("kill/test_kill_machine.py", "kill/test_kill_record.py", "kill/test_kill_laws.py")),
    "journal": Core(sources="journal", tests=("journal/test_frames.py", "journal/test_why.py", "journal/test_journal.py")),
    "dedupe": Core(sources="commands/dedupe.py", tests=("commands/test_dedupe.py",)),
    "reconcile": Core(sources="reconcile", tests=("reconcile/test_cases.py", "reconcile/test_page.py", "reconcile/test_laws.py")),
    "link": Core(sources="link", tests=("link/test_sequence.py", "link/test_warm_path.py", "link/test_link_machine.py")),
}


@dataclass(kw_only=True)
class Result:
    """How a mutant fared. outcome: ``caught``, ``hung`` (caught too) or ``survived``; reason: why none can catch it, if it is known."""

    core: str
    mutant: Mutant
    outcome: str
    seconds: float
    reason: str = ""

    @property
    def caught(self) -> bool:
        """Whether a test noticed."""
        return self.outcome != "survived"

    def document(self) -> dict[str, object]:
        """JSON-ready."""
        mutant = self.mutant
        place = {"file": mutant.file, "line": mutant.line, "text": mutant.text, "kind": mutant.kind, "change": mutant.change}
        return {"core": self.core, **place, "outcome": self.outcome, "seconds": round(self.seconds, 2), "reason": self.reason}


# --- which mutants ---------------------------------------------------------------------------------------------------------
def sample(core: str, seed: int, enums: dict[str, list[str]]) -> Iterator[Mutant]:
    """All mutants of a core in seeded order, the kinds of change taking turns."""
    place = ROOT / TRADING / CORES[core].sources
    files = [place] if place.is_file() else sorted(path for path in place.glob("*.py") if path.name != "__init__.py")
    by_kind: dict[str, list[Mutant]] = {}
    for path in files:
        for mutant in mutants_of(path.read_bytes(), path.relative_to(ROOT).as_posix(), enums):
            by_kind.setdefault(mutant.kind, []).append(mutant)
    chance = random.Random(f"{seed} {core}")
    for mutants in by_kind.values():
        chance.shuffle(mutants)
    turns = zip_longest(*(by_kind[kind] for kind in sorted(by_kind)))
    return (mutant for turn in turns for mutant in turn if mutant is not None and _compiles(mutant))


def _compiles(mutant: Mutant) -> bool:
    try:
        compile(mutant.source, mutant.file, "exec", dont_inherit=True)
    except SyntaxError:
        return False
    return True


def chosen(cores: Sequence[str], count: int, seed: int) -> list[tuple[str, Mutant]]:
    """The sample: the cores take turns until there are enough, or no more."""
    enums = enum_members(ROOT / "src/ghtrader")
    turns = zip_longest(*([(core, mutant) for mutant in sample(core, seed, enums)] for core in cores))
    return [pair for turn in turns for pair in turn if pair is not None][:count]


# --- one mutant --------------------------------------------------------------------------------------------------------------
class _Changed(importlib.machinery.SourceFileLoader):
    """Loads a module from a text instead of its file."""

    def __init__(self, name: str, path: str, source: bytes) -> None:
        super().__init__(name, path)
        self._source = source

    def get_code(self, fullname: str) -> CodeType:
        return self.source_to_code(self._source, self.get_filename(fullname))


class _Finder:
    """Finds one module before anybody else does."""

    def __init__(self, name: str, path: Path, source: bytes) -> None:
        self._name, self._path, self._source = name, path, source

    def find_spec(
        self, name: str, path: object = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        del path, target
        if name != self._name:
            return None
        return importlib.util.spec_from_file_location(name, self._path, loader=_Changed(name, str(self._path), self._source))


def _run_tests(folder: Path, core: str, mutant: Mutant | None, log: Path) -> int:
    """In a process of its own: the tests of a core with a mutant in place, or without any; pytest's exit status."""
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(output, 1), os.dup2(output, 2)
    os.chdir(folder)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    sys.path[:0] = [str(folder / "src"), str(folder)]
    sys.dont_write_bytecode = mutant is not None
    if mutant is not None:
        name = mutant.file.removeprefix("src/").removesuffix(".py").replace("/", ".")
        sys.meta_path.insert(0, _Finder(name, folder / mutant.file, mutant.source))
    phases = [hypothesis.Phase.explicit, hypothesis.Phase.generate]  # the first failure is enough: it is not made smaller
    hypothesis.settings.register_profile("mutants", derandomize=True, database=None, deadline=None, phases=phases)
    hypothesis.settings.load_profile("mutants")
    tests = [f"tests/trading/{name}" for name in CORES[core].tests]
    # a folder, never the file: pytest itself would load a file that is named, and not the mutant
    doctests = [f"{TRADING}/{CORES[core].sources.split('/')[0]}"]
    options = [
        "-x",
        "-q",
        "-p",
        "no:cacheprovider",
        "--confcutdir=tests/trading",
        "-W",
        "ignore::pytest.PytestAssertRewriteWarning",
    ]
    return int(pytest.main([*options, *tests, *doctests]))


@dataclass
class _Child:
    core: str
    mutant: Mutant | None
    log: Path
    began: float = field(default_factory=time.monotonic)
    pid: int = 0

    def start(self, folder: Path) -> None:
        sys.stdout.flush(), sys.stderr.flush()
        self.pid = os.fork()
        if self.pid == 0:
            status = 70
            try:
                os.setsid()
                status = _run_tests(folder, self.core, self.mutant, self.log)
            except BaseException:  # noqa: BLE001 - said in the log; the status tells the parent
                traceback.print_exc()
            finally:
                os._exit(status)

    def end(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)


class Bench:
    """Runs tests in a copy of the project, so many processes at once."""

    def __init__(self, folder: Path, jobs: int) -> None:
        self._folder, self._jobs = folder, jobs
        self._limits: dict[str, float] = {}
        for part in ("src", "tests", "docs"):
            shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__", "*.nbi", "*.nbc"))
        shutil.copy(ROOT / "pyproject.toml", folder)

    def baseline(self, cores: Sequence[str]) -> None:
        """The unchanged sources must pass; how long they take sets when a mutant hangs."""
        for child, status, seconds in self._run([(core, None) for core in cores], dict.fromkeys(cores, 600.0)):
            if status != 0:
                raise SystemExit(f"the tests of {child.core} fail without any mutant:\n{child.log.read_text()[-4000:]}")
            self._limits[child.core] = LEAST_S + PATIENCE * seconds

    def test(self, mutants: Sequence[tuple[str, Mutant]]) -> Iterator[Result]:
        """Every mutant's fate, as they come."""
        for child, status, seconds in self._run(mutants, self._limits):
            assert child.mutant is not None
            outcome = "survived" if status == 0 else "hung" if status is None else "caught"
            yield Result(core=child.core, mutant=child.mutant, outcome=outcome, seconds=seconds)

    def _run(
        self, work: Sequence[tuple[str, Mutant | None]], limits: dict[str, float]
    ) -> Iterator[tuple[_Child, int | None, float]]:
        """(what ran, its exit status or None when it hung, seconds) as they end."""
        waiting, running = list(reversed(work)), dict[int, _Child]()
        try:
            while waiting or running:
                while waiting and len(running) < self._jobs:
                    child = _Child(*waiting.pop(), self._folder / f"log.{len(waiting)}")
                    child.start(self._folder)
                    running[child.pid] = child
                pid, status = os.waitpid(-1, os.WNOHANG)
                now = time.monotonic()
                if pid in running:
                    child = running.pop(pid)
                    child.end()  # what its tests left running
                    hung = os.WIFSIGNALED(status)
                    yield child, None if hung else os.waitstatus_to_exitcode(status), now - child.began
                    continue
                for child in running.values():
                    if now - child.began > limits[child.core]:
                        child.end()
                time.sleep(0.02)
        finally:
            for child in running.values():
                child.end()


# --- the report ---------------------------------------------------------------------------------------------------------------
def reasons() -> dict[tuple[str, str, str], str]:
    """Why a mutant is equivalent, by `Mutant.key`."""
    rows = tomllib.loads(EQUIVALENT.read_text())["equivalent"]
    return {(row["file"], row["line"], row["change"]): row["reason"] for row in rows}


def report(results: Sequence[Result], seed: int) -> dict[str, Any]:
    """The table and the survivors, JSON-ready."""
    rows = []
    for core in [*CORES, "all"]:
        of_core = [result for result in results if core in {result.core, "all"}]
        caught = sum(result.caught for result in of_core)
        if of_core:
            seconds = sum(result.seconds for result in of_core) / len(of_core)
            rows.append(
                {
                    "core": core,
                    "mutants": len(of_core),
                    "caught": caught,
                    "share": caught / len(of_core),
                    "mean_s": round(seconds, 2),
                }
            )
    survivors = [
        result.document() for result in sorted(results, key=lambda r: (r.mutant.file, r.mutant.line)) if not result.caught
    ]
    return {"seed": seed, "floor": FLOOR, "cores": rows, "survivors": survivors}


def _print(document: dict[str, Any], results: Sequence[Result]) -> None:
    print(f"\n{'core':12}{'mutants':>8}{'caught':>8}{'share':>9}{'s each':>8}")
    for row in document["cores"]:
        print(f"{row['core']:12}{row['mutants']:>8}{row['caught']:>8}{row['share']:>8.1%}{row['mean_s']:>8.2f}")
    print(f"\n{len(document['survivors'])} survivors, {sum(result.outcome == 'hung' for result in results)} hung (caught)")
    for row in document["survivors"]:
        print(
            f"{row['file']}:{row['line']}  {row['kind']}\n    {row['text']}\n    {row['change']}\n    {row['reason'] or 'NO REASON'}"
        )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=8, help="another seed, another sample (8)")
    parser.add_argument("--mutants", type=int, default=200, help="how many (200)")
    parser.add_argument("--core", choices=sorted(CORES), action="append", help="only this core; may be given again")
    parser.add_argument("--jobs", type=int, default=2, help="processes at once (2)")
    parser.add_argument("--json", action="store_true", help="one line of JSON instead of the table")
    options = parser.parse_args()
    cores, known = options.core or list(CORES), reasons()
    results: list[Result] = []
    with tempfile.TemporaryDirectory(prefix="ghtrader-mutants-") as folder:
        bench = Bench(Path(folder), options.jobs)
        bench.baseline(cores)
        mutants, began = chosen(cores, options.mutants, options.seed), time.monotonic()
        for result in bench.test(mutants):
            result.reason = known.get(result.mutant.key, "")
            results.append(result)
            left = (time.monotonic() - began) / len(results) * (len(mutants) - len(results))
            survived = sum(not result.caught for result in results)
            print(
                f"\r{len(results)}/{len(mutants)} mutants, {survived} survived, {left:.0f} s left ",
                end="",
                file=sys.stderr,
                flush=True,
            )
    document = report(results, options.seed)
    if options.json:
        print(json.dumps(document, ensure_ascii=False))
    else:
        _print(document, results)
    caught = sum(result.caught for result in results)
    return int(caught < FLOOR * len(results))


if __name__ == "__main__":
    sys.exit(main())
