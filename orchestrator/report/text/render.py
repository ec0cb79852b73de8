"""The report of an experiment in one of its formats, made from the store alone."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from orchestrator.jobs import canonical
from orchestrator.report.data.reading import Reading
from orchestrator.report.data.results import RESULTS, evaluations, results
from orchestrator.report.data.searches import chosen
from orchestrator.report.text import escape
from orchestrator.report.text.document import document
from orchestrator.report.text.tables import Value
from orchestrator.store.files import write_output

Render = Callable[[Reading], str]


def render(reading: Reading, format: str) -> str:
    """The report as text.

    Raises:
        ValueError: for a format that is not in FORMATS.
    """
    if format not in FORMATS:
        raise ValueError(f"`format` must be one of {', '.join(FORMATS)}, but got {format}")
    return FORMATS[format](reading)


def write(reading: Reading, format: str, path: Path) -> None:
    """Render into a file.

    Raises:
        OutputError, OutputFailed: from :func:`orchestrator.store.files.write_output`.
    """
    write_output(path, render(reading, format).encode())


def as_csv(reading: Reading) -> str:
    """One row per student job, with a column for each number of its evaluations and for each knob that was searched, which
    holds the chosen value; the names of its teachers are separated by spaces, and what is not known is empty."""
    asked: dict[str, dict[str, Any]] = {}
    for row in evaluations(reading).to_pylist():
        if row["name"]:
            asked.setdefault(row["student_key"], {})[f"{row['evaluation']}/{row['name']}"] = row["value"]
    for key, values in chosen(reading).items():
        asked.setdefault(key, {}).update({f"searched/{name}": _cell(value) for name, value in values.items()})
    numbers = dict.fromkeys(name for found in asked.values() for name in found)
    text = io.StringIO()
    writer = csv.DictWriter(text, [*RESULTS.names, *numbers], lineterminator="\n")
    writer.writeheader()
    for row in results(reading).to_pylist():
        cells = {**row, "teachers": " ".join(row["teachers"]), **asked.get(row["key"], {})}
        writer.writerow({name: escape.csv(cell) if isinstance(cell, str) else cell for name, cell in cells.items()})
    return text.getvalue()


def _cell(value: object) -> str:
    return value if isinstance(value, str) else canonical.text(value)


def as_markdown(reading: Reading) -> str:
    """For GitHub."""
    return _template("report.md.j2", escape.markdown, "**{}**").render(document=document(reading))


def as_tex(reading: Reading) -> str:
    """Tables to be included in a paper."""
    return _template("report.tex.j2", escape.tex, r"\textbf{{{}}}").render(document=document(reading))


def as_html(reading: Reading) -> str:
    """One file that needs nothing else."""
    from orchestrator.report.figures.charts import charts
    from orchestrator.report.figures.search_charts import search_charts

    environment = jinja2.Environment(loader=_templates(), autoescape=True, **_LAYOUT)
    pictures = [*charts(reading), *search_charts(reading)]
    return environment.get_template("report.html.j2").render(document=document(reading), charts=pictures)


FORMATS: dict[str, Render] = {"md": as_markdown, "csv": as_csv, "tex": as_tex, "html": as_html}

_LAYOUT: Any = {"trim_blocks": True, "lstrip_blocks": True, "keep_trailing_newline": True, "undefined": jinja2.StrictUndefined}


def _templates() -> jinja2.FileSystemLoader:
    return jinja2.FileSystemLoader(Path(__file__).parent)


def _template(name: str, escaped: Callable[[str], str], strong: str) -> jinja2.Template:
    """A template in which every value goes through ``escaped``, but for what is marked safe."""

    def finalize(value: object) -> str:
        return value if isinstance(value, Markup) else escaped(str(value))

    def shown(value: Value) -> Markup:
        text = escaped(value.text)
        return Markup(strong.format(text) if value.strong else text)

    environment = jinja2.Environment(loader=_templates(), finalize=finalize, **_LAYOUT)
    environment.filters["shown"] = shown
    return environment.get_template(name)
