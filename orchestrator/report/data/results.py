"""The tables of an experiment, read from the store alone: a row for every job of the plan, done or not."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from kd_core.recipe import Recipe
from orchestrator.jobs import canonical
from orchestrator.jobs.job import Job
from orchestrator.report.data.reading import Reading, once
from orchestrator.store import artifacts

MEASURES = pa.schema(
    [
        ("validated", pa.bool_()),  # a validation split chooses the epoch of the result; otherwise it is the last
        ("status", pa.string()),  # done, failed or missing
        ("reason", pa.string()),  # why it is not done; empty where it is
        ("epochs", pa.int32()),
        ("chosen_epoch", pa.int32()),  # the first epoch with the best validation accuracy, from 1; or the last
        ("validation_accuracy", pa.float64()),  # of the chosen epoch, in [0, 1]
        ("validation_accuracy_last", pa.float64()),
        ("test_accuracy", pa.float64()),  # of the chosen epoch: the result
        ("test_accuracy_last", pa.float64()),
        ("test_accuracy_best", pa.float64()),  # of the best epoch on the test split itself; only where it was asked for
        ("test_loss", pa.float64()),  # negative log-likelihood, nats
        ("test_brier", pa.float64()),  # in [0, 2]
        ("test_top5", pa.float64()),  # of 50 classes and more
        ("parameters", pa.int64()),
        ("multiplications", pa.int64()),  # of an image; older entries do not know them
        ("seconds", pa.float64()),  # of training
        ("peak_memory", pa.int64()),  # bytes: of tensors on a GPU, of the process elsewhere
        ("device_seconds", pa.float64()),  # seconds times GPUs or, without any, CPU cores
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
        ("agreement", pa.float64()),  # share of the test images of which it says what its teachers do, their mean
    ]
)
TEACHERS = pa.schema([("key", pa.string()), ("teacher", pa.string()), ("model", pa.string()), ("seed", pa.int64()), *MEASURES])
PROBES = pa.schema(  # ``name`` is the teacher's, for people; ``teacher`` is its key
    [("name", pa.string()), *artifacts.PROBES.schema]
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
HISTORY = pa.schema([("key", pa.string()), *(artifacts.HISTORY.schema.field(name) for name in ("epoch", "name", "value"))])


@once
def results(reading: Reading) -> pa.Table:
    """A row of :data:`RESULTS` for every student."""
    named = _students(reading)
    agreed = agreements(reading)
    rows = [
        {"key": key, **names, **_measures(reading, reading.plan.jobs[key]), "agreement": agreed.get(key)}
        for key, names in named.items()
    ]
    return pa.Table.from_pylist(rows, schema=RESULTS)


def evaluations(reading: Reading) -> pa.Table:
    """A row of :data:`EVALUATIONS` for every (student, evaluation, number)."""
    named = _students(reading)
    rows = []
    for job in reading.plan.of("evaluation"):
        [student] = job.parents["students"]
        row = {"key": job.key, "student_key": student, **named[student], "evaluation": job.config["evaluation"]}
        row |= {"status": reading.status(job), "reason": reading.reason(job)}
        entry = reading.entry(job)
        numbers = entry.results if entry else {}
        rows += [{**row, "name": name, "value": value} for name, value in numbers.items()] or [row]
    return pa.Table.from_pylist(rows, schema=EVALUATIONS)


def agreements(reading: Reading) -> dict[str, float]:
    """By key of a student, the share of the test images of which it says what a teacher of it says, their mean; of those whose
    predictions are all known."""
    teachers = {job.key: table for job, table in reading.tables(reading.plan.of("teacher"), artifacts.PREDICTIONS)}

    def agreement(student: Job) -> float | None:
        others = [teachers.get(key) for key in student.parents["teachers"]]
        said = reading.read(student, artifacts.PREDICTIONS)
        if said is None or any(other is None or len(other) != len(said) for other in others):
            return None
        shares = [pc.mean(pc.equal(said["predicted"], other["predicted"])).as_py() for other in others if other is not None]
        return float(sum(shares) / len(shares))

    taught = [job for job in reading.plan.of("student") if job.parents.get("teachers") and reading.entry(job)]
    found = zip(taught, reading.store.each(agreement, taught), strict=True)
    return {job.key: share for job, share in found if share is not None}


def teachers(reading: Reading) -> pa.Table:
    """A row of :data:`TEACHERS` for every teacher."""
    rows = [
        {
            "key": job.key,
            "teacher": job.title,
            "model": job.config["model"],
            "seed": job.config["seed"],
            **_measures(reading, job),
        }
        for job in reading.plan.of("teacher")
    ]
    return pa.Table.from_pylist(rows, schema=TEACHERS)


def probes(reading: Reading) -> pa.Table:
    """The probe tables of all teachers that have been probed, a row of :data:`PROBES` for every (teacher, layer, split)."""
    found = [PROBES.empty_table()]
    for job, table in reading.tables(reading.plan.of("probe"), artifacts.PROBES):
        [key] = job.parents["teachers"]
        names = pa.array([reading.plan.jobs[key].title] * len(table), pa.string())
        found.append(table.append_column("name", names).select(PROBES.names))
    return pa.concat_tables(found)


def history(reading: Reading, jobs: Iterable[Job], names: Collection[str], prefixes: Collection[str] = ()) -> pa.Table:
    """The curves of these names, and of those that begin so, of all jobs that are done: a row of :data:`HISTORY` for every
    (job, epoch, name). A teacher whose weights were given has none."""
    wanted = pa.array(names, pa.string())

    def rows(job: Job) -> pa.Table | None:
        if (table := reading.read(job, artifacts.HISTORY)) is None:
            return None
        asked = pc.is_in(table["name"], wanted)
        for prefix in prefixes:
            asked = pc.or_(asked, pc.starts_with(table["name"], prefix))
        rows = table.filter(asked)
        return rows.append_column("key", pa.array([job.key] * len(rows), pa.string())).select(HISTORY.names)

    found = reading.store.each(rows, [job for job in jobs if reading.entry(job)])
    return pa.concat_tables([HISTORY.empty_table(), *(table for table in found if table is not None)])


def _measures(reading: Reading, job: Job) -> dict[str, Any]:
    """The columns of :data:`MEASURES`; those that are not known are absent."""
    row: dict[str, Any] = {"validated": job.validated, "status": reading.status(job), "reason": reading.reason(job)}
    if entry := reading.entry(job):
        row |= {name: entry.results[name] for name in MEASURES.names if name in entry.results}
        row["seconds"] = entry.manifest["seconds"]
        granted = entry.manifest.get("resources", {})
        share = (granted.get("gpus") or granted.get("cpus") or 0) * granted.get("workers", 1)
        row["device_seconds"] = share * row["seconds"] or None
        row["peak_memory"] = granted.get("peak_memory")
    return row


@once
def _students(reading: Reading) -> dict[str, dict[str, Any]]:
    """What names each student in a table, by key."""
    plan = reading.plan
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


def _settings(students: Sequence[Job]) -> list[str]:
    """For each student its model, with the knobs of the recipe in which it differs from others of that model; but for those
    that are null."""
    trained = [(job.config["model"], canonical.text(job.config["recipe"])) for job in students]
    recipes = dict(zip(trained, (job.config["recipe"] for job in students), strict=True))  # a few, whatever the students
    knobs = {
        each: {name: canonical.text(value) for name, value in vars(canonical.from_plain(Recipe, recipe)).items()}
        for each, recipe in recipes.items()
    }
    values: dict[str, dict[str, set[str]]] = {}  # by model and knob
    for (model, _), found in knobs.items():
        for name, value in found.items():
            values.setdefault(model, {}).setdefault(name, set()).add(value)

    def setting(model: str, found: dict[str, str]) -> str:
        told = {name: value for name, value in found.items() if len(values[model][name]) > 1 and value != "null"}
        described = ", ".join(f"{name}={value}" for name, value in told.items())
        return f"{model} ({described})" if described else model

    named = {each: setting(each[0], found) for each, found in knobs.items()}
    return [named[each] for each in trained]
