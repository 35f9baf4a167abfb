"""Trading accounts: which are declared, and a read-only check that one can be used."""

from __future__ import annotations

import msgspec

from ghtrader.core.clock import NS_PER_S
from ghtrader.core.errors import GhtraderError
from ghtrader.pipelines.provider_gate import require_open
from ghtrader.pipelines.services import DeclaredAccount, Services

__all__ = ["AccountCheck", "ShownAccount", "list_accounts", "verify_account"]

CACHE = "account_checks"
FRESH_S = 300


class ShownAccount(msgspec.Struct, frozen=True, kw_only=True):
    """An account as people may see it."""

    name: str
    kind: str
    broker: str
    number: str
    note: str = ""


class AccountCheck(msgspec.Struct, frozen=True, kw_only=True):
    """Outcome of a check; ``cached`` when it was read back. Nothing was sent but a login and questions."""

    account: ShownAccount
    ok: bool
    message: str
    balance: float | None
    available: float | None
    positions: int
    open_orders: int
    checked_ns: int
    cached: bool = False


def _shown(account: DeclaredAccount) -> ShownAccount:
    note = "fills at the limit price: not for research" if account.fills_at_limit_price else ""
    return ShownAccount(name=account.name, kind=account.kind, broker=account.broker, number=account.shown_number, note=note)


def list_accounts(services: Services) -> list[ShownAccount]:
    """Declared accounts, by name."""
    return [_shown(account) for _, account in sorted(services.accounts().items())]


def verify_account(services: Services, name: str, *, fresh: bool = False) -> AccountCheck:
    """Log in, read funds, positions and orders, hang up. A check of the last five minutes is read back unless ``fresh``.

    A failed check is kept too: a wrong password is not tried until the broker locks the account. Raises ConfigError for an account
    that nobody declared, ProviderMaintenanceError (nothing is asked) in the provider's daily maintenance.
    """
    ledger, now = services.ledger(), services.clock.now_ns()
    known = None if fresh else ledger.get(CACHE, name)
    if known is not None and now - int(known["checked_ns"]) < FRESH_S * NS_PER_S:
        return msgspec.structs.replace(msgspec.convert(known, AccountCheck), cached=True)
    require_open(services)
    check = _check(services, name, now)
    ledger.put(CACHE, name, msgspec.to_builtins(check))
    return check


def _check(services: Services, name: str, now_ns: int) -> AccountCheck:
    accounts = services.accounts()
    try:
        broker = services.broker(name)
    except GhtraderError as error:
        if name not in accounts:
            raise
        return AccountCheck(
            account=_shown(accounts[name]),
            ok=False,
            message=error.message,
            balance=None,
            available=None,
            positions=0,
            open_orders=0,
            checked_ns=now_ns,
        )
    try:
        funds, positions = broker.funds(), broker.positions()
        alive = sum(not order.state.is_final for order in broker.orders())
    finally:
        broker.close()
    return AccountCheck(
        account=_shown(accounts[name]),
        ok=True,
        message="logged in",
        balance=funds.balance,
        available=funds.available,
        positions=len(positions),
        open_orders=alive,
        checked_ns=now_ns,
    )
