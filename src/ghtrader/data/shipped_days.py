"""The days that ship with the project, recognised by their columns, so that a changed copy of one is found anywhere."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

import msgspec

from ghtrader.data.row_hash import column_hash

if TYPE_CHECKING:
    import polars as pl

__all__ = ["TELLING", "ShippedDay", "shipped_days", "shipped_digest"]

#: A copy in which one of these columns is untouched is a copy of the day.
TELLING = ("datetime", "last_price", "volume")
#: The shipped files do not have them; a file that fills them comes from somewhere else.
NOT_SHIPPED = ("highest", "lowest")


class ShippedDay(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Digest of the canonical rows, and hashes of the telling columns as they stand in the file."""

    digest: str
    columns: dict[str, str]


@cache
def shipped_days() -> dict[str, ShippedDay]:
    """By ``SYMBOL/DAY``; `tests/data/test_contract_check.py` compares them with samples/."""
    text = resources.files("ghtrader.data").joinpath("tables/shipped_days.json").read_bytes()
    return msgspec.json.decode(text, type=dict[str, ShippedDay])


def shipped_digest(frame: pl.DataFrame, name: str) -> str | None:
    """The digest that a frame must have because it is a copy of the shipped day ``SYMBOL/DAY``; None when it is none."""
    known = shipped_days().get(name)
    if known is None or any(name in frame.columns and frame[name].null_count() < len(frame) for name in NOT_SHIPPED):
        return None
    columns = [name for name in TELLING if name in frame.columns and frame.schema[name].is_numeric()]
    same = any(not frame[name].null_count() and column_hash(frame[name].to_numpy()) == known.columns[name] for name in columns)
    return known.digest if same else None
