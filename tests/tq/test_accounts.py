"""Accounts are listed masked and verified read-only; no secret is on disk, in a log, in an argument or in an error."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from pathlib import Path

import pytest
from tests.conftest import Cli, environment_of
from tests.tq.conftest import Serve

from ghtrader.core.clock import Deadline
from ghtrader.core.errors import ConfigError, ProviderMaintenanceError
from ghtrader.data.maintenance import moment_ns
from ghtrader.pipelines.accounts import list_accounts, verify_account
from ghtrader.testing.fakes import FakeClock
from ghtrader.tq.accounts import TradingAccount, declared_accounts
from ghtrader.tq.session import Credentials, as_provider_error, credentials_from, read_accounts_file

NUMBER, PASSWORD, LOGIN = "81234567", "hunter2-of-the-broker", "hunter2-of-the-login"
DECLARED = {"TQ_BROKER_ID_MAIN": "simnow", "TQ_ACCOUNT_ID_MAIN": NUMBER, "TQ_ACCOUNT_PASSWORD_MAIN": PASSWORD}


def test_verify_reads_logs_in_once_and_leaves_no_secret_anywhere(serve: Serve, tmp_path: Path) -> None:
    exchange = serve(options=("--market", "null", "--days", "1", "--accounts", f"user:{LOGIN},{NUMBER}:{PASSWORD}"))
    cli = Cli(tmp_path)
    environment = {**exchange.environment, **DECLARED, "GHTRADER_DEBUG": "1"}
    listed = cli.json("account", "list", **environment)["accounts"]
    assert [(item["name"], item["number"]) for item in listed] == [("kq", ""), ("main", "******67"), ("sim", "")]
    assert "not for research" in next(item["note"] for item in listed if item["name"] == "sim")
    command = [sys.executable, "-m", "ghtrader.app", "account", "verify", "main", "--json"]
    process = subprocess.Popen(
        command, env={**cli.environment, **environment}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    arguments = b""
    deadline = Deadline(60)
    while process.poll() is None and not deadline.passed:
        arguments += Path(f"/proc/{process.pid}/cmdline").read_bytes()
        deadline.pause(0.05)
    out, err = process.communicate()
    assert '"balance":10000000.0' in out
    assert '"cached":false' in out
    hits = exchange.ask("hits")["login"]
    assert cli.json("account", "verify", "main", **environment)["cached"]
    assert exchange.ask("hits")["login"] == hits
    assert exchange.ask("orders") == []
    wrong = cli.run("account", "verify", "main", "--fresh", **{**environment, "TQ_ACCOUNT_PASSWORD_MAIN": "not-" + PASSWORD})
    assert wrong.returncode == 5
    assert "账户和密码不匹配" in wrong.stdout
    for secret in (NUMBER, PASSWORD, LOGIN):
        assert secret.encode() not in arguments
        assert secret not in out + err + wrong.stdout + wrong.stderr
        for path in (path for folder in ("data", "runs", "artifacts") for path in (tmp_path / folder).rglob("*")):
            assert not path.is_file() or secret.encode() not in path.read_bytes(), path


def test_declared_accounts_show_no_number_and_no_password(tmp_path: Path) -> None:
    (account,) = [item for item in declared_accounts(DECLARED, tmp_path).values() if item.kind == "broker"]
    assert (account.number, account.password, account.shown_number) == (NUMBER, PASSWORD, "******67")
    for text in (repr(account), str(account), repr(Credentials("me", LOGIN))):
        assert not any(secret in text for secret in (NUMBER, PASSWORD, LOGIN))
    with pytest.raises(ConfigError, match="TQ_ACCOUNT_PASSWORD_MAIN not set"):
        declared_accounts({**DECLARED, "TQ_ACCOUNT_PASSWORD_MAIN": ""}, tmp_path)
    error = as_provider_error(Exception(f"{NUMBER}/{PASSWORD} 拒绝"), what="account main", secrets=[NUMBER, PASSWORD, ""])
    assert error.message == "account main: ***/*** 拒绝"
    assert not TradingAccount("kq", "kq").fills_at_limit_price


def test_an_accounts_file_is_the_owners_alone_and_its_bad_lines_are_not_shown(tmp_path: Path) -> None:
    path = tmp_path / "accounts.env"
    path.write_text(f"# login\nexport TQSDK_USER='me'\nTQSDK_PASSWORD=\"{LOGIN}\"\n\n")
    path.chmod(0o640)
    with pytest.raises(ConfigError, match="can be read by others") as refused:
        read_accounts_file(path)
    assert refused.value.hint == f"chmod 600 {path}"
    path.chmod(0o600)
    assert credentials_from({}, tmp_path) == Credentials("me", LOGIN)
    assert credentials_from({"TQSDK_USER": "other"}, tmp_path) == Credentials("other", LOGIN)
    path.write_text(f"{PASSWORD}\n")
    with pytest.raises(ConfigError, match="line 1: expected NAME=value") as refused:
        read_accounts_file(path)
    assert PASSWORD not in str(refused.value.as_dict())
    assert credentials_from({}, tmp_path / "nowhere") is None


def test_a_check_of_an_account_without_a_login_or_a_name_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ghtrader.app.paths import resolve_paths
    from ghtrader.app.services import AppServices

    environment = {name: value for name, value in environment_of(tmp_path).items() if not name.startswith("TQ")}
    services = AppServices(resolve_paths(environment), environment)
    assert [item.name for item in list_accounts(services)] == ["kq", "sim"]
    services.clock = FakeClock(moment_ns(dt.date(2025, 6, 12), dt.time(12, 0)))
    with pytest.raises(ConfigError, match="no account 'nobody'"):
        verify_account(services, "nobody")
    services.clock = FakeClock(moment_ns(dt.date(2025, 6, 12), dt.time(19, 29)))
    with pytest.raises(ProviderMaintenanceError, match="nothing was asked"):
        verify_account(services, "kq")
