"""The plan: a pure function of the spec. A graph of jobs, each named by what decides its result.

Not in any key: devices, cluster, resources, tracking, the place of store and data, names and labels. A second experiment that
names the same teacher therefore finds it done.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from typing import Any

from kd_core.bank import bankable
from kd_core.data.table import DataConfig
from kd_core.evaluation.table import EVALUATIONS
from kd_core.knobs import Knobs
from kd_core.knowledge import ONCE, Need
from kd_core.methods.table import METHODS
from orchestrator import canonical
from orchestrator.job import Job
from orchestrator.spec.spec import Spec, StudentSpec
from orchestrator.stages.table import STAGES


@dataclass(frozen=True)
class Plan:
    """Jobs by key, ancestors before descendants."""

    name: str
    jobs: dict[str, Job]

    def of(self, kind: str) -> list[Job]:
        """The jobs of a kind, in the order of the spec."""
        return [job for job in self.jobs.values() if job.kind == kind]

    def __iter__(self) -> Iterator[Job]:
        return iter(self.jobs.values())

    def __len__(self) -> int:
        return len(self.jobs)

    def needed(self, done: Iterable[str]) -> list[Job]:
        """The jobs to run where ``done`` are done: missing targets, and what missing jobs need."""
        have = set(done)
        wanted: set[str] = set()
        for job in reversed(self.jobs.values()):
            if job.key not in have and (STAGES[job.kind].target or job.key in wanted):
                wanted.add(job.key)
                wanted.update(job.ancestors)
        return [job for job in self if job.key in wanted and job.key not in have]


def make(spec: Spec) -> Plan:
    """The plan of an experiment."""
    data = written(spec.data)
    jobs: dict[str, Job] = {}

    def add(kind: str, config: dict[str, Any], parents: dict[str, list[str]], title: str, **labels: str) -> str:
        job = Job(kind, STAGES[kind].version, config, parents, title, labels)
        jobs.setdefault(job.key, job)
        return job.key

    teachers: dict[str, str] = {}
    for teacher in spec.teachers:
        config = {"data": data, "model": teacher.model, "seed": teacher.seed}
        if given := teacher.weights:
            config["weights"] = {"name": given.name} if given.name else {"sha256": given.sha256}
        else:
            config["recipe"] = canonical.plain(teacher.recipe)
        teachers[teacher.name] = add(
            "teacher", config, {}, teacher.name, model=teacher.model, seed=str(teacher.seed), teacher=teacher.name
        )

    probes: dict[str, str] = {}
    for name, key in teachers.items() if spec.probes else ():
        config = {"probe": canonical.plain(spec.probes)}
        probes[name] = add("probe", config, {"teachers": [key]}, f"probes of {name}", teacher=name)

    def analyses(student: StudentSpec) -> list[str]:
        config = {"recipe": canonical.plain(spec.analysis)}
        return [
            add("analysis", config, {"teachers": [teachers[name]]}, f"analysis of {name}", teacher=name)
            for name in student.teachers
        ]

    def banks(student: StudentSpec, need: Need) -> list[str]:
        return [
            add("bank", {"need": need.value}, {"teachers": [teachers[name]]}, f"{need} of {name}", teacher=name)
            for name in student.teachers
        ]

    for student in spec.students:
        needs = METHODS[student.method.name].needs(student.method.config)
        parents: dict[str, list[str]] = {}
        if needs:
            parents["teachers"] = [teachers[name] for name in student.teachers]
        if Need.PROBES in needs:
            parents["probes"] = [probes[name] for name in student.teachers]
        if Need.ANALYSES in needs:
            parents["analyses"] = analyses(student)
        if bankable(needs, spec.data, student.recipe.epochs, spec.bank.mode, spec.bank.limit_gib):
            for need in sorted(needs - ONCE):
                parents[f"banks:{need}"] = banks(student, need)
        method = {
            "name": student.method.name,
            "version": METHODS[student.method.name].version,
            "knobs": canonical.plain(student.method.config),
        }
        config = {
            "data": data,
            "model": student.model,
            "seed": student.seed,
            "recipe": canonical.plain(student.recipe),
            "method": method,
        }
        labels = {"cell": student.cell, "method": student.method.label, "model": student.model, "seed": str(student.seed)}
        title = f"{student.cell} · s{student.seed}"
        if spec.best_test:
            config["best_test"] = True
        labels["teachers"] = ", ".join(student.teachers if needs else ())
        key = add("student", config, parents, title, **labels)
        for asked in spec.evaluations:
            config = {"evaluation": asked.name, "version": EVALUATIONS[asked.name].version, "knobs": written(asked.config)}
            add("evaluation", config, {"students": [key]}, f"{asked.name} of {title}", evaluation=asked.name, **labels)
    return Plan(spec.name, jobs)


def written(config: Knobs) -> dict[str, Any]:
    """Every knob, defaults written out, but for those of a data config that belong to other data sets."""
    if isinstance(config, DataConfig):
        return {name: value for name, value in canonical.plain(config.resolved()).items() if value is not None}
    values = ((field.name, getattr(config, field.name)) for field in fields(config))
    return {name: written(value) if isinstance(value, DataConfig) else canonical.plain(value) for name, value in values}
