"""Write the pages that are made from the code."""

from __future__ import annotations

from pathlib import Path

from ghtrader.pipelines.features import reference_page

if __name__ == "__main__":
    Path("docs/reference/factors.md").write_text(reference_page(), encoding="utf-8")
