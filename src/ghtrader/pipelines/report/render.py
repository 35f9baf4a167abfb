"""From `ReportData` to one self-contained HTML page."""

from __future__ import annotations

from importlib import resources
from typing import Any

from ghtrader.pipelines.report import figures
from ghtrader.pipelines.report.model import ReportData

__all__ = ["render_html"]


def _figures(report: ReportData) -> dict[str, Any]:
    policies = list(dict.fromkeys(curve.policy for curve in report.curves))
    return {
        "labels": figures.label_balance(report.labels),
        "auc": figures.interval_plot(report.metrics, "directional_auc", 0.5, "directional AUC given a move (no skill: 0.5)"),
        "skill": figures.interval_plot(report.metrics, "log_loss_skill", 0.0, "log-loss skill against the prior (no skill: 0)"),
        "decay": figures.alpha_decay(report.decay),
        "reliability": figures.reliability(report.reliability),
        "equity": [figures.equity(report.curves, policy) for policy in policies],
        "edge": figures.edge_against_costs(report.edges, report.cost_taker_ticks, report.cost_passive_ticks),
    }


def render_html(report: ReportData) -> str:
    """The page as text: inline style, script and figures, no address outside itself.

    Equal reports give equal pages, so that a report can be compared and cached by its content.
    """
    import jinja2

    source = resources.files("ghtrader.pipelines.report").joinpath("template.html.j2").read_text(encoding="utf-8")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(source).render(r=report, figures=_figures(report))
