"""Columns of the tick tables, declared once; every store and every reader takes them from here.

The 27 market columns are float64 in the canonical form (market.md): absent price NaN, absent size 0. ``datetime`` is
integer nanoseconds UTC. What ingest adds follows them. The tables made of these columns, and all others, are declared in
`ghtrader.data.tables`.
"""

from __future__ import annotations

from typing import Literal

__all__ = [
    "LEVELS",
    "MAIN_L5_COLUMNS",
    "MARKET_COLUMNS",
    "OPTIONAL_COLUMNS",
    "PRICE_COLUMNS",
    "RAW_COLUMNS",
    "SCHEMA_VERSION",
    "SIZE_COLUMNS",
    "TWO_SIDED_COLUMNS",
    "ColumnType",
    "TicksKind",
]

ColumnType = Literal["i64", "f64", "str", "u8", "u32", "i8", "sym", "bool", "ts", "f64[]"]
TicksKind = Literal["raw", "main_l5"]

SCHEMA_VERSION = 1
LEVELS = 5


def _levels(stem: str) -> tuple[str, ...]:
    return tuple(f"{stem}{level}" for level in range(1, LEVELS + 1))


BID_PRICES = _levels("bid_price")
BID_SIZES = _levels("bid_volume")
ASK_PRICES = _levels("ask_price")
ASK_SIZES = _levels("ask_volume")

#: The 27 columns that carry the market, in the order in which the row hash reads them.
MARKET_COLUMNS: tuple[str, ...] = (
    "last_price",
    "average",
    "highest",
    "lowest",
    *BID_PRICES,
    *BID_SIZES,
    *ASK_PRICES,
    *ASK_SIZES,
    "volume",
    "amount",
    "open_interest",
)
PRICE_COLUMNS: tuple[str, ...] = ("last_price", "average", "highest", "lowest", *BID_PRICES, *ASK_PRICES)
#: Counted on both sides of a trade until 2019-12-31.
TWO_SIDED_COLUMNS: tuple[str, ...] = ("volume", "amount", "open_interest")
SIZE_COLUMNS: tuple[str, ...] = (*BID_SIZES, *ASK_SIZES)

#: Columns a source may carry beside the market; kept, never hashed.
OPTIONAL_COLUMNS: dict[str, ColumnType] = {"local_nano": "i64", "upper_limit": "f64", "lower_limit": "f64"}

RAW_COLUMNS: dict[str, ColumnType] = {
    "datetime": "i64",
    **dict.fromkeys(MARKET_COLUMNS, "f64"),
    **OPTIONAL_COLUMNS,
    "symbol": "str",
    "trading_day": "str",
    "phase": "u8",
    "part": "i8",
    "flags": "u32",
    "row_hash": "i64",
}
MAIN_L5_COLUMNS: dict[str, ColumnType] = {
    **RAW_COLUMNS,
    "underlying_symbol": "str",
    "segment_id": "i64",
    "schedule_hash": "str",
}
