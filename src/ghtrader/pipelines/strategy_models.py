"""The model that a strategy runs on: the one that is named, or the newest that fits; tied to its factors or refused."""

from __future__ import annotations

from pathlib import Path

import msgspec

from ghtrader.core.errors import DataError, StoreError, UsageError
from ghtrader.core.instruments import alias_of, product_of
from ghtrader.data.instruments import InstrumentTable
from ghtrader.datasets.factors.catalogue import factor_set
from ghtrader.pipelines.feature_session import plan_features
from ghtrader.pipelines.model_cards import FOLDER, StoredCard, StoredModel, load_model, plan_of_model
from ghtrader.pipelines.parity import certificate_named
from ghtrader.pipelines.services import Services
from ghtrader.trading.strategy.loading import ModelFacts, ParityFacts, bind_model
from ghtrader.trading.strategy.model import ModelBinding

__all__ = ["bare_binding", "fitting_model", "newest_model", "resolve_symbol", "strategy_model"]

BENCHMARK = "prior"  # predicts base rates: what skill is measured from, nothing to trade on


def resolve_symbol(text: str) -> str:
    """A contract as it is, a variety (``rb``, ``SHFE.rb``) as its continuous alias. Raises UnknownInstrumentError.

    >>> resolve_symbol("rb"), resolve_symbol("SHFE.rb2510"), resolve_symbol("KQ.m@SHFE.rb")
    ('KQ.m@SHFE.rb', 'SHFE.rb2510', 'KQ.m@SHFE.rb')
    """
    table = InstrumentTable.vendored()
    if "@" in text or text[-1:].isdigit():
        table.product(text)
        return text
    return alias_of(table.resolve_product(text))


def _cards(services: Services) -> list[StoredCard]:
    """Every stored card that can be read; one that cannot is no candidate."""
    found: list[StoredCard] = []
    for path in sorted((services.paths.artifacts / FOLDER).glob("*/card.json")):
        try:
            found.append(msgspec.json.decode(path.read_bytes(), type=StoredCard))
        except (OSError, ValueError):
            continue
    return found


def _candidates(services: Services, product: str | None) -> list[StoredCard]:
    """Cards of models to trade on, the best first: trained up to the latest day, at the headline horizon of their evaluation."""
    fits = [
        card
        for card in _cards(services)
        if card.card.model != BENCHMARK
        and card.card.model == card.settings.models[-1]
        and card.card.horizon == card.settings.horizons[0]
        and product in {None, product_of(card.symbol)}
    ]
    return sorted(fits, key=lambda card: (max(card.card.train_days), card.card.train_rows, card.card.artefact), reverse=True)


def newest_model(services: Services, product: str | None) -> StoredModel | None:
    """The stored model that was trained up to the latest day, at its evaluation's headline horizon, of its trading family.

    product: as in ``SHFE.rb``; None for any. None when there is none.
    """
    found = _candidates(services, product)
    return load_model(services, found[0].card.artefact) if found else None


def fitting_model(services: Services, symbol: str, *, in_sample: bool = False) -> StoredModel | None:
    """The newest model that a strategy on ``symbol`` would not refuse; older code's and damaged ones are passed over."""
    for card in _candidates(services, product_of(symbol)):
        try:
            strategy_model(services, symbol, model=card.card.artefact, in_sample=in_sample)
            return load_model(services, card.card.artefact)
        except (DataError, StoreError):
            continue
    return None


def strategy_model(
    services: Services, symbol: str | None, *, model: str | None = None, in_sample: bool = False, factors: Path | None = None
) -> ModelBinding | None:
    """The binding of a model to what it trades. symbol: contract or alias; None: the alias of what the model was trained on.

    model: beginning of the artefact's hash (16 digits or more); None: the newest, and no binding when none is stored.
    factors: the file of one's own factors. Raises DataError when the named model is not there, and when artefact, card, factors,
    parameters and certificate do not fit each other.
    """
    product = None if symbol is None else product_of(symbol)
    stored = newest_model(services, product) if model is None else load_model(services, model)
    if stored is None:
        return None
    card = stored.card.card
    traded = symbol or alias_of(product_of(stored.card.symbol))
    if not card.parity_certificate:
        raise DataError(
            f"model {card.artefact[:16]} has no parity certificate: nobody compared its factors live",
            hint="train on a stored series: ghtrader train --var VAR",
        )
    shown = certificate_named(services, card.parity_certificate)
    plan = plan_of_model(services, stored, traded, in_sample=in_sample, factors=factors)
    return bind_model(
        traded,
        plan,
        services.predictor(stored.artefact),
        ModelFacts(
            artefact=card.artefact,
            family=card.model,
            symbol=stored.card.symbol,
            threshold=card.trade_threshold,
            last_train_day=max(card.train_days),
            certificate=card.parity_certificate,
        ),
        ParityFacts(
            certificate=shown.certificate,
            set_hash=shown.set_hash,
            kernel_hash=shown.kernel_hash,
            params_hash=shown.params_hash,
            mismatches=shown.mismatches,
        ),
        set_hash=factor_set(shown.factor_set, "" if factors is None else str(factors)).set_hash,
        max_age_days=int(str(services.settings().get("strategy.max_model_age_days"))),
        in_sample=in_sample,
    )


def bare_binding(services: Services, symbol: str | None, set_name: str, factors: Path | None = None) -> ModelBinding:
    """Factors without a model, for a strategy that needs none. Raises UsageError without a symbol."""
    if symbol is None:
        raise UsageError("a strategy without a model must be told what to trade", hint="--symbol SHFE.rb2510, or --symbol rb")
    return ModelBinding(symbol=symbol, plan=plan_features(services, symbol, set_name, factors=factors))
