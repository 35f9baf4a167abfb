"""Basics of the figures: inline SVG whose colours are CSS variables, so that one drawing serves light and dark.

Matplotlib draws with sentinel colours; after drawing, each sentinel becomes ``var(--name)`` of the page's style sheet.
"""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["COLOURS", "label_axes", "legend", "new_figure", "style", "svg"]

#: sentinel colour -> CSS variable of the page
COLOURS = {
    "fg": "#010101",
    "muted": "#020202",
    "grid": "#030303",
    "series1": "#040404",
    "series2": "#050505",
    "series3": "#060606",
    "series4": "#070707",
    "down": "#080808",
    "flat": "#090909",
    "up": "#0a0a0a",
    "void": "#0b0b0b",
}


def new_figure(width: float, height: float, panels: int = 1) -> tuple[Figure, list[Axes]]:
    """A transparent figure of ``width`` x ``height`` inches with panels side by side."""
    from matplotlib.figure import Figure as MatplotlibFigure

    figure = MatplotlibFigure(figsize=(width, height), layout="constrained")
    axes = [figure.add_subplot(1, panels, index + 1) for index in range(panels)]
    figure.patch.set_alpha(0.0)
    for axis in axes:
        style(axis)
    return figure, axes


def style(axis: Axes) -> None:
    """The house style of a panel."""
    axis.patch.set_alpha(0.0)
    axis.tick_params(colors=COLOURS["muted"], labelsize=9, length=3)
    for side, spine in axis.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(COLOURS["grid"])
    axis.grid(visible=True, color=COLOURS["grid"], linewidth=0.6)
    axis.set_axisbelow(True)


def label_axes(axis: Axes, x: str = "", y: str = "", title: str = "") -> None:
    """Names of a panel and its axes."""
    axis.set_xlabel(x, color=COLOURS["muted"], fontsize=9)
    axis.set_ylabel(y, color=COLOURS["muted"], fontsize=9)
    if title:
        axis.set_title(title, color=COLOURS["fg"], fontsize=10, loc="left")


def legend(axis: Axes, **options: Any) -> None:
    """A frameless legend in the page's colour."""
    legend = axis.legend(fontsize=9, frameon=False, **options)
    for text in legend.get_texts():
        text.set_color(COLOURS["fg"])


def svg(figure: Figure, alt: str) -> str:
    """The figure as an ``<svg>`` element: themable colours, selectable text, equal bytes for equal data."""
    import matplotlib as mpl

    buffer = io.StringIO()
    # the font named here only sizes the layout; the page's style sheet sets the one that is seen
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": alt, "font.family": "DejaVu Sans"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    for name, sentinel in COLOURS.items():
        text = text.replace(sentinel, f"var(--{name})")
    # ids must not meet those of another figure on the page
    prefix = "f" + re.sub(r"[^a-z0-9]", "", alt.lower())[:24]
    text = re.sub(r'\bid="', f'id="{prefix}-', text)
    text = re.sub(r"url\(#", f"url(#{prefix}-", text)
    text = re.sub(r'href="#', f'href="#{prefix}-', text)
    return text.replace("<svg ", f'<svg role="img" aria-label="{alt}" ', 1)
