"""Accounts of old paper runs go; everybody else's stay."""

from __future__ import annotations

from ghtrader.app.services import AppServices
from ghtrader.pipelines.paper_accounts import paper_account, prune_paper_accounts
from ghtrader.ports.lock import strategy_key


def test_only_old_paper_runs_that_nobody_trades_go(services: AppServices) -> None:
    media = services.trading()
    stamps = [f"2026112{day}T100000" for day in range(5)]
    paper = [paper_account(stamp, model) for stamp in stamps for model in ("back", "pro_rata")]
    others = ["demo", "paper", "paper-mine", "paper-20261120T100000-", "paper-20261120-back"]
    for account in (*paper, *others):
        (media.folder(account) / "journal").mkdir(parents=True)
    lock = media.locks().acquire(strategy_key(paper[0]))
    assert prune_paper_accounts(services, 3) == paper[1:4]
    assert set(media.accounts()) == {*paper[4:], paper[0], *others}
    lock.release()
    assert prune_paper_accounts(services, 3) == [paper[0]]
    assert prune_paper_accounts(services, 3) == []
