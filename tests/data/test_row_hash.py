"""Row hash v1: golden vectors, two equal forms, and what it must and must not see."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ghtrader.data.readers import read_ticks
from ghtrader.data.row_hash import ROW_HASH_VERSION, column_hash, day_digest, frame_columns, row_hashes, row_hashes_numpy
from ghtrader.data.schema import MARKET_COLUMNS
from ghtrader.testing.builders import tick_frame

GOLDEN = Path(__file__).parent.parent / "golden" / f"row_hash_v{ROW_HASH_VERSION}.json"
SAMPLES = sorted((Path(__file__).parents[2] / "samples").glob("*.parquet"))
LANES = len(MARKET_COLUMNS)

Columns = list[npt.NDArray[np.float64]]


def _rows(seed: int, rows: int) -> tuple[npt.NDArray[np.int64], Columns]:
    random = np.random.default_rng(seed)
    stamps = np.cumsum(random.integers(1, 10**9, rows)) + 1_749_042_000_000_000_000
    return stamps, [np.round(random.normal(3000, 50, rows)) for _ in MARKET_COLUMNS]


@pytest.mark.parametrize("form", [row_hashes, row_hashes_numpy])
def test_the_golden_vectors_of_this_version_hold(form: object) -> None:
    golden = json.loads(GOLDEN.read_text())
    assert golden["row_hash_version"] == ROW_HASH_VERSION
    assert golden["columns"] == list(MARKET_COLUMNS), "the order of columns is part of the version"
    stamps = np.array([row["datetime"] for row in golden["rows"]], dtype=np.int64)
    values = np.array([row["values"] for row in golden["rows"]], dtype=np.float64)
    hashes = form(stamps, list(values.T))  # type: ignore[operator]
    assert hashes.tolist() == [row["hash"] for row in golden["rows"]]
    assert day_digest("raw", "SHFE.rb2510", "2025-06-05", hashes) == golden["day_digest"]


@settings(max_examples=60, deadline=None)
@given(
    data=st.data(),
    rows=st.sampled_from([1, 2, 7, 2047, 2048, 2049]),
    odd=st.sampled_from([np.nan, 0.0, -0.0, np.inf, -np.inf, 5e-324, 1.7976931348623157e308]),
)
def test_the_compiled_form_equals_the_plain_one(data: st.DataObject, rows: int, odd: float) -> None:
    stamps, columns = _rows(data.draw(st.integers(0, 99)), rows)
    column = data.draw(st.integers(0, LANES - 1))
    columns[column][data.draw(st.integers(0, rows - 1))] = odd
    assert np.array_equal(row_hashes(stamps, columns), row_hashes_numpy(stamps, columns))


@settings(max_examples=60, deadline=None)
@given(values=hnp.arrays(np.float64, LANES, elements=st.floats(width=64)), stamp=st.integers(-(2**63), 2**63 - 1))
def test_any_numbers_hash_the_same_in_both_forms(values: npt.NDArray[np.float64], stamp: int) -> None:
    stamps = np.array([stamp])
    columns = [np.array([value]) for value in values]
    assert row_hashes(stamps, columns)[0] == row_hashes_numpy(stamps, columns)[0]


def test_every_nan_and_both_zeros_are_one_value() -> None:
    stamps, columns = _rows(0, 4)
    columns[3][:] = [np.nan, 0.0, 0.0, 0.0]
    expected = row_hashes(stamps, columns)
    columns[3] = np.array([0x7FF8_0000_0000_0001, 1 << 63, 0, 1 << 63], dtype=np.uint64).view(np.float64)
    assert np.array_equal(row_hashes(stamps, columns), expected)
    assert np.array_equal(row_hashes_numpy(stamps, columns), expected)


def test_integer_and_float32_columns_hash_as_float64() -> None:
    stamps, columns = _rows(0, 5)
    narrow = [column.astype(kind) for column, kind in zip(columns, [np.float32, np.int32, np.int64] * 9, strict=True)]
    assert np.array_equal(row_hashes(stamps, narrow), row_hashes(stamps, columns))


def test_a_change_of_any_cell_changes_its_row_and_no_other() -> None:
    stamps, columns = _rows(1, 50)
    before = row_hashes(stamps, columns)
    for column in range(LANES):
        for value in (np.nextafter(columns[column][7], np.inf), np.nan, 0.0, -columns[column][7]):
            changed = [values.copy() for values in columns]
            changed[column][7] = value
            assert np.flatnonzero(row_hashes(stamps, changed) != before).tolist() == [7]
    later = stamps.copy()
    later[7] += 1
    assert np.flatnonzero(row_hashes(later, columns) != before).tolist() == [7]


def test_exchanged_columns_are_seen_wherever_their_values_differ() -> None:
    stamps, columns = _rows(2, 50)
    before = row_hashes(stamps, columns)
    for first, second in pairwise(range(LANES)):
        swapped = list(columns)
        swapped[first], swapped[second] = columns[second], columns[first]
        differ = columns[first] != columns[second]
        assert np.array_equal(row_hashes(stamps, swapped) != before, differ)


def test_every_bit_of_every_lane_changes_about_half_of_the_hash() -> None:
    stamps, columns = _rows(3, 200)
    before = row_hashes(stamps, columns).view(np.uint64)
    for lane in range(LANES):
        shares = []
        for bit in range(62):
            changed = list(columns)
            changed[lane] = (columns[lane].view(np.uint64) ^ np.uint64(1 << bit)).view(np.float64)
            flipped = np.bitwise_count(row_hashes(stamps, changed).view(np.uint64) ^ before)
            shares.append(flipped.mean() / 64)
        assert min(shares) > 0.47
        assert max(shares) < 0.53


def test_the_sample_days_have_no_two_equal_hashes() -> None:
    hashes = []
    for path in SAMPLES:
        frame = read_ticks(path).frame
        hashes.append(row_hashes(frame["datetime"].to_numpy(), [values.astype(np.float64) for values in frame_columns(frame)]))
    together = np.concatenate(hashes)
    assert len(together) == 164_969
    assert len(np.unique(together)) == len(together)


def test_hashes_do_not_depend_on_memory_layout() -> None:
    stamps, columns = _rows(4, 30)
    table = np.array(columns).T.copy()
    strided = [table[:, index] for index in range(LANES)]
    assert np.array_equal(row_hashes(stamps, strided), row_hashes(stamps, columns))
    frame = tick_frame(30)
    views = frame_columns(frame)
    copies = [view.copy() for view in views]
    assert np.array_equal(row_hashes(frame["datetime"].to_numpy(), views), row_hashes(frame["datetime"].to_numpy(), copies))
    assert np.array_equal(row_hashes(frame["datetime"].to_numpy(), views), frame["row_hash"].to_numpy())


def test_inputs_are_left_as_they_were() -> None:
    stamps, columns = _rows(5, 10)
    kept = [column.copy() for column in columns]
    row_hashes(stamps, columns)
    assert all(np.array_equal(column, copy) and column.flags.writeable for column, copy in zip(columns, kept, strict=True))


def test_the_digest_depends_on_order_and_on_every_name() -> None:
    hashes = np.arange(5, dtype=np.int64)
    digests = {
        day_digest("raw", "SHFE.rb2510", "2025-06-05", hashes),
        day_digest("raw", "SHFE.rb2510", "2025-06-05", hashes[::-1]),
        day_digest("main_l5", "SHFE.rb2510", "2025-06-05", hashes),
        day_digest("raw", "SHFE.rb2511", "2025-06-05", hashes),
        day_digest("raw", "SHFE.rb2510", "2025-06-06", hashes),
        day_digest("raw", "SHFE.rb2510", "2025-06-05", hashes[:4]),
    }
    assert len(digests) == 6


def test_a_column_hash_sees_order_and_every_nanosecond() -> None:
    stamps = np.array([1_749_042_000_500_000_000, 1_749_042_000_500_000_001])
    assert column_hash(stamps) != column_hash(stamps[::-1])
    assert column_hash(stamps) != column_hash(stamps + 1)
    assert column_hash(np.array([1.0, np.nan])) == column_hash(np.array([1.0, -np.nan]))
    assert column_hash(np.array([0.0])) == column_hash(np.array([-0.0]))
