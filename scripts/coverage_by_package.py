"""Coverage by room from coverage.json; fails when a room falls below its floor."""

from __future__ import annotations

import json
import sys
import tomllib
from collections import defaultdict
from pathlib import Path


def main(report: Path) -> int:
    floors = tomllib.loads(Path("pyproject.toml").read_text())["tool"]["ghtrader"]["coverage-floors"]
    lines: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for name, entry in json.loads(report.read_text())["files"].items():
        room = name.split("src/ghtrader/", 1)[-1].split("/")[0]
        lines[room][0] += entry["summary"]["covered_lines"]
        lines[room][1] += entry["summary"]["num_statements"]
    failed = 0
    for room, (covered, total) in sorted(lines.items()):
        share = 100.0 * covered / max(total, 1)
        floor = floors.get(room, floors["default"])
        verdict = "ok" if share >= floor else f"BELOW {floor}"
        failed += share < floor
        print(f"{room:18} {share:6.1f} %  {covered:5}/{total:<5} {verdict}")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
