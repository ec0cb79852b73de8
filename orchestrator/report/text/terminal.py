"""The report on a terminal: the result table, the probe table, and what they come to."""

from __future__ import annotations

import io
from collections.abc import Iterable

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.measure import Measurement
from rich.table import Table as Grid
from rich.text import Text

from orchestrator.report.analysis.claims import evaluate_claims, verdicts
from orchestrator.report.analysis.evaluations import answers
from orchestrator.report.analysis.summary import findings, summarise
from orchestrator.report.data.probe_grid import grid, selections
from orchestrator.report.data.reading import Reading
from orchestrator.report.data.results import evaluations, probes, results
from orchestrator.report.data.searches import searches
from orchestrator.report.tables.claims import of_claims
from orchestrator.report.tables.evaluations import of_answers
from orchestrator.report.tables.probes import of_grid, of_selection
from orchestrator.report.tables.searches import of_searches, sentences
from orchestrator.report.tables.students import of_cells
from orchestrator.report.tables.table import Table, Value

LONG = 20  # least width of a column whose values go over several lines
MARK = "*"  # of what is strong, for terminals without bold
TONES = {"better": "green", "worse": "red", "bad": "yellow", "": ""}


def terminal(reading: Reading, width: int = 100, color: bool = False) -> str:
    """What ``kd run`` prints at its end; ``color`` adds ANSI codes."""
    plan, students, evaluated = reading.plan, results(reading), evaluations(reading)
    cells, claims, found = summarise(students), evaluate_claims(plan.claims, students, evaluated), grid(probes(reading))
    parts = [of_cells(cells)] if cells else []
    parts += [of_claims(claims)] if claims else []
    sought = searches(reading)
    parts += [of_searches(sought)] if sought.num_rows else []
    parts += [of_answers(*asked) for asked in answers(evaluated).items()]
    parts += [of_grid(found)] if found.teachers else []
    return _print(parts, [*findings(cells, numbers=False), *verdicts(claims), *sentences(sought)], width, color)


def probe_table(reading: Reading, width: int = 100, color: bool = False) -> str:
    """What ``kd probes`` prints: the probes, and the teachers that students select by them."""
    found = grid(probes(reading))
    if not found.teachers:
        return "No teacher has been probed yet.\n"
    return _print([of_grid(found), *map(of_selection, selections(reading))], (), width, color)


def _print(parts: Iterable[Table], sentences: Iterable[str], width: int, color: bool) -> str:
    text = io.StringIO()
    console = Console(file=text, width=width, force_terminal=color, color_system="standard" if color else None, highlight=False)
    console.print(Group(*(_part(console, table) for table in parts), *(Text(f"{sentence}\n") for sentence in sentences)))
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines()).strip("\n") + "\n"


def _part(console: Console, table: Table) -> RenderableType:
    """As many columns as there is room for, under a heading and over what marks and notes mean."""
    for rank in range(max(column.rank for column in table.columns), -1, -1):
        drawn = _grid(table, rank)
        words = Measurement.get(console, console.options.update_width(10_000), drawn).minimum
        if words <= console.width and _whole(table, rank, drawn, console.width):
            break
    marked = any(value.strong for group in table.groups for row in group for value in row)
    marks = [f"{MARK} {table.strong}"] if marked else []
    notes = [f"[{number}] {note}" for number, note in enumerate(table.notes, 1)]
    heading = Text.assemble((table.title, "bold"), ". ", table.caption[0])
    return Group(heading, Text(), drawn, *map(Text, (*marks, *table.legend, *notes, "")))


def _whole(table: Table, rank: int, drawn: Grid, width: int) -> bool:
    """Whether no number is cut. It is looked at, since what Rich measures beforehand can be one too small."""
    plain = Console(file=io.StringIO(), width=width, color_system=None, highlight=False)
    with plain.capture() as captured:
        plain.print(drawn)
    shown = captured.get()
    numbers = [index for index, column in enumerate(table.columns) if column.rank <= rank and not column.left]
    cells = [_value(row[index]).plain for group in table.groups for row in group for index in numbers]
    return all(text in shown for text in (*cells, *(table.columns[index].name for index in numbers)))


def _grid(table: Table, rank: int) -> Grid:
    """The columns up to a rank. Numbers are never cut; names go on in a second line where they must."""
    shown = [index for index, column in enumerate(table.columns) if column.rank <= rank]
    drawn = Grid(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, collapse_padding=True)
    for index in shown:
        column = table.columns[index]
        if column.left:
            drawn.add_column(Text(column.name), overflow="fold", min_width=LONG if column.long else None)
        else:
            widest = max(len(_value(row[index])) for group in table.groups for row in group)
            drawn.add_column(Text(column.name), justify="right", no_wrap=True, min_width=max(widest, len(column.name)))
    for group in table.groups:
        for row in group:
            drawn.add_row(*(_value(row[index]) for index in shown))
        drawn.add_section()
    return drawn


def _value(value: Value) -> Text:
    style = " ".join(filter(None, ("bold" if value.strong else "", TONES[value.tone])))
    return Text(f"{MARK} {value.text}" if value.strong else value.text, style=style)
