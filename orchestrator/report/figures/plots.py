"""Pictures of students, teachers and probes, by matplotlib."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from orchestrator.report.analysis.statistics import sample
from orchestrator.report.data.probe_grid import Grid, grid
from orchestrator.report.figures.canvas import COLORS, INK, Picture, figure
from orchestrator.store.files import OutputError, write_output

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


PICTURES = ("png", "svg", "pdf")
MANY = 8  # curves; the legend of more would hide them


@dataclass(frozen=True)
class Strip:
    """Values of the seeds of one method."""

    label: str
    values: tuple[float, ...]
    color: str
    control: bool = False


@dataclass(frozen=True)
class Whisker:
    """A difference and, where there is one, its confidence interval."""

    label: str
    mean: float
    interval: tuple[float, float] | None
    color: str


@dataclass(frozen=True)
class Panel:
    """Curves over epochs: of each label the curves of its seeds."""

    title: str
    curves: Mapping[str, Sequence[np.ndarray]]
    colors: Mapping[str, str] = field(default_factory=dict)


def heat_map(table: pa.Table, path: Path) -> None:
    """Draw a table of probes (:data:`orchestrator.report.data.results.PROBES`), teacher × layer; the suffix is the format.

    Raises:
        ValueError: where the table is empty.
        OutputError: where no picture has that suffix; also from :func:`orchestrator.store.files.write_output`, as OutputFailed.
    """
    format = path.suffix.removeprefix(".").lower() or "png"
    if format not in PICTURES:
        raise OutputError(
            f"{path}: a picture's name ends in {', '.join(f'.{each}' for each in PICTURES)}, not in {path.suffix}"
        )
    found = grid(table)
    if not found.teachers:
        raise ValueError("no teacher has been probed yet")
    write_output(path, Picture("heat map", lambda: _heat_map(found)).content(format))


def strips(groups: Mapping[str, Sequence[Strip]], lines: Mapping[str, float] = MappingProxyType({})) -> Picture:
    """For each student the accuracy of every seed, and mean and 95 % confidence interval of every method; ``lines`` are
    accuracies to compare with, by name."""
    sizes = [len(rows) for rows in groups.values()]

    def draw() -> Figure:
        drawn = figure(0.55 * len(sizes) + 0.34 * sum(sizes) + 0.3)
        all_axes = drawn.subplots(len(groups), 1, squeeze=False, height_ratios=[size + 0.6 for size in sizes])[:, 0]
        for axes, (title, rows) in zip(all_axes, groups.items(), strict=True):
            _strips(axes, rows, lines)
            axes.set_title(title, loc="left")
        all_axes[-1].set_xlabel("test accuracy, %")
        return drawn

    return Picture("strips", draw)


def forest(groups: Mapping[tuple[str, str], Sequence[Whisker]]) -> Picture:
    """Differences and their confidence intervals about zero; for each (title, label of the axis) a panel."""
    sizes = [len(rows) for rows in groups.values()]

    def draw() -> Figure:
        drawn = figure(0.85 * len(sizes) + 0.28 * sum(sizes))
        all_axes = drawn.subplots(len(groups), 1, squeeze=False, height_ratios=[size + 1.2 for size in sizes])[:, 0]
        for axes, ((title, label), rows) in zip(all_axes, groups.items(), strict=True):
            _forest(axes, rows)
            axes.set_title(title, loc="left")
            axes.set_xlabel(label)
        return drawn

    return Picture("forest", draw)


def curves(panels: Sequence[Panel], label: str, limits: tuple[float, float] | None = None) -> Picture:
    """Two panels in a row: of each label the mean over seeds, in a band that holds all of them. Without limits the later epochs
    decide what is seen."""
    rows = (len(panels) + 1) // 2
    most = max(len(panel.curves) for panel in panels)

    def draw() -> Figure:
        drawn = figure((2.9 + (most > MANY) * 0.1 * most) * rows)
        all_axes = drawn.subplots(rows, 2, squeeze=False).flat
        for axes in all_axes[len(panels) :]:
            axes.set_visible(False)
        for axes, panel in zip(all_axes, panels, strict=False):
            _curves(axes, panel)
            axes.set_title(panel.title, loc="left")
            axes.set_xlabel("epoch")
            axes.set_ylabel(label)
            axes.set_ylim(limits or _later([curve for those in panel.curves.values() for curve in those]))
            below = {"loc": "upper left", "bbox_to_anchor": (0, -0.15)} if len(panel.curves) > MANY else {}
            axes.legend(frameon=False, fontsize="small", ncols=2 if len(panel.curves) > 5 else 1, **below)
        return drawn

    return Picture(f"{label} {panels[0].title}", draw)


def _heat_map(found: Grid) -> Figure:
    """Accuracy in percent, the best teacher of every layer bold and framed."""
    from matplotlib import colormaps
    from matplotlib.patches import Rectangle

    percent = np.array([[100 * found.accuracy.get((name, layer), np.nan) for layer in found.layers] for name in found.teachers])
    drawn = figure(0.5 * len(found.teachers) + 1.1, width=1.05 * len(found.layers) + 0.11 * max(map(len, found.teachers)) + 0.6)
    axes = drawn.subplots()
    low, high = np.nanmin(percent), np.nanmax(percent)
    image = axes.imshow(percent, cmap=colormaps["YlGnBu"].with_extremes(bad="#eeeeee"), vmin=low, vmax=high, aspect="auto")
    for (row, column), value in np.ndenumerate(percent):
        if np.isnan(value):
            continue
        red, green, blue, _ = image.cmap(image.norm(value))
        best = found.leads(found.teachers[row], found.layers[column])
        axes.text(
            column,
            row,
            f"{value:.1f}",
            ha="center",
            va="center",
            weight="bold" if best else "normal",
            color="black" if 0.3 * red + 0.59 * green + 0.11 * blue > 0.5 else "white",
        )
        if best:
            axes.add_patch(Rectangle((column - 0.46, row - 0.44), 0.92, 0.88, fill=False, edgecolor="#e07b1f", linewidth=2))
    axes.set_xticks(range(len(found.layers)), found.layers)
    axes.set_yticks(range(len(found.teachers)), found.teachers)
    axes.tick_params(length=0, top=True, labeltop=True, bottom=False, labelbottom=False)
    axes.spines[:].set_visible(False)
    axes.grid(False)
    axes.set_xticks(np.arange(1, len(found.layers)) - 0.5, minor=True)
    axes.set_yticks(np.arange(1, len(found.teachers)) - 0.5, minor=True)
    axes.grid(which="minor", color="white", alpha=1, linewidth=2)
    axes.tick_params(which="minor", length=0)
    axes.set_title(f"Linear classifier probes: {found.judged_on} accuracy, %", loc="left", pad=10)
    return drawn


def _strips(axes: Axes, rows: Sequence[Strip], lines: Mapping[str, float]) -> None:
    for position, row in enumerate(rows):
        found = sample(row.values)
        if found is None:
            continue
        axes.scatter(
            100 * np.array(row.values), [position - 0.2] * found.n, s=30, color=row.color, alpha=0.6, linewidths=0, zorder=2
        )
        if interval := found.interval():
            axes.plot([100 * end for end in interval], [position + 0.12] * 2, color=row.color, linewidth=2, zorder=3)
        axes.scatter([100 * found.mean], [position + 0.12], s=42, marker="D", color=row.color, zorder=4)
        if row.control:
            axes.axvline(100 * found.mean, color=INK, alpha=0.45, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
    for name, accuracy in lines.items():
        axes.axvline(100 * accuracy, color=INK, alpha=0.3, linewidth=1, linestyle=":", zorder=1)
        at = axes.get_xaxis_transform()
        axes.text(100 * accuracy, 0.02, f" {name}", transform=at, rotation=90, ha="right", va="bottom", fontsize="x-small")
    values = [100 * value for row in rows for value in row.values] + [100 * value for value in lines.values()]
    if margin := max(values, default=0) - min(values, default=0):  # the interval of two seeds is often wider than all else
        low, high = axes.get_xlim()
        axes.set_xlim(max(low, min(values) - margin), min(high, max(values) + margin))
    _rows(axes, [row.label for row in rows])


def _forest(axes: Axes, rows: Sequence[Whisker]) -> None:
    axes.axvline(0, color=INK, alpha=0.45, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
    for position, row in enumerate(rows):
        if row.interval:
            axes.plot(row.interval, [position] * 2, color=row.color, linewidth=2, zorder=3)
        axes.scatter([row.mean], [position], s=42, marker="D", color=row.color, zorder=4)
    _rows(axes, [row.label for row in rows])


def _rows(axes: Axes, labels: Sequence[str]) -> None:
    """A row for each label, from above."""
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.5, -0.6)
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)


def _curves(axes: Axes, panel: Panel) -> None:
    from matplotlib.ticker import MaxNLocator

    for index, (label, those) in enumerate(panel.curves.items()):
        color = panel.colors.get(label, COLORS[index % len(COLORS)])
        shortest = min(map(len, those))
        epochs, shared = np.arange(1, shortest + 1), np.array([curve[:shortest] for curve in those])
        if len(those) > 1:
            axes.fill_between(epochs, shared.min(0), shared.max(0), color=color, alpha=0.18, linewidth=0)
        axes.plot(epochs, shared.mean(0), color=color, linewidth=1.8, label=label)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _later(curves: Sequence[np.ndarray]) -> tuple[float, float]:
    """Limits that hold all values after the first quarter."""
    values = np.concatenate([curve[len(curve) // 4 :] for curve in curves])
    margin = 0.05 * (values.max() - values.min()) or 1.0
    return values.min() - margin, values.max() + margin
