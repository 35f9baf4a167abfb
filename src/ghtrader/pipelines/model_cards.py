"""Stored models: the artefact, and the card that says what it was fitted on; and from a card the plan of its factors, to run it.

They lie in ``artifacts/models/HASH/``: ``model.bin`` and ``card.json``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from ghtrader.core.errors import DataError, SchemaError
from ghtrader.core.ids import content_hash
from ghtrader.data.atomic import write_atomically
from ghtrader.data.instruments import InstrumentTable
from ghtrader.datasets.day_dataset import DayDataset
from ghtrader.datasets.factors.catalogue import factor_set
from ghtrader.datasets.factors.declaration import FactorSet
from ghtrader.datasets.factors.parameters import FittedParameters
from ghtrader.pipelines.feature_session import FeaturePlan
from ghtrader.pipelines.ingest import calendar_of
from ghtrader.pipelines.judge_settings import JudgeSettings
from ghtrader.pipelines.parity import certificate_named
from ghtrader.pipelines.services import Services
from ghtrader.pipelines.stages import code_hash
from ghtrader.research.evaluation import Metric
from ghtrader.research.training import FittedFold

__all__ = ["CODE_ROOMS", "ModelCard", "StoredCard", "StoredModel", "load_model", "plan_of_model", "store_model"]

CODE_ROOMS = ("data", "datasets", "inference", "research")
FOLDER = "models"
NAMED = 16
TRAIN_AGAIN = "train again: ghtrader train --var VAR"


class ModelCard(msgspec.Struct, frozen=True, kw_only=True):
    """One fitted fold's identity: family, horizon, fold, theta and where it came from, rows, artefact hash.

    parity_certificate: hash of the certificate that the factors come out live as they were trained on ("" where nothing is stored).
    params_hash: identity of the parameters that the fold's factors were fitted with; absent where none has a fitted part.
    """

    model: str
    horizon: str
    fold: int
    train_days: list[str]
    test_days: list[str]
    theta_ticks: float
    train_rows: int
    trade_threshold: float
    artefact: str
    theta_from: str = ""
    parity_certificate: str = ""
    params_hash: str | msgspec.UnsetType = msgspec.UNSET


class StoredCard(msgspec.Struct, frozen=True, kw_only=True):
    """What lies beside an artefact: the fold's card, the data it saw, settings, code, and how its model was judged.

    parameters: of fitted factors, with the range they were fitted on; rows inside or before it are refused outside training. Absent
    where no factor has a fitted part.
    """

    card: ModelCard
    symbol: str
    factor_names: list[str]
    builds: dict[str, str]
    settings: JudgeSettings
    code: str
    metrics: list[Metric]
    parameters: FittedParameters | msgspec.UnsetType = msgspec.UNSET


@dataclass(frozen=True)
class StoredModel:
    """A model as it was stored. artefact: bytes for `adapters.predictors.load_predictor`."""

    card: StoredCard
    artefact: bytes


def store_model(
    artifacts: Path | None,
    fitted: FittedFold,
    certificate: str,
    datasets: Sequence[DayDataset],
    settings: JudgeSettings,
    metrics: Sequence[Metric],
) -> ModelCard:
    """The fold's card; in ``artifacts`` the artefact once, its card as of the latest evaluation (None: nowhere).

    datasets: every day of the evaluation. certificate: parity of the factors with the fold's parameters.
    """
    card = _card(fitted, certificate)
    if artifacts is None:
        return card
    used = {*fitted.fold.train_days, *fitted.fold.test_days}
    stored = StoredCard(
        card=card,
        symbol=datasets[0].symbol,
        factor_names=list(fitted.predictor.factor_names),
        builds={d.trading_day.iso: d.build_hash for d in datasets if d.trading_day.iso in used},
        settings=settings,
        code=code_hash(*CODE_ROOMS),
        metrics=list(metrics),
        parameters=msgspec.UNSET if fitted.parameters is None else fitted.parameters,
    )
    folder = artifacts / FOLDER / card.artefact[:NAMED]
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "model.bin").exists():
        write_atomically(folder / "model.bin", fitted.predictor.to_bytes())
    write_atomically(folder / "card.json", msgspec.json.format(msgspec.json.encode(stored), indent=1))
    return card


def _card(fitted: FittedFold, certificate: str) -> ModelCard:
    return ModelCard(
        model=fitted.family,
        horizon=str(fitted.horizon),
        fold=fitted.fold.number,
        train_days=list(fitted.fold.train_days),
        test_days=list(fitted.fold.test_days),
        theta_ticks=fitted.theta,
        train_rows=fitted.rows,
        trade_threshold=fitted.trade_threshold,
        artefact=fitted.predictor.artefact_hash,
        theta_from=fitted.theta_from,
        parity_certificate=certificate,
        params_hash=msgspec.UNSET if fitted.parameters is None else fitted.parameters.params_hash,
    )


def load_model(services: Services, artefact: str) -> StoredModel:
    """A stored model by the hash of its artefact, or its beginning (at least 16 digits).

    Raises DataError when there is none, when the bytes are not those that the name says, or when the card is of another artefact or
    its parameters are not those that it names; SchemaError for a card that cannot be read.
    """
    folder = services.paths.artifacts / FOLDER / artefact[:NAMED]
    try:
        stored = StoredModel(_read_card(folder / "card.json"), (folder / "model.bin").read_bytes())
    except FileNotFoundError as error:
        raise DataError(f"no model {artefact} is stored", hint=TRAIN_AGAIN, artefact=artefact) from error
    named, card = hashlib.sha256(stored.artefact).hexdigest(), stored.card
    if named != card.card.artefact or not named.startswith(artefact):
        raise DataError(f"{folder} holds the artefact {named[:NAMED]}, not {artefact[:NAMED]} of its card", hint=TRAIN_AGAIN)
    fit = card.parameters
    if (msgspec.UNSET if fit is msgspec.UNSET else fit.params_hash) != card.card.params_hash:
        raise DataError(f"the card in {folder} names other parameters of factors than it holds", hint=TRAIN_AGAIN)
    return stored


def _read_card(path: Path) -> StoredCard:
    data = path.read_bytes()
    try:
        return msgspec.json.decode(data, type=StoredCard)
    except ValueError as error:  # no JSON, no card, or no UTF-8
        raise SchemaError(f"{path} is no model card: {error}", hint=TRAIN_AGAIN, path=str(path)) from error


def plan_of_model(
    services: Services, model: StoredModel, symbol: str, *, in_sample: bool = False, factors: Path | None = None
) -> FeaturePlan:
    """What computes the model's factors for a contract as they were trained, in its order, with the parameters of its card.

    A `FeatureSession` on it refuses rows inside or before the range of the fit, unless ``in_sample``. factors: the file of one's own
    factors, where the model has some. Raises DataError when the factors of this code are not those that the model's parity
    certificate is of, UnknownInstrumentError for an unknown contract.
    """
    card = model.card
    shown = certificate_named(services, card.card.parity_certificate)
    chosen = factor_set(shown.factor_set, "" if factors is None else str(factors))
    instruments = InstrumentTable.vendored()
    instruments.product(symbol)
    fit = None if card.parameters is msgspec.UNSET else card.parameters
    plan = FeaturePlan(symbol, chosen, calendar_of(services), instruments, fit, in_sample)
    if (shown.set_hash, shown.params_hash) != (chosen.set_hash, plan.params_hash):
        raise DataError(
            f"model {card.card.artefact[:NAMED]} was trained on other factors than these: "
            f"{shown.factor_set} {shown.set_hash[:NAMED]}, not {chosen.set_hash[:NAMED]}",
            hint=TRAIN_AGAIN,
            certificate=shown.certificate,
        )
    return replace(plan, chosen=_of_model(chosen, tuple(card.factor_names)))


def _of_model(chosen: FactorSet, names: tuple[str, ...]) -> FactorSet:
    """The factors that the model reads, in its order."""
    if names == chosen.ids:
        return chosen
    by_id = {item.id: item for item in chosen.factors}
    return msgspec.structs.replace(
        chosen,
        name=f"{chosen.name}, {len(names)} of {len(chosen.factors)}",
        factors=tuple(by_id[name] for name in names),
        set_hash=content_hash([chosen.set_hash, names]),
    )
