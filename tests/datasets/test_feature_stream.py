"""`ghtrader features stream`: one line in, one line out, at once; and the numbers of `compute`, bit for bit."""

from __future__ import annotations

import io
import json
import select
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from tests.conftest import SAMPLES, Cli
from tests.datasets.rough_files import frame_of, plan, rough_rows, same_bits

from ghtrader.core.errors import SchemaError
from ghtrader.data.live_kernel import COLUMNS
from ghtrader.pipelines.feature_files import feature_frames
from ghtrader.pipelines.feature_lines import TickLines, stamp_of
from ghtrader.pipelines.feature_stream import stream_features, stream_frames

DAY = SAMPLES / "SHFE.rb2510.20250605.parquet"
Rows = tuple[np.ndarray, np.ndarray]
DEADLINE_S = 120


@settings(max_examples=60, deadline=None)
@given(rows=rough_rows())
def test_the_stream_gives_what_compute_gives(rows: Rows) -> None:
    frame = frame_of(*rows)
    assert same_bits(pl.concat(stream_frames(plan(), iter([frame]))), pl.concat(feature_frames(plan(), iter([frame]))))


def test_the_stream_gives_what_compute_gives_on_real_days() -> None:
    frames = [pl.read_parquet(path)[3000:5000] for path in sorted(SAMPLES.glob("*.parquet"))[:2]]
    wanted = plan("full", "SHFE.rb2510")
    assert same_bits(pl.concat(stream_frames(wanted, iter(frames))), pl.concat(feature_frames(wanted, iter(frames))))


def answers(text: str, *, set_name: str = "minimal16", as_csv: bool = False) -> list[str]:
    sink = io.BytesIO()
    stream_features(plan(set_name, "SHFE.rb2510"), io.BytesIO(text.encode()), sink, as_csv=as_csv)
    return sink.getvalue().decode().splitlines()


def test_json_and_csv_say_the_same() -> None:
    frame = pl.read_parquet(DAY)[1000:1060]
    wanted = plan("minimal16", "SHFE.rb2510")
    as_json = answers(frame.write_ndjson())
    header, *as_csv = answers(frame.write_csv(null_value="-"), as_csv=True)
    names = header.split(",")[1:-2]
    computed = pl.concat(feature_frames(wanted, iter([frame])))
    for row, (left, right) in enumerate(zip(as_json, as_csv, strict=True)):
        numbers = [None if cell == "" else float(cell) for cell in right.split(",")[1:-2]]
        assert [json.loads(left)[name] for name in names] == numbers == list(computed.row(row)[1:-1])


def test_bad_lines_are_answered_and_change_nothing() -> None:
    lines = pl.read_parquet(DAY)[1000:1010].write_ndjson().splitlines()
    bad = [
        "", "{", "[1]", '{"last_price": 3000.0}', lines[3].replace("datetime", "time"), lines[3][:-20], '{"datetime": 5}',
        json.dumps({**json.loads(lines[3]), "last_price": "abc"}), json.dumps({**json.loads(lines[3]), "bid_price1": True}),
        json.dumps({**json.loads(lines[3]), "symbol": "SHFE.rb2601"}), json.dumps({**json.loads(lines[3]), "datetime": "2070-01-05 09:00"}),
        "x" * (1 << 20) + "yz",
    ]  # fmt: skip
    mixed = [json.dumps({**json.loads(lines[0]), "symbol": "SHFE.rb2510"}), *lines[1:3], *bad, *lines[3:]]
    clean, found = answers("\n".join(lines)), answers("\n".join(mixed))
    assert len(found) == len(mixed)
    assert found[:3] + found[3 + len(bad) :] == clean
    for number, line in enumerate(found[3 : 3 + len(bad)], start=4):
        assert json.loads(line)["error"]["line"] == number
        assert json.loads(line)["error"]["message"]


def test_absence_is_read_in_every_form() -> None:
    lines, forms = TickLines(), ("null", "NaN", '"-"', '""', '"nan"', '"#N/A"', "Infinity", '"inf"')
    for form in forms:
        lines.read(f'{{"datetime": 1749085200000000000, "ask_price1": {form}, "volume": 3}}'.encode())
        assert not np.isfinite(lines.values[COLUMNS.index("ask_price1")])
        assert np.isnan(lines.values[COLUMNS.index("last_price")])
        assert lines.values[COLUMNS.index("volume")] == 3.0


