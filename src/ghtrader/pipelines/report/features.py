"""From a `FeatureReport` to one self-contained HTML page."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ghtrader.pipelines.report import feature_figures as figures

if TYPE_CHECKING:
    from ghtrader.pipelines.feature_quality import FactorQuality
    from ghtrader.pipelines.feature_report import FeatureReport

__all__ = ["render_features"]

F64 = npt.NDArray[np.float64]

CURVES = 8
#: Days on the PSI map; of more, the last ones.
MAX_DAYS = 40
PSI_FULL = 0.25


def _array(rows: list[list[float | None]]) -> F64:
    return np.array([[np.nan if value is None else value for value in row] for row in rows], dtype=np.float64)


def _strongest(report: FeatureReport) -> list[FactorQuality]:
    def size(item: FactorQuality) -> float:
        return abs(float(next(ic.ic for ic in item.ic if ic.horizon == report.headline) or 0.0))

    return sorted((item for item in report.factors if size(item) > 0.0), key=size, reverse=True)


def _curves(report: FeatureReport) -> str:
    curves: dict[str, figures.Series] = {}
    fits: dict[str, tuple[float, float]] = {}
    for item in _strongest(report)[:CURVES]:
        points = [
            (float(ic.horizon[:-1]), ic.ic, ic.ic if ic.low is None else ic.low, ic.ic if ic.high is None else ic.high)
            for ic in item.ic
            if ic.horizon.endswith("t") and ic.ic is not None
        ]
        name = f"{item.id} {item.name}"[:26]
        x, value, low, high = zip(*points, strict=True)
        curves[name] = (x, value, low, high)
        if item.half_life is not None:
            fits[name] = (item.half_life.ic0, item.half_life.half_life)
    return figures.decay_curves(curves, fits, "IC by snapshots ahead of the strongest factors") if curves else ""


def _parts(report: FeatureReport, present: list[FactorQuality]) -> str:
    columns = [(horizon, part) for horizon in report.horizons for part in _part_names(report, horizon)]
    values = []
    for item in present:
        found = {(part.horizon, part.part): part.ic for part in item.parts}
        values.append([found.get(column) for column in columns])
    names = [f"{horizon} {part}" for horizon, part in columns]
    edges = [at for at in range(1, len(columns)) if columns[at][0] != columns[at - 1][0]]
    return figures.heat_map(_array(values), [i.id for i in present], names, "IC by session part", groups=edges) if columns else ""


def _part_names(report: FeatureReport, horizon: str) -> list[str]:
    seen = dict.fromkeys(part.part for item in report.factors for part in item.parts if part.horizon == horizon)
    return list(seen)


def _figures(report: FeatureReport) -> dict[str, str]:
    present = [item for item in report.factors if item.bars]
    ids = [item.id for item in present]
    days = [day.trading_day[2:] for day in report.days][-MAX_DAYS:]
    drift = _array([item.psi[-MAX_DAYS:] for item in present])
    doubles = report.redundancy
    place = {item.id: at for at, item in enumerate(report.factors)}
    shown = [id_ for id_ in doubles.order if id_ in set(ids)]
    index = [place[id_] for id_ in shown]
    table = _array(doubles.correlation)[np.ix_(index, index)]
    edge = next((at for at, horizon in enumerate(report.horizons) if horizon.endswith("s")), len(report.horizons))
    ics = _array([[ic.ic for ic in item.ic] for item in present])
    return {
        "ic": figures.heat_map(ics, ids, report.horizons, "IC by horizon", groups=[edge]),
        "parts": _parts(report, present),
        "psi": figures.heat_map(drift, ids, days, "PSI by day", top=PSI_FULL),
        "correlation": figures.correlation_map(
            table, shown, [doubles.cluster[id_] for id_ in shown], "rank correlations, in clusters"
        ),
        "decay": _curves(report),
    }


def _clusters(report: FeatureReport) -> list[list[str]]:
    found: dict[int, list[str]] = {}
    for id_ in report.redundancy.order:
        found.setdefault(report.redundancy.cluster[id_], []).append(id_)
    return [ids for ids in found.values() if len(ids) > 1]


def render_features(report: FeatureReport) -> str:
    """The page as text: inline style, script and figures, no address outside itself; equal reports give equal pages."""
    import jinja2

    source = resources.files("ghtrader.pipelines.report").joinpath("features.html.j2").read_text(encoding="utf-8")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(source).render(
        r=report,
        figures=_figures(report),
        rows=[(item, next(ic for ic in item.ic if ic.horizon == report.headline)) for item in report.factors],
        sparks={item.id: figures.sparkline(item.bars, f"distribution of {item.id}") for item in report.factors},
        clusters=_clusters(report),
        absent=[item for item in report.factors if item.absent],
    )
