"""Every verb of the command line: where it lives and what it does in one line. Nothing is imported until it is called."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["VERBS", "Verb"]


class Verb(NamedTuple):
    """A verb or verb group: its heading in the help, module, attribute (a Typer app) and one line of help."""

    section: str
    module: str
    attribute: str
    help: str


VERBS: dict[str, Verb] = {
    "demo": Verb(
        "Start here",
        "ghtrader.cli.demo",
        "demo_app",
        "The whole loop on real ticks: import, validate, train, judge, simulate, report.",
    ),
    "data": Verb(
        "Data",
        "ghtrader.cli.data",
        "app",
        "Import, list, digest, verify, validate and query ticks.",
    ),
    "main-schedule": Verb(
        "Data",
        "ghtrader.cli.main_series",
        "schedule_app",
        "Which contract is the main contract on which day.",
    ),
    "main-l5": Verb(
        "Data",
        "ghtrader.cli.main_series",
        "main_l5_app",
        "Materialise the main-contract series with provenance.",
    ),
    "calendar": Verb(
        "Data",
        "ghtrader.cli.market_facts",
        "calendar_app",
        "Trading days, sessions and phases.",
    ),
    "instruments": Verb(
        "Data",
        "ghtrader.cli.market_facts",
        "instruments_app",
        "Products with their dated facts.",
    ),
    "features": Verb(
        "Research",
        "ghtrader.cli.features",
        "features_app",
        "Factors: the catalogue, computing them from ticks or a live stream, parity.",
    ),
    "labels": Verb(
        "Research",
        "ghtrader.cli.labels",
        "labels_app",
        "Labels of any tick file, and what each of them means.",
    ),
    "build": Verb(
        "Research",
        "ghtrader.cli.build",
        "build_app",
        "Compute factors and labels of stored days.",
    ),
    "train": Verb(
        "Research",
        "ghtrader.cli.research",
        "train_app",
        "Train and judge models, walk-forward with purge and embargo.",
    ),
    "backtest": Verb(
        "Research",
        "ghtrader.cli.research",
        "backtest_app",
        "Simulate execution under every fill model.",
    ),
    "trials": Verb(
        "Research",
        "ghtrader.cli.research",
        "trials_app",
        "What was tried, on what, with which result.",
    ),
    "audit": Verb(
        "Research",
        "ghtrader.cli.research",
        "audit_app",
        "Look for leaks in the pipeline, or plant one and see it caught.",
    ),
    "market": Verb(
        "Truth machine",
        "ghtrader.cli.market",
        "app",
        "Generate markets whose truth is known.",
    ),
    "truth": Verb(
        "Truth machine",
        "ghtrader.cli.truth",
        "truth_app",
        "Does the pipeline find what was planted, and nothing else?",
    ),
    "serve-exchange": Verb(
        "Data",
        "ghtrader.cli.exchange",
        "app",
        "An exchange on loopback that unmodified TqSdk scripts run against.",
    ),
    "store": Verb(
        "Operations",
        "ghtrader.cli.store",
        "app",
        "Copy between stores, compare them, ask what they hold.",
    ),
    "db": Verb(
        "Operations",
        "ghtrader.cli.db",
        "app",
        "Migrations, schema check, health and speed of the store.",
    ),
    "paper": Verb(
        "Trading",
        "ghtrader.cli.paper",
        "paper_app",
        "Gateway and strategy together on stored ticks, under every fill model.",
    ),
    "gateway": Verb(
        "Trading",
        "ghtrader.cli.gateway",
        "app",
        "The process that trades an account: on a replay, or live.",
    ),
    "drill": Verb(
        "Trading",
        "ghtrader.cli.drill",
        "app",
        "Rehearse a disaster: the kill switch under kill -9 and a damaged file.",
    ),
    "simulate": Verb(
        "Trading",
        "ghtrader.cli.simulate",
        "simulate_app",
        "The real gateway on virtual time, with everything around it failing by a seed.",
    ),
    "account": Verb(
        "Operations",
        "ghtrader.cli.account",
        "app",
        "Trading accounts: what is declared, and whether they can be used.",
    ),
    "strategy": Verb(
        "Trading",
        "ghtrader.cli.strategy",
        "app",
        "Run a strategy: ticks in, factors and model, targets out.",
    ),
    "trade": Verb(
        "Trading",
        "ghtrader.cli.trade",
        "app",
        "How an account stands, and commands to its gateway.",
    ),
    "journal": Verb(
        "Trading",
        "ghtrader.cli.journal",
        "app",
        "What a gateway decided and did: follow it, look a record up, ask why an order was sent.",
    ),
    "preflight": Verb(
        "Trading",
        "ghtrader.cli.preflight",
        "preflight_app",
        "May a session begin? Calendar, contract, settlement, positions, funds, model, clock, disk, filing.",
    ),
    "tca": Verb(
        "Trading",
        "ghtrader.cli.tca",
        "tca_app",
        "What trading cost: timing, impact, spread, fees, opportunity; expected beside realised.",
    ),
    "kill": Verb(
        "Trading",
        "ghtrader.cli.kill",
        "app",
        "Stop an account: latched on disk, with or without a gateway.",
    ),
    "config": Verb(
        "Operations",
        "ghtrader.cli.config",
        "app",
        "Configuration with history, rollback and sources.",
    ),
    "bench": Verb(
        "Operations",
        "ghtrader.cli.bench",
        "app",
        "Speed and memory with their protocol, beside peers.",
    ),
}
