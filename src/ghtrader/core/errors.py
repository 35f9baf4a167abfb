"""Every error the system raises on purpose.

GhtraderError
├── UsageError                      the call itself makes no sense
├── LockHeldError                   somebody else holds the lock; names the owner
├── DataError                       the data is not what it must be
│   ├── SchemaError                 columns, types or table layout
│   ├── ProvenanceError             rows that cannot say where they come from
│   ├── GapError                    a window crosses a gap or a break
│   ├── HashVersionError            row hashes of different versions meet
│   ├── StaleFeatureError           an online value outlived its time to live
│   ├── CalendarError               a date the calendar does not know
│   └── UnknownInstrumentError      a product or contract nobody declared
├── ProviderError                   the data or order provider answered with an error
│   ├── ProviderTransientError      trying again may help
│   ├── ProviderPermanentError      trying again will not help
│   └── ProviderMaintenanceError    the provider is closed for maintenance
├── StoreError                      reading or writing a store failed
├── ConfigError                     a key, a value or a source of configuration
├── RiskDenied                      a risk rule refused the order
└── HaltedError                     trading is halted

Catch the parent, log the leaf. Each error carries what it is about (``context``), what to do next (``hint``, a
command where there is one) and whether the same call may succeed later (``retryable``). ``EXIT_CODES`` is the one
table from errors to process exit codes.
"""

from __future__ import annotations

from typing import Any, ClassVar

__all__ = [
    "EXIT_CODES",
    "EXIT_INTERRUPTED",
    "EXIT_OK",
    "CalendarError",
    "ConfigError",
    "DataError",
    "GapError",
    "GhtraderError",
    "HaltedError",
    "HashVersionError",
    "LockHeldError",
    "ProvenanceError",
    "ProviderError",
    "ProviderMaintenanceError",
    "ProviderPermanentError",
    "ProviderTransientError",
    "RiskDenied",
    "SchemaError",
    "StaleFeatureError",
    "StoreError",
    "UnknownInstrumentError",
    "UsageError",
    "exit_code_of",
]


class GhtraderError(Exception):
    """Base of every deliberate error.

    Parameters
    ----------
    message: what happened and why, in one sentence.
    hint: what to do next; the command to run where there is one.
    context: what the error is about, JSON-ready (paths, symbols, days, counts). Never a secret.
    retryable: whether the same call may succeed later; the class default when not given.

    >>> error = DataError("day 2025-06-05 has no rows", hint="ghtrader data import FILE", symbol="SHFE.rb2510")
    >>> error.context["symbol"], error.retryable, exit_code_of(error)
    ('SHFE.rb2510', False, 4)
    """

    default_retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, hint: str = "", retryable: bool | None = None, **context: Any) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.context: dict[str, Any] = context
        self.retryable = self.default_retryable if retryable is None else retryable

    def as_dict(self) -> dict[str, Any]:
        """The error as JSON-ready mapping: type, message, hint, context, retryable."""
        return {
            "error": type(self).__name__,
            "message": self.message,
            "hint": self.hint,
            "context": self.context,
            "retryable": self.retryable,
        }


class UsageError(GhtraderError):
    """The call itself makes no sense: contradictory options, nothing to do."""


class LockHeldError(GhtraderError):
    """Somebody else holds the lock; ``context['owner']`` names pid, command and since."""

    default_retryable = True


class DataError(GhtraderError):
    """The data is not what it must be."""


class SchemaError(DataError):
    """Columns, types or table layout differ from the declaration."""


class ProvenanceError(DataError):
    """Rows that cannot say which contract and schedule they come from."""


class GapError(DataError):
    """A window crosses a gap, a session break or a roll."""


class HashVersionError(DataError):
    """Row hashes of different versions meet in one dataset."""


class StaleFeatureError(DataError):
    """An online feature is older than its time to live, or was never there; the next tick may cure it."""

    default_retryable = True


class CalendarError(DataError):
    """A date outside the calendar, or one that is no trading day."""


class UnknownInstrumentError(DataError):
    """A product or contract that no instrument table declares."""


class ProviderError(GhtraderError):
    """The data or order provider answered with an error."""


class ProviderTransientError(ProviderError):
    """The provider failed in a way that trying again may cure."""

    default_retryable = True


class ProviderPermanentError(ProviderError):
    """The provider refused for good: unknown contract, no permission."""


class ProviderMaintenanceError(ProviderError):
    """The provider is closed for maintenance; try after the window."""

    default_retryable = True


class StoreError(GhtraderError):
    """Reading or writing a store failed: disk full, unreadable file, server away."""


class ConfigError(GhtraderError):
    """A configuration key, value or source is wrong."""


class RiskDenied(GhtraderError):
    """A risk rule refused the order; ``context['reason']`` names the rule."""


class HaltedError(GhtraderError):
    """Trading is halted; ``context['reason']`` says by what."""


EXIT_OK = 0
EXIT_INTERRUPTED = 130

EXIT_CODES: tuple[tuple[type[BaseException], int], ...] = (
    (KeyboardInterrupt, EXIT_INTERRUPTED),
    (UsageError, 2),
    (LockHeldError, 3),
    (DataError, 4),
    (ProviderError, 5),
    (StoreError, 6),
    (ConfigError, 7),
    (RiskDenied, 8),
    (HaltedError, 8),
    (BaseException, 1),
)


def exit_code_of(error: BaseException) -> int:
    """The process exit code of an error: the first row of ``EXIT_CODES`` that matches.

    >>> exit_code_of(SchemaError("x")), exit_code_of(ValueError("x"))
    (4, 1)
    """
    return next(code for kind, code in EXIT_CODES if isinstance(error, kind))
