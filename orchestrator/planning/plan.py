"""The plan: a pure function of the spec. A graph of jobs, each named by what decides its result.

Not in any key: devices, cluster, resources, tracking, the place of store and data, names and labels. A second experiment that
names the same teacher therefore finds it done.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from kd_core.bank import decision
from kd_core.bank.parts import parts
from kd_core.bank.storage import Storage
from kd_core.data.table import DataConfig
from kd_core.evaluation.table import EVALUATIONS
from kd_core.knobs import Knobs, stated
from kd_core.knowledge import ONCE, Need
from kd_core.methods.table import METHODS
from kd_core.models.table import model_info
from kd_core.plugins.tables import owner
from kd_core.recipe import Recipe
from orchestrator.experiment.search_config import GRID
from orchestrator.experiment.space import changed, corners, defaults, plain
from orchestrator.experiment.spec import Claim, SearchSpec, Spec, StudentSpec, TeacherSpec, other_data
from orchestrator.jobs import canonical
from orchestrator.jobs.job import Job
from orchestrator.jobs.kinds import KINDS


@dataclass(frozen=True)
class Plan:
    """Jobs by key, ancestors before descendants; and what the report of them shall test."""

    name: str
    jobs: dict[str, Job]
    claims: tuple[Claim, ...] = ()

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
            if job.key not in have and (KINDS[job.kind].target or job.key in wanted):
                wanted.add(job.key)
                wanted.update(job.ancestors)
        return [job for job in self if job.key in wanted and job.key not in have]


def make(spec: Spec) -> Plan:
    """The plan of an experiment."""
    return _Maker(spec).plan()


class _Maker:
    """Adds jobs to a plan, each behind its parents."""

    def __init__(self, spec: Spec) -> None:
        self._spec = spec
        self._data = written(spec.data)
        self._jobs: dict[str, Job] = {}
        self._teachers: dict[str, str] = {}  # keys by the teachers' names
        self._probes: dict[str, str] = {}
        self._about: dict[tuple[str, str, str], str] = {}  # keys of jobs about a teacher, which students share
        self._plain = functools.cache(canonical.plain)  # of recipes and knobs, which students share too
        self._parts = parts(spec.data) if spec.data.views else []  # of every bank

    def plan(self) -> Plan:
        for teacher in self._spec.teachers:
            self._teachers[teacher.name] = self._teacher(teacher)
        if self._spec.probes:
            config = {"probe": canonical.plain(self._spec.probes)}
            if self._spec.data.info.classes == 2:  # whose penalty was half of scikit-learn's once
                config["binary"] = 2
            self._probes = {name: self._of_teacher("probe", config, name, "probes") for name in self._teachers}
        for student in self._spec.students:
            self._student(student)
        return Plan(self._spec.name, self._jobs, self._spec.claims)

    def _add(self, kind: str, config: dict[str, object], parents: dict[str, list[str]], title: str, **labels: str) -> str:
        config = self._with_plugins(config, parents)
        job = Job(kind, KINDS[kind].version, config, parents, title, labels)
        self._jobs.setdefault(job.key, job)
        return job.key

    def _with_plugins(self, config: dict[str, Any], parents: dict[str, list[str]], *named: tuple[str, str]) -> dict[str, Any]:
        """The config with the SHA-256 of every plugin that defines what it, or an ancestor, names; as it is without any."""
        found: dict[str, str] = dict(config.get("plugins", {}))
        for key in (key for keys in parents.values() for key in keys):
            found |= self._jobs[key].config.get("plugins", {})
        for plugin in filter(None, (owner(table, name) for table, name in named)):
            found[plugin.name] = plugin.sha256
        return {**config, "plugins": dict(sorted(found.items()))} if found else config

    def _teacher(self, teacher: TeacherSpec) -> str:
        config: dict[str, Any] = {"data": self._data, **_named(teacher.model), "seed": teacher.seed}
        if given := teacher.weights:
            config["weights"] = {"name": given.name} if given.name else {"sha256": given.sha256}
        else:
            config["recipe"] = canonical.plain(teacher.recipe)
        config = self._with_plugins(config, {}, ("MODELS", teacher.model), ("DATASETS", self._spec.data.name))
        labels = {"model": teacher.model, "seed": str(teacher.seed), "teacher": teacher.name}
        return self._add("teacher", config, {}, teacher.name, **labels)

    def _of_teacher(self, kind: str, config: dict[str, object], name: str, what: str) -> str:
        """A job about one teacher; ``what`` is made of it says the config."""
        if (key := self._about.get((kind, what, name))) is None:
            key = self._add(kind, config, {"teachers": [self._teachers[name]]}, f"{what} of {name}", teacher=name)
            self._about[kind, what, name] = key
        return key

    def _bank(self, need: Need, name: str, storage: Storage) -> list[str]:
        """The parts of the bank of one kind of knowledge of one teacher, in the order of their views."""
        whole: dict[str, object] = {"need": need.value, "storage": canonical.plain(storage)}
        called = storage.called(need)
        if len(self._parts) == 1:
            return [self._of_teacher("bank", whole, name, called)]
        return [
            self._of_teacher("bank", {**whole, "views": [begin, end]}, name, f"{called} (views {begin} to {end - 1})")
            for begin, end in self._parts
        ]

    def _student(self, student: StudentSpec) -> None:
        """A student, what only students ask for, the search of its knobs, and the evaluations of it."""
        name, knobs = student.method.name, student.method.config
        method = {"name": name, "version": METHODS[name].version, "knobs": self._plain(knobs)}
        if base := getattr(knobs, "base", None):  # of a method over another
            method["base_version"] = METHODS[base].version
        config = {
            "data": self._data,
            **_named(student.model),
            "seed": student.seed,
            "recipe": self._plain(student.recipe),
            "method": method,
        }
        parents = self._parents(student, student.recipe)
        used = [("METHODS", name), ("MODELS", student.model), ("DATASETS", self._spec.data.name)]
        config = self._with_plugins(config, parents, *used, *([("METHODS", base)] if base else []))
        title = f"{student.cell} · s{student.seed}"
        labels = {
            "cell": student.cell,
            "method": student.method.label,
            "model": student.model,
            "seed": str(student.seed),
            "teachers": ", ".join(student.teachers if parents else ()),
        }
        if student.search:
            labels["control"] = student.control
            parents["searches"] = [self._search(student, student.search, config, labels)]
        if self._spec.best_test:
            config["best_test"] = True
        key = self._add("student", config, parents, title, **labels)
        for asked in self._spec.evaluations:
            version = EVALUATIONS[asked.name].version
            config = {"evaluation": asked.name, "version": version, "knobs": written(asked.config)}
            others = [("DATASETS", data.name) for data in other_data(asked.config).values()]
            config = self._with_plugins(config, {}, ("EVALUATIONS", asked.name), *others)
            self._add("evaluation", config, {"students": [key]}, f"{asked.name} of {title}", evaluation=asked.name, **labels)

    def _search(self, student: StudentSpec, search: SearchSpec, config: dict[str, Any], labels: dict[str, str]) -> str:
        """The search that the students of a cell share; its trials are no jobs of the plan, since results decide them."""
        space, how = dict(search.space), search.how
        epochs = how.epochs or student.recipe.epochs
        trial = {**config, "seed": how.seed, "recipe": {**config["recipe"], "epochs": epochs}}
        here = None if how.searcher == GRID else defaults(space, student.method.config, student.recipe)
        stated = {
            "student": trial,
            "space": {name: plain(distribution) for name, distribution in space.items()},
            "how": canonical.plain(how),
            "defaults": canonical.plain(here),
        }
        cell_labels = {name: value for name, value in labels.items() if name != "seed"}
        parents = self._parents(student, replace(student.recipe, epochs=epochs))
        return self._add("search", stated, parents, f"search of {student.cell}", **cell_labels)

    def _parents(self, student: StudentSpec, recipe: Recipe) -> dict[str, list[str]]:
        """By role, the keys of what a student learns from by this recipe, in the order of its teachers."""
        spec = self._spec
        needs = needed_by(student)
        parents: dict[str, list[str]] = {}
        if needs:
            parents["teachers"] = [self._teachers[name] for name in student.teachers]
        if Need.PROBES in needs:
            parents["probes"] = [self._probes[name] for name in student.teachers]
        if Need.ANALYSES in needs:
            config = {"recipe": canonical.plain(spec.analysis)}
            parents["analyses"] = [self._of_teacher("analysis", config, name, "analysis") for name in student.teachers]
        if needs - ONCE and why_live(spec, student, recipe) is None:
            for need in sorted(needs - ONCE):
                storage = storage_of(spec, student, need)
                parents[f"banks:{need}"] = [key for name in student.teachers for key in self._bank(need, name, storage)]
        return parents


def _named(model: str) -> dict[str, Any]:
    """A model in a config: its name and, where a network of this name was another once, its version."""
    version = model_info(model).version
    return {"model": model} | ({"model_version": version} if version > 1 else {})


def why_live(spec: Spec, student: StudentSpec, recipe: Recipe) -> str | None:
    """Why a student asks its teachers in every step and reads no bank of theirs; None where it does, or asks for nothing."""
    needs = needed_by(student)
    if not needs - ONCE:
        return None
    if METHODS[student.method.name].further_views(student.method.config):
        return "a second view of the batch is drawn anew in every step"
    models = {teacher.name: teacher.model for teacher in spec.teachers}
    teachers = [model_info(models[name]) for name in student.teachers]
    own, softened = model_info(student.model), softened_by(student)
    return decision.why_live(needs, spec.data, recipe, spec.bank, own, teachers, softened)


def storage_of(spec: Spec, student: StudentSpec, need: Need) -> Storage:
    """How the banks of a kind are kept that a student reads."""
    return spec.bank.storage(need, spec.data, softened_by(student))


def needed_by(student: StudentSpec) -> frozenset[Need]:
    """What a student's method needs; where its knobs are searched, at any corner of the space."""
    needs = METHODS[student.method.name].needs
    return frozenset().union(*(needs(config) for config in _configs(student)))


def softened_by(student: StudentSpec) -> float | None:
    """The temperature of the softmax that is all it takes of its teachers' logits; None where it takes more, or where a search
    tries several."""
    softened = METHODS[student.method.name].softened
    found = {softened(config) for config in _configs(student)}
    return found.pop() if len(found) == 1 else None


def _configs(student: StudentSpec) -> Iterator[Knobs]:
    """The config of a student's method and, where knobs are searched, those at the corners of the space."""
    yield student.method.config
    for name, distribution in student.search.space if student.search else ():
        for value in corners(distribution):
            yield changed(student.method.config, student.recipe, {name: value})[0]


def written(config: Knobs) -> dict[str, Any]:
    """Every knob, defaults written out, but for those of a data config that belong to other data sets."""
    if isinstance(config, DataConfig):
        return {name: value for name, value in canonical.plain(config.resolved()).items() if value is not None}
    values = stated(config).items()
    return {name: written(value) if isinstance(value, DataConfig) else canonical.plain(value) for name, value in values}
