"""What is trained and judged, from the configuration."""

from __future__ import annotations

import msgspec

from ghtrader.pipelines.services import Settings

__all__ = ["JudgeSettings"]


class JudgeSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What is trained and judged. The first horizon is the headline; the last model trades."""

    models: tuple[str, ...]
    horizons: tuple[str, ...]
    seed: int
    replicates: int
    trade_quantile: float

    @classmethod
    def from_settings(cls, settings: Settings) -> JudgeSettings:
        """Settings from the keys ``research.*``; the prior is always fitted, it is what skill is measured from."""
        models = settings.get("research.models")
        horizons = settings.get("research.horizons")
        assert isinstance(models, list)
        assert isinstance(horizons, list)
        names = tuple(dict.fromkeys(["prior", *(str(name) for name in models)]))
        return cls(
            models=names,
            horizons=tuple(str(name) for name in horizons),
            seed=int(str(settings.get("research.seed"))),
            replicates=int(str(settings.get("research.bootstrap_replicates"))),
            trade_quantile=float(str(settings.get("research.trade_quantile"))),
        )
