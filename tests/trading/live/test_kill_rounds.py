"""kill -9 of the real process under load, judged by the exchange."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
from tests.conftest import SAMPLES, environment_of

from ghtrader.testing.kill_rounds import differences
from ghtrader.trading.journal.records import Record, RecordKind

ROUNDS = 20


def test_no_order_is_lost_or_doubled_and_a_kill_persists(tmp_path: Path) -> None:
    ticks = tmp_path / "ticks"
    ticks.mkdir()
    for path in sorted(SAMPLES.glob("*.parquet"))[:2]:
        pl.read_parquet(path).head(4000).write_parquet(ticks / path.name)
    environment = {name: value for name, value in environment_of(tmp_path).items() if not name.startswith(("COV_", "COVERAGE_"))}
    command = [sys.executable, "-m", "ghtrader.testing.kill_rounds", str(tmp_path / "rounds"), "--ticks", str(ticks)]
    done = subprocess.run([*command, "--rounds", str(ROUNDS)], env=environment, capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr[-3000:]
    report = json.loads(done.stdout.splitlines()[-1])
    assert report["wrong"] == [], done.stderr[-3000:]
    assert (report["rounds"], report["kills_by_command"]) == (ROUNDS, ROUNDS // 5)
    assert report["orders"] > ROUNDS
    assert report["fills"] > 0
    assert done.returncode == os.EX_OK


def record(kind: RecordKind, **body: Any) -> Record:
    return Record(seq=1, cause=0, ts_ns=0, kind=kind, body=body)


def test_the_judge_sees_orders_that_are_doubled_unknown_or_filled_otherwise() -> None:
    intents = [record(RecordKind.ORDER_INTENT, client_order_id="a"), record(RecordKind.ORDER_INTENT, client_order_id="b")]
    fill = record(RecordKind.FILL, fill={"client_order_id": "a", "lots": 2})
    log = [
        {"what": "insert", "order_id": "a"},
        {"what": "insert", "order_id": "b"},
        {"what": "fill", "order_id": "a", "volume": 2},
    ]
    assert differences(log, [*intents, fill]) == []
    late = {"actions": [{"fill": {"client_order_id": "a", "lots": 2}}, {"fill": None}]}
    assert differences(log, [*intents, record(RecordKind.RECONCILE, outcome=late)]) == []
    assert differences([*log, log[1]], [*intents, fill]) == ["b reached the exchange 2 times"]
    assert differences(log, [intents[0], fill]) == ["b is not in the journal"]
    assert differences(log, intents) == ["a: 2 lots at the exchange, 0 in the journal"]
