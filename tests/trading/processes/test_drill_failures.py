"""A drill whose gateway cannot run says so; it neither waits nor passes."""

from __future__ import annotations

import os

import pytest

from ghtrader.app.services import AppServices
from ghtrader.core.errors import StoreError
from ghtrader.core.messages import CommandAnswer
from ghtrader.pipelines import drill


def test_what_the_gateway_fails_of_is_what_the_drill_fails_of(services: AppServices, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise StoreError("cannot write journal: no space left", hint="check the disk")

    monkeypatch.setattr(drill, "_Gateway", full)
    with pytest.raises(StoreError, match="the gateway of the drill failed: cannot write journal: no space left") as failed:
        drill.drill_kill_switch(services, "demo")
    assert failed.value.hint == "check the disk"


def test_a_gateway_that_dies_in_the_middle_is_named(services: AppServices, monkeypatch: pytest.MonkeyPatch) -> None:
    def die(*_: object, **__: object) -> CommandAnswer:
        os._exit(9)

    monkeypatch.setattr(drill._Gateway, "command", die)
    with pytest.raises(StoreError, match="the gateway of the drill ended with exit code 9"):
        drill.drill_kill_switch(services, "demo")
