"""What a report shows of the trainings of students besides their accuracy: terms of the loss, their weights, the say of each
teacher."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from orchestrator.report.figures import plots
from orchestrator.report.figures.chart import Chart, Curves, colors_of
from orchestrator.report.figures.foremost import PANELS, Foremost
from orchestrator.report.figures.plots import Panel

WEIGHT, GUIDE, TERM, BETA = "weight/teacher", "guide/teacher", "loss/", "beta"  # as methods name their curves
BAND = "Lines are means over the seeds; bands hold all seeds."


def training_charts(foremost: Foremost, curves: Curves) -> Iterator[Chart]:
    """A figure for each kind of curve that there is, a panel for each student and method that has it."""
    rows = foremost.rows
    of = {row["key"]: row for row in rows}
    titles = {row["key"]: f"{row['setting']}, {row['method']}" for row in rows}
    teachers = {row["key"]: row["teachers"] for row in rows}

    def panels(prefix: str, label: Callable[[str, str], str]) -> list[Panel]:
        by_title: dict[str, dict[str, list[np.ndarray]]] = {}
        for (key, name), curve in curves.items():
            if name.startswith(prefix) and key in titles:
                by_title.setdefault(titles[key], {}).setdefault(label(key, name.removeprefix(prefix)), []).append(curve)
        return [Panel(title, those) for title, those in by_title.items()]

    def figure(title: str, caption: str, panels: list[Panel], label: str, limits: tuple[float, float] | None = None) -> Chart:
        if len(panels) > PANELS:
            cells = {titles[key]: row["cell"] for key, row in of.items()}
            kept = foremost.best(cells[panel.title] for panel in panels)
            caption += f" Drawn are the {PANELS} most accurate of {len(panels)} students and methods."
            panels = [panel for panel in panels if cells[panel.title] in kept]
        else:
            caption += foremost.note
        return Chart(title, caption, plots.curves(panels, label, limits))

    def teacher(key: str, index: str) -> str:
        return str(teachers[key][int(index)])

    if weights := panels(WEIGHT, teacher):
        caption = f"Mean instructional weight of each teacher by epoch. {BAND}"
        yield figure("Instructional weights", caption, weights, "weight", limits=(0, 1))
    if guides := panels(GUIDE, teacher):
        caption = f"Mean guiding factor of each teacher by epoch: how much harder it presses than on its mean sample. {BAND}"
        yield figure("Guiding factors", caption, guides, "guiding factor")
    if losses := [panel for panel in panels(TERM, lambda _, name: name) if len(panel.curves) > 1]:
        caption = f"Terms of the loss by epoch, each with its weight. {BAND} The first epochs may lie beyond the picture."
        yield figure("Terms of the loss", caption, losses, "loss")
    if betas := [(key, curve) for (key, name), curve in curves.items() if name == BETA and key in titles]:
        by_setting: dict[str, dict[str, list[np.ndarray]]] = {}
        for key, curve in betas:
            by_setting.setdefault(of[key]["setting"], {}).setdefault(of[key]["method"], []).append(curve)
        shown = [Panel(title, those, colors_of(rows)) for title, those in by_setting.items()]
        yield Chart(
            "Weight of the attention loss by epoch",
            f"The weight of the attention loss, β(e), by epoch.{foremost.note}",
            plots.curves(shown, "β"),
        )
