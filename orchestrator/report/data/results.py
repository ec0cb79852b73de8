"""The tables of an experiment, read from the store alone: a row for every job of the plan, done or not."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from orchestrator.jobs import canonical
from orchestrator.jobs.job import Job
from orchestrator.planning.plan import Plan
from orchestrator.store.arrow import read_table
from orchestrator.store.entry import Entry
from orchestrator.store.errors import CorruptEntry
from orchestrator.store.store import Store

MEASURES = pa.schema(
    [
        ("status", pa.string()),  # done, failed or missing
        ("reason", pa.string()),  # why it is not done; empty where it is
        ("epochs", pa.int32()),
        ("chosen_epoch", pa.int32()),  # the first epoch with the best validation accuracy, from 1
        ("validation_accuracy", pa.float64()),  # of the chosen epoch, in [0, 1]
        ("validation_accuracy_last", pa.float64()),
        ("test_accuracy", pa.float64()),  # of the chosen epoch: the result
        ("test_accuracy_last", pa.float64()),
        ("test_accuracy_best", pa.float64()),  # of the best epoch on the test split itself; only where it was asked for
        ("test_loss", pa.float64()),
        ("parameters", pa.int64()),
        ("seconds", pa.float64()),  # of training
    ]
)
RESULTS = pa.schema(
    [
        ("key", pa.string()),
        ("cell", pa.string()),  # all but the seed
        ("student", pa.string()),  # the model
        ("setting", pa.string()),  # the model and what sets its recipe apart: jobs of one setting differ in method and seed
        ("method", pa.string()),  # its label
        ("algorithm", pa.string()),  # its name in METHODS
        ("teachers", pa.list_(pa.string())),
        ("seed", pa.int64()),
        *MEASURES,
    ]
)
TEACHERS = pa.schema([("key", pa.string()), ("teacher", pa.string()), ("model", pa.string()), ("seed", pa.int64()), *MEASURES])
PROBES = pa.schema(
    [
        ("name", pa.string()),  # the teacher's, for people; ``teacher`` is its key
        ("teacher", pa.string()),
        ("model", pa.string()),
        ("seed", pa.int64()),
        ("stage", pa.int64()),
        ("layer", pa.string()),
        ("height", pa.int64()),
        ("width", pa.int64()),
        ("dimension", pa.int64()),
        ("split", pa.string()),
        ("accuracy", pa.float64()),
        ("loss", pa.float64()),
        ("regularisation", pa.float64()),
        ("iterations", pa.int64()),
        ("converged", pa.bool_()),
        ("seconds", pa.float64()),
    ]
)
EVALUATIONS = pa.schema(  # a row for each number; of an evaluation that is not done, one without
    [
        ("key", pa.string()),
        ("student_key", pa.string()),
        *(RESULTS.field(name) for name in ("cell", "student", "setting", "method", "algorithm", "teachers", "seed")),
        ("evaluation", pa.string()),
        ("status", pa.string()),
        ("reason", pa.string()),
        ("name", pa.string()),
        ("value", pa.float64()),
    ]
)
HISTORY = pa.schema([("key", pa.string()), ("epoch", pa.int32()), ("name", pa.string()), ("value", pa.float64())])


@dataclass(frozen=True)
class Standing:
    """How a job stands: its entry, or why there is none."""

    status: str
    reason: str = ""
    entry: Entry | None = None

    @property
    def measures(self) -> dict[str, Any]:
        """The columns of :data:`MEASURES`; those that are not known are absent."""
        row: dict[str, Any] = {"status": self.status, "reason": self.reason}
        if self.entry:
            row |= {name: self.entry.results[name] for name in MEASURES.names if name in self.entry.results}
            row["seconds"] = self.entry.manifest["seconds"]
        return row


def standing(plan: Plan, store: Store, job: Job) -> Standing:
    """How a job stands. What failed and what was never run are told apart, and so is what waits for a failed ancestor."""
    try:
        if entry := store.find(job.kind, job.key):
            return Standing("done", entry=entry)
    except CorruptEntry as error:
        return Standing("missing", f"its entry in the store is corrupt ({error})")
    if failure := store.failure(job):
        return Standing("failed", failure["reason"])
    for key in job.ancestors:
        ancestor = plan.jobs[key]
        above = standing(plan, store, ancestor)
        if above.status == "failed":
            return Standing("missing", f"{ancestor.title} failed: {above.reason}")
    said = store.progress(job)
    if trials := said.get("ended"):
        return Standing("missing", f"{trials} of {said['trials']} trials have ended")
    if epoch := said.get("epoch"):
        return Standing("missing", f"at epoch {epoch} of {job.epochs}")
    return Standing("missing", "not run yet")


def results(plan: Plan, store: Store) -> pa.Table:
    """A row of :data:`RESULTS` for every student."""
    named = _students(plan)
    rows = [{"key": key, **names, **standing(plan, store, plan.jobs[key]).measures} for key, names in named.items()]
    return pa.Table.from_pylist(rows, schema=RESULTS)


def evaluations(plan: Plan, store: Store) -> pa.Table:
    """A row of :data:`EVALUATIONS` for every (student, evaluation, number)."""
    named = _students(plan)
    rows = []
    for job in plan.of("evaluation"):
        [student] = job.parents["students"]
        found = standing(plan, store, job)
        about = {"key": job.key, "student_key": student, **named[student], "evaluation": job.config["evaluation"]}
        about |= {"status": found.status, "reason": found.reason}
        numbers = found.entry.results if found.entry else {}
        rows += [{**about, "name": name, "value": value} for name, value in numbers.items()] or [about]
    return pa.Table.from_pylist(rows, schema=EVALUATIONS)


def teachers(plan: Plan, store: Store) -> pa.Table:
    """A row of :data:`TEACHERS` for every teacher."""
    rows = [
        {
            "key": job.key,
            "teacher": job.title,
            "model": job.config["model"],
            "seed": job.config["seed"],
            **standing(plan, store, job).measures,
        }
        for job in plan.of("teacher")
    ]
    return pa.Table.from_pylist(rows, schema=TEACHERS)


def probes(plan: Plan, store: Store) -> pa.Table:
    """The probe tables of all teachers that have been probed, a row of :data:`PROBES` for every (teacher, layer, split)."""
    found = [PROBES.empty_table()]
    for job in plan.of("probe"):
        if entry := standing(plan, store, job).entry:
            table = read_table(entry.file("probes.arrow"))
            [key] = job.parents["teachers"]
            names = pa.array([plan.jobs[key].title] * len(table), pa.string())
            found.append(table.append_column("name", names).select(PROBES.names).cast(PROBES))
    return pa.concat_tables(found)


def history(plan: Plan, store: Store, jobs: Iterable[Job], names: Collection[str]) -> pa.Table:
    """The curves of these names of all jobs that are done: a row of :data:`HISTORY` for every (job, epoch, name)."""
    found = [HISTORY.empty_table()]
    for job in jobs:
        entry = standing(plan, store, job).entry
        if entry and "history.arrow" in entry.manifest["files"]:  # a teacher whose weights were given has none
            table = read_table(entry.file("history.arrow"))
            table = table.filter(pc.is_in(table["name"], pa.array(names, pa.string())))
            keys = pa.array([job.key] * len(table), pa.string())
            found.append(table.append_column("key", keys).select(HISTORY.names).cast(HISTORY))
    return pa.concat_tables(found)


def _students(plan: Plan) -> dict[str, dict[str, Any]]:
    """What names each student in a table, by key."""
    jobs = plan.of("student")
    return {
        job.key: {
            "cell": job.labels["cell"],
            "student": job.config["model"],
            "setting": setting,
            "method": job.labels["method"],
            "algorithm": job.config["method"]["name"],
            "teachers": [plan.jobs[key].title for key in job.parents.get("teachers", [])],
            "seed": job.config["seed"],
        }
        for job, setting in zip(jobs, _settings(jobs), strict=True)
    }


def _settings(students: list[Job]) -> list[str]:
    """For each student its model, with the knobs of the recipe in which it differs from others of that model."""
    recipes: dict[str, list[dict[str, Any]]] = {}
    for job in students:
        recipes.setdefault(job.config["model"], []).append(job.config["recipe"])

    def setting(job: Job) -> str:
        model, recipe = job.config["model"], job.config["recipe"]
        apart = [name for name in recipe if len({canonical.text(other[name]) for other in recipes[model]}) > 1]
        told = ", ".join(f"{name}={canonical.text(recipe[name])}" for name in apart)
        return f"{model} ({told})" if told else model

    return [setting(job) for job in students]
