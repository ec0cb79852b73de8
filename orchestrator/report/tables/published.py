"""Published numbers beside ours."""

from __future__ import annotations

from collections.abc import Sequence

from kd_core.published.ledger import CHOSEN_ON_TEST
from orchestrator.report.analysis.formatting import NOTHING, points, spread
from orchestrator.report.analysis.summary import Cell
from orchestrator.report.data.published import Counterpart
from orchestrator.report.tables.table import Column, Table, Value


def of_published(cells: Sequence[Cell], counterparts: Sequence[Counterpart]) -> Table:
    """Published numbers beside ours: a row per cell that repeats one."""
    by_name = {cell.name: cell for cell in cells}
    rows, sources = [], dict.fromkeys(each.row.source for each in counterparts)
    for each in counterparts:
        cell, row = by_name[each.cell], each.row
        ours = cell.test_best or cell.test_last
        gap = None if ours is None else ours.mean - row.top1 / 100
        spread_of = None if ours is None or ours.std is None else ours.std
        rows.append(
            (
                Value(row.student),
                Value(row.teacher or NOTHING),
                Value(cell.method),
                Value(f"{row.top1:.2f}"),
                Value("not run" if ours is None else spread(ours)),
                Value(NOTHING if gap is None else points(gap)),
                Value(NOTHING if gap is None or spread_of is None else "yes" if abs(gap) <= spread_of else "no"),
                Value(str(list(sources).index(row.source) + 1)),
            )
        )
    best = any(by_name[each.cell].test_best for each in counterparts)
    return Table(
        "Published",
        (
            Column("student", left=True),
            Column("teacher", left=True),
            Column("method", left=True),
            Column("published"),
            Column("ours (best)" if best else "ours (last)"),
            Column("difference"),
            Column("within the spread"),
            Column("source"),
        ),
        (tuple(rows),) if rows else (),
        caption=(
            "Top-1 accuracy on the test split in %, of what is trained by the published protocol; published is "
            f"{CHOSEN_ON_TEST}.",
            *([] if best else ["Ours is the last epoch; evaluations: {best_test: true} has the best one, too."]),
            "Within the spread: the difference is at most one standard deviation of our seeds.",
        ),
        notes=tuple(sources),
    )
