"""Pictures of searches, by matplotlib: what a knob's values came to, and which knobs mattered.

Both are to be called within :func:`orchestrator.report.figures.canvas.style`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestrator.report.figures.canvas import COLORS, INK, figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

ACROSS = 4  # panels in a row at most
FIRST, LAST, CHOSEN = COLORS[0], COLORS[1], COLORS[4]
CROWDED = 14  # characters of all choices; more are written aslant


@dataclass(frozen=True)
class Point:
    """A trial: its number, the accuracy in % that it reached, and what it was."""

    number: int
    accuracy: float
    stopped: bool = False  # ended early
    chosen: bool = False
    default: bool = False


@dataclass(frozen=True)
class Slice:
    """One knob: the place of each point in the order of the points, and where the axis ends. Choices stand at 0, 1, 2, …"""

    knob: str
    places: tuple[float, ...]
    limits: tuple[float, float]
    choices: tuple[str, ...] = ()
    log: bool = False
    whole: bool = False  # integers


def slices(points: Sequence[Point], knobs: Sequence[Slice]) -> Figure:
    """Accuracy over every knob of a search, a panel each."""
    from matplotlib.colors import LinearSegmentedColormap

    rows = -(-len(knobs) // ACROSS)
    across = -(-len(knobs) // rows)
    drawn = figure(2.6 * rows + 0.4)
    all_axes = drawn.subplots(rows, across, squeeze=False, sharey=True)
    last = max(1, *(point.number for point in points))
    ramp = LinearSegmentedColormap.from_list("trials", [FIRST, LAST])
    colors = [ramp(point.number / last) for point in points]
    low, high = _limits(points)
    for index, axes in enumerate(all_axes.flat):
        if index >= len(knobs):
            axes.set_visible(False)
            continue
        _points(axes, points, knobs[index], colors, low)
        _axis(axes, knobs[index])
        axes.set_ylim(low, high)
        if index % across == 0:
            axes.set_ylabel("validation accuracy, %")
    handles = list(_legend(points))
    drawn.legend(handles=handles, loc="outside upper left", ncols=len(handles), frameon=False, fontsize="small")
    return drawn


def importance(found: Mapping[str, Mapping[str, float]]) -> Figure:
    """For each search a panel: how much of the variance each knob explains."""
    sizes = [len(fractions) for fractions in found.values()]
    drawn = figure(0.5 * len(sizes) + 0.3 * sum(sizes) + 0.4)
    all_axes = drawn.subplots(len(found), 1, squeeze=False, sharex=True, height_ratios=[size + 1 for size in sizes])[:, 0]
    for axes, (title, fractions) in zip(all_axes, found.items(), strict=True):
        places = range(len(fractions))
        bars = axes.barh(places, [100 * fraction for fraction in fractions.values()], height=0.62, color=COLORS[0])
        axes.bar_label(bars, [f"{100 * fraction:.0f} %" for fraction in fractions.values()], padding=4, color=INK)
        axes.set_yticks(places, list(fractions))
        axes.set_ylim(len(fractions) - 0.5, -0.5)
        axes.set_xlim(0, 105)
        axes.set_axisbelow(True)
        axes.grid(axis="y", visible=False)
        axes.tick_params(axis="y", length=0)
        axes.set_title(title, loc="left")
    all_axes[-1].set_xlabel("share of the explained variance of validation accuracy, %")
    return drawn


def _points(axes: Axes, points: Sequence[Point], knob: Slice, colors: Sequence[object], low: float) -> None:
    """Dots and crosses; rings around the defaults and the chosen one. What lies below the picture is drawn at its edge."""
    for point, place, color in zip(points, knob.places, colors, strict=True):
        at = [place], [max(point.accuracy, low)]
        if point.stopped:
            axes.scatter(*at, color=[color], marker="x", s=22, linewidths=1.2, zorder=3, clip_on=False)
        else:
            axes.scatter(*at, color=[color], s=28, linewidths=0, zorder=3)
        if point.default:
            axes.scatter(*at, marker="s", s=95, facecolors="none", edgecolors=INK, linewidths=1.3, zorder=4, clip_on=False)
        if point.chosen:
            axes.scatter(*at, marker="*", s=190, facecolors="none", edgecolors=CHOSEN, linewidths=1.4, zorder=5)


def _axis(axes: Axes, knob: Slice) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

    low, high = knob.limits
    if knob.log:
        axes.set_xscale("log")
        room = (high / low) ** 0.04
        axes.set_xlim(low / room, high * room)
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0,) if high / low >= 100 else (1.0, 2.0, 5.0)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
    else:
        room = 0.5 if knob.choices else 0.04 * (high - low)
        axes.set_xlim(low - room, high + room)
    if knob.whole:
        axes.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    if knob.choices:
        aslant = sum(map(len, knob.choices)) > CROWDED
        turned: dict[str, Any] = {"rotation": 30, "ha": "right", "rotation_mode": "anchor"} if aslant else {}
        axes.set_xticks(range(len(knob.choices)), knob.choices, **turned)
    axes.set_xlabel(knob.knob)


def _limits(points: Sequence[Point]) -> tuple[float, float]:
    """They hold all that came to their end, and of those that were stopped what is not below."""
    whole = [point.accuracy for point in points if not point.stopped] or [point.accuracy for point in points]
    low, high = min(whole), max(point.accuracy for point in points)
    margin = 0.1 * (high - low) or 1.0
    return low - margin, high + margin


def _legend(points: Sequence[Point]) -> Iterator[Line2D]:
    """What there is to be seen."""
    from matplotlib.lines import Line2D

    def mark(label: str, marker: str, color: str, size: float = 5.5, hollow: bool = False) -> Line2D:
        inside = "none" if hollow else color
        return Line2D(
            [], [], linestyle="none", label=label, marker=marker, color=color, markersize=size, markerfacecolor=inside
        )

    yield mark("first trial", "o", FIRST)
    yield mark("last trial", "o", LAST)
    if any(point.stopped for point in points):
        yield mark("ended early", "x", COLORS[-1])
    if any(point.default for point in points):
        yield mark("defaults", "s", INK, 8.5, hollow=True)
    if any(point.chosen for point in points):
        yield mark("chosen", "*", CHOSEN, 12, hollow=True)
