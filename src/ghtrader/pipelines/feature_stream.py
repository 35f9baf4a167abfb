"""`ghtrader features stream`: line n is answered before line n+1 is read; and the same path over a file.

A live process reads what its feed writes and gives the factors back at once. Nothing is read ahead of the answer, every answer
is flushed, and a bad line is answered by what is wrong with it.
"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, BinaryIO

import msgspec
import numpy as np

from ghtrader.core.clock import elapsed_s
from ghtrader.core.errors import DataError, GhtraderError, SchemaError
from ghtrader.core.progress import NO_PROGRESS, Progress
from ghtrader.data.live_kernel import REASON_CODES
from ghtrader.data.readers import load_mapping, read_tick_batches
from ghtrader.pipelines.feature_lines import TickLines, csv_answer, csv_header, json_answer
from ghtrader.pipelines.feature_session import FeaturePlan, FeatureSession, plan_features, warm_up
from ghtrader.pipelines.feature_table import FeaturesReport, FeatureWriter, feature_frame, features_report, require_another_file
from ghtrader.pipelines.services import Services
from ghtrader.pipelines.stopping import StopWish

if TYPE_CHECKING:
    import polars as pl

__all__ = ["LineAnswers", "StreamReport", "stream_features", "stream_file", "stream_frames"]

#: A line longer than this is no tick.
LONGEST_LINE = 1 << 20
CODE_OF = {reason: code for code, reason in enumerate(REASON_CODES)}
FRAME_ROWS = 16_384


class StreamReport(msgspec.Struct, kw_only=True):
    """Lines that were answered. first_error: what was wrong with the first bad one. reader_left: nobody read the last answer."""

    lines: int = 0
    computed: int = 0
    dropped: dict[str, int] = {}
    bad: int = 0
    first_error: str = ""
    reader_left: bool = False


class LineAnswers:
    """One line in, one line out. Bad lines leave every state as it was."""

    def __init__(self, plan: FeaturePlan, *, as_csv: bool = False) -> None:
        self._lines = TickLines()
        self._session = FeatureSession(plan)
        self._names = plan.chosen.ids
        self._as_csv = as_csv
        self.report = StreamReport(dropped={})

    @property
    def header(self) -> bytes:
        """What stands before the first answer; empty for JSON."""
        return csv_header(self._names) if self._as_csv else b""

    def answer(self, line: bytes) -> bytes:
        """The answer to a line, newline included; empty for the header line of CSV input."""
        self.report.lines += 1
        try:
            stamp = self._lines.read(line)
            if stamp is None:
                return b""
            found = self._session.answer(stamp, self._lines.values)
        except DataError as error:
            return self._wrong(error)
        if found.dropped:
            self.report.dropped[found.dropped] = self.report.dropped.get(found.dropped, 0) + 1
        else:
            self.report.computed += 1
        return (csv_answer if self._as_csv else json_answer)(self._names, found)

    def _wrong(self, error: GhtraderError) -> bytes:
        self.report.bad += 1
        self.report.first_error = self.report.first_error or f"line {self.report.lines}: {error.message}"
        if self._as_csv:
            text = f"line {self.report.lines}: {error.message}".replace('"', '""')
            return f'{"," * (len(self._names) + 2)}"{text}"\n'.encode()
        told = {"line": self.report.lines, "type": type(error).__name__, "message": error.message, "hint": error.hint}
        return msgspec.json.encode({"datetime": None, "dropped": None, "error": told}) + b"\n"


class _EndedBySignal(BaseException):
    """A signal came while the stream waited for a line."""


class _Signals(StopWish):
    """SIGINT and SIGTERM end the stream between two lines, never inside an answer."""

    def __init__(self) -> None:
        super().__init__()
        self._waiting = False

    def _handle(self, number: int, frame: FrameType | None) -> None:
        super()._handle(number, frame)
        if self._waiting:
            raise _EndedBySignal

    def next_line(self, source: BinaryIO) -> bytes:
        """The next line; empty at the end of the input and after a signal."""
        try:
            self._waiting = True
            line = b"" if self.received else source.readline(LONGEST_LINE)
            self._waiting = False
        except _EndedBySignal:
            return b""
        finally:
            self._waiting = False
        return line


def _skip_rest(source: BinaryIO, line: bytes) -> bytes:
    """A line that is too long, read to its end; what stands in for it cannot be read as a tick."""
    while len(line) == LONGEST_LINE and not line.endswith(b"\n"):
        line = source.readline(LONGEST_LINE)
    return b"(a line of more than a million bytes)"


def stream_features(plan: FeaturePlan, source: BinaryIO, sink: BinaryIO, *, as_csv: bool = False) -> StreamReport:
    """Answer every line of ``source`` on ``sink``, each flushed before the next is read.

    Ends when the input ends, when the reader of ``sink`` leaves, and at SIGTERM or SIGINT (KeyboardInterrupt). Main thread only.
    """
    answers, signals = LineAnswers(plan, as_csv=as_csv), _Signals()
    warm_up(plan)
    with signals.installed(), contextlib.suppress(BrokenPipeError):
        answers.report.reader_left = True
        if answers.header:
            _send(sink, answers.header)
        while line := signals.next_line(source):
            if len(line) == LONGEST_LINE and not line.endswith(b"\n"):
                line = _skip_rest(source, line)
            _send(sink, answers.answer(line))
        answers.report.reader_left = False
    if signals.received == signal.SIGINT:
        raise KeyboardInterrupt
    return answers.report


def _send(sink: BinaryIO, answer: bytes) -> None:
    left = memoryview(answer)
    while left:  # an unbuffered stream may take a part only
        left = left[sink.write(left) :]
    sink.flush()


def stream_frames(plan: FeaturePlan, batches: Iterator[pl.DataFrame], *, rows: int = FRAME_ROWS) -> Iterator[pl.DataFrame]:
    """Source rows written as lines, answered line by line, and the answers read back: frames as `features compute` gives them."""
    answers, names = LineAnswers(plan), plan.chosen.ids
    for batch in batches:
        for piece in batch.iter_slices(rows):
            yield _answered(plan, answers, names, piece)


def _answered(plan: FeaturePlan, answers: LineAnswers, names: tuple[str, ...], piece: pl.DataFrame) -> pl.DataFrame:
    stamps = np.empty(len(piece), dtype=np.int64)
    values = np.full((len(piece), len(names)), np.nan)
    codes = np.empty(len(piece), dtype=np.uint8)
    for row, fields in enumerate(piece.iter_rows(named=True)):
        answer = msgspec.json.decode(answers.answer(msgspec.json.encode(fields)))
        if "error" in answer:
            raise SchemaError(answer["error"]["message"], hint=answer["error"]["hint"], row=answers.report.lines)
        stamps[row], codes[row] = answer["datetime"], CODE_OF[answer["dropped"] or ""]
        if answer["dropped"] is None:
            values[row] = [answer[name] for name in names]
    return feature_frame(plan, stamps, values, codes)


def stream_file(
    services: Services,
    path: Path,
    out: Path,
    *,
    symbol: str | None,
    set_name: str,
    params: Path | None = None,
    in_sample: bool = False,
    mapping: Path | None = None,
    factors: Path | None = None,
    progress: Progress = NO_PROGRESS,
) -> FeaturesReport:
    """The line path over a tick file, into a Parquet file laid out as that of `features compute`."""
    started = services.clock.monotonic_ns()
    require_another_file(path, out)
    resolved, batches = read_tick_batches(path, symbol=symbol, mapping=None if mapping is None else load_mapping(mapping))
    plan = plan_features(services, resolved, set_name, params=params, in_sample=in_sample, factors=factors)
    progress.start("stream", 0)
    with FeatureWriter(out, plan, services.tool_version) as writer:
        for frame in stream_frames(plan, batches):
            writer.write(frame)
            progress.advance(len(frame), note=f"{writer.rows:,} rows")
    progress.finish(f"{writer.rows:,} rows")
    return features_report(plan, writer, until=None, seconds=round(elapsed_s(services.clock, started), 3))
