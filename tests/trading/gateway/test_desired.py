"""Desired state: risk limits are made tighter by commands, audited, in force at once and after a restart; snapshots bound a start."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import environment_of
from tests.trading.gateway.rig import FUNDS, SECOND, Rig

from ghtrader.app.paths import resolve_paths
from ghtrader.app.services import AppServices
from ghtrader.core.messages import Outcome, Verb
from ghtrader.pipelines.gateway_process import settings_of
from ghtrader.ports.broker import AccountFunds
from ghtrader.trading.gateway import events as ev
from ghtrader.trading.gateway.fold import snapshot_of
from ghtrader.trading.gateway.modes import Gates
from ghtrader.trading.gateway.state import GatewaySettings
from ghtrader.trading.kill.record import KillPolicy
from ghtrader.trading.risk.limits import RiskLimits


def test_a_command_makes_a_limit_tighter_at_once_and_for_the_runs_to_come() -> None:
    rig = Rig()
    answer = rig.command(
        Verb.SET_DESIRED, params={"limits.max_position_lots": 1, "limits.stale_feed_s": 2.5}, reason="thin market"
    )
    assert (answer.outcome, answer.message) == (
        Outcome.ACCEPTED,
        "wanted: paper; now: paper; max_position_lots 1; stale_feed_s 2.5",
    )
    assert rig.state.limits == RiskLimits(max_position_lots=1, stale_feed_ns=5 * SECOND // 2)
    rig.target(2)
    assert rig.records("verdict")[-1].body["reason"] == "max_position"
    command, mode = rig.records("command")[-1], rig.records("mode")[-1]
    assert (mode.cause, mode.body["why"]) == (command.seq, "thin market")
    rig.later()
    shown = rig.outlets.documents[-1]
    assert shown.desired["limits"] == {"max_position_lots": 1, "stale_feed_s": 2.5}
    assert (shown.limits["max_position_lots"], "confirm_live" in shown.desired) == (1, False)

    rig.crash()
    assert rig.state.limits.max_position_lots == 1
    rig.ready()
    rig.desired(**{"limits.max_position_lots": "configured"})
    assert rig.state.limits == RiskLimits(stale_feed_ns=5 * SECOND // 2)
    rig.tick()
    rig.target(2)
    assert rig.records("verdict")[-1].body["approved"]


@pytest.mark.parametrize(
    ("params", "reason", "words"),
    [
        ({"limits.max_position_lots": 11}, "looser_limit", "max_position_lots"),
        ({"limits.end_guard_s": 29.0}, "looser_limit", "end_guard_s"),
        ({"limits.delivery_month_opening": True}, "looser_limit", "delivery_month_opening"),
        ({"limits.max_lots": 1}, "bad_params", "max_lots"),
        ({"limits.max_position_lots": "few"}, "bad_params", "max_position_lots"),
        ({"limits.max_position_lots": -1}, "bad_params", "max_position_lots"),
        ({"limits.max_daily_loss_cny": math.nan}, "bad_params", "max_daily_loss_cny"),
        ({"limit.max_position_lots": 1}, "bad_params", "limits.NAME"),
    ],
)
def test_limits_that_are_looser_or_none_are_refused(params: dict[str, Any], reason: str, words: str) -> None:
    rig = Rig()
    answer = rig.command(Verb.SET_DESIRED, params=params)
    assert (answer.outcome, answer.reason) == (Outcome.REFUSED, reason)
    assert words in answer.message
    assert rig.state.limits == RiskLimits()


def test_a_limit_that_the_configuration_has_made_tighter_since_stays_the_configured_one() -> None:
    rig = Rig()
    rig.desired(**{"limits.max_position_lots": 5, "limits.orders_per_s": 2})
    rig.settings = GatewaySettings(account="demo", gates=Gates(broker="paper"), limits=RiskLimits(max_position_lots=3))
    rig.crash()
    assert rig.state.limits == RiskLimits(max_position_lots=3, orders_per_s=2)
    rig.ready()
    assert rig.desired(executor="taker").outcome == Outcome.ACCEPTED  # what it does not name is not held against it


def test_a_loss_beyond_a_limit_that_was_made_tighter_kills_at_once() -> None:
    rig = Rig()
    rig.handle(ev.FundsArrived(now_ns=rig.now, funds=AccountFunds(**{**_fields(), "balance": FUNDS.balance - 3000.0})))
    assert not rig.state.killed
    rig.desired(**{"limits.max_daily_loss_cny": 3000.0})
    assert rig.state.killed
    assert rig.state.kill.reason.startswith("daily_loss")


def test_a_contracts_loss_beyond_a_limit_that_was_made_tighter_halts_it_at_once() -> None:
    rig = Rig()
    rig.target(2)
    rig.filled(2)
    rig.tick(bid=2950, ask=2951)
    rig.later()
    rig.desired(**{"limits.max_symbol_loss_cny": 500.0})
    halt = rig.records("halt")[-1]
    assert (halt.body["reason"], halt.body["symbol"]) == ("symbol_loss", "SHFE.rb2510")


def test_the_configuration_says_what_a_breach_does(tmp_path: Path) -> None:
    environment = environment_of(tmp_path)
    plain, told = (
        AppServices(resolve_paths(env), env) for env in (environment, {**environment, "GHTRADER_GATEWAY_KILL_POLICY": "cancel"})
    )
    assert settings_of(plain, "demo", Gates()).kill_policy == KillPolicy.FLATTEN
    settings = settings_of(told, "demo", Gates(broker="paper"))
    rig = Rig(settings=settings)
    rig.target(2)
    rig.filled(2)
    rig.handle(ev.FundsArrived(now_ns=rig.now, funds=AccountFunds(**{**_fields(), "balance": FUNDS.balance / 2})))
    rig.later()
    assert (rig.state.killed, rig.state.kill_journaled.policy, rig.state.positions.net("SHFE.rb2510")) == (
        True,
        KillPolicy.CANCEL,
        2,
    )
    assert len(rig.desk.submitted) == 1


def test_a_restart_reads_no_further_back_than_the_newest_snapshot() -> None:
    settings = GatewaySettings(account="demo", gates=Gates(broker="paper"), snapshot_records=20)
    rig = Rig(settings=settings)
    for lots in (2, 0) * 5:
        rig.tick()
        rig.target(lots)
        rig.filled(2)
        rig.later()
    states = [record.seq for record in rig.records("state")]
    assert len(states) >= 3
    assert all(after - before <= 30 for before, after in itertools.pairwise(states))
    read = list(rig.journal.read_since_snapshot())
    assert read[0].seq == states[-1]
    before = snapshot_of(rig.state)
    rig.crash()
    after = snapshot_of(rig.state)
    moved = {"epoch", "count", "kill_seq"}
    assert {k: v for k, v in after.items() if k not in moved} == {k: v for k, v in before.items() if k not in moved}


def _fields() -> dict[str, float]:
    return {name: getattr(FUNDS, name) for name in FUNDS.__struct_fields__}
