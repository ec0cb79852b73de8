"""A report before it has a format: sentences, tables of text, and where it all comes from."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator
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
from orchestrator.report.tables.claims import of_claims
from orchestrator.report.tables.compared import of_compared
from orchestrator.report.tables.evaluations import of_answers
from orchestrator.report.tables.jobs import of_jobs
from orchestrator.report.tables.networks import of_networks
from orchestrator.report.tables.probes import of_grid, of_selection
from orchestrator.report.tables.published import of_published
from orchestrator.report.tables.scores import of_scores
from orchestrator.report.tables.searches import of_searches, sentences
from orchestrator.report.tables.setup import of_setup
from orchestrator.report.tables.students import of_cells
from orchestrator.report.tables.table import Table
from orchestrator.report.tables.teachers import of_teachers
from orchestrator.report.text.origin import Origin


@dataclass(frozen=True)
class Document:
    """``facts`` are pairs of a name and what it is; ``setup`` is what was asked for, ``jobs`` every job with its key,
    ``origin`` how to ask for it again, where that is known."""

    name: str
    findings: tuple[str, ...]
    tables: tuple[Table, ...]
    setup: Table
    jobs: Table
    facts: tuple[tuple[str, str], ...]
    origin: Origin | None = None


def document(reading: Reading, origin: Origin | None = None, other: Reading | None = None) -> Document:
    """The report of an experiment, from the store alone: the same store gives the same report. ``other`` is one to compare it
    with."""
    plan, students, evaluated = reading.plan, results(reading), evaluations(reading)
    cells, claims, asked = summarise(students), evaluate_claims(plan.claims, students, evaluated), answers(evaluated)
    probed = grid(probes(reading))
    sought = searches(reading)
    repeated = of_published(cells, counterparts(plan))
    compared = [of_compared(plan.name, students, other.plan.name, results(other))] if other else []
    parts = [of_cells(cells), *compared, repeated, of_claims(claims), of_searches(sought), of_scores(cells)]
    parts += [of_answers(*found) for found in asked.items()]
    taught = teachers(reading)
    parts += [of_teachers(taught), of_networks(students, taught)]
    if probed.teachers:
        parts.append(of_grid(probed))
    parts += map(of_selection, selections(reading))
    return Document(
        name=plan.name,
        findings=(*findings(cells), *verdicts(claims), *sentences(sought)),
        tables=tuple(table for table in parts if table.groups),
        setup=of_setup(plan),
        jobs=of_jobs(reading),
        facts=tuple(_facts(reading)),
        origin=origin,
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
    seen = Counter(values)
    return ", ".join(sorted(seen, key=lambda value: (-seen[value], value)))
