"""Figures of the features report: heat maps whose colour fades into the page, decay curves, sparklines."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ghtrader.pipelines.report.drawing import COLOURS, label_axes, new_figure, style, svg

__all__ = ["Series", "correlation_map", "decay_curves", "heat_map", "sparkline"]

F64 = npt.NDArray[np.float64]

#: Above 0 and below it; 0 is the page itself, in light and dark.
ABOVE, BELOW = (0x25, 0x63, 0xA8), (0xB8, 0x62, 0x0A)
ROW_HEIGHT = 0.155
WIDTH = 7.2
#: Ticks (snapshots ahead), IC, low, high.
Series = tuple[Sequence[float], Sequence[float], Sequence[float], Sequence[float]]


def _colours(values: F64, top: float) -> npt.NDArray[np.uint8]:
    """RGBA: hue by sign, opacity by size over ``top``; nothing where absent."""
    image = np.zeros((*values.shape, 4), dtype=np.uint8)
    known = np.nan_to_num(values)
    image[..., :3] = np.where(known[..., None] >= 0.0, np.array(ABOVE), np.array(BELOW))
    image[..., 3] = np.rint(np.clip(np.abs(known) / top, 0.0, 1.0) * 255)
    return image


def heat_map(
    values: F64, rows: Sequence[str], columns: Sequence[str], alt: str, *, top: float | None = None, groups: Sequence[int] = ()
) -> str:
    """Rows x columns as colours; ``top``: value of full colour (default: the 99 % quantile). groups: columns after which a line stands."""
    known = np.abs(values[np.isfinite(values)])
    full = top if top is not None else max(float(np.quantile(known, 0.99)) if len(known) else 1.0, 1e-9)
    figure, (axis,) = new_figure(WIDTH, ROW_HEIGHT * len(rows) + 0.6)
    axis.grid(visible=False)
    axis.imshow(_colours(values, full), aspect="auto", interpolation="nearest", extent=(0, len(columns), len(rows), 0))
    axis.set_xticks(np.arange(len(columns)) + 0.5, columns)
    axis.set_yticks(np.arange(len(rows)) + 0.5, rows)
    axis.tick_params(labelsize=7, length=0, labeltop=True, labelbottom=False)
    axis.tick_params(axis="x", labelrotation=90 if max(map(len, columns), default=0) > 7 else 0)
    for edge in groups:
        axis.axvline(edge, color=COLOURS["muted"], linewidth=0.8)
    return svg(figure, alt)


def correlation_map(values: F64, names: Sequence[str], clusters: Sequence[int], alt: str) -> str:
    """Correlations in map order; squares around clusters of at least two."""
    from matplotlib.patches import Rectangle

    size = len(names)
    figure, (axis,) = new_figure(WIDTH, WIDTH)
    axis.grid(visible=False)
    axis.imshow(_colours(values, 1.0), aspect="equal", interpolation="nearest", extent=(0, size, size, 0))
    small = 7.0 if size <= 40 else 3.6
    axis.set_xticks(np.arange(size) + 0.5, names, rotation=90)
    axis.set_yticks(np.arange(size) + 0.5, names)
    axis.tick_params(labelsize=small, length=0)
    start = 0
    for at in range(1, size + 1):
        if at == size or clusters[at] != clusters[start]:
            if at - start > 1:
                square = Rectangle((start, start), at - start, at - start, fill=False, edgecolor=COLOURS["fg"], linewidth=0.9)
                axis.add_patch(square)
            start = at
    return svg(figure, alt)


def decay_curves(curves: dict[str, Series], fits: dict[str, tuple[float, float]], alt: str) -> str:
    """IC against snapshots ahead, a panel per factor with its interval; dashed: the fitted decay (ic0, half-life)."""
    from matplotlib.figure import Figure

    columns, rows = 4, max(1, (len(curves) + 3) // 4)
    figure = Figure(figsize=(WIDTH * 1.35, 1.9 * rows), layout="constrained")
    figure.patch.set_alpha(0.0)
    for number, (name, (x, ic, low, high)) in enumerate(curves.items()):
        axis = figure.add_subplot(rows, columns, number + 1)
        style(axis)
        axis.axhline(0.0, color=COLOURS["muted"], linewidth=0.8)
        axis.fill_between(x, low, high, color=COLOURS["series1"], alpha=0.16, linewidth=0)
        axis.plot(x, ic, "o-", color=COLOURS["series1"], linewidth=1.3, markersize=3)
        if name in fits:
            ic0, tau = fits[name]
            grid = np.geomspace(min(x), max(x), 60)
            axis.plot(grid, ic0 * np.exp2(-grid / tau), "--", color=COLOURS["series2"], linewidth=1.1)
        axis.set_xscale("log")
        axis.set_xticks([1, 10, 100], ["1", "10", "100"])
        axis.minorticks_off()
        axis.tick_params(labelsize=7)
        label_axes(axis, title=name)
    return svg(figure, alt)


def sparkline(bars: Sequence[int], alt: str) -> str:
    """A distribution in a table cell, by hand: a few hundred bytes."""
    if len(bars) < 2:
        return ""
    top, step = max(bars), 96 / len(bars)
    shape = "".join(f"M{at * step:.1f} 20v{-20 * count / top:.1f}h{step - 0.6:.1f}V20z" for at, count in enumerate(bars) if count)
    return f'<svg class="spark" role="img" aria-label="{alt}" viewBox="0 0 96 20"><path d="{shape}"/></svg>'
