"""What probes found, and the teachers that students select by them."""

from __future__ import annotations

from orchestrator.report.analysis.formatting import NOTHING, percent
from orchestrator.report.data.probe_grid import Grid, Selection
from orchestrator.report.tables.table import Column, Table, Value

PROBED = {"validation": "Validation", "holdout": "Holdout"}
SEEN = "They are judged on training images held out of them alone, which their teachers have seen."


def of_grid(grid: Grid) -> Table:
    """A row per teacher, a column per layer."""
    low, high = min(grid.accuracy.values()), max(grid.accuracy.values())

    def value(teacher: str, layer: str) -> Value:
        accuracy = grid.accuracy.get((teacher, layer))
        if accuracy is None:
            return Value(NOTHING)
        heat = (accuracy - low) / (high - low) if high > low else 0.5
        return Value(percent(accuracy), strong=grid.leads(teacher, layer), heat=heat)

    rows = tuple((Value(teacher), *(value(teacher, layer) for layer in grid.layers)) for teacher in grid.teachers)
    return Table(
        "Probes",
        (Column("teacher", left=True), *map(Column, grid.layers)),
        (rows,),
        caption=(
            f"{PROBED[grid.judged_on]} accuracy in % of a linear classifier probe on every layer.",
            *([SEEN] if grid.judged_on == "holdout" else []),
        ),
        strong="the best teacher of a layer",
    )


def of_selection(selection: Selection) -> Table:
    """A row per teacher, a column per stage of the student."""

    def value(accuracy: float, weight: float, best: float) -> Value:
        return Value(f"{weight:.2f} ({percent(accuracy)})", strong=weight == best, heat=weight)

    best_L = [max(column) for column in zip(*selection.weight_ML, strict=True)]
    rows = tuple(
        (Value(teacher), *map(value, accuracy_L, weight_L, best_L))
        for teacher, accuracy_L, weight_L in zip(selection.teachers, selection.accuracy_ML, selection.weight_ML, strict=True)
    )
    stages = [f"stage{stage} {height}×{width}" for stage, (height, width) in enumerate(selection.sizes)]
    return Table(
        f"Selected by probes: {', '.join(selection.students)} with {', '.join(selection.methods)}",
        (Column("teacher", left=True), *map(Column, stages)),
        (rows,),
        caption=(
            "The weight of each teacher at the student's stages and, in brackets, the accuracy in % of the probe behind it.",
        ),
        strong="the teacher that leads a stage",
    )
