"""The report's tables as text, before they have a format."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pyarrow as pa

from kd_core.evaluation.table import EVALUATIONS
from kd_core.published.ledger import CHOSEN_ON_TEST
from orchestrator.report.analysis.claims import FAILS, HOLDS, PENDING, Tested
from orchestrator.report.analysis.evaluations import Answers
from orchestrator.report.analysis.formatting import (
    NOTHING,
    count,
    duration,
    percent,
    percent_interval,
    points,
    probability,
    size,
    spread,
)
from orchestrator.report.analysis.summary import LEVEL, Cell
from orchestrator.report.data.probe_grid import Grid, Selection
from orchestrator.report.data.published import Counterpart
from orchestrator.report.data.reading import Reading

AT_CHOSEN = "Test is read at the epoch chosen on the validation split{}; (last) is the last epoch."
AT_LAST = "All training images are trained on (data.validation is 0): test is read at the last epoch."
PROBED = {"validation": "Validation", "holdout": "Holdout"}
SEEN = "They are judged on training images held out of them alone, which their teachers have seen."
GIVEN = "given"  # what a teacher that was not trained has for a chosen epoch


@dataclass(frozen=True)
class Column:
    """Where room is short, columns are left out, those of the highest ``rank`` first and those of rank 0 never. What is
    ``long`` goes over several lines."""

    name: str
    left: bool = False
    rank: int = 0
    long: bool = False


@dataclass(frozen=True)
class Value:
    """``tone`` is better, worse, bad or nothing; ``heat`` is a place in [0, 1] between a table's lowest and highest value."""

    text: str
    strong: bool = False
    tone: str = ""
    heat: float | None = None


Row = tuple[Value, ...]


@dataclass(frozen=True)
class Table:
    """Groups of rows belong together. ``about`` says how to read the table, its first sentence where room is short; ``legend``
    what abbreviations mean, ``strong`` what a strong value is; ``notes`` are numbered from 1 and cited as [1]."""

    title: str
    columns: tuple[Column, ...]
    groups: tuple[tuple[Row, ...], ...]
    caption: tuple[str, ...] = ()
    legend: tuple[str, ...] = ()
    strong: str = ""
    notes: tuple[str, ...] = ()


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


def of_claims(claims: Sequence[Tested]) -> Table:
    """A row per claim and, where there are several settings, setting."""
    several = len({each.setting for each in claims}) > 1
    rows = []
    for each in claims:
        found, claim = each.difference, each.claim
        text = NOTHING if found is None else points(found.mean, each.scale)
        if found and found.interval:
            text += f" {percent_interval(found.interval, each.scale)}"
        done = found.n if found else 0
        tone = {HOLDS: "better", FAILS: "worse", PENDING: "bad"}.get(each.verdict, "")
        rows.append(
            (
                Value(claim.text),
                *([Value(each.setting)] if several else []),
                Value(f"{done}/{each.planned}", tone="bad" if done < each.planned else ""),
                Value(text),
                Value(NOTHING if found is None or found.effect is None else points(found.effect, 1)),
                Value(probability(found.p if found else None)),
                Value(probability(each.p)),
                Value(NOTHING if each.seeds_for_half_a_point is None else str(each.seeds_for_half_a_point)),
                Value(each.verdict, strong=each.verdict in (HOLDS, FAILS), tone=tone),
                Value(claim.by + (" (less is better)" if each.less_is_better else "")),
                Value(f"{claim.better} against {claim.than}"),
            )
        )
    return Table(
        "Claims",
        (
            Column("claim", left=True),
            *([Column("student", left=True)] if several else []),
            Column("seeds", rank=1),
            Column("difference [95 % CI]"),
            Column("effect", rank=4),
            Column("p", rank=3),
            Column("p (Holm)"),
            Column("seeds for 0.5", rank=4),
            Column("verdict"),
            Column("by", left=True, rank=2),
            Column("methods", left=True, rank=5),
        ),
        (tuple(rows),) if rows else (),
        caption=(
            "Differences in points, paired by seed, with the 95 % confidence interval of Student's t.",
            f"A claim holds where p, corrected by Holm over all claims, is below {LEVEL:g} and the difference goes its way; it "
            "does not hold where p is below that and the difference goes the other way; else these seeds cannot tell.",
            "The effect is the mean difference over its standard deviation; seeds for 0.5 is how many a difference of half a "
            "point would need to be found four times of five, uncorrected, going by the spread seen here.",
        ),
        strong="what can be told",
    )


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
        row = [
            Value(cell.setting),
            Value(cell.method),
            Value(f"{cell.done}/{cell.planned}", tone="bad" if missing else ""),
        ]
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


def of_teachers(table: pa.Table) -> Table:
    """A row per teacher."""
    notes: dict[str, int] = {}
    validated = any(table["validated"].to_pylist())
    rows = []
    for row in table.to_pylist():
        cited = ""
        if row["status"] != "done":
            note = f"{row['status']}: {row['reason']}"
            cited = f" [{notes.setdefault(note, len(notes) + 1)}]"
        rows.append(
            (
                Value(row["teacher"] + cited, tone="bad" if cited else ""),
                Value(row["model"]),
                Value(count(row["parameters"])),
                *([Value(percent(row["validation_accuracy"]))] if validated else []),
                Value(percent(row["test_accuracy"])),
                *([Value(percent(row["test_accuracy_last"]))] if validated else []),
                Value(_chosen(row)),
                Value(duration(row["seconds"])),
            )
        )
    return Table(
        "Teachers",
        (
            Column("teacher", left=True),
            Column("model", left=True),
            Column("parameters"),
            *([Column("validation")] if validated else []),
            Column("test" if validated else "test (last epoch)"),
            *([Column("test (last)")] if validated else []),
            Column("chosen epoch"),
            Column("time"),
        ),
        (tuple(rows),) if rows else (),
        caption=(
            "Accuracy in %.",
            AT_CHOSEN.format("") if validated else AT_LAST,
            *(["Given weights were not trained here."] if any(_chosen(row) == GIVEN for row in table.to_pylist()) else []),
        ),
        notes=tuple(notes),
    )


def of_grid(grid: Grid) -> Table:
    """A row per teacher, a column per layer."""
    low, high = min(grid.accuracy.values()), max(grid.accuracy.values())

    def value(teacher: str, layer: str) -> Value:
        accuracy = grid.accuracy.get((teacher, layer))
        if accuracy is None:
            return Value(NOTHING)
        heat = (accuracy - low) / (high - low) if high > low else 0.5
        return Value(percent(accuracy), strong=grid.best(layer) == teacher, heat=heat)

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


def of_jobs(reading: Reading) -> Table:
    """Every job with its key."""
    groups: dict[str, list[Row]] = {}
    for job in reading.plan:
        entry = reading.entry(job)
        row = (
            Value(job.kind),
            Value(job.title),
            Value(job.short),
            Value(reading.status(job), tone="" if entry else "bad"),
            Value(reading.reason(job)),
            Value(duration(entry.manifest["seconds"] if entry else None)),
        )
        groups.setdefault(job.kind, []).append(row)
    names = ("kind", "job", "key", "status", "reason")
    columns = (*(Column(name, left=True) for name in names), Column("time"))
    return Table("Jobs", columns, tuple(map(tuple, groups.values())))


def _chosen(row: dict[str, object]) -> str:
    if row["chosen_epoch"] is not None:
        return f"{row['chosen_epoch']}/{row['epochs']}"
    return GIVEN if row["status"] == "done" else NOTHING


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
