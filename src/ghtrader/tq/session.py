"""One TqApi at a time: opened with credentials of the environment, its failures as provider errors, closed for sure."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ghtrader.core.clock import Deadline
from ghtrader.core.errors import (
    ConfigError,
    ProviderError,
    ProviderMaintenanceError,
    ProviderPermanentError,
    ProviderTransientError,
)
from ghtrader.tq.library import load_tqsdk

__all__ = ["Credentials", "TqSession", "as_provider_error", "credentials_from", "is_maintenance"]

USER, PASSWORD = "TQSDK_USER", "TQSDK_PASSWORD"
MAINTENANCE_WORDS = ("运维", "维护")
REFUSAL_WORDS = ("用户权限认证失败", "请输入 auth", "购买后才能使用", "仅限专业版", "不支持", "没有")
ACCOUNTS_FILE = "accounts.env"


@dataclass(frozen=True)
class Credentials:
    """A login of the data provider; ``repr`` never shows the password."""

    user: str
    password: str = field(repr=False)


def read_accounts_file(path: Path) -> dict[str, str]:
    """``NAME=value`` lines of an accounts file (not committed, mode 0600); empty when there is none."""
    if not path.is_file():
        return {}
    found: dict[str, str] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        text = line.strip().removeprefix("export ")
        if not text or text.startswith("#"):
            continue
        name, equals, value = text.partition("=")
        if not equals:
            raise ConfigError(f"{path} line {number}: expected NAME=value", hint=f"{USER}=...")
        found[name.strip()] = value.strip().strip("'\"")
    return found


def credentials_from(environment: Mapping[str, str], folder: Path) -> Credentials | None:
    """The login: TQSDK_USER and TQSDK_PASSWORD of the environment, else of ``folder/accounts.env``; None when neither has it."""
    known = {**read_accounts_file(folder / ACCOUNTS_FILE), **{name: value for name, value in environment.items() if value}}
    user, password = known.get(USER, "").strip(), known.get(PASSWORD, "")
    return Credentials(user, password) if user and password else None


def is_maintenance(text: str) -> bool:
    """Whether words of the provider mean: closed for maintenance.

    >>> is_maintenance("每日 19:00-19:30 为日常运维时间，请稍后再试")
    True
    """
    return any(word in text for word in MAINTENANCE_WORDS)


def as_provider_error(error: BaseException | str, *, what: str) -> ProviderError:
    """A failure of the client as one of ours: maintenance, refused for good, or worth another try."""
    text = " ".join(str(error).split())
    message = f"{what}: {text or type(error).__name__}"
    if is_maintenance(text):
        return ProviderMaintenanceError(
            message, hint="the provider is closed daily 19:00-19:30; ghtrader data skips lists what waits"
        )
    if any(word in text for word in REFUSAL_WORDS):
        return ProviderPermanentError(message, hint=f"check {USER}, {PASSWORD} and what the account may use")
    return ProviderTransientError(message, hint="run the same command again")


class TqSession:
    """A TqApi for market data. One thread; made again after a failure; closed by `close`."""

    def __init__(self, credentials: Credentials, folder: Path) -> None:
        self._credentials = credentials
        self._folder = folder
        self._api: Any = None
        self.days_served = 0

    @property
    def api(self) -> Any:
        """The open TqApi; raises ProviderError when it cannot be opened."""
        if self._api is None:
            tqsdk = load_tqsdk(self._folder)
            try:
                with quiet():
                    login = tqsdk.TqAuth(self._credentials.user, self._credentials.password)
                    self._api = tqsdk.TqApi(auth=login, debug=False, disable_print=True)
            except Exception as error:
                raise as_provider_error(error, what="the provider cannot be reached") from error
            self.days_served = 0
        return self._api

    def close(self) -> None:
        """Close the session; the next use opens another."""
        api, self._api = self._api, None
        if api is not None:
            with contextlib.suppress(Exception), quiet():
                api.close()

    def notices(self) -> list[str]:
        """What the provider said on this session."""
        notify = self.api._data.get("notify", {})
        return [str(entry.get("content", "")) for name, entry in notify.items() if not name.startswith("_")]

    def wait(self, deadline: Deadline) -> None:
        """Let the client work until something changed or the deadline passed; its errors as ours."""
        import time

        try:
            self.api.wait_update(deadline=time.time() + deadline.left_s)
        except Exception as error:
            raise as_provider_error(error, what="the provider's link failed") from error


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without what the client prints (disclaimers, banners): both streams belong to the command."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield
