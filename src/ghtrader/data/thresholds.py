"""Thresholds of validation: global values, and overrides by variety and session part. Values only."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping, Sequence

import msgspec

from ghtrader.core.config_keys import ConfigValue
from ghtrader.core.errors import ConfigError
from ghtrader.core.phases import PART_NAMES

__all__ = ["OVERRIDES_KEY", "Override", "Thresholds", "parse_overrides", "thresholds_from"]

PREFIX = "data.validation."
OVERRIDES_KEY = PREFIX + "overrides"
EVERY = "*"
#: What is judged by session part; the others are judged by day and take no part.
BY_PART = frozenset(
    {"gap_min_s", "gap_alpha", "gap_pace_share", "edge_tolerance_s", "halted_min_s", "slot_miss_info", "slot_miss_blocking"}
)


class Override(msgspec.Struct, frozen=True):
    """One threshold that differs for a variety (``*``: every one) and a session part ("": every one)."""

    product: str
    part: str
    name: str
    value: float


class Thresholds(msgspec.Struct, frozen=True, kw_only=True):
    """Values of the keys ``data.validation.*``; what each means stands in `ghtrader.data.validation_keys`."""

    gap_min_s: float = 2.0
    gap_alpha: float = 5e-4
    gap_pace_share: float = 0.1
    edge_tolerance_s: float = 60.0
    halted_min_s: float = 60.0
    late_min_s: float = 2.0
    link_slack_s: float = 60.0
    strict_ratio: float = 0.8
    slot_miss_info: float = 0.02
    slot_miss_blocking: float = 0.2
    silence_warn_s: float = 2.0
    silence_error_s: float = 1800.0
    null_rate_l1_max: float = 0.01
    null_rate_l5_max: float = 0.20
    missing_side_s: float = 60.0
    price_jump_share: float = 0.005
    volume_spike_ratio: float = 10.0
    wide_spread_ratio: float = 20.0
    few_rows_ratio: float = 0.5
    expected_days: int = 20
    expected_min_days: int = 5
    holes_max: int = 1000
    overrides: tuple[Override, ...] = ()

    def at(self, product: str, part: str = "") -> Thresholds:
        """What holds for a variety and a session part: the most specific override counts.

        >>> limits = Thresholds(overrides=(Override("SHFE.au", "night", "gap_min_s", 5.0),))
        >>> limits.at("SHFE.au", "night").gap_min_s, limits.at("SHFE.au", "am1").gap_min_s
        (5.0, 2.0)
        """
        fitting = [item for item in self.overrides if item.product in {EVERY, product} and item.part in {"", part}]
        fitting.sort(key=lambda item: (item.product != EVERY, item.part != ""))
        values = {item.name: type(getattr(self, item.name))(item.value) for item in fitting}
        return msgspec.structs.replace(self, **values) if values else self


NAMES = tuple(name for name in Thresholds.__struct_fields__ if name != "overrides")


def _unknown(what: str, name: str, known: Collection[str], text: str) -> ConfigError:
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"one of {', '.join(sorted(known))}"
    return ConfigError(f"{OVERRIDES_KEY}: no {what} {name!r} in {text!r}", hint=hint, key=OVERRIDES_KEY, entry=text)


def _parse(text: str, products: Collection[str], bounds: Mapping[str, tuple[float | None, float | None]]) -> Override:
    scope, _, assignment = text.strip().partition(" ")
    name, equals, number = (piece.strip() for piece in assignment.partition("="))
    form = "write it as SHFE.au/night gap_min_s=5"
    if not equals:
        raise ConfigError(f"{OVERRIDES_KEY}: {text!r} sets nothing", hint=form, key=OVERRIDES_KEY, entry=text)
    product, _, part = scope.partition("/")
    if product != EVERY and product not in products:
        raise _unknown("variety", product, products, text)
    parts = tuple(PART_NAMES.values())
    if part and part not in parts:
        raise _unknown("session part", part, parts, text)
    if name not in NAMES:
        raise _unknown("threshold", name, NAMES, text)
    if part and name not in BY_PART:
        raise ConfigError(f"{OVERRIDES_KEY}: {name} is judged by day, not by session part, in {text!r}", hint=form, entry=text)
    try:
        value = float(number)
    except ValueError as error:
        raise ConfigError(f"{OVERRIDES_KEY}: {number!r} is no number in {text!r}", hint=form, entry=text) from error
    low, high = bounds.get(name, (None, None))
    if not (value >= (low if low is not None else value) and value <= (high if high is not None else value)):
        raise ConfigError(f"{OVERRIDES_KEY}: {name} must lie in {low} to {high}, but was {value:g} in {text!r}", entry=text)
    return Override(product, part, name, value)


def parse_overrides(
    entries: Sequence[str], products: Collection[str], bounds: Mapping[str, tuple[float | None, float | None]]
) -> tuple[Override, ...]:
    """Overrides written as ``SHFE.au/night gap_min_s=5``; raises ConfigError naming the entry and the nearest match.

    >>> parse_overrides(["*/night edge_tolerance_s=90"], [], {})
    (Override(product='*', part='night', name='edge_tolerance_s', value=90.0),)
    """
    return tuple(_parse(entry, products, bounds) for entry in entries if entry.strip())


def thresholds_from(
    values: Mapping[str, ConfigValue], products: Collection[str], bounds: Mapping[str, tuple[float | None, float | None]]
) -> Thresholds:
    """Thresholds from configuration values by full key name; raises ConfigError for an override that means nothing."""
    entries = values[OVERRIDES_KEY]
    assert isinstance(entries, list)
    plain = {name: values[PREFIX + name] for name in NAMES}
    overrides = parse_overrides([str(entry) for entry in entries], products, bounds)
    return msgspec.convert({**plain, "overrides": [msgspec.structs.astuple(item) for item in overrides]}, Thresholds)