def test_a_header_may_carry_the_contract_and_a_later_first_line_decides() -> None:
    lines = TickLines()
    with pytest.raises(SchemaError, match="neither"):
        lines.read(b"hello\n")
    assert lines.read("datetime,SHFE.rb2510.last_price,SHFE.rb2510.volume\n".encode("utf-8-sig")) is None
    assert lines.read(b"2025-06-05 09:00:00.500000001,2974,\r\n") == 1_749_085_200_500_000_001
    assert lines.values[0] == 2974.0
    with pytest.raises(SchemaError, match="2 fields"):
        lines.read(b"2025-06-05 09:00:00.5,2974")


@pytest.mark.parametrize(
    "text", ["2025-06-05T09:00:00+08:00", "2025-06-05 01:00:00Z", "1749085200000000000", 1749085200000000000, 1.7490852e18]
)
def test_stamps_in_every_form(text: object) -> None:
    assert stamp_of(text) == 1_749_085_200_000_000_000


@pytest.mark.parametrize("text", ["2025-13-05 09:00:00", "noon", None, True, [1], float("nan"), 1_749_085_200])
def test_stamps_that_are_none(text: object) -> None:
    with pytest.raises(SchemaError):
        stamp_of(text)


class Live:
    """The command as a strategy would run it."""

    def __init__(self, cli: Cli) -> None:
        command = [sys.executable, "-m", "ghtrader.app", "features", "stream", "--set", "minimal16", "--symbol", "SHFE.rb2510"]
        self.process = subprocess.Popen(
            command,
            env={**cli.environment, "PYTHONUNBUFFERED": ""},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.stdin, self.stdout = self.process.stdin, self.process.stdout

    def ask(self, line: str) -> dict[str, object]:
        self.stdin.write(line.encode() + b"\n")
        self.stdin.flush()
        assert select.select([self.stdout], [], [], DEADLINE_S)[0], "no answer before the next line"
        answer: dict[str, object] = json.loads(self.stdout.readline())
        return answer

    def end(self) -> tuple[int, str]:
        _, errors = self.process.communicate(timeout=DEADLINE_S)
        return self.process.returncode, errors.decode()


def test_every_row_is_answered_before_the_next_is_written(cli: Cli) -> None:
    frame = pl.concat([pl.read_parquet(DAY)[1000:1030], pl.read_parquet(DAY)[1005:1006], pl.read_parquet(DAY)[1030:1040]])
    expected = pl.concat(feature_frames(plan("minimal16", "SHFE.rb2510"), iter([frame]))).rows()
    live = Live(cli)
    for line, row in zip(frame.write_ndjson().splitlines(), expected, strict=True):
        assert tuple(live.ask(line).values()) == row
    assert "error" in live.ask("not a tick")
    code, errors = live.end()
    assert code == 4
    assert "1 of 42 lines could not be read; line 42" in errors


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_signal_ends_the_stream_between_two_lines(cli: Cli, number: signal.Signals, code: int) -> None:
    live = Live(cli)
    live.ask(pl.read_parquet(DAY)[1000:1001].write_ndjson().strip())
    live.process.send_signal(number)
    assert live.process.wait(DEADLINE_S) == code
    assert live.stdout.read() == b""
    live.end()


def test_a_reader_that_goes_away_ends_the_stream(cli: Cli) -> None:
    live, line = Live(cli), pl.read_parquet(DAY)[1000:1001].write_ndjson()
    live.ask(line.strip())
    live.stdout.close()
    live.stdin.write(line.encode())
    live.stdin.flush()
    assert live.process.wait(DEADLINE_S) == 0
    assert live.process.stderr is not None
    assert b"Traceback" not in live.process.stderr.read()


def test_the_line_path_over_a_file_writes_the_file_of_compute(cli: Cli, tmp_path: Path) -> None:
    rough = pl.concat([pl.read_parquet(DAY)[1000:1300], pl.read_parquet(DAY)[1200:1202], pl.read_parquet(DAY)[1300:1400]])
    rough.write_parquet(tmp_path / "t.parquet")
    options = ("--symbol", "SHFE.rb2510", "--set", "minimal16", "--out")
    one = cli.json("features", "compute", str(tmp_path / "t.parquet"), *options, str(tmp_path / "a.parquet"))
    other = cli.json("features", "stream", "--ticks", str(tmp_path / "t.parquet"), *options, str(tmp_path / "b.parquet"))
    assert {**one, "out": "", "seconds": 0} == {**other, "out": "", "seconds": 0}
    assert same_bits(pl.read_parquet(tmp_path / "a.parquet"), pl.read_parquet(tmp_path / "b.parquet"))
    metadata = [pl.read_parquet_metadata(tmp_path / f"{name}.parquet") for name in "ab"]
    assert metadata[0] == metadata[1]
