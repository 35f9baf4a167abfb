"""Precision and recall of validation, as the tables of docs/reference/validation.md: `scripts/validation_recall.py --write`.

Outages are cut at random places of the sample days, of generated markets of cu, au and ag, and of thinned copies of both;
every kind of defect is injected into every sample day. Seeded: the same tables on any machine. Takes a few minutes.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl

from ghtrader.data.sessions import DaySessions
from ghtrader.data.thresholds import Thresholds
from ghtrader.data.validation import validate_day
from ghtrader.sim.market.generate import generate_market
from ghtrader.testing.builders import day_sessions, tick_frame
from ghtrader.testing.defects import CLEAN, DEFECTS, judge

PAGE = Path("docs/reference/validation.md")
BEGIN, END = "<!-- made by scripts/validation_recall.py -->", "<!-- end -->"
LENGTHS = (5, 10, 20, 70, 300, 1980)
PER_DAY = 6
LIMITS = Thresholds()
CONTRACTS = {"SHFE.cu2106": "cu", "SHFE.au2106": "au", "SHFE.ag2106": "ag"}
FEEDS = (
    ("every slot as sent", 1.0),
    ("89 % of the slots", 0.89),
    ("76 % of the slots", 0.76),
    ("a tick in 10 s", 0.05),
    ("a tick in 30 s", 0.017),
)


def sample_days() -> Iterator[tuple[str, pl.DataFrame]]:
    for path in sorted(Path("samples").glob("*.parquet")):
        text = path.name.split(".")[2]
        yield f"{text[:4]}-{text[4:6]}-{text[6:]}", pl.read_parquet(path)


def days() -> Iterator[tuple[str, pl.DataFrame, DaySessions]]:
    """(market, canonical rows, sessions): real days of rb, generated ones of the others."""
    for day, source in sample_days():
        yield "rb (real)", tick_frame(trading_day=day, source=source), day_sessions("SHFE.rb2510", day)
    for contract, name in CONTRACTS.items():
        for made in generate_market("planted", 3, days=2, contract=contract, first_day="2021-03-02"):
            source, day = pl.DataFrame({"datetime": made.ts_ns, **made.columns}), made.trading_day.iso
            yield f"{name} (generated)", tick_frame(symbol=contract, trading_day=day, source=source), day_sessions(contract, day)


def outages() -> list[str]:
    """One row a market and feed: gaps found in clean days, recall by length of the outage."""
    random, counts = np.random.default_rng(6), {}
    for market, frame, sessions in days():
        for feed, share in FEEDS:
            thinned = frame.filter(pl.Series(random.random(len(frame)) < share))
            row = counts.setdefault((market, feed), {"days": 0, "false": 0, **{length: [0, 0] for length in LENGTHS}})
            row["days"] += 1
            row["false"] += len(validate_day(thinned, sessions, LIMITS, symbol="x").gaps)
            stamps, parts = thinned["datetime"].to_numpy(), thinned["part"].to_numpy()
            for length in LENGTHS:
                for _ in range(PER_DAY):
                    first = int(random.integers(1, len(thinned) - 2))
                    stop = int(np.searchsorted(stamps, stamps[first] + length * 10**9))
                    if stop >= len(thinned) or parts[stop] != parts[first - 1]:
                        continue
                    verdict = validate_day(pl.concat([thinned[:first], thinned[stop:]]), sessions, LIMITS, symbol="x")
                    found = [(gap.start_ns, gap.end_ns) for gap in verdict.gaps]
                    row[length][0] += (int(stamps[first - 1]), int(stamps[stop])) in found
                    row[length][1] += 1
                    row["false"] += len(set(found) - {(int(stamps[first - 1]), int(stamps[stop]))})
    lines = ["| market | feed | clean days | false gaps | " + " | ".join(f"{length} s" for length in LENGTHS) + " |"]
    lines.append("|---" * (4 + len(LENGTHS)) + "|")
    for (market, feed), row in sorted(counts.items(), key=lambda item: (item[0][0], -dict(FEEDS)[item[0][1]])):
        recalls = (f"{row[length][0] / row[length][1]:.2f}" if row[length][1] else "" for length in LENGTHS)
        lines.append(f"| {market} | {feed} | {row['days']} | {row['false']} | " + " | ".join(recalls) + " |")
    return lines


def corpus() -> list[str]:
    """One row a defect: found with its code, exact gaps and cause, in how many of the sample days."""
    samples = list(sample_days())
    lines = ["| injected | cause of its gaps | reason codes | found |", "|---|---|---|---|"]
    for defect in DEFECTS:
        found = 0
        for day, source in samples:
            broken = defect.make(source, day)
            verdict = judge(broken, "SHFE.rb2510")
            named = set(defect.codes) <= set(verdict.reasons) and {gap.cause for gap in verdict.gaps} <= {defect.cause}
            gaps = {(gap.start_ns, gap.end_ns) for gap in verdict.gaps}
            found += named and set(broken.gaps) <= gaps
        codes = ", ".join(f"`{code}`" for code in defect.codes)
        lines.append(
            f"| {defect.name} | {f'`{defect.cause}`' if defect.cause else 'no gap'} | {codes} | {found} of {len(samples)} |"
        )
    lines += ["", "| clean | gaps found | days that are not ok |", "|---|---|---|"]
    for control in CLEAN:
        verdicts = [judge(control.make(source, day), "SHFE.rb2510") for day, source in samples]
        gaps, bad = sum(len(verdict.gaps) for verdict in verdicts), sum(verdict.overall_state != "ok" for verdict in verdicts)
        lines.append(f"| {control.name} | {gaps} | {bad} of {len(verdicts)} |")
    return lines


def main(write: bool) -> None:
    text = "\n".join([BEGIN, *corpus(), "", *outages(), END])
    if not write:
        print(text)
        return
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(page[: page.index(BEGIN)] + text + page[page.index(END) + len(END) :], encoding="utf-8")


if __name__ == "__main__":
    main("--write" in sys.argv[1:])
