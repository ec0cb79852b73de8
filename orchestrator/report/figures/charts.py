"""What a report shows besides tables: seeds, learning curves, and the weights of the teachers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kd_core.training.metrics import TRAIN_ACCURACY, VALIDATION_ACCURACY
from orchestrator.experiment.spec import TEST
from orchestrator.jobs.job import Job
from orchestrator.report.analysis.claims import FAILS, HOLDS, Tested, evaluate_claims
from orchestrator.report.analysis.summary import CONTROL
from orchestrator.report.data.reading import Reading
from orchestrator.report.data.results import evaluations, history, results, teachers
from orchestrator.report.figures import plots, size_plots
from orchestrator.report.figures.canvas import COLORS, INK
from orchestrator.report.figures.chart import Chart, Curves, Rows, colors_of, curves_of
from orchestrator.report.figures.foremost import LINES, Foremost, best
from orchestrator.report.figures.plots import Panel, Strip, Whisker
from orchestrator.report.figures.selection_charts import selection_charts
from orchestrator.report.figures.size_plots import Dot
from orchestrator.report.figures.training_charts import BETA, GUIDE, TERM, WEIGHT, training_charts


def charts(reading: Reading) -> list[Chart]:
    """The pictures for which there are results."""
    table = results(reading)
    foremost, tested = Foremost(table.to_pylist()), evaluate_claims(reading.plan.claims, table, evaluations(reading))
    rows, every_teacher = foremost.rows, teachers(reading).to_pylist()
    of_teachers = _foremost_teachers(every_teacher)
    left_out = len(of_teachers) < len(every_teacher)
    note = foremost.note + left_out * f" Of {len(every_teacher)} teachers the {len(of_teachers)} most accurate are drawn."
    jobs = [reading.plan.jobs[row["key"]] for row in (*of_teachers, *rows)]
    curves = curves_of(history(reading, jobs, {VALIDATION_ACCURACY, TRAIN_ACCURACY, BETA}, (WEIGHT, GUIDE, TERM)))
    found = (
        accuracies(rows, of_teachers, note),
        claims(tested),
        sizes(rows, of_teachers, note),
        learning(jobs, rows, curves, note),
        *training_charts(foremost, curves),
        *selection_charts(reading),
    )
    return [chart for chart in found if chart]


def _foremost_teachers(rows: Rows) -> Rows:
    worth = {row["teacher"]: -1.0 if row["test_accuracy"] is None else row["test_accuracy"] for row in rows}
    kept = best(worth, LINES)
    return [row for row in rows if row["teacher"] in kept]


def accuracies(rows: Rows, of_teachers: Rows, note: str) -> Chart | None:
    """Every seed and every mean, and the best teacher."""
    colors = colors_of(rows)
    seeds: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in rows:
        seeds.setdefault((row["setting"], row["cell"]), []).append(row)
    cells: dict[str, dict[str, Strip]] = {}
    for (setting, cell), of_cell in seeds.items():
        values = tuple(row["test_accuracy"] for row in of_cell if row["status"] == "done")
        method, control = of_cell[0]["method"], of_cell[0]["algorithm"] == CONTROL
        cells.setdefault(setting, {})[cell] = Strip(method, values, colors[method], control=control)
    if not any(strip.values for strips in cells.values() for strip in strips.values()):
        return None
    epoch = "epoch chosen on the validation split" if rows[0]["validated"] else "last epoch"
    caption = (
        f"Test accuracy at the {epoch}. A dot is a seed, a diamond the mean of a method, a bar its "
        "95 % confidence interval (Student's t), which may go on beyond the picture. The dashed line is the mean of plain "
        f"training, the dotted one the best teacher.{note}"
    )
    above = max((row for row in of_teachers if row["status"] == "done"), key=lambda row: row["test_accuracy"], default=None)
    lines = {above["teacher"]: above["test_accuracy"]} if above else {}
    return Chart(
        "Accuracy by method", caption, plots.strips({each: list(strips.values()) for each, strips in cells.items()}, lines)
    )


def sizes(rows: Rows, of_teachers: Rows, note: str) -> Chart | None:
    """Students and teachers by what they cost."""
    colors, points = colors_of(rows), []
    for row in of_teachers:
        if row["status"] == "done":
            points.append(
                Dot(row["teacher"], row["test_accuracy"], INK, row["parameters"], row["multiplications"], square=True)
            )
    cells: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        if row["status"] == "done":
            cells.setdefault(row["cell"], []).append(row)
    several = len({row["student"] for row in rows}) > 1
    for those in cells.values():
        first, mean = those[0], sum(row["test_accuracy"] for row in those) / len(those)
        label = f"{first['setting']}, {first['method']}" if several else first["method"]
        points.append(Dot(label, mean, colors[first["method"]], first["parameters"], first["multiplications"]))
    if not cells or not any(point.square for point in points):
        return None
    caption = (
        "Test accuracy over the size of the network. A square is a teacher, a dot the mean of a student's method over its "
        "seeds. Multiply-accumulates are those of convolutions and linear layers for one image; older entries, of which they "
        f"were not counted, are left out there.{note}"
    )
    return Chart("Students and teachers by size", caption, size_plots.sizes(points))


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
    return Chart("Claims: differences and intervals", caption, plots.forest(panels), under="Claims")


def learning(jobs: Sequence[Job], rows: Rows, curves: Curves, note: str) -> Chart | None:
    """Validation accuracy over epochs, or training accuracy where nothing is validated on: a panel of the teachers, and one
    for each student."""
    labels = {row["key"]: (row["setting"], row["method"]) for row in rows}
    labels |= {job.key: ("Teachers", job.title) for job in jobs if job.kind == "teacher"}
    colors = colors_of(rows)
    panels: dict[str, dict[str, list[np.ndarray]]] = {}
    validated = any(job.validated for job in jobs)
    what, curve_of = ("Validation", VALIDATION_ACCURACY) if validated else ("Training", TRAIN_ACCURACY)
    for (key, name), curve in curves.items():
        if name == curve_of:
            title, label = labels[key]
            panels.setdefault(title, {}).setdefault(label, []).append(100 * curve)
    if not panels:
        return None
    caption = (
        f"{what} accuracy by epoch. Lines are means over the seeds; bands hold all seeds. The first epochs may lie below the "
        f"picture.{note}"
    )
    shown = [Panel(title, those, colors) for title, those in panels.items()]
    return Chart("Learning curves", caption, plots.curves(shown, f"{what.lower()} accuracy, %"))
