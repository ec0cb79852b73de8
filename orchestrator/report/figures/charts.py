"""What a report shows besides tables: seeds, learning curves, and the weights of the teachers."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from markupsafe import Markup

from kd_core.training.metrics import TRAIN_ACCURACY, VALIDATION_ACCURACY
from orchestrator.experiment.spec import TEST
from orchestrator.report.analysis.claims import FAILS, HOLDS, Tested, evaluate_claims
from orchestrator.report.analysis.summary import CONTROL
from orchestrator.report.data.reading import Reading
from orchestrator.report.data.results import evaluations, history, results
from orchestrator.report.figures import plots
from orchestrator.report.figures.canvas import COLORS, INK
from orchestrator.report.figures.plots import Panel, Strip, Whisker

WEIGHT = "weight/teacher"  # and the teacher's place among those of its student

Rows = Sequence[dict[str, Any]]


@dataclass(frozen=True)
class Chart:
    """``about`` says in words what is to be seen; ``under`` is the title of its table; none: the first."""

    title: str
    caption: str
    svg: Markup
    under: str = ""


def charts(reading: Reading) -> list[Chart]:
    """The pictures for which there are results."""
    table = results(reading)
    rows, tested = table.to_pylist(), evaluate_claims(reading.plan.claims, table, evaluations(reading))
    found = (accuracies(rows), claims(tested), learning(reading, rows), weights(reading, rows))
    return [chart for chart in found if chart]


def accuracies(rows: Rows) -> Chart | None:
    """Every seed and every mean."""
    colors = _colors(rows)
    cells: dict[str, dict[str, Strip]] = {}
    for row in rows:
        strips = cells.setdefault(row["setting"], {})
        before = strips[row["cell"]].values if row["cell"] in strips else ()
        values = (*before, row["test_accuracy"]) if row["status"] == "done" else before
        strips[row["cell"]] = Strip(row["method"], values, colors[row["method"]], control=row["algorithm"] == CONTROL)
    if not any(strip.values for strips in cells.values() for strip in strips.values()):
        return None
    epoch = "epoch chosen on the validation split" if rows[0]["validated"] else "last epoch"
    caption = (
        f"Test accuracy at the {epoch}. A dot is a seed, a diamond the mean of a method, a bar its "
        "95 % confidence interval (Student's t), which may go on beyond the picture. The dashed line is the mean of plain "
        "training."
    )
    svg = plots.strips({setting: list(strips.values()) for setting, strips in cells.items()})
    return Chart("Accuracy by method", caption, Markup(svg))


def claims(tested: Sequence[Tested]) -> Chart | None:
    """The difference that every claim is about, in a panel for each number that methods are compared by."""
    several = len({each.setting for each in tested}) > 1
    colors = {HOLDS: COLORS[2], FAILS: COLORS[4]}
    panels: dict[tuple[str, str], list[Whisker]] = {}
    for each in tested:
        if (found := each.difference) is None:
            continue
        label = f"{each.claim.text} ({each.setting})" if several else each.claim.text
        interval = found.interval and (each.scale * found.interval[0], each.scale * found.interval[1])
        title = "test accuracy" if each.claim.by == TEST else each.claim.by + ", less is better" * each.less_is_better
        axis = "difference, points" if each.scale == 100 else "difference"
        color = colors.get(each.verdict, COLORS[-1])
        panels.setdefault((title, axis), []).append(Whisker(label, each.scale * found.mean, interval, color))
    if not panels:
        return None
    caption = (
        "The difference that each claim is about, paired by seed. A diamond is its mean, a bar its 95 % confidence interval "
        "(Student's t, not corrected). Green: the claim holds after Holm's correction; red: it does not; grey: it cannot be "
        "told."
    )
    return Chart("Claims: differences and intervals", caption, Markup(plots.forest(panels)), under="Claims")


def learning(reading: Reading, rows: Rows) -> Chart | None:
    """Validation accuracy over epochs, or training accuracy where nothing is validated on: a panel of the teachers, and one
    for each student."""
    plan = reading.plan
    labels = {row["key"]: (row["setting"], row["method"]) for row in rows}
    labels |= {job.key: ("Teachers", job.title) for job in plan.of("teacher")}
    colors = _colors(rows)
    panels: dict[str, dict[str, list[np.ndarray]]] = {}
    jobs = [*plan.of("teacher"), *plan.of("student")]
    validated = any(job.validated for job in jobs)
    what, curve_of = ("Validation", VALIDATION_ACCURACY) if validated else ("Training", TRAIN_ACCURACY)
    for (key, _), curve in _curves(history(reading, jobs, {curve_of})).items():
        title, label = labels[key]
        panels.setdefault(title, {}).setdefault(label, []).append(100 * curve)
    if not panels:
        return None
    caption = (
        f"{what} accuracy by epoch. Thin lines are seeds, thick ones their mean. The first epochs may lie below the picture."
    )
    shown = [Panel(title, those, colors) for title, those in panels.items()]
    return Chart("Learning curves", caption, Markup(plots.curves(shown, f"{what.lower()} accuracy, %")))


def weights(reading: Reading, rows: Rows) -> Chart | None:
    """Mean instructional weight of every teacher over epochs: a panel for each student whose method reports it."""
    plan = reading.plan
    jobs = [plan.jobs[row["key"]] for row in rows]
    titles = {row["key"]: f"{row['setting']}, {row['method']}" for row in rows}
    most = max((len(row["teachers"]) for row in rows), default=0)
    names = {f"{WEIGHT}{index}": index for index in range(most)}
    panels: dict[str, dict[str, list[np.ndarray]]] = {}
    for (key, name), curve in _curves(history(reading, jobs, names)).items():
        teacher = plan.jobs[plan.jobs[key].parents["teachers"][names[name]]]
        panels.setdefault(titles[key], {}).setdefault(teacher.title, []).append(curve)
    if not panels:
        return None
    caption = "Mean instructional weight of each teacher by epoch. Lines are means over the seeds; bands hold all seeds."
    shown = [Panel(title, those) for title, those in panels.items()]
    return Chart("Instructional weights", caption, Markup(plots.curves(shown, "weight", limits=(0, 1), band=True)))


def _colors(rows: Rows) -> dict[str, str]:
    """A colour for every method, the same in all pictures; plain training has that of the text."""
    palette = itertools.cycle(COLORS)
    control = {row["method"]: row["algorithm"] == CONTROL for row in rows}
    return {method: INK if plain else next(palette) for method, plain in control.items()}


def _curves(table: pa.Table) -> dict[tuple[str, str], np.ndarray]:
    """By (key, name) the values in the order of the epochs."""
    found: dict[tuple[str, str], list[float]] = {}
    for row in table.sort_by("epoch").to_pylist():
        found.setdefault((row["key"], row["name"]), []).append(row["value"])
    return {which: np.array(values) for which, values in found.items()}
