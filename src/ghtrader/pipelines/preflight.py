"""`ghtrader preflight`: gather what the checks before a session look at, and judge it. The gateway asks the same when it starts."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from ghtrader.core.errors import DataError, GhtraderError, UsageError
from ghtrader.core.instruments import alias_of, is_continuous, parse_symbol, product_of
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.instruments import InstrumentTable
from ghtrader.data.sessions import sessions_for, trading_day_of
from ghtrader.pipelines.ingest import calendar_of
from ghtrader.pipelines.services import Services
from ghtrader.pipelines.statement import latest_statement
from ghtrader.trading.gateway.core import recover
from ghtrader.trading.gateway.state import GatewaySettings, GatewayState
from ghtrader.trading.journal.reading import read_last, read_since_snapshot
from ghtrader.trading.orders.machine import OrderPhase
from ghtrader.trading.preflight.checks import Check, Finding, PreflightFacts, judge, red_names
from ghtrader.trading.words import Mode

__all__ = ["PreflightReport", "PreflightRequest", "mode_named", "run_preflight"]

#: An account's money (balance, available) in CNY, None where nobody told it.
Funds = tuple[float | None, float | None]


@dataclass(frozen=True, kw_only=True)
class PreflightRequest:
    """What is checked. symbols: contracts, varieties or aliases; none: what the account was last asked to trade.

    mode: None: what the account was last asked for, paper where it never was. now_ns: of a market that is replayed; None: the present.
    model: beginning of its artefact's hash, None: the newest, ``none``: the strategy has none. check_model: the gateway leaves that to
    the strategy. funds: what the caller knows of the account's money; ask_account: else log in and ask, where the account is declared.
    tick_ns: stamp of the newest tick, 0 without one; None: what the account's state says. known: what the account's gateway knows, so
    that its own journal need not be read again.
    """

    account: str
    mode: Mode | None = None
    symbols: tuple[str, ...] = ()
    now_ns: int | None = None
    model: str | None = None
    check_model: bool = True
    funds: Funds | None = None
    ask_account: bool = False
    tick_ns: int | None = None
    known: GatewayState | None = None


class PreflightReport(msgspec.Struct, frozen=True, kw_only=True):
    """The verdict. red: names of the checks that block order modes; ok: there is none."""

    account: str
    mode: Mode
    trading_day: str
    ok: bool
    red: tuple[str, ...]
    checks: tuple[Check, ...]


def mode_named(name: str) -> Mode:
    """A mode by name. Raises UsageError for one that there is not."""
    if name not in set(Mode):
        raise UsageError(f"no mode {name!r}", hint=f"one of {', '.join(Mode)}")
    return Mode(name)


def run_preflight(services: Services, request: PreflightRequest) -> PreflightReport:
    """Check everything; what cannot be found out is a finding, not an error. Raises UsageError for what is no name of an account."""
    looking = _Looking(services, request)
    facts = looking.facts()
    checks = judge(facts, looking.mode)
    red = red_names(checks)
    return PreflightReport(account=request.account, mode=looking.mode, trading_day=facts.day, ok=not red, red=red, checks=checks)


def _found(look: Callable[[], str], hint: str) -> Finding:
    """What a look gives; what it raises is what is wrong."""
    try:
        return Finding(ok=True, message=look())
    except GhtraderError as error:
        return Finding(ok=False, message=error.message, hint=error.hint or hint)


class _Looking:
    """One round of looking."""

    def __init__(self, services: Services, request: PreflightRequest) -> None:
        self._services, self._request = services, request
        self._calendar, self._instruments = calendar_of(services), InstrumentTable.vendored()
        self._now_ns = services.clock.now_ns() if request.now_ns is None else request.now_ns
        self._seen_ns = 0
        self._state = GatewayState(settings=GatewaySettings(account=request.account))
        self._journal = _found(self._read_journal, f"ghtrader journal check --account {request.account}")
        desired = self._state.desired
        wanted = desired.mode if desired.mode.sends_orders else Mode.PAPER
        self.mode = request.mode or wanted
        self._symbols = tuple(self._resolved(name) for name in request.symbols or desired.symbols)

    def _resolved(self, name: str) -> str:
        if is_continuous(name) or name[-1:].isdigit():
            return name
        return alias_of(self._instruments.resolve_product(name))

    def _read_journal(self) -> str:
        if self._request.known is not None:
            self._state, self._seen_ns = self._request.known, self._request.known.clock_ns
            return f"the gateway knows its account, held: {self._held()}"
        store = self._services.trading().journal(self._request.account)
        if not store.segments():
            return "no journal yet: the account begins flat"
        self._state = recover(GatewaySettings(account=self._request.account), read_since_snapshot(store))
        self._seen_ns = max((record.ts_ns for record in read_last(store, 1)), default=0)
        return f"the journal is whole, held: {self._held()}"

    def _held(self) -> str:
        positions = self._state.positions
        return ", ".join(f"{symbol} {positions.net(symbol):+d}" for symbol in positions.symbols()) or "nothing"

    def facts(self) -> PreflightFacts:
        """Everything that the checks look at."""
        values = self._services.settings()
        day = ""
        calendar = _found(self._look_at_calendar, "ghtrader calendar refresh --from FILE")
        if calendar.ok:
            day = self._day().iso
        settlement = self._settled(day)
        balance, available = self._funds()
        return PreflightFacts(
            account=self._request.account,
            now_ns=self._now_ns,
            calendar=calendar,
            schedule=_found(lambda: self._look_at_schedule(day), "ghtrader main-schedule --var VAR"),
            journal=self._journal,
            model=_found(self._look_at_model, "ghtrader train --var VAR"),
            seen_ns=self._seen_ns if self._request.now_ns is None else 0,
            tick_ns=self._newest_tick(),
            day=day,
            statement_day=settlement[0],
            statement_state=settlement[1],
            unknown_orders=tuple(
                order.client_order_id for order in self._state.book.unsettled() if order.phase is OrderPhase.UNKNOWN
            ),
            balance_cny=balance,
            available_cny=available,
            min_available_share=float(str(values.get("trading.risk.min_available_share"))),
            free_mb=_free_mb(self._services.paths.data),
            min_free_mb=int(str(values.get("trading.preflight.min_free_mb"))),
            max_drift_s=float(str(values.get("trading.preflight.max_clock_drift_s"))),
            filing_reference=str(values.get("trading.preflight.filing_reference")),
        )

    def _day(self) -> TradingDay:
        product = product_of(self._symbols[0]) if self._symbols else "SHFE.rb"
        return trading_day_of(self._now_ns, product, self._calendar, self._instruments)

    def _look_at_calendar(self) -> str:
        day = self._day()
        for symbol in self._symbols:
            sessions_for(product_of(symbol), day, self._calendar, self._instruments)
        return f"trading day {day}, known to {self._calendar.horizon}"

    def _look_at_schedule(self, day: str) -> str:
        if not self._symbols:
            raise DataError(
                "nobody said what is traded", hint=f"ghtrader preflight --account {self._request.account} --symbol rb"
            )
        if not day:
            raise DataError("without a trading day no contract is known", hint="see the calendar")
        return ", ".join(f"{symbol} is {self._contract(symbol, day)}" for symbol in self._symbols)

    def _contract(self, symbol: str, day: str) -> str:
        contract = symbol
        if is_continuous(symbol):
            from ghtrader.pipelines.main_series import current_schedule

            schedule = current_schedule(self._services, product_of(symbol).split(".")[1])
            contract = schedule.segment_of(TradingDay.parse(day)).contract
        self._instruments.spec(contract, TradingDay.parse(day))
        if parse_symbol(contract).month < day[2:4] + day[5:7]:
            raise DataError(f"{contract} was delivered before {day}", hint="name a contract that trades, or its variety")
        return contract

    def _look_at_model(self) -> str:
        if self._request.model == "none":
            return "the strategy has none"
        if not self._request.check_model:
            return "left to the strategy, which refuses one that does not fit"
        from ghtrader.pipelines.strategy_models import strategy_model

        symbol = self._symbols[0] if self._symbols else None
        bound = strategy_model(self._services, symbol, model=self._request.model)
        if bound is None:
            raise DataError("no model is stored", hint="ghtrader train --var VAR, or --model none for a strategy without one")
        return f"{bound.predictor.artefact_hash[:16]}, factors and certificate fit" if bound.predictor else "factors only"

    def _settled(self, day: str) -> tuple[str, str]:
        """The last trading day that is over, and how it stands against its statement."""
        if not day:
            return "", ""
        try:
            latest = latest_statement(self._services, self._request.account, day)
        except GhtraderError as error:
            return "the day before", f"not readable ({error.message})"
        return ("", "") if latest is None else (latest.trading_day, latest.state)

    def _newest_tick(self) -> int:
        """The newest tick that a gateway of the account has published, 0 without one; none while a past market is replayed."""
        if self._request.now_ns is not None:
            return 0
        if self._request.tick_ns is not None:
            return self._request.tick_ns
        reader = self._services.trading().state_reader(self._request.account)
        try:
            document = reader.read().document
        finally:
            reader.close()
        stamps = [] if document is None else [int(market.get("ts_ns") or 0) for market in document.markets.values()]
        return max(stamps, default=0)

    def _funds(self) -> Funds:
        request = self._request
        if request.funds is not None:
            return request.funds
        if not request.ask_account or request.account not in self._services.accounts():
            return None, None
        from ghtrader.pipelines.accounts import verify_account

        try:
            check = verify_account(self._services, request.account)
        except GhtraderError:
            return None, None
        return check.balance, check.available


def _free_mb(folder: Path) -> int:
    """Free space where a folder is, or will be made."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return shutil.disk_usage(folder).free // 1_000_000
