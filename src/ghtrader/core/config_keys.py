"""How a room declares a configuration key. The config service enforces what is declared here."""

from __future__ import annotations

from typing import Literal

import msgspec

__all__ = ["ConfigKey", "ConfigValue", "ValueKind"]

ConfigValue = bool | int | float | str | list[str | int | float]
ValueKind = Literal["bool", "int", "float", "str", "list[str]", "list[int]", "list[float]"]


class ConfigKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One managed key: dotted lower-case name (``data.validation.max_gap_s``), type, default, bounds and meaning.

    The environment variable of a key is ``GHTRADER_`` + the name in capitals with dots as underscores, unless
    ``env`` names another.
    """

    name: str
    kind: ValueKind
    default: ConfigValue
    doc: str
    unit: str = ""
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    env: str = ""

    @property
    def env_name(self) -> str:
        """The environment variable that overrides the stored value."""
        return self.env or "GHTRADER_" + self.name.upper().replace(".", "_")
