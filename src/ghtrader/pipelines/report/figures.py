"""The figures of a run's report."""

from __future__ import annotations

from ghtrader.core.clock import NS_PER_S, SHANGHAI
from ghtrader.pipelines.report.drawing import COLOURS, label_axes, legend, new_figure, svg
from ghtrader.pipelines.report.model import Curve, DecayPoint, EdgeBar, LabelBalance, MetricRow, ReliabilityCurve

__all__ = ["alpha_decay", "edge_against_costs", "equity", "interval_plot", "label_balance", "reliability"]

SERIES = ("series1", "series2", "series3", "series4")
FILL_MODEL_COLOURS = {"back": "series1", "pro_rata": "series2", "front": "series3", "first": "muted"}


def label_balance(balances: list[LabelBalance]) -> str:
    """Stacked shares of down, flat, up and void, one bar per horizon."""
    figure, (axis,) = new_figure(7.2, 0.45 * len(balances) + 1.0)
    names = [balance.horizon for balance in balances][::-1]
    left = [0.0] * len(balances)
    for field in ("down", "flat", "up", "void"):
        widths = [getattr(balance, field) for balance in balances][::-1]
        axis.barh(names, widths, left=left, color=COLOURS[field], label=field, height=0.62)
        for row, (start, width) in enumerate(zip(left, widths, strict=True)):
            if width >= 0.06:
                axis.text(start + width / 2, row, f"{width:.0%}", ha="center", va="center", fontsize=8, color="white")
        left = [start + width for start, width in zip(left, widths, strict=True)]
    axis.set_xlim(0, 1)
    axis.grid(visible=False)
    label_axes(axis, x="share of rows")
    legend(axis, ncols=4, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    return svg(figure, "label balance by horizon")


def interval_plot(rows: list[MetricRow], metric: str, reference: float, title: str) -> str:
    """Estimate and 95 % interval of one metric, a row per model and horizon, beside the value of no skill."""
    chosen = [row for row in rows if row.metric == metric and row.value is not None]
    figure, (axis,) = new_figure(7.2, 0.34 * max(len(chosen), 1) + 1.0)
    names = [f"{row.model} {row.horizon}" for row in chosen][::-1]
    axis.axvline(reference, color=COLOURS["muted"], linewidth=1.0, linestyle="--")
    for position, row in enumerate(chosen[::-1]):
        assert row.value is not None
        if row.low is not None and row.high is not None:
            axis.plot([row.low, row.high], [position, position], color=COLOURS["series1"], linewidth=2.2)
        axis.plot([row.value], [position], "o", color=COLOURS["series1"], markersize=5)
    axis.set_yticks(range(len(names)), names)
    axis.set_ylim(-0.6, len(names) - 0.4)
    label_axes(axis, title=title)
    return svg(figure, title)


def alpha_decay(points: list[DecayPoint]) -> str:
    """Information coefficient against the horizon (log scale), with interval bands."""
    figure, (axis,) = new_figure(7.2, 3.2)
    axis.axhline(0.0, color=COLOURS["muted"], linewidth=1.0)
    for index, model in enumerate(dict.fromkeys(point.model for point in points)):
        mine = [point for point in points if point.model == model]
        x = [point.horizon_ticks for point in mine]
        colour = COLOURS[SERIES[index % len(SERIES)]]
        axis.fill_between(x, [p.low for p in mine], [p.high for p in mine], color=colour, alpha=0.16, linewidth=0)
        axis.plot(x, [p.ic for p in mine], "o-", color=colour, label=model, linewidth=1.6, markersize=4)
    axis.set_xscale("log")
    ticks = sorted({point.horizon_ticks for point in points})
    axis.set_xticks(ticks, [str(tick) for tick in ticks])
    axis.minorticks_off()
    label_axes(axis, x="snapshots ahead", y="IC")
    if points:
        legend(axis)
    return svg(figure, "alpha decay: IC by horizon")


def reliability(curves: list[ReliabilityCurve]) -> str:
    """Observed frequency against predicted probability, one panel per class."""
    outcomes = list(dict.fromkeys(curve.outcome for curve in curves)) or ["up"]
    figure, axes = new_figure(7.2, 2.9, panels=len(outcomes))
    for axis, outcome in zip(axes, outcomes, strict=True):
        mine = [curve for curve in curves if curve.outcome == outcome]
        top = max([0.05, *(max([*curve.predicted, *curve.observed], default=0.0) for curve in mine)]) * 1.05
        axis.plot([0, top], [0, top], color=COLOURS["muted"], linewidth=1.0, linestyle="--")
        for index, curve in enumerate(mine):
            colour = COLOURS[SERIES[index % len(SERIES)]]
            axis.plot(curve.predicted, curve.observed, "o-", color=colour, label=curve.model, markersize=3.5, linewidth=1.4)
        axis.set_xlim(0, top)
        axis.set_ylim(0, top)
        label_axes(axis, x="predicted", y="observed" if axis is axes[0] else "", title=outcome)
        if mine and axis is axes[0]:
            legend(axis, loc="upper left")
    return svg(figure, "reliability of the predicted probabilities")


def equity(curves: list[Curve], policy: str) -> str:
    """Equity of one policy under every fill model, by trade time (nights and breaks taken out)."""
    import datetime as dt

    figure, (axis,) = new_figure(7.2, 3.2)
    axis.axhline(0.0, color=COLOURS["muted"], linewidth=1.0)
    mine = [curve for curve in curves if curve.policy == policy]
    for curve in mine:
        style = "--" if curve.bound else "-"
        label = f"{curve.fill_model} (bound, unattainable)" if curve.bound else curve.fill_model
        colour = COLOURS[FILL_MODEL_COLOURS.get(curve.fill_model, "series4")]
        axis.plot(range(len(curve.equity_cny)), curve.equity_cny, style, color=colour, label=label, linewidth=1.4)
    stamps = mine[0].ts_ns if mine else []
    seen: dict[str, int] = {}
    for index, stamp in enumerate(stamps):
        seen.setdefault(dt.datetime.fromtimestamp(stamp // NS_PER_S, tz=SHANGHAI).strftime("%m-%d"), index)
    step = max(1, len(seen) // 8)
    shown = list(seen.items())[::step]
    axis.set_xticks([index for _, index in shown], [name for name, _ in shown])
    label_axes(axis, x="exchange date (breaks taken out)", y="CNY, 1 lot")
    if mine:
        legend(axis)
    return svg(figure, f"equity of the {policy} policy under the fill models")


def edge_against_costs(edges: list[EdgeBar], cost_taker_ticks: float, cost_passive_ticks: float) -> str:
    """Gross ticks of the strongest signals against the cost of a round trip."""
    figure, (axis,) = new_figure(7.2, 3.0)
    names = [f"top {edge.share:.0%}" if edge.share >= 0.01 else f"top {edge.share:.1%}" for edge in edges]
    values = [edge.gross_ticks for edge in edges]
    axis.bar(names, values, color=COLOURS["series1"], width=0.55)
    for index, edge in enumerate(edges):
        axis.plot([index, index], [edge.low, edge.high], color=COLOURS["fg"], linewidth=1.4)
    axis.axhline(cost_taker_ticks, color=COLOURS["down"], linewidth=1.4, label=f"taker round trip {cost_taker_ticks:.2f}")
    axis.axhline(
        cost_passive_ticks, color=COLOURS["series3"], linewidth=1.4, linestyle="--", label=f"fees alone {cost_passive_ticks:.2f}"
    )
    axis.axhline(0.0, color=COLOURS["muted"], linewidth=1.0)
    label_axes(axis, x="strongest signals by |score|", y="ticks per lot")
    legend(axis)
    return svg(figure, "gross edge against costs")
