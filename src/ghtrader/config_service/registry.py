"""The declared keys of every room, and the check of a value against its declaration."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable
from typing import Any

import msgspec

from ghtrader.core.config_keys import ConfigKey, ConfigValue
from ghtrader.core.errors import ConfigError

__all__ = ["KeyRegistry"]

_TYPES: dict[str, Any] = {
    "bool": bool,
    "int": int,
    "float": float,
    "str": str,
    "list[str]": list[str],
    "list[int]": list[int],
    "list[float]": list[float],
}


class KeyRegistry:
    """Declared keys by name. A name is declared once; unknown names raise ConfigError with the nearest match."""

    def __init__(self, keys: Iterable[ConfigKey]) -> None:
        self._keys: dict[str, ConfigKey] = {}
        for key in keys:
            if key.name in self._keys:
                raise ConfigError(f"the key {key.name} is declared twice")
            self._keys[key.name] = key

    def __iter__(self) -> Any:
        return iter(sorted(self._keys.values(), key=lambda key: key.name))

    def key(self, name: str) -> ConfigKey:
        """The declaration of a key."""
        found = self._keys.get(name)
        if found is None:
            near = difflib.get_close_matches(name, self._keys, n=1)
            hint = f"did you mean {near[0]}?" if near else "ghtrader config list"
            raise ConfigError(f"unknown key {name}", hint=hint, key=name)
        return found

    def check(self, name: str, value: object) -> ConfigValue:
        """The value in its declared type; raises ConfigError naming type, bounds or choices."""
        key = self.key(name)
        try:
            typed: ConfigValue = msgspec.convert(value, _TYPES[key.kind], strict=True)
        except msgspec.ValidationError as error:
            raise ConfigError(f"{name} must be {key.kind}: {error}", hint=f"ghtrader config explain {name}", key=name) from error
        for item in typed if isinstance(typed, list) else [typed]:
            self._check_item(key, item)
        return typed

    def _check_item(self, key: ConfigKey, item: bool | float | str) -> None:
        hint = f"ghtrader config explain {key.name}"
        if key.choices and item not in key.choices:
            raise ConfigError(f"{key.name} must be one of {', '.join(key.choices)}, but was {item!r}", hint=hint, key=key.name)
        if isinstance(item, str):
            return
        if isinstance(item, float) and not math.isfinite(item):
            raise ConfigError(f"{key.name} must be a finite number, but was {item}", hint=hint, key=key.name)
        if key.minimum is not None and item < key.minimum:
            raise ConfigError(f"{key.name} must be at least {key.minimum:g}, but was {item:g}", hint=hint, key=key.name)
        if key.maximum is not None and item > key.maximum:
            raise ConfigError(f"{key.name} must be at most {key.maximum:g}, but was {item:g}", hint=hint, key=key.name)

    def parse(self, name: str, text: str) -> ConfigValue:
        """A value written as text (command line, environment): JSON for lists, plain words otherwise."""
        key = self.key(name)
        if key.kind == "str":
            return self.check(name, text)
        if key.kind == "bool":
            words = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}
            if text.strip().lower() not in words:
                raise ConfigError(
                    f"{name} must be true or false, but was {text!r}", hint=f"ghtrader config explain {name}", key=name
                )
            return words[text.strip().lower()]
        try:
            value: object = msgspec.json.decode(text)
        except msgspec.DecodeError:
            value = [part.strip() for part in text.split(",")] if key.kind == "list[str]" else text
        return self.check(name, value)
