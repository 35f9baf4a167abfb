from __future__ import annotations

from pathlib import Path

import pytest

from ghtrader.adapters.local.config_store import LedgerConfigRevisions
from ghtrader.adapters.memory import MemoryLedger
from ghtrader.app.keys import declared_keys
from ghtrader.app.services import AppServices
from ghtrader.config_service.registry import KeyRegistry
from ghtrader.config_service.service import ConfigService
from ghtrader.core.clock import SystemClock
from ghtrader.core.config_keys import ConfigKey
from ghtrader.core.env_only import env_only_reason
from ghtrader.core.errors import ConfigError, LockHeldError
from ghtrader.ports.config_store import ConfigRevision

KEYS = declared_keys()
FORBIDDEN = [
    "TQ_ACCOUNT", "TQSDK_AUTH", "tq.user", "broker.password", "x.passwd", "redis.secret", "my.token", "service.api_key",
    "ghtrader.live_enabled", "ghtrader.live.enabled", "data.dir", "GHTRADER_DATA_DIR", "store.path", "questdb.host", "redis.url",
    "some.address", "server.port",
]  # fmt: skip


def service(
    environment: dict[str, str] | None = None, overrides: dict[str, str] | None = None, ledger: MemoryLedger | None = None
) -> ConfigService:
    store = LedgerConfigRevisions(ledger or MemoryLedger(), frozenset(key.name for key in KEYS))
    return ConfigService(KeyRegistry(KEYS), store, SystemClock(), environment=environment or {}, overrides=overrides)


def test_command_line_beats_environment_beats_store_beats_default() -> None:
    ledger, name = MemoryLedger(), "sim.hold_s"
    service(ledger=ledger).set({name: 30.0}, actor="a", reason="r")
    layered = service({"GHTRADER_SIM_HOLD_S": "40"}, {name: "50"}, ledger)
    item = layered.explain(name)
    assert (item.value, item.source) == (50.0, "command line")
    assert item.shadows == [("environment GHTRADER_SIM_HOLD_S", 40.0), ("store", 30.0), ("default", 25.0)]
    assert service(ledger=ledger).settings().get(name) == 30.0


@pytest.mark.parametrize("name", FORBIDDEN)
def test_env_only_keys_are_refused_by_service_and_by_the_store_itself(name: str) -> None:
    ledger = MemoryLedger()
    assert env_only_reason(name)
    with pytest.raises(ConfigError, match="environment only"):
        service(ledger=ledger).set({name: "hunter2"}, actor="a", reason="r")
    store = LedgerConfigRevisions(ledger, frozenset({name}))
    with pytest.raises(ConfigError) as caught:
        store.append(ConfigRevision(number=1, values={name: "hunter2"}, actor="a", created_ns=0, reason="", changes={}))
    assert "hunter2" not in str(caught.value) + caught.value.hint + str(caught.value.context)
    assert ledger.count("config") == 0


def test_unknown_keys_name_the_nearest_and_nothing_is_written() -> None:
    ledger = MemoryLedger()
    with pytest.raises(ConfigError) as caught:
        service(ledger=ledger).set({"sim.hold_s": 3.0, "sim.hodl_s": 3.0}, actor="a", reason="r")
    assert "sim.hold_s" in caught.value.hint
    assert ledger.count("config") == 0
    with pytest.raises(ConfigError):
        LedgerConfigRevisions(ledger, frozenset()).append(
            ConfigRevision(number=1, values={"sim.hold_s": 3.0}, actor="a", created_ns=0, reason="", changes={})
        )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("sim.hold_s", 0.1),
        ("sim.hold_s", "soon"),
        ("sim.lots", 1.5),
        ("sim.lots", 10**6),
        ("research.models", ["x"]),
        ("datasets.strict_provenance", "maybe"),
        ("sim.hold_s", "nan"),
    ],
)
def test_values_are_checked_against_type_bounds_and_choices(name: str, value: object) -> None:
    with pytest.raises(ConfigError, match=name):
        service().set({name: value}, actor="a", reason="r")


def test_a_bad_environment_value_names_its_variable() -> None:
    with pytest.raises(ConfigError, match="GHTRADER_SIM_LOTS"):
        service({"GHTRADER_SIM_LOTS": "many"}).settings()


def test_history_diff_unset_and_rollback() -> None:
    config = service()
    config.set({"sim.hold_s": 30.0, "sim.lots": 2}, actor="ann", reason="try")
    config.unset(["sim.lots"], actor="ben", reason="no")
    third = config.rollback(1, actor="ann", reason="")
    assert [r.number for r in config.history()] == [1, 2, 3]
    assert third.values == {"sim.hold_s": 30.0, "sim.lots": 2}
    assert third.reason == "rollback to revision 1"
    assert config.diff(1, 2) == {"sim.lots": (2, None)}
    assert config.diff(0, 1)["sim.hold_s"] == (None, 30.0)
    for wrong in (
        lambda: config.rollback(3, actor="a", reason=""),
        lambda: config.revision(9),
        lambda: config.unset(["sim.lots", "sim.patience_s"], actor="a", reason=""),
    ):
        with pytest.raises(ConfigError):
            wrong()


def test_two_writers_of_one_revision_do_not_lose_a_change() -> None:
    store = LedgerConfigRevisions(MemoryLedger(), frozenset(key.name for key in KEYS))
    revision = ConfigRevision(number=1, values={"sim.lots": 2}, actor="a", created_ns=0, reason="", changes={})
    store.append(revision)
    with pytest.raises(LockHeldError):
        store.append(revision)


def test_equal_configurations_have_equal_hashes() -> None:
    base = service().settings()
    assert base.config_hash == service().settings().config_hash
    assert base.config_hash != service({"GHTRADER_SIM_LOTS": "2"}).settings().config_hash
    assert base.snapshot()["sim.lots"] == 1


def test_every_declared_key_has_a_meaning_and_a_default_that_passes_its_own_check() -> None:
    registry = KeyRegistry(KEYS)
    for key in KEYS:
        assert len(key.doc) > 20
        assert registry.check(key.name, key.default) == key.default
        assert env_only_reason(key.name) is None
    with pytest.raises(ConfigError, match="twice"):
        KeyRegistry((KEYS[0], KEYS[0]))
    assert ConfigKey(name="a.b", kind="int", default=1, doc="x", env="OWN").env_name == "OWN"


def test_text_values_are_parsed_by_type() -> None:
    registry = KeyRegistry(KEYS)
    assert registry.parse("datasets.strict_provenance", "off") is False
    assert registry.parse("research.models", "prior, logistic") == ["prior", "logistic"]
    assert registry.parse("research.models", '["prior"]') == ["prior"]
    assert registry.parse("sim.lots", "3") == 3


def test_a_workspace_has_its_own_data_and_the_same_configuration(services: AppServices, tmp_path: Path) -> None:
    services.override({"sim.lots": "4"})
    space = services.workspace("x")
    assert space.settings().get("sim.lots") == 4
    assert space.paths.data == services.paths.data / "workspaces" / "x"
    assert space.paths.artifacts == services.paths.artifacts
    space.ledger().append("trials", {"a": 1})
    assert services.ledger().count("trials") == 0
