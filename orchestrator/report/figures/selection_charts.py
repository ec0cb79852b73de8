"""What the probes found at the stages that a student listens to, and which teachers it selects by it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from orchestrator.report.data.probe_grid import Selection, selections
from orchestrator.report.data.reading import Reading
from orchestrator.report.figures.canvas import Picture, figure
from orchestrator.report.figures.chart import Chart

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FRAME = "#e07b1f"


def selection_charts(reading: Reading) -> list[Chart]:
    """A figure for each way in which students of the experiment select."""
    return [_chart(found) for found in selections(reading)]


def _chart(found: Selection) -> Chart:
    who = f"{', '.join(found.students)} with {', '.join(found.methods)}"
    caption = (
        "Accuracy in % of the probe of each teacher's layer that fits a stage of the student, and π, the weight that the "
        "teacher has there. Framed: the teachers that are listened to."
    )
    title = f"Selected by probes: {who}"
    return Chart(title, caption, Picture(f"selection {who}", lambda: _heat_map(found)), under="Probes")


def _heat_map(found: Selection) -> Figure:
    """Teacher × stage."""
    from matplotlib import colormaps
    from matplotlib.patches import Rectangle

    percent_ML, weight_ML = 100 * np.array(found.accuracy_ML), np.array(found.weight_ML)
    count, stages = percent_ML.shape
    drawn = figure(0.62 * count + 1.0, width=min(11.0, 1.5 * stages + 0.11 * max(map(len, found.teachers)) + 0.6))
    axes = drawn.subplots()
    margin = 0.02 * (percent_ML.max() - percent_ML.min()) + 0.5
    image = axes.pcolormesh(  # drawn in place, as a page that loads no images wants it
        np.arange(stages + 1) - 0.5,
        np.arange(count + 1) - 0.5,
        percent_ML,
        cmap=colormaps["YlGnBu"],
        vmin=percent_ML.min() - margin,
        vmax=percent_ML.max() + margin,
        edgecolors="white",
        linewidth=1.5,
    )
    axes.invert_yaxis()
    for (row, column), value in np.ndenumerate(percent_ML):
        red, green, blue, _ = image.cmap(image.norm(value))
        weight = weight_ML[row, column]
        color = "black" if 0.3 * red + 0.59 * green + 0.11 * blue > 0.5 else "white"
        text = f"{value:.1f}\nπ = {weight:.2f}"
        axes.text(column, row, text, ha="center", va="center", color=color, weight="bold" if weight > 0 else "normal")
        if weight > 0:
            axes.add_patch(Rectangle((column - 0.47, row - 0.45), 0.94, 0.9, fill=False, edgecolor=FRAME, linewidth=2.2))
    axes.set_xticks(range(stages), [f"stage{stage}\n{height}×{width}" for stage, (height, width) in enumerate(found.sizes)])
    axes.set_yticks(range(count), found.teachers)
    axes.tick_params(length=0, top=True, labeltop=True, bottom=False, labelbottom=False)
    axes.spines[:].set_visible(False)
    axes.grid(False)
    return drawn
