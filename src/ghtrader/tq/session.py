"""One TqApi at a time: opened with credentials of the environment, its failures as provider errors, closed for sure."""

from __future__ import annotations

import contextlib
import io
import stat
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ghtrader.core.clock import Deadline
from ghtrader.core.errors import (
    ConfigError,
    GhtraderError,
    ProviderError,
    ProviderMaintenanceError,
    ProviderPermanentError,
    ProviderTransientError,
)
from ghtrader.tq.library import forget_tables, load_tqsdk
from ghtrader.tq.links import LINK_CODES

__all__ = ["OPENING_S", "Credentials", "TqSession", "as_provider_error", "credentials_from", "is_maintenance", "open_api"]

USER, PASSWORD = "TQSDK_USER", "TQSDK_PASSWORD"
MAINTENANCE_WORDS = ("运维", "维护")
REFUSAL_WORDS = ("用户权限认证失败", "请输入 auth", "购买后才能使用", "仅限专业版", "不支持", "没有")
ACCOUNTS_FILE = "accounts.env"
#: How long opening a session may take; the client alone would wait a minute.
OPENING_S = 30.0


@dataclass(frozen=True)
class Credentials:
    """A login of the data provider; ``repr`` never shows the password."""

    user: str
    password: str = field(repr=False)


def read_accounts_file(path: Path) -> dict[str, str]:
    """``NAME=value`` lines of an accounts file (not committed, mode 0600); empty when there is none.

    Raises ConfigError for a file that others can read, and for a line that is no assignment (the line itself is not shown).
    """
    if not path.is_file():
        return {}
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise ConfigError(f"{path} holds passwords and can be read by others", hint=f"chmod 600 {path}")
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


def as_provider_error(error: BaseException | str, *, what: str, secrets: Sequence[str] = ()) -> ProviderError:
    """A failure of the client as one of ours: maintenance, refused for good, or worth another try; ``secrets`` are hidden.

    >>> as_provider_error("no such user: 81234567 hunter2", what="login", secrets=["81234567", "hunter2"]).message
    'login: no such user: *** ***'
    """
    text = " ".join(str(error).split()) or type(error).__name__
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, "***")
    message = f"{what}: {text}"
    if is_maintenance(text):
        return ProviderMaintenanceError(
            message, hint="the provider is closed daily 19:00-19:30; ghtrader data skips lists what waits"
        )
    if any(word in text for word in REFUSAL_WORDS):
        return ProviderPermanentError(message, hint=f"check {USER}, {PASSWORD} and what the account may use")
    return ProviderTransientError(message, hint="run the same command again")


def _refusal(api: Any) -> str:
    """What a server said against the login, "" when nothing: an error notice that is not about a link."""
    for name, notice in api._data.get("notify", {}).items():
        if not name.startswith("_") and notice.get("level") == "ERROR" and int(notice.get("code", 0)) not in LINK_CODES:
            return str(notice.get("content", "")) or "the login was refused"
    return ""


def open_api(
    tqsdk: Any,
    credentials: Credentials,
    account: Any = None,
    *,
    what: str,
    secrets: Sequence[str] = (),
    timeout_s: float = OPENING_S,
) -> Any:
    """A TqApi that is logged in everywhere; raises ProviderError within ``timeout_s`` otherwise.

    The client waits a minute in silence when a broker refuses the password: here its notice ends the wait.
    """
    limit_of_opening = Deadline(timeout_s)

    class BoundedApi(tqsdk.TqApi):  # type: ignore[misc]
        #: While it is set, no wait of the client goes beyond it.
        limit: Deadline | None = limit_of_opening
        opened = False

        def wait_update(self, deadline: float | None = None, _task: Any = None) -> bool:
            if self.limit is not None:
                deadline = min(deadline or self.limit.epoch_s, self.limit.epoch_s)
            found = super().wait_update(deadline=deadline, _task=_task)
            refusal = "" if self.opened else _refusal(self)
            if refusal:
                error = as_provider_error(refusal, what=what, secrets=secrets)
                if isinstance(error, ProviderMaintenanceError):
                    raise error
                raise ProviderPermanentError(error.message, hint="check the account's number and password: ghtrader account list")
            return bool(found)

    forget_tables()
    try:
        with quiet():
            login = tqsdk.TqAuth(credentials.user, credentials.password)
            api = BoundedApi(account, auth=login, debug=False, disable_print=True)
    except GhtraderError:
        raise
    except Exception as error:
        raise as_provider_error(error, what=what, secrets=(*secrets, credentials.password)) from error
    api.opened, api.limit = True, None
    return api


class TqSession:
    """A TqApi for market data. One thread; made again after a failure; closed by `close`."""

    def __init__(self, credentials: Credentials, folder: Path, *, opening_s: float = OPENING_S) -> None:
        self._credentials = credentials
        self._folder = folder
        self._opening_s = opening_s
        self._api: Any = None
        self.days_served = 0

    @property
    def api(self) -> Any:
        """The open TqApi; raises ProviderError when it cannot be opened."""
        if self._api is None:
            tqsdk = load_tqsdk(self._folder)
            self._api = open_api(tqsdk, self._credentials, what="the provider cannot be reached", timeout_s=self._opening_s)
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
        try:
            self.api.wait_update(deadline=deadline.epoch_s)
        except GhtraderError:
            raise
        except Exception as error:
            raise as_provider_error(error, what="the provider's link failed") from error


class _Silence:
    """Both streams go nowhere while anybody is inside: sessions of several threads are opened at once, and the streams are one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._kept = contextlib.ExitStack()

    def enter(self) -> None:
        with self._lock:
            self._inside += 1
            if self._inside == 1:
                self._kept.enter_context(contextlib.redirect_stdout(io.StringIO()))
                self._kept.enter_context(contextlib.redirect_stderr(io.StringIO()))

    def leave(self) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._kept.close()


_silence = _Silence()


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without what the client prints (disclaimers, banners): both streams belong to the command. Any thread, any number of them."""
    _silence.enter()
    try:
        yield
    finally:
        _silence.leave()
