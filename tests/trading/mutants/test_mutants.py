"""The changes that `make mutants` makes, and the list of those that no test can notice."""

from __future__ import annotations

import importlib.util
import sys
import tomllib
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[3]
SOURCE = b'''
"""1 < 2"""
from enum import Enum
class Stage(Enum):
    ON = "on"
    OFF = "off"
LIMIT: int = 3
TABLE = {Stage.ON: 1, Stage.OFF: 0}
def f(a: int, b: int) -> bool:
    """2 < 3"""
    assert a > 0
    if a < b and b:
        raise ValueError(f"{a + 1}")
    return a == LIMIT
'''


def mutation() -> ModuleType:
    spec = importlib.util.spec_from_file_location("mutation", ROOT / "scripts/mutation.py")
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_kind_of_change_and_nothing_in_words_annotations_and_asserts() -> None:
    found = mutation().mutants_of(SOURCE, "f.py", {"Stage": ["ON", "OFF"]})
    assert sorted((item.line, item.change) for item in found) == sorted(
        [
            (7, "3 -> 4"),
            (8, "Stage.ON -> Stage.OFF"), (8, "1 -> 2"), (8, "Stage.OFF -> Stage.ON"), (8, "0 -> 1"),
            (8, "without Stage.ON"), (8, "without Stage.OFF"),
            (12, "a < b and b -> True"), (12, "a < b and b -> False"), (12, "a < b and b -> a < b or b"),
            (12, "a < b and b -> b"), (12, "a < b and b -> a < b"), (12, "a < b -> a <= b"), (12, "a < b -> a >= b"),
            (13, "without raise ValueError(f'{a + 1}')"),
            (14, "a == LIMIT -> a != LIMIT"), (14, "return a == LIMIT -> return not ..."),
        ]
    )  # fmt: skip
    for item in found:
        compile(item.source, "f.py", "exec")
        assert item.source != SOURCE
    assert len({item.source for item in found}) == len(found)


def test_every_change_that_is_called_equivalent_can_still_be_made() -> None:
    """A line that was changed since takes its entry with it."""
    rows = tomllib.loads((ROOT / "scripts/mutants_equivalent.toml").read_text())["equivalent"]
    maker = mutation()
    enums = maker.enum_members(ROOT / "src/ghtrader")
    keys = {
        item.key for file in {row["file"] for row in rows} for item in maker.mutants_of((ROOT / file).read_bytes(), file, enums)
    }
    assert [row for row in rows if (row["file"], row["line"], row["change"]) not in keys] == []
    assert all(row["reason"].strip() for row in rows)
