"""The result: accuracies of the students, and the differences between methods."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from orchestrator.report.analysis.formatting import NOTHING, duration, percent_interval, points, probability, spread
from orchestrator.report.analysis.summary import Cell
from orchestrator.report.tables.splits import AT_CHOSEN, AT_LAST
from orchestrator.report.tables.table import Column, Row, Table, Value


def of_cells(cells: Sequence[Cell]) -> Table:
    """The result: a row per student and method."""
    best, validated = any(cell.test_best for cell in cells), any(cell.validated for cell in cells)
    notes: dict[str, int] = {}
    letters = _letters(cells)
    groups: dict[str, list[Row]] = {}
    for cell in cells:
        done = f"{cell.done}/{cell.planned}"
        cited = "".join(f" [{notes.setdefault(note, len(notes) + 1)}]" for note in _absences(cell))
        row = (
            Value(cell.setting),
            Value(cell.method),
            Value(_teachers(cell.teachers, letters)),
            Value(done + cited, tone="bad" if cited else ""),
            *([Value(spread(cell.validation))] if validated else []),
            Value(spread(cell.test)),
            *([Value(spread(cell.test_last))] if validated else []),
            *([Value(spread(cell.test_best))] if best else []),
            *_compared(cell),
            Value(duration(cell.seconds.mean if cell.seconds else None)),
        )
        groups.setdefault(cell.setting, []).append(row)
    return Table(
        "Students",
        (
            Column("student", left=True),
            Column("method", left=True),
            Column("teachers", left=True, rank=4),
            Column("seeds"),
            *([Column("validation", rank=2)] if validated else []),
            Column("test" if validated else "test (last epoch)"),
            *([Column("test (last)", rank=3)] if validated else []),
            *([Column("test (best)", rank=3)] if best else []),
            Column("vs plain [95 % CI]"),
            Column("p (Holm)", rank=1),
            Column("time", rank=4),
        ),
        tuple(map(tuple, groups.values())),
        caption=(
            "Accuracy in %, mean ± standard deviation over the seeds that are done.",
            AT_CHOSEN.format(": the result") if validated else AT_LAST,
            *(
                [
                    "(best) is the best epoch on the test split itself, as much of the literature reports: optimistic (in 40 "
                    "public logs it lies 0.32 points above the last epoch on average, 0.92 at most)."
                ]
                if best
                else []
            ),
            "The difference to plain training is in points, paired by seed, with the 95 % confidence interval of Student's t.",
            "p is corrected by Holm over the methods of the student; time is the mean training time of a seed.",
        ),
        legend=tuple(f"Teachers {letter}: {', '.join(names)}." for names, letter in letters.items()),
        strong="an interval that leaves out zero",
        notes=tuple(notes),
    )


def _compared(cell: Cell) -> tuple[Value, Value]:
    if cell.difference is None:
        return Value("control" if cell.control else NOTHING), Value(NOTHING)
    text = points(cell.difference.mean)
    if cell.difference.interval:
        text += f" {percent_interval(cell.difference.interval)}"
    apart = cell.verdict in ("better", "worse")
    return Value(text, strong=apart, tone=cell.verdict if apart else ""), Value(probability(cell.p))


def _absences(cell: Cell) -> list[str]:
    """A note for every status and reason that keeps seeds out of the means."""
    seeds: dict[tuple[str, str], list[int]] = {}
    for absent in cell.absent:
        seeds.setdefault((absent.status, absent.reason), []).append(absent.seed)
    return [
        f"seed{'s' if len(those) > 1 else ''} {', '.join(map(str, those))} {status}: {reason}"
        for (status, reason), those in seeds.items()
    ]


def _letters(cells: Iterable[Cell]) -> dict[tuple[str, ...], str]:
    """A name for every set of several teachers: A, B, …, Z, A1, B1, …"""
    sets = dict.fromkeys(cell.teachers for cell in cells if len(cell.teachers) > 1)
    return {names: chr(ord("A") + index % 26) + str(index // 26) * (index >= 26) for index, names in enumerate(sets)}


def _teachers(names: tuple[str, ...], letters: dict[tuple[str, ...], str]) -> str:
    if len(names) > 1:
        return f"{letters[names]} ({len(names)})"
    return names[0] if names else NOTHING
