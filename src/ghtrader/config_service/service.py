"""Configuration with a history: effective values with their source, changes as revisions, rollback as a new revision."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from ghtrader.config_service.registry import KeyRegistry
from ghtrader.core.clock import Clock
from ghtrader.core.config_keys import ConfigValue
from ghtrader.core.env_only import env_only_reason
from ghtrader.core.errors import ConfigError
from ghtrader.core.ids import content_hash
from ghtrader.ports.config_store import ConfigRevision, ConfigRevisions

__all__ = ["ConfigService", "EffectiveSettings", "EffectiveValue"]


class EffectiveValue(msgspec.Struct, frozen=True, kw_only=True):
    """What counts for one key, where it comes from, and what it shadows (source, value), nearest first."""

    name: str
    value: ConfigValue
    source: str
    shadows: list[tuple[str, ConfigValue]]
    default: ConfigValue
    doc: str
    unit: str
    env: str


class EffectiveSettings:
    """Every effective value of this process, resolved once; `pipelines.services.Settings`."""

    def __init__(self, registry: KeyRegistry, values: dict[str, ConfigValue]) -> None:
        self._registry = registry
        self._values = values

    @property
    def config_hash(self) -> str:
        """Hash of every effective value."""
        return content_hash(self._values)

    def get(self, name: str) -> ConfigValue:
        """The effective value of a declared key."""
        return self._values[self._registry.key(name).name]

    def snapshot(self) -> dict[str, ConfigValue]:
        """Every effective value by name, sorted."""
        return dict(sorted(self._values.items()))


class ConfigService:
    """Resolve and change configuration: command line > environment > store > default."""

    def __init__(
        self,
        registry: KeyRegistry,
        revisions: ConfigRevisions,
        clock: Clock,
        *,
        environment: Mapping[str, str],
        overrides: Mapping[str, str] | None = None,
    ) -> None:
        self.registry = registry
        self._revisions = revisions
        self._clock = clock
        self._environment = environment
        self._overrides = dict(overrides or {})
        for name in self._overrides:
            registry.key(name)

    def explain(self, name: str) -> EffectiveValue:
        """One key's effective value with its source and what it shadows."""
        return self._explain(name, self._stored())

    def effective(self) -> list[EffectiveValue]:
        """Every key's effective value, by name."""
        stored = self._stored()
        return [self._explain(key.name, stored) for key in self.registry]

    def settings(self) -> EffectiveSettings:
        """The effective configuration as a value."""
        return EffectiveSettings(self.registry, {item.name: item.value for item in self.effective()})

    def _stored(self) -> dict[str, ConfigValue]:
        latest = self._revisions.latest()
        return {} if latest is None else latest.values

    def _explain(self, name: str, stored: Mapping[str, ConfigValue]) -> EffectiveValue:
        key = self.registry.key(name)
        layers: list[tuple[str, ConfigValue]] = []
        if name in self._overrides:
            layers.append(("command line", self.registry.parse(name, self._overrides[name])))
        if key.env_name in self._environment:
            try:
                layers.append((f"environment {key.env_name}", self.registry.parse(name, self._environment[key.env_name])))
            except ConfigError as error:
                raise ConfigError(f"environment variable {key.env_name}: {error.message}", hint=error.hint, key=name) from error
        if name in stored:
            layers.append(("store", self.registry.check(name, stored[name])))
        layers.append(("default", key.default))
        return EffectiveValue(
            name=name,
            value=layers[0][1],
            source=layers[0][0],
            shadows=layers[1:],
            default=key.default,
            doc=key.doc,
            unit=key.unit,
            env=key.env_name,
        )

    def history(self) -> list[ConfigRevision]:
        """Every revision, oldest first."""
        return self._revisions.all()

    def set(self, values: Mapping[str, object], *, actor: str, reason: str) -> ConfigRevision:
        """Store values as one revision; every name and value is checked before anything is written."""
        checked: dict[str, ConfigValue] = {}
        for name, value in values.items():
            refused = env_only_reason(name)
            if refused:
                raise ConfigError(f"{name} is refused: {refused}", hint="set it in the process environment", key=name)
            checked[name] = self.registry.parse(name, value) if isinstance(value, str) else self.registry.check(name, value)
        return self._append({**self._stored(), **checked}, actor=actor, reason=reason)

    def unset(self, names: list[str], *, actor: str, reason: str) -> ConfigRevision:
        """Take values out of the store; what they shadowed counts again."""
        stored = self._stored()
        for name in names:
            self.registry.key(name)
            if name not in stored:
                raise ConfigError(f"{name} is not set in the store", hint=f"ghtrader config explain {name}", key=name)
        return self._append({name: value for name, value in stored.items() if name not in names}, actor=actor, reason=reason)

    def rollback(self, number: int, *, actor: str, reason: str) -> ConfigRevision:
        """Make the values of an earlier revision count again, as a new revision."""
        return self._append(self.revision(number).values, actor=actor, reason=reason or f"rollback to revision {number}")

    def revision(self, number: int) -> ConfigRevision:
        """One revision; 0 is the empty beginning."""
        if number == 0:
            return ConfigRevision(number=0, values={}, actor="", created_ns=0, reason="", changes={})
        found = next((item for item in self._revisions.all() if item.number == number), None)
        if found is None:
            raise ConfigError(f"there is no revision {number}", hint="ghtrader config history")
        return found

    def diff(self, older: int, newer: int) -> dict[str, tuple[ConfigValue | None, ConfigValue | None]]:
        """What changed between two revisions: name -> (older value, newer value)."""
        return _changes(self.revision(older).values, self.revision(newer).values)

    def _append(self, values: dict[str, ConfigValue], *, actor: str, reason: str) -> ConfigRevision:
        latest = self._revisions.latest()
        old = {} if latest is None else latest.values
        changes = _changes(old, values)
        if not changes:
            raise ConfigError("nothing would change", hint="ghtrader config list")
        revision = ConfigRevision(
            number=1 if latest is None else latest.number + 1,
            values=dict(sorted(values.items())),
            actor=actor,
            created_ns=self._clock.now_ns(),
            reason=reason,
            changes=changes,
        )
        self._revisions.append(revision)
        return revision


def _changes(
    old: Mapping[str, ConfigValue], new: Mapping[str, ConfigValue]
) -> dict[str, tuple[ConfigValue | None, ConfigValue | None]]:
    names = sorted({*old, *new})
    return {name: (old.get(name), new.get(name)) for name in names if old.get(name) != new.get(name)}
