"""The env-only boundary: what may never enter the configuration store, and why."""

from __future__ import annotations

import re

__all__ = ["env_only_reason"]

_RULES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"^(tq|tqsdk)[._]|^ghtrader[._](tq|tqsdk)[._]"), "credentials of the provider live in the environment only"),
    (re.compile(r"passw(or)?d|secret|token|credential|api[._-]?key|private[._-]?key"), "secrets live in the environment only"),
    (re.compile(r"(^|[._])live[._]enabled$|confirm[._]live"), "the live switch lives in the environment only"),
    (re.compile(r"(^|[._])(dir|path|home|root|folder)$"), "paths live in the environment only"),
    (
        re.compile(r"^(ghtrader[._])?(questdb|redis|qdb)[._]|(^|[._])(host|port|url|uri|dsn|address|endpoint)$"),
        "server addresses live in the environment only",
    ),
)


def env_only_reason(name: str) -> str | None:
    """Why a key is refused by the store, or None when it may be stored. Case and separators do not matter.

    >>> env_only_reason("TQ_PASSWORD") is not None, env_only_reason("data.validation.max_gap_s")
    (True, None)
    """
    plain = name.strip().lower()
    return next((reason for pattern, reason in _RULES if pattern.search(plain)), None)
