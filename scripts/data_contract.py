"""The shipped sample days must import without loss, verify, and keep their published digests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
DIGESTS = ROOT / "samples" / "digests.json"


def run(folder: str, *arguments: str) -> dict[str, object]:
    environment = {
        **os.environ,
        "GHTRADER_DATA_DIR": f"{folder}/data",
        "GHTRADER_RUNS_DIR": f"{folder}/runs",
        "GHTRADER_ARTIFACTS_DIR": f"{folder}/artifacts",
    }
    command = [sys.executable, "-m", "ghtrader.app", *arguments, "--json"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(arguments)} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    files = sorted(str(path) for path in (ROOT / "samples").glob("*.parquet"))
    with tempfile.TemporaryDirectory() as folder:
        imported = run(folder, "data", "import", *files)
        if imported["dropped"] or imported["rows_in"] != imported["rows_written"]:
            sys.exit(f"the sample days lose rows: {imported['dropped']}, {imported['deduped']} deduped")
        run(folder, "data", "verify")
        digest = run(folder, "data", "digest")
    found = {day["trading_day"]: day["digest"] for day in digest["days"]}
    if "--write" in sys.argv:
        DIGESTS.write_text(json.dumps(found, indent=1) + "\n")
    expected = json.loads(DIGESTS.read_text())
    if found != expected:
        sys.exit(f"digests of the sample days changed:\n  found    {found}\n  expected {expected}")
    print(f"data contract: {imported['rows_in']} rows, {len(found)} days, digests as published")


if __name__ == "__main__":
    main()
