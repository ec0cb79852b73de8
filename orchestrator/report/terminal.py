"""The report on a terminal: the result table and the probe table, at most 100 columns wide."""

from __future__ import annotations

import io

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.table import Table as Grid
from rich.text import Text

from orchestrator.plan import Plan
from orchestrator.report import tables
from orchestrator.report.grid import grid
from orchestrator.report.results import probes, results
from orchestrator.report.summary import findings, summarise
from orchestrator.report.tables import Table, Value
from orchestrator.store import Store

MARK = "*"  # of what is strong, for terminals without bold
TONES = {"better": "green", "worse": "red", "bad": "yellow", "": ""}


def terminal(plan: Plan, store: Store, width: int = 100, color: bool = False) -> str:
    """The text to print; ``color`` adds ANSI codes."""
    text = io.StringIO()
    console = Console(file=text, width=width, force_terminal=color, color_system="standard" if color else None, highlight=False)
    cells = summarise(results(plan, store))
    found = grid(probes(plan, store))
    parts = [tables.of_cells(cells)] if cells else []
    parts += [tables.of_grid(found)] if found.teachers else []
    console.print(Group(*map(_grid, parts), *(Text(f"{sentence}\n") for sentence in findings(cells, numbers=False))))
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines()).strip("\n") + "\n"


def _grid(table: Table) -> RenderableType:
    """Numbers are never cut; where there is too little room, names go on in a second line."""
    shown = [index for index, column in enumerate(table.columns) if column.brief]
    drawn = Grid(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, collapse_padding=True)
    for column in (table.columns[index] for index in shown):
        if column.left:
            drawn.add_column(Text(column.name), overflow="fold")
        else:
            drawn.add_column(Text(column.name), justify="right", no_wrap=True)
    for group in table.groups:
        for row in group:
            drawn.add_row(*(_value(row[index]) for index in shown))
        drawn.add_section()
    marked = any(value.strong for group in table.groups for row in group for value in row)
    legend = [f"{MARK} {table.strong}"] if marked else []
    notes = [f"[{number}] {note}" for number, note in enumerate(table.notes, 1)]
    heading = Text.assemble((table.title, "bold"), ". ", table.about[0])
    return Group(heading, Text(), drawn, *map(Text, (*legend, *notes, "")))


def _value(value: Value) -> Text:
    style = " ".join(filter(None, ("bold" if value.strong else "", TONES[value.tone])))
    return Text(f"{MARK} {value.text}" if value.strong else value.text, style=style)
