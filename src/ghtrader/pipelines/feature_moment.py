"""`ghtrader features at`: the factors of a stored build as they could be known at one moment."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ghtrader.core.clock import iso_utc
from ghtrader.core.errors import SchemaError, UsageError
from ghtrader.core.instruments import alias_of, parse_symbol
from ghtrader.data.instruments import InstrumentTable
from ghtrader.datasets.point_in_time import row_as_of
from ghtrader.pipelines.feature_lines import stamp_of
from ghtrader.pipelines.services import Services

__all__ = ["FeatureMoment", "features_at"]


class FeatureMoment(msgspec.Struct, frozen=True, kw_only=True):
    """The last row of a dataset at or before ``at``. Stamps as ISO text (UTC) and as ns; values by factor id, NaN where undefined."""

    symbol: str
    dataset: str
    store: str
    at: str
    at_ns: int
    datetime: str
    datetime_ns: int
    trading_day: str
    age_s: float
    eligible: bool
    factor_set: str
    set_hash: str
    build_hash: str
    values: dict[str, float]


def _moment(text: str) -> int:
    try:
        return stamp_of(text)
    except SchemaError as error:
        hint = "nanoseconds since 1970, or 2025-06-05T09:30:00.5 (without a zone: Shanghai)"
        raise UsageError(f"not a moment: {text!r}", hint=hint) from error


def features_at(
    services: Services,
    at: str,
    *,
    symbol: str | None = None,
    variety: str | None = None,
    set_name: str = "",
    dataset: str = "",
    factors: Sequence[str] = (),
    max_age_s: float | None = None,
) -> FeatureMoment:
    """What the build of a symbol, or of a variety's series, says as of a moment (epoch ns, or ISO; without a zone: Shanghai).

    set_name: default the key datasets.factor_set; dataset: default the set's name. Raises what `row_as_of` raises, UsageError unless
    exactly one of symbol and variety is given.
    """
    if (symbol is None) == (variety is None):
        raise UsageError("either --symbol or --var", hint="ghtrader features at --symbol SHFE.rb2510 --at 2025-06-05T09:30:00")
    name = parse_symbol(symbol).text if symbol else alias_of(InstrumentTable.vendored().resolve_product(variety or ""))
    where = dataset or set_name or str(services.settings().get("datasets.factor_set"))
    moment, store = _moment(at), services.store()
    row = row_as_of(store.features(), name, where, moment, max_age_s=max_age_s, factors=list(factors) or None)
    return FeatureMoment(
        symbol=name,
        dataset=where,
        store=store.name,
        at=iso_utc(moment),
        at_ns=moment,
        datetime=iso_utc(row.datetime_ns),
        datetime_ns=row.datetime_ns,
        trading_day=row.build.trading_day,
        age_s=row.age_s,
        eligible=row.eligible,
        factor_set=row.build.config.factor_set,
        set_hash=row.build.config.set_hash,
        build_hash=row.build.build_hash,
        values=row.values,
    )
