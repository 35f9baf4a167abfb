"""What a runner is started with: a strategy from a user's file, and a model that is the one its card and certificate speak of."""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeGuard

import msgspec

from ghtrader.core.errors import DataError, UsageError
from ghtrader.core.instruments import product_of
from ghtrader.datasets.factors.catalogue import kernel_hash
from ghtrader.datasets.factors.session import FeaturePlan
from ghtrader.ports.predictor import Predictor
from ghtrader.trading.strategy.api import Strategy
from ghtrader.trading.strategy.failures import STRATEGY_MODULE, failure_of
from ghtrader.trading.strategy.model import ModelBinding

__all__ = ["LoadedStrategy", "ModelFacts", "ParityFacts", "bind_model", "load_strategy"]

WRITE_ONE = "docs/how-to/write-a-strategy.md shows a file that works"
TRAIN_AGAIN = "train again: ghtrader train --var VAR"
SHOW_PARITY = "ghtrader features parity --set SET"


@dataclass(frozen=True)
class LoadedStrategy:
    """A strategy class ready to be made for each contract. source_hash: SHA-256 of its file."""

    name: str
    make: Callable[[], Strategy]
    source_hash: str
    needs_model: bool
    factor_set: str


def load_strategy(path: Path) -> LoadedStrategy:
    """The strategy of a file: its only subclass of `Strategy`, or the one that it names ``STRATEGY``.

    Raises UsageError when the file cannot be read, when it raises, or when it does not say which class is meant.
    """
    try:
        source = path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read the strategy {path}: {error.strerror}", hint=WRITE_ONE) from error
    digest = hashlib.sha256(source).hexdigest()
    name = f"{STRATEGY_MODULE}{digest[:16]}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise UsageError(failure_of(f"{path} cannot be run: it", error), hint=WRITE_ONE) from error
    own = [item for item in vars(module).values() if _is_strategy(item) and item.__module__ == name]
    named = vars(module).get("STRATEGY")
    chosen = [named] if _is_strategy(named) else own
    if len(chosen) != 1:
        found = f"defines {', '.join(item.__name__ for item in own)}: name one STRATEGY" if own else "defines no Strategy"
        raise UsageError(f"{path} {found}", hint=WRITE_ONE)
    kind = chosen[0]
    try:
        kind()
    except (Exception, SystemExit) as error:
        raise UsageError(
            f"{kind.__name__} of {path} cannot be made without arguments: {error}",
            hint="settings of a strategy come from --param, through the context of on_start",
        ) from error
    return LoadedStrategy(kind.__name__, kind, digest, kind.needs_model, kind.factor_set)


def _is_strategy(item: object) -> TypeGuard[type[Strategy]]:
    return inspect.isclass(item) and issubclass(item, Strategy) and item is not Strategy


class ModelFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a model's card says of it. symbol: the series or contract that it was trained on; last_train_day: ISO."""

    artefact: str
    family: str
    symbol: str
    threshold: float
    last_train_day: str
    certificate: str


class ParityFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a parity certificate says: that live factors of this set and code came out as those that models are trained on."""

    certificate: str
    set_hash: str
    kernel_hash: str
    params_hash: str
    mismatches: int


def bind_model(
    symbol: str,
    plan: FeaturePlan,
    predictor: Predictor,
    facts: ModelFacts,
    parity: ParityFacts,
    *,
    set_hash: str,
    max_age_days: int = 0,
    in_sample: bool = False,
) -> ModelBinding:
    """Tie a model to its factors, or refuse it.

    symbol: the contract or continuous alias to trade. plan: the factors that the model reads, in its order. set_hash: of the set that
    they are taken from, by this code. Raises DataError that names what does not fit: the artefact, the instrument, the factors, their
    parameters or the certificate.
    """
    short, own = facts.artefact[:16], predictor.artefact_hash
    wrong = (
        (own != facts.artefact, f"the artefact {own[:16]} is not that of card {short}", TRAIN_AGAIN),
        (
            product_of(symbol) != product_of(facts.symbol),
            f"model {short} was trained on {facts.symbol}, not on {product_of(symbol)}",
            "ghtrader train --var VAR, and start the strategy with that model",
        ),
        (
            not facts.certificate or facts.certificate != parity.certificate,
            f"model {short} names the parity certificate {facts.certificate[:16] or '(none)'}, not {parity.certificate[:16]}",
            SHOW_PARITY,
        ),
        (
            parity.mismatches > 0,
            f"{parity.mismatches} factor values of certificate {parity.certificate[:16]} came out differently live",
            SHOW_PARITY,
        ),
        (
            parity.kernel_hash != kernel_hash() or parity.set_hash != set_hash,
            f"model {short} was trained on factors of other code than this: set {parity.set_hash[:16]}, now {set_hash[:16]}",
            TRAIN_AGAIN,
        ),
        (
            parity.params_hash != plan.params_hash,
            f"model {short} was trained with factor parameters {parity.params_hash[:16]}, not {plan.params_hash[:16]}",
            TRAIN_AGAIN,
        ),
    )  # fmt: skip
    for fails, message, hint in wrong:
        if fails:
            raise DataError(message, hint=hint, model=facts.artefact, certificate=parity.certificate)
    return ModelBinding(
        symbol=symbol,
        plan=plan,
        predictor=predictor,
        threshold=facts.threshold,
        last_train_day=facts.last_train_day,
        max_age_days=max_age_days,
        in_sample=in_sample,
    )
