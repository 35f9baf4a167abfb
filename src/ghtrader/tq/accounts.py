"""Trading accounts that the environment declares, and the client's account objects made of them.

TQ_BROKER_ID_<NAME>, TQ_ACCOUNT_ID_<NAME> and TQ_ACCOUNT_PASSWORD_<NAME> declare one, in the environment or in ``accounts.env`` of the
data folder. ``sim`` (the client's own simulator) and ``kq`` (the provider's) are always there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ghtrader.core.errors import ConfigError
from ghtrader.tq.library import load_tqsdk
from ghtrader.tq.session import ACCOUNTS_FILE, read_accounts_file

__all__ = ["TradingAccount", "declared_accounts", "masked"]

AccountKind = Literal["sim", "kq", "broker"]
_NAME = re.compile(r"TQ_BROKER_ID_([A-Z0-9_]+)")


def masked(text: str) -> str:
    """The last two characters of an account number, the rest hidden.

    >>> masked("81234567"), masked("ab")
    ('******67', '**')
    """
    return "*" * len(text) if len(text) <= 2 else "*" * (len(text) - 2) + text[-2:]


@dataclass(frozen=True)
class TradingAccount:
    """One account; ``repr`` never shows the password, and people see the number masked."""

    name: str
    kind: AccountKind
    broker: str = ""
    number: str = field(default="", repr=False)
    password: str = field(default="", repr=False)

    @property
    def shown_number(self) -> str:
        """The masked number."""
        return masked(self.number)

    @property
    def fills_at_limit_price(self) -> bool:
        """Whether fills come at the order's limit price however far through the book it is: not to be used for research."""
        return self.kind == "sim"

    def client_object(self, folder: Path) -> Any:
        """The client's object of this account."""
        tqsdk = load_tqsdk(folder)
        if self.kind == "sim":
            return tqsdk.TqSim()
        if self.kind == "kq":
            return tqsdk.TqKq()
        return tqsdk.TqAccount(self.broker, self.number, self.password)


def declared_accounts(environment: Mapping[str, str], folder: Path) -> dict[str, TradingAccount]:
    """Accounts by name; raises ConfigError for one whose number or password is missing."""
    known = {**read_accounts_file(folder / ACCOUNTS_FILE), **{name: value for name, value in environment.items() if value}}
    found = {"sim": TradingAccount("sim", "sim"), "kq": TradingAccount("kq", "kq")}
    for variable, broker in sorted(known.items()):
        match = _NAME.fullmatch(variable)
        if match is None:
            continue
        name = match[1]
        number, password = known.get(f"TQ_ACCOUNT_ID_{name}", ""), known.get(f"TQ_ACCOUNT_PASSWORD_{name}", "")
        missing = [f"TQ_ACCOUNT_{part}_{name}" for part, value in (("ID", number), ("PASSWORD", password)) if not value]
        if missing:
            raise ConfigError(f"account {name.lower()}: {' and '.join(missing)} not set", hint=f"export {missing[0]}=...")
        found[name.lower()] = TradingAccount(name.lower(), "broker", broker, number, password)
    return found
