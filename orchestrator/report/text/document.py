"""A report before it has a format: sentences, tables of text, and where it all comes from."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from orchestrator.planning.plan import Plan
from orchestrator.report.analysis.claims import judge, verdicts
from orchestrator.report.analysis.evaluations import answers
from orchestrator.report.analysis.formatting import duration
from orchestrator.report.analysis.summary import findings, summarise
from orchestrator.report.data.probe_grid import grid, selections
from orchestrator.report.data.results import Standing, evaluations, probes, results, standing, teachers
from orchestrator.report.data.searches import searches
from orchestrator.report.text import tables
from orchestrator.report.text.search_table import of_searches, sentences
from orchestrator.report.text.tables import Table
from orchestrator.store.store import Store


@dataclass(frozen=True)
class Document:
    """``facts`` are pairs of a name and what it is; ``jobs`` lists every job with its key."""

    name: str
    findings: tuple[str, ...]
    tables: tuple[Table, ...]
    jobs: Table
    facts: tuple[tuple[str, str], ...]


def document(plan: Plan, store: Store) -> Document:
    """The report of an experiment, from the store alone: the same store gives the same report."""
    students, told = results(plan, store), evaluations(plan, store)
    cells, claims, asked = summarise(students), judge(plan.claims, students, told), answers(told)
    probed = grid(probes(plan, store))
    sought = searches(plan, store)
    parts = [tables.of_cells(cells), tables.of_claims(claims), of_searches(sought)]
    parts += [tables.of_answers(*found) for found in asked.items()]
    parts.append(tables.of_teachers(teachers(plan, store)))
    if probed.teachers:
        parts.append(tables.of_grid(probed))
    parts += map(tables.of_selection, selections(plan, store))
    standings = {job.key: standing(plan, store, job) for job in plan}
    return Document(
        name=plan.name,
        findings=(*findings(cells), *verdicts(claims), *sentences(sought)),
        tables=tuple(table for table in parts if table.groups),
        jobs=tables.of_jobs((job, standings[job.key]) for job in plan),
        facts=tuple(_facts(plan, standings)),
    )


def _facts(plan: Plan, standings: dict[str, Standing]) -> Iterator[tuple[str, str]]:
    """What the results were made of and with, from the manifests."""
    yield "experiment", plan.name
    for kind in dict.fromkeys(job.kind for job in plan):
        jobs = plan.of(kind)
        done = sum(standings[job.key].status == "done" for job in jobs)
        yield f"{kind} jobs", f"{done} of {len(jobs)} done"
    manifests = [found.entry.manifest for found in standings.values() if found.entry]
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
