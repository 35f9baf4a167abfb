"""What a day of ticks must be so that everything else may rest on it: the rules of the data contract, as a table."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

__all__ = ["RULES", "Breach", "ContractCheck", "ContractLimits", "Rule"]


class Rule(NamedTuple):
    """A rule's name (stable, machine-readable), what it demands, and why."""

    name: str
    what: str
    why: str


RULES: tuple[Rule, ...] = (
    Rule("readable", "the file is a whole Parquet file", "half a file looks like a quiet day"),
    Rule("schema", "every required column is there, with a type that holds its numbers exactly", "a lost column becomes NaN"),
    Rule("extra_columns", "no column beyond the declared ones", "what nobody declared nobody checks"),
    Rule("one_symbol", "all rows are of one contract that an instrument table declares", "sessions and price tick hang on it"),
    Rule("time_increasing", "stamps never fall; in stored rows they rise", "order is all that makes a day causal"),
    Rule("one_trading_day", "rows lie in the phases of one trading day, the one that the name tells", "time zones and spills"),
    Rule("min_rows", "at least data.contract.min_rows rows", "an empty success is a failure"),
    Rule("null_rate_l1", "best bid or ask absent in at most data.contract.null_rate_l1_max of the rows", "no mid, no label"),
    Rule("null_rate_l5", "one of five levels absent in at most data.contract.null_rate_l5_max of the rows", "depth factors"),
    Rule("hash_integrity", "row hashes and digest are those of the cells", "a changed cell is found, whoever changed it"),
)


class ContractLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Values of the keys ``data.contract.*``."""

    min_rows: int = 2000
    null_rate_l1_max: float = 0.01
    null_rate_l5_max: float = 0.10
    stray_share_max: float = 0.001


class Breach(msgspec.Struct, frozen=True, kw_only=True):
    """One broken rule: what was found, what to do next; columns and rows (from 0, at most 20) where they help."""

    rule: str
    detail: str
    hint: str
    columns: list[str] = []
    rows: list[int] = []


class ContractCheck(msgspec.Struct, frozen=True, kw_only=True):
    """One file, stored partition or built-in day held against every rule.

    source: file, partition or built-in. digest: that of the canonical rows, empty where it cannot be computed.
    null rates: None where there is no row to judge.
    """

    source: str
    subject: str
    ok: bool
    symbol: str = ""
    trading_day: str = ""
    rows: int = 0
    row_hash_version: int = 0
    digest: str = ""
    null_rate_l1: float | None = None
    null_rate_l5: float | None = None
    breaches: list[Breach] = []
