"""A report before it has a format: sentences, tables of text, and where it all comes from."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from orchestrator.report.analysis.claims import evaluate_claims, verdicts
from orchestrator.report.analysis.evaluations import answers
from orchestrator.report.analysis.formatting import duration
from orchestrator.report.analysis.summary import findings, summarise
from orchestrator.report.data.probe_grid import grid, selections
from orchestrator.report.data.published import counterparts
from orchestrator.report.data.reading import Reading
from orchestrator.report.data.results import evaluations, probes, results, teachers
from orchestrator.report.data.searches import searches
from orchestrator.report.text import tables
from orchestrator.report.text.search_table import of_searches, sentences
from orchestrator.report.text.tables import Table


@dataclass(frozen=True)
class Document:
    """``facts`` are pairs of a name and what it is; ``jobs`` lists every job with its key."""

    name: str
    findings: tuple[str, ...]
    tables: tuple[Table, ...]
    jobs: Table
    facts: tuple[tuple[str, str], ...]


def document(reading: Reading) -> Document:
    """The report of an experiment, from the store alone: the same store gives the same report."""
    plan, students, evaluated = reading.plan, results(reading), evaluations(reading)
    cells, claims, asked = summarise(students), evaluate_claims(plan.claims, students, evaluated), answers(evaluated)
    probed = grid(probes(reading))
    sought = searches(reading)
    repeated = tables.of_published(cells, counterparts(plan))
    parts = [tables.of_cells(cells), repeated, tables.of_claims(claims), of_searches(sought), tables.of_scores(cells)]
    parts += [tables.of_answers(*found) for found in asked.items()]
    parts.append(tables.of_teachers(teachers(reading)))
    if probed.teachers:
        parts.append(tables.of_grid(probed))
    parts += map(tables.of_selection, selections(reading))
    return Document(
        name=plan.name,
        findings=(*findings(cells), *verdicts(claims), *sentences(sought)),
        tables=tuple(table for table in parts if table.groups),
        jobs=tables.of_jobs(reading),
        facts=tuple(_facts(reading)),
    )


def _facts(reading: Reading) -> Iterator[tuple[str, str]]:
    """What the results were made of and with, from the manifests."""
    plan = reading.plan
    yield "experiment", plan.name
    for kind in dict.fromkeys(job.kind for job in plan):
        jobs = plan.of(kind)
        done = sum(reading.entry(job) is not None for job in jobs)
        yield f"{kind} jobs", f"{done} of {len(jobs)} done"
    manifests = [entry.manifest for job in plan if (entry := reading.entry(job))]
    if not manifests:
        return
    first, last = min(each["started"] for each in manifests), max(each["finished"] for each in manifests)
    yield "computed", f"{_moment(first)} to {_moment(last)}"
    yield "compute time", duration(sum(each["seconds"] for each in manifests))
    yield "devices", _all(each["results"]["device"] for each in manifests if "device" in each["results"])
    for name in dict.fromkeys(name for each in manifests for name in each["environment"]):
        yield name.replace("_", " "), _all(each["environment"].get(name, "none") for each in manifests)


def _moment(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(seconds))


def _all(values: Iterable[str]) -> str:
    """The different values, the most frequent first."""
    seen: Sequence[str] = list(values)
    return ", ".join(sorted(set(seen), key=lambda value: (-seen.count(value), value)))
