"""Published numbers beside those of an experiment: of its students that are trained as the published ones were."""

from __future__ import annotations

from dataclasses import dataclass

from kd_core.methods.table import METHODS
from kd_core.published.ledger import PARTS, PROTOCOLS, Protocol, Published, ledger, method_key
from kd_core.recipe import Recipe
from orchestrator.jobs.canonical import from_plain, plain
from orchestrator.jobs.job import Job
from orchestrator.planning.plan import Plan, written


@dataclass(frozen=True)
class Counterpart:
    """A cell of the experiment, and the published row that it repeats."""

    cell: str
    row: Published


def counterparts(plan: Plan) -> list[Counterpart]:
    """Every cell that repeats a published row: the same data, recipe and knobs, and one teacher trained so too."""
    found: dict[str, Counterpart] = {}
    for job in plan.of("student"):
        if job.labels["cell"] not in found and (row := _row(job, plan)):
            found[job.labels["cell"]] = Counterpart(job.labels["cell"], row)
    return list(found.values())


def _row(job: Job, plan: Plan) -> Published | None:
    teachers = [plan.jobs[key] for key in job.parents.get("teachers", [])]
    if len(teachers) > 1 or "searches" in job.parents:
        return None
    teacher = teachers[0].config["model"] if teachers else ""
    student, method = job.config["model"], job.config["method"]
    key = method_key(method["name"], method["knobs"])
    for row in ledger():
        if (row.dataset, row.teacher, row.student, row.method) != (job.config["data"]["name"], teacher, student, key):
            continue
        protocol = PROTOCOLS[row.protocol]
        trained = _trained_so(job, protocol, protocol.student(student, key)) and all(
            _trained_so(each, protocol, protocol.teacher(teacher)) for each in teachers
        )
        if trained and _taught_so(method, protocol, row):
            return row
    return None


def _trained_so(job: Job, protocol: Protocol, recipe: Recipe) -> bool:
    """Whether a training has the protocol's data and recipe; a teacher with given weights has whatever it has."""
    config = job.config
    if config["data"] != written(protocol.data(config["data"]["name"])):
        return False
    return "recipe" not in config or from_plain(Recipe, config["recipe"]) == recipe


def _taught_so(method: dict[str, object], protocol: Protocol, row: Published) -> bool:
    """Whether a method has the protocol's knobs for the pair."""
    kind = METHODS[str(method["name"])].Config
    given = protocol.knobs_of(row.method, row.teacher, row.student)
    if given is None:
        return False
    parts = dict(zip(PARTS, row.method.split("/")[1:], strict=False))
    return bool(plain(kind(**{**parts, **given})) == method["knobs"])
