"""What is known of students besides their accuracy."""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.report.analysis.formatting import NOTHING, size, spread
from orchestrator.report.analysis.summary import Cell
from orchestrator.report.tables.table import Column, Row, Table, Value


def of_scores(cells: Sequence[Cell]) -> Table:
    """What else is known of students besides their accuracy: a row per student and method that has any of it."""
    known = [cell for cell in cells if any((cell.brier, cell.top5, cell.agreement, cell.peak_memory))]
    top5, agreed = any(cell.top5 for cell in known), any(cell.agreement for cell in known)
    groups: dict[str, list[Row]] = {}
    for cell in known:
        row = (
            Value(cell.setting),
            Value(cell.method),
            *([Value(spread(cell.top5))] if top5 else []),
            Value(spread(cell.loss, 1)),
            Value(spread(cell.brier, 1)),
            *([Value(spread(cell.agreement))] if agreed else []),
            Value(size(cell.peak_memory)),
            Value(NOTHING if cell.device_seconds is None else f"{cell.device_seconds / 3600:.2f}"),
        )
        groups.setdefault(cell.setting, []).append(row)
    return Table(
        "Students: scores and costs",
        (
            Column("student", left=True),
            Column("method", left=True),
            *([Column("top-5")] if top5 else []),
            Column("NLL"),
            Column("Brier"),
            *([Column("agreement")] if agreed else []),
            Column("peak memory"),
            Column("device-hours"),
        ),
        tuple(map(tuple, groups.values())),
        caption=(
            "On the test split, at the epoch of the result, mean ± standard deviation over seeds: negative log-likelihood in "
            "nats and Brier score (0 to 2), of which less is better.",
            *(
                ["Agreement is the share of images, in %, of which a student says what a teacher says, right or wrong."]
                * agreed
            ),
            "Peak memory is that of the tensors on a GPU, elsewhere of the process; device-hours, of all seeds together, count "
            "GPUs or, without any, CPU cores.",
        ),
    )
