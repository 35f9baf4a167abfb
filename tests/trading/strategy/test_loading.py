"""Strategies of users' files, and models that are tied to their factors or refused with the reason."""

from __future__ import annotations

import math
from pathlib import Path

import msgspec
import pytest
from tests.trading.strategy.frames import SYMBOL, plan, predictor

from ghtrader.app.services import AppServices
from ghtrader.core.errors import DataError, UsageError
from ghtrader.datasets.factors.catalogue import factor_set, kernel_hash
from ghtrader.datasets.factors.parameters import PARAMETERS, FittedParameters
from ghtrader.pipelines.judge_settings import JudgeSettings
from ghtrader.pipelines.model_cards import ModelCard, StoredCard
from ghtrader.pipelines.parity import Certificate
from ghtrader.pipelines.strategy_models import bare_binding, fitting_model, newest_model, resolve_symbol, strategy_model
from ghtrader.trading.strategy.loading import ModelFacts, ParityFacts, bind_model, load_strategy
from ghtrader.trading.strategy.model import ModelBinding

SETTINGS = JudgeSettings(models=("prior", "logistic"), horizons=("50t",), seed=1, replicates=10, trade_quantile=0.9)
GOOD = """
from __future__ import annotations
from dataclasses import dataclass
from ghtrader.trading.strategy.api import Decision, Strategy

@dataclass
class State:
    seen: int = 0

class Mine(Strategy):
    needs_model = False
    factor_set = "book"

    def __init__(self):
        self.state = State()
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "mine.py"
    path.write_text(text)
    return path


def test_a_file_gives_its_strategy(tmp_path: Path) -> None:
    found = load_strategy(written(tmp_path, GOOD))
    assert (found.name, found.needs_model, found.factor_set) == ("Mine", False, "book")
    assert found.make() is not found.make()
    two = GOOD + "\nclass Other(Mine):\n    pass\n"
    assert load_strategy(written(tmp_path, two + "STRATEGY = Other\n")).name == "Other"
    assert load_strategy(written(tmp_path, GOOD)).source_hash != load_strategy(written(tmp_path, GOOD + "#")).source_hash
    with pytest.raises(UsageError, match="defines Mine, Other: name one STRATEGY"):
        load_strategy(written(tmp_path, two))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1", "defines no Strategy"),
        ("from ghtrader.trading.strategy.api import Strategy", "defines no Strategy"),
        ("1 / 0", "ZeroDivisionError"),
        ("def (", "SyntaxError"),
        (GOOD.replace("__init__(self)", "__init__(self, edge)"), "cannot be made without arguments"),
    ],
)
def test_a_file_without_a_strategy_says_so(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        load_strategy(written(tmp_path, text))


def test_a_file_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot read"):
        load_strategy(tmp_path / "nothing.py")


def certificate(name: str = "c1", **changed: object) -> Certificate:
    chosen = factor_set("minimal16")
    return msgspec.structs.replace(
        Certificate(
            factor_set="minimal16", set_hash=chosen.set_hash, kernel_hash=kernel_hash(), params_hash=plan().params_hash, symbol=SYMBOL,
            data=[], data_digest="", rows=1, days=1, mismatches=0, first_mismatch=None, code="", tool_version="", versions={}, cpu="",
            certificate=name,
        ),
        **changed,
    )  # fmt: skip


def stored(
    services: AppServices, *, symbol: str = "KQ.m@SHFE.rb", last: str = "2025-06-05", model: str = "logistic", horizon: str = "50t",
    names: tuple[str, ...] | None = None, cert: Certificate | None = None, named: str = "c1", fit: FittedParameters | None = None,
    threshold: float = 0.2,
) -> str:  # fmt: skip
    """A model as a training leaves it; the hash of its artefact."""
    names = names or factor_set("minimal16").ids
    made = predictor(names, scale=1.0 + len(list((services.paths.artifacts / "models").glob("*"))))
    card = ModelCard(
        model=model, horizon=horizon, fold=1, train_days=["2025-06-04", last], test_days=["2025-06-06"], theta_ticks=1.0, train_rows=9,
        trade_threshold=threshold, artefact=made.artefact_hash, parity_certificate=named,
        params_hash=msgspec.UNSET if fit is None else fit.params_hash,
    )  # fmt: skip
    whole = StoredCard(
        card=card, symbol=symbol, factor_names=list(names), builds={}, settings=SETTINGS, code="", metrics=[],
        parameters=msgspec.UNSET if fit is None else fit,
    )  # fmt: skip
    folder = services.paths.artifacts / "models" / made.artefact_hash[:16]
    folder.mkdir(parents=True)
    (folder / "model.bin").write_bytes(made.to_bytes())
    (folder / "card.json").write_bytes(msgspec.json.encode(whole))
    parity = services.paths.artifacts / "parity"
    parity.mkdir(exist_ok=True)
    (parity / f"{named}.json").write_bytes(msgspec.json.encode(cert or certificate(named)))
    return made.artefact_hash


def test_the_newest_model_that_trades_is_taken_with_its_factors_threshold_and_last_day(services: AppServices) -> None:
    assert newest_model(services, None) is None
    assert strategy_model(services, None) is None
    stored(services, last="2025-06-05")
    newest = stored(services, last="2025-06-06", names=factor_set("minimal16").ids[:10])
    for other in ({"model": "prior"}, {"horizon": "10t"}, {"symbol": "KQ.m@SHFE.au"}):
        stored(services, last="2025-06-09", **other)
    (services.paths.artifacts / "models" / "torn").mkdir()
    (services.paths.artifacts / "models" / "torn" / "card.json").write_text("{")
    found = strategy_model(services, "KQ.m@SHFE.rb")
    assert (found.model_hash, found.threshold, found.last_train_day, found.follows_main) == (newest, 0.2, "2025-06-06", True)
    assert found.plan.chosen.ids == factor_set("minimal16").ids[:10]
    assert found.max_age_days == 20
    assert strategy_model(services, None).symbol == "KQ.m@SHFE.au"
    assert strategy_model(services, None, model=newest[:16]).symbol == "KQ.m@SHFE.rb"
    assert strategy_model(services, SYMBOL).follows_main is False


def test_paper_passes_over_models_of_older_code_and_damaged_ones(services: AppServices) -> None:
    assert fitting_model(services, SYMBOL) is None
    stored(services, last="2025-06-09", cert=certificate("c0", kernel_hash="older"), named="c0")
    assert fitting_model(services, SYMBOL) is None
    good = stored(services, last="2025-06-05", cert=certificate("c2"), named="c2")
    torn = stored(services, last="2025-06-10", cert=certificate("c3"), named="c3")
    (services.paths.artifacts / "models" / torn[:16] / "model.bin").write_bytes(b"")
    found = fitting_model(services, SYMBOL)
    assert found is not None
    assert found.card.card.artefact == good


def test_fitted_parameters_of_the_card_are_those_that_the_factors_get(services: AppServices) -> None:
    values = {name: neutral for name, (_, neutral) in PARAMETERS.items()}
    fit = FittedParameters(symbol=SYMBOL, days=("2025-06-05",), first_ns=1, last_ns=2, rows=3, values=values)
    stored(services, fit=fit, cert=certificate(params_hash=fit.params_hash))
    assert strategy_model(services, SYMBOL).plan.fit == fit


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"cert": certificate(set_hash="other")}, "trained on other factors"),
        ({"cert": certificate(kernel_hash="other")}, "factors of other code"),
        ({"cert": certificate(params_hash="other")}, "trained on other factors"),
        ({"cert": certificate(mismatches=3)}, "3 factor values"),
        ({"cert": certificate("another")}, "names the parity certificate c1, not another"),
        ({"named": ""}, "no parity certificate"),
        ({"threshold": math.nan}, "is no model card"),
    ],
)  # fmt: skip
def test_a_model_that_does_not_fit_is_refused_with_the_reason(services: AppServices, how: dict, message: str) -> None:
    artefact = stored(services, **how)
    with pytest.raises(DataError, match=message) as refused:
        strategy_model(services, SYMBOL, model=artefact)
    assert refused.value.hint


def test_a_model_of_another_instrument_or_one_that_is_not_there_is_refused(services: AppServices) -> None:
    artefact = stored(services)
    with pytest.raises(DataError, match=r"trained on KQ\.m@SHFE\.rb, not on SHFE\.au"):
        strategy_model(services, "SHFE.au2512", model=artefact)
    with pytest.raises(DataError, match="no model"):
        strategy_model(services, SYMBOL, model="0" * 16)


def test_an_artefact_that_is_not_that_of_its_card_is_refused(services: AppServices) -> None:
    artefact = stored(services)
    path = services.paths.artifacts / "models" / artefact[:16] / "model.bin"
    path.write_bytes(predictor(factor_set("minimal16").ids, scale=77.0).to_bytes())
    with pytest.raises(DataError, match="holds the artefact"):
        strategy_model(services, SYMBOL)


@pytest.mark.parametrize(
    ("facts", "parity", "message"),
    [
        ({"artefact": "x"}, {}, "is not that of card"),
        ({"certificate": ""}, {}, "parity certificate"),
        ({}, {"params_hash": "x"}, "factor parameters x"),
        ({}, {"set_hash": "x"}, "factors of other code"),
    ],
)
def test_a_binding_checks_all_that_card_and_certificate_say(facts: dict, parity: dict, message: str) -> None:
    own, made = plan(), predictor(plan().chosen.ids)
    said = {
        "artefact": made.artefact_hash,
        "family": "logistic",
        "symbol": SYMBOL,
        "threshold": 0.2,
        "last_train_day": "2025-06-05",
    }
    shown = {"set_hash": own.chosen.set_hash, "kernel_hash": kernel_hash(), "params_hash": own.params_hash, "mismatches": 0}

    def bound(facts: dict, parity: dict) -> ModelBinding:
        found = ModelFacts(**{"certificate": "c", **said, **facts}), ParityFacts(**{"certificate": "c", **shown, **parity})
        return bind_model(SYMBOL, own, made, *found, set_hash=own.chosen.set_hash)

    assert bound({}, {}).model_hash == made.artefact_hash
    with pytest.raises(DataError, match=message):
        bound(facts, parity)


def test_factors_without_a_model_need_a_contract(services: AppServices) -> None:
    found = bare_binding(services, SYMBOL, "book")
    assert (found.plan.chosen.name, found.predictor, found.model_hash) == ("book", None, "")
    with pytest.raises(UsageError, match="must be told what to trade"):
        bare_binding(services, None, "book")


def test_varieties_are_followed_and_contracts_are_not() -> None:
    assert [resolve_symbol(text) for text in ("rb", "SHFE.rb", "SHFE.rb2510")] == ["KQ.m@SHFE.rb", "KQ.m@SHFE.rb", "SHFE.rb2510"]
    with pytest.raises(DataError):
        resolve_symbol("SHFE.nothing")
