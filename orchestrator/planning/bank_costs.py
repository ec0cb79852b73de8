"""What the banks of a plan cost and spare, and which banks the grid would be worth that ``auto`` does not make.

Whether a student reads banks is part of its key, and must not follow from the grid around it: then a seed more could train all
students anew. So the grid's visits decide nothing here: they are counted, and a setting is proposed that the file may take.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace

from kd_core.bank.storage import Storage
from kd_core.knowledge import ONCE, Need
from kd_core.models.table import model_info
from orchestrator.experiment.spec import Spec, StudentSpec
from orchestrator.jobs.canonical import from_plain
from orchestrator.jobs.flops import epochs_of
from orchestrator.jobs.job import Job
from orchestrator.jobs.kinds import KINDS
from orchestrator.planning.plan import Plan, needed_by, storage_of, why_live
from orchestrator.search.cost import cost

Kind = tuple[Need, Storage, str]  # a kind of knowledge, how it is kept, and the teacher's name


@dataclass(frozen=True)
class Costs:
    """Of some banks and of the students that read them, searches and their trials among these."""

    students: int
    banks: frozenset[Kind]
    bytes: int
    fill: int  # forward passes of teachers that fill them
    live: int  # forward passes of the same teachers that the students would ask for without

    @property
    def spared(self) -> float:
        """The part of the students' forward passes that nobody makes; below 0 where filling costs more than it saves."""
        return 1 - self.fill / self.live


@dataclass(frozen=True)
class Proposal:
    """A value of ``bank.shared_by``, and what the banks that come with it would cost and spare."""

    shared_by: int
    costs: Costs


@dataclass(frozen=True)
class Live:
    """Students whose teachers are asked in every step, and why."""

    students: int
    reason: str
    proposal: Proposal | None = None


def kept(spec: Spec, plan: Plan) -> Costs | None:
    """What the plan's banks come to; None where it has none."""
    banks = plan.of("bank")
    if not banks:
        return None
    models = {teacher.name: model_info(teacher.model) for teacher in spec.teachers}
    images, size, kinds = spec.data.images, 0, set[Kind]()
    for job in banks:
        need, storage, name = Need(job.config["need"]), from_plain(Storage, job.config["storage"]), job.labels["teacher"]
        size += images * _views(spec, job) * storage.row_bytes(need, spec.data, models[name])
        kinds.add((need, storage, name))
    readers = [job for job in plan if any(role.startswith("banks:") for role in job.parents)]
    return Costs(
        sum(job.kind == "student" for job in readers),
        frozenset(kinds),
        size,
        images * sum(_views(spec, job) for job in banks),
        images * round(sum(_trainings(job) * len(job.parents["teachers"]) for job in readers)),
    )


def live(spec: Spec, made: Costs | None) -> list[Live]:
    """The students whose teachers are asked live, by reason; with a proposal where only the cost for one of them is against it
    and all of them together would be worth the banks. ``made``: what :func:`kept` found."""
    reasons: defaultdict[str, list[StudentSpec]] = defaultdict(list)
    for student in spec.students:
        if reason := why_live(spec, student, student.recipe):
            reasons[reason].append(student)
    return [Live(len(found), reason, _proposal(spec, found, made)) for reason, found in reasons.items()]


def _proposal(spec: Spec, students: Iterable[StudentSpec], made: Costs | None) -> Proposal | None:
    forced = replace(spec, bank=replace(spec.bank, mode="on"))
    unpaid = [student for student in students if spec.bank.mode == "auto" and not why_live(forced, student, student.recipe)]
    sharing = Counter(name for student in unpaid for name in student.teachers)
    if not unpaid or (shared_by := min(sharing.values())) <= spec.bank.shared_by:
        return None
    shared = replace(spec, bank=replace(spec.bank, shared_by=shared_by))
    readers = [student for student in unpaid if not why_live(shared, student, student.recipe)]
    if not readers:
        return None
    wanted = {
        (need, storage_of(spec, student, need), name)
        for student in readers
        for need in needed_by(student) - ONCE
        for name in student.teachers
    }
    banks = frozenset(wanted - (made.banks if made else frozenset()))
    models = {teacher.name: model_info(teacher.model) for teacher in spec.teachers}
    images = spec.data.images
    size = sum(storage.bank_bytes(need, spec.data, models[name]) for need, storage, name in banks)
    asked = images * sum(student.recipe.epochs * len(student.teachers) for student in readers)
    costs = Costs(len(readers), banks, size, images * spec.data.views * len(banks), asked)
    return Proposal(shared_by, costs) if costs.spared > 0 else None


def _views(spec: Spec, bank: Job) -> int:
    """How many views a part of a bank has, or a whole one."""
    begin, end = bank.config.get("views", (0, spec.data.views))
    return int(end - begin)


def _trainings(job: Job) -> float:
    """Epochs of a student, or of all the trials of a search."""
    if not KINDS[job.kind].of_trials:
        return epochs_of(job.config)
    found = cost(job.config)
    return found.trials * found.part * epochs_of(job.config["student"])
