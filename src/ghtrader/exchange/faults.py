"""Faults that the exchange plays on request: a script of what goes wrong, when, and how often.

A script is JSON, ``{"faults": [{"do": "maintenance", "days": ["2025-06-06"]}, ...]}``. Every fault has ``do``; ``times`` bounds how
often it strikes (default: without bound, or once where it is an event), ``after_s`` is wall time since the link (or the
server) came up; what strikes a link waits with ``"told": true`` until ``/exchange/strike.json`` is asked for, too. See
``docs/how-to/loopback-exchange.md`` for the list.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec

from ghtrader.core.errors import DataError
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.schema import MARKET_COLUMNS

__all__ = ["FAULTS", "Fault", "FaultBoard", "load_script"]

Link = Literal["md", "td"]
What = Literal[
    "maintenance",
    "auth_maintenance",
    "wrong_password",
    "expired_grant",
    "slow",
    "abort",
    "close",
    "half_open",
    "dash_fields",
    "null_fields",
    "stale_quotes",
    "lose_cancel",
    "lose_order",
    "reject_order",
    "no_data",
]

FAULTS: dict[str, str] = {
    "maintenance": "history requests that begin in one of `days` (all days without) are answered with the maintenance notice",
    "auth_maintenance": "the login service answers 503 with the maintenance notice, `times` times",
    "wrong_password": "the login service refuses whatever the password, `times` times",
    "expired_grant": "tokens carry no features and the grant has run out",
    "slow": "every answer on `link` waits `ms` milliseconds",
    "abort": "`after_s` seconds after it came up, `link` is torn down without a close frame",
    "close": "`after_s` seconds after it came up, `link` is closed in order with `code` (1000 or 1001)",
    "half_open": "`after_s` seconds after it came up, `link` neither reads nor writes for `for_s` seconds",
    "dash_fields": "from the `after_ticks`-th tick on, `fields` are '-' in the next `times` live quotes and ticks",
    "null_fields": "the same with null in quotes (the client ignores them; never in ticks, where it would break)",
    "stale_quotes": "`after_s` seconds after the start, market data stands still for `for_s` seconds",
    "lose_cancel": "cancels are swallowed, `times` times (default once)",
    "lose_order": "orders are swallowed, `times` times (default once)",
    "reject_order": "orders are rejected with `text`, `times` times (default once)",
    "no_data": "history of `days` is empty, as if the provider never had it",
}
#: Fields that a quote has and a tick has not.
QUOTE_FIELDS = ("open", "close", "settlement", "upper_limit", "lower_limit", "pre_open_interest", "pre_settlement", "pre_close")
Seconds = Annotated[float, msgspec.Meta(ge=0)]
Count = Annotated[int, msgspec.Meta(ge=0)]
EVENTS = frozenset({"abort", "close", "half_open", "lose_cancel", "lose_order", "reject_order", "stale_quotes"})


class Fault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One line of a script; what each field means depends on ``do`` (see `FAULTS`)."""

    do: What
    days: tuple[str, ...] = ()
    link: Link = "md"
    times: Annotated[int, msgspec.Meta(ge=1)] | None = None
    after_s: Seconds = 0.0
    told: bool = False
    for_s: Seconds = 5.0
    after_ticks: Count = 0
    ms: Seconds = 100.0
    code: Literal[1000, 1001] = 1001
    fields: tuple[str, ...] = ("ask_price1",)
    text: str = "CTP:31 资金不足"

    @property
    def bound(self) -> int | None:
        """How often it strikes at most; None without bound."""
        return self.times if self.times is not None else 1 if self.do in EVENTS else None


class Script(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A whole script."""

    faults: tuple[Fault, ...]


def load_script(path: Path) -> tuple[Fault, ...]:
    """Faults of a script; raises DataError naming what is wrong in it."""
    hint = "faults: " + ", ".join(FAULTS)
    try:
        script = msgspec.json.decode(path.read_bytes(), type=Script)
    except OSError as error:
        example = '{"faults": [{"do": "maintenance", "days": ["2025-06-06"]}]}'
        raise DataError(f"{path} cannot be read: {error.strerror}", hint=example, path=str(path)) from error
    except msgspec.DecodeError as error:
        raise DataError(f"{path.name} is no fault script: {error}", hint=hint, path=str(path)) from error
    known = (*MARKET_COLUMNS, *QUOTE_FIELDS)
    for fault in script.faults:
        for day in fault.days:
            TradingDay.parse(day)
        unknown = [name for name in fault.fields if name not in known]
        if unknown:
            raise DataError(
                f"{path.name}: no such field: {', '.join(unknown)}", hint="fields: " + ", ".join(known), path=str(path)
            )
    return script.faults


class FaultBoard:
    """Faults that are still to strike, and how often each has. One per exchange."""

    def __init__(self, faults: tuple[Fault, ...] = ()) -> None:
        self.faults = faults
        self.struck: dict[int, int] = {}
        self.hits: dict[str, int] = {}

    def _left(self, index: int) -> bool:
        bound = self.faults[index].bound
        return bound is None or self.struck.get(index, 0) < bound

    def strike(self, do: str, *, link: Link | None = None, day: TradingDay | None = None, ticks: int = 0) -> Fault | None:
        """The first fault of this kind that applies now, counted; None when there is none."""
        for index, fault in enumerate(self.faults):
            if fault.do != do or not self._left(index) or ticks < fault.after_ticks:
                continue
            if link is not None and fault.link != link:
                continue
            if fault.days and (day is None or day.iso not in {TradingDay.parse(text).iso for text in fault.days}):
                continue
            self.struck[index] = self.struck.get(index, 0) + 1
            return fault
        return None

    def pending(self, link: Link) -> list[tuple[int, Fault]]:
        """Link events (abort, close, half_open) of a link that have not struck yet, with their positions."""
        kinds = {"abort", "close", "half_open"}
        return [(n, fault) for n, fault in enumerate(self.faults) if fault.do in kinds and fault.link == link and self._left(n)]

    def count(self, index: int) -> bool:
        """Count a strike of one fault; False when it had struck as often as it may."""
        if not self._left(index):
            return False
        self.struck[index] = self.struck.get(index, 0) + 1
        return True

    def hit(self, what: str) -> None:
        """Count a request, for whoever asserts how hard the exchange was asked."""
        self.hits[what] = self.hits.get(what, 0) + 1
