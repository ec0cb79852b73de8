"""The report of an experiment in one of its formats, made from the store alone."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2
from markupsafe import Markup

from orchestrator.jobs import canonical
from orchestrator.jobs.visible import visible
from orchestrator.report.data.reading import Reading
from orchestrator.report.data.results import RESULTS, evaluations, results
from orchestrator.report.data.searches import chosen
from orchestrator.report.tables.table import Value
from orchestrator.report.text import escape
from orchestrator.report.text.document import Document, document
from orchestrator.report.text.origin import Origin
from orchestrator.store.files import write_output

if TYPE_CHECKING:
    from orchestrator.report.figures.chart import Chart


@dataclass(frozen=True)
class Wanted:
    """What a report is made of: an experiment, where it was asked for, another one to compare it with, and a template of the
    user's own."""

    reading: Reading
    origin: Origin | None = None
    other: Reading | None = None
    template: Path | None = None

    @cached_property
    def document(self) -> Document:
        return document(self.reading, self.origin, self.other)


class TemplateError(ValueError):
    """A template of the user's own cannot be used; says where it goes wrong."""


Render = Callable[[Wanted], str]


def render(
    reading: Reading,
    format: str,
    origin: Origin | None = None,
    other: Reading | None = None,
    template: Path | None = None,
) -> str:
    """The report as text.

    Raises:
        ValueError: for a format that is not in FORMATS.
        TemplateError: where the template is of no use.
    """
    if format not in FORMATS:
        raise ValueError(f"`format` must be one of {', '.join(FORMATS)}, but got {format}")
    if template and format == "csv":
        raise TemplateError("csv is a table of students and has no template")
    try:
        return FORMATS[format](Wanted(reading, origin, other, template))
    except jinja2.TemplateError as error:
        if template is None:
            raise
        at = f", line {error.lineno}" if isinstance(error, jinja2.TemplateSyntaxError) else ""
        raise TemplateError(f"{template}{at}: {error}") from None


def write(reading: Reading, format: str, path: Path, origin: Origin | None = None) -> None:
    """Render into a file.

    Raises:
        OutputError, OutputFailed: from :func:`orchestrator.store.files.write_output`.
    """
    write_output(path, render(reading, format, origin).encode())


def write_figures(reading: Reading, folder: Path, formats: Sequence[str] = ("pdf", "png")) -> list[Path]:
    """Every figure of the report, as PDF for LaTeX and as PNG for slides.

    Raises:
        OutputError, OutputFailed: from :func:`orchestrator.store.files.write_output`.
    """
    found = []
    for chart in pictures(reading):
        for format in formats:
            found.append(folder / f"{chart.name}.{format}")
            write_output(found[-1], chart.picture.content(format))
    return found


def pictures(reading: Reading) -> list[Chart]:
    """The figures of the report."""
    from orchestrator.report.figures.charts import charts
    from orchestrator.report.figures.search_charts import search_charts

    return [*charts(reading), *search_charts(reading)]


def as_csv(wanted: Wanted) -> str:
    """One row per student job, with a column for each number of its evaluations and for each knob that was searched, which
    holds the chosen value; the names of its teachers are separated by spaces, and what is not known is empty."""
    reading = wanted.reading
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


def as_markdown(wanted: Wanted) -> str:
    """For GitHub."""
    return _template(wanted, "report.md.j2", escape.markdown, "**{}**").render(document=wanted.document)


def as_tex(wanted: Wanted) -> str:
    """Tables to be included in a paper, and nothing else."""
    return _template(wanted, "report.tex.j2", escape.tex, r"\textbf{{{}}}").render(document=wanted.document)


def as_html(wanted: Wanted) -> str:
    """One file that needs nothing else. Its script is the only one that a browser runs in it, by its SHA-256."""
    environment = jinja2.Environment(loader=_templates(wanted.template), autoescape=True, **_LAYOUT)
    script = (HERE / "report.js").read_text()
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return environment.get_template(wanted.template.name if wanted.template else "report.html.j2").render(
        document=wanted.document,
        charts=pictures(wanted.reading),
        script=Markup(script),  # ours
        script_digest=digest,
    )


FORMATS: dict[str, Render] = {"md": as_markdown, "csv": as_csv, "tex": as_tex, "html": as_html}

_LAYOUT: Any = {"trim_blocks": True, "lstrip_blocks": True, "keep_trailing_newline": True, "undefined": jinja2.StrictUndefined}


HERE = Path(__file__).parent


def _templates(own: Path | None) -> jinja2.FileSystemLoader:
    """The user's own folder first, so that a template can include and extend ours."""
    return jinja2.FileSystemLoader([*([own.absolute().parent] if own else []), HERE])


def _fenced(text: str) -> Markup:
    """As it is, within a fence that no line of it can end."""
    return Markup(visible(text).replace("```", "` ` `").strip("\n"))


def _template(wanted: Wanted, ours: str, escaped: Callable[[str], str], strong: str) -> jinja2.Template:
    """A template in which every value goes through ``escaped``, but for what is marked safe."""

    def finalize(value: object) -> str:
        return value if isinstance(value, Markup) else escaped(str(value))

    def shown(value: Value) -> Markup:
        text = escaped(value.text)
        return Markup(strong.format(text) if value.strong else text)

    environment = jinja2.Environment(loader=_templates(wanted.template), finalize=finalize, **_LAYOUT)
    environment.filters["shown"] = shown
    environment.filters["code"] = _fenced
    return environment.get_template(wanted.template.name if wanted.template else ours)
