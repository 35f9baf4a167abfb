"""Which trading day it is, and which contract stands behind a symbol on it: the events with which a gateway's day begins."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ghtrader.core.errors import GhtraderError
from ghtrader.core.instruments import product_of
from ghtrader.data.calendar import Calendar
from ghtrader.data.instruments import InstrumentTable
from ghtrader.data.sessions import trading_day_bracket
from ghtrader.trading.gateway import events as ev
from ghtrader.trading.gateway.contract_days import ContractDay, contract_day

__all__ = ["DayWatch"]

#: The contract of a symbol on a trading day (ISO); raises a GhtraderError when no schedule says.
Resolver = Callable[[str, str], str]


class DayWatch:
    """Sees trading days begin. symbols: what is traded (contracts or aliases), asked for anew each day; held: contracts with lots.

    settlements: prices by contract of the day before the one it is given (ISO), as far as they are known.

    Raises CalendarError for a moment beyond the calendar.
    """

    def __init__(
        self,
        symbols: Callable[[], Iterable[str]],
        held: Callable[[], Iterable[str]],
        resolve: Resolver,
        calendar: Calendar,
        instruments: InstrumentTable,
        settlements: Callable[[str], dict[str, float]] | None = None,
    ) -> None:
        self._symbols, self._held, self._resolve, self._settlements = symbols, held, resolve, settlements
        self._calendar, self._instruments = calendar, instruments
        self._bracket = (0, 0)
        self._seen: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())

    def again(self) -> None:
        """Let the next look tell the day anew: something is known that was not."""
        self._bracket = (0, 0)

    def look(self, now_ns: int) -> ev.DayBegan | None:
        """The beginning of the day of a moment, or of another set of symbols traded or held; None while all is known."""
        symbols = tuple(sorted(self._symbols()))
        seen = (symbols, tuple(sorted(self._held())))
        known = symbols or self._seen[0] or seen[1]
        if not known or (self._bracket[0] <= now_ns < self._bracket[1] and seen == self._seen):
            return None
        day, self._bracket = trading_day_bracket(now_ns, product_of(known[0]), self._calendar, self._instruments)
        self._seen = seen
        contracts: dict[str, str] = {}
        missing: list[str] = []
        for symbol in symbols:
            try:
                contracts[symbol] = self._resolve(symbol, day.iso)
            except GhtraderError:
                missing.append(symbol)
        days: dict[str, ContractDay] = {}
        for contract in sorted({*contracts.values(), *seen[1]}):
            days[contract] = contract_day(contract, day.iso, self._calendar, self._instruments)
        return ev.DayBegan(
            now_ns=now_ns,
            trading_day=day.iso,
            contracts=contracts,
            days=days,
            missing=tuple(missing),
            settlements={} if self._settlements is None else self._settlements(day.iso),
        )
