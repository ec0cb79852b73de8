"""Accuracy over the size of networks, by matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.report.figures.canvas import INK, Picture, figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LEAST_APART = 0.055  # of the height, between two labels


@dataclass(frozen=True)
class Dot:
    """A network and what it costs; ``multiplications`` may be unknown."""

    label: str
    accuracy: float  # in [0, 1]
    color: str
    parameters: int | None
    multiplications: int | None
    square: bool = False


def sizes(dots: Sequence[Dot]) -> Picture:
    """A panel over parameters and, where they are known, one over multiply-accumulates; both scales are logarithmic."""
    panels = [
        ("parameters, thousands", [(dot, dot.parameters / 1e3) for dot in dots if dot.parameters]),
        (
            "multiply-accumulates, millions",
            [(dot, dot.multiplications / 1e6) for dot in dots if dot.multiplications],
        ),
    ]
    shown = [(label, points) for label, points in panels if points]

    heights = [100 * dot.accuracy for dot in dots]
    margin = 0.12 * (max(heights) - min(heights)) or 1.0
    low, high = min(heights) - margin, max(heights) + margin

    def draw() -> Figure:
        drawn = figure(3.9)
        all_axes = drawn.subplots(1, len(shown), squeeze=False, sharey=True)[0]
        for axes, (label, points) in zip(all_axes, shown, strict=True):
            _panel(axes, points, LEAST_APART * (high - low))
            axes.set_ylim(low, high)
            axes.set_xlabel(label)
        all_axes[0].set_ylabel("test accuracy, %")
        return drawn

    return Picture("sizes", draw)


def _panel(axes: Axes, points: Sequence[tuple[Dot, float]], apart: float) -> None:
    """Dots with their labels beside them, which are moved apart where they would lie on each other."""
    from matplotlib.ticker import FuncFormatter, NullFormatter

    axes.set_xscale("log")
    places = [place for _, place in points]
    axes.set_xlim(min(places) / 1.5, max(places) * 2.6)  # room for labels
    last: dict[float, float] = {}  # by place, the height of the label below
    for dot, place in sorted(points, key=lambda point: point[0].accuracy):
        height = 100 * dot.accuracy
        axes.scatter([place], [height], s=46, marker="s" if dot.square else "o", color=dot.color, zorder=3, linewidths=0)
        at = max(height, last.get(place, -1e9) + apart)
        last[place] = at
        axes.annotate(dot.label, (place, at), (7, 0), textcoords="offset points", va="center", fontsize="small", color=INK)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
