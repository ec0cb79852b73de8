"""What evaluations found."""

from __future__ import annotations

from collections.abc import Sequence

from kd_core.evaluation.table import EVALUATIONS
from orchestrator.report.analysis.evaluations import Answers
from orchestrator.report.analysis.formatting import NOTHING, percent_interval, points, spread
from orchestrator.report.tables.table import Column, Row, Table, Value


def of_answers(evaluation: str, cells: Sequence[Answers]) -> Table:
    """What an evaluation found: a row per student and method, two columns per number."""
    kind = EVALUATIONS[evaluation]
    names = list(dict.fromkeys(name for cell in cells for name in cell.numbers))

    def values(cell: Answers, name: str) -> tuple[Value, Value]:
        number, scale = cell.numbers.get(name), 1 if name in kind.unscaled else 100
        if number is None:
            return Value(NOTHING), Value(NOTHING)
        text = spread(number.values, scale)
        if number.difference is None:
            return Value(text), Value("control" if cell.control else NOTHING)
        compared = points(number.difference.mean, scale)
        if number.difference.interval:
            compared += f" {percent_interval(number.difference.interval, scale)}"
        good = -number.apart if name in kind.less_is_better else number.apart
        return Value(text), Value(compared, strong=good != 0, tone={1: "better", -1: "worse"}.get(good, ""))

    groups: dict[str, list[Row]] = {}
    for cell in cells:
        missing = cell.done < cell.planned
        row = [Value(cell.setting), Value(cell.method), Value(f"{cell.done}/{cell.planned}", tone="bad" if missing else "")]
        groups.setdefault(cell.setting, []).append((*row, *(value for name in names for value in values(cell, name))))
    units = [
        f"{name} in {'nats' if name in kind.unscaled else '%'}{', less is better' if name in kind.less_is_better else ''}"
        for name in names
    ]
    return Table(
        f"Evaluation: {evaluation}",
        (
            Column("student", left=True),
            Column("method", left=True),
            Column("seeds"),
            *(column for name in names for column in (Column(name), Column("vs plain [95 % CI]", rank=1))),
        ),
        tuple(map(tuple, groups.values())),
        caption=(
            f"Mean ± standard deviation over the seeds that are done: {'; '.join(units) or 'nothing yet'}.",
            "Differences to plain training are paired by seed, with the 95 % interval of Student's t, not corrected for their "
            "number.",
        ),
        strong="an interval that leaves out zero",
    )
