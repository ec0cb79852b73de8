"""How a plan is shown: settings with every default, jobs by stage, what it comes to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from kd_core.knobs import Distribution
from kd_core.knowledge import Need
from kd_core.methods.table import METHODS
from kd_core.published.ledger import PROTOCOLS
from kd_core.recipe import Recipe
from orchestrator.cli.time_left import Left
from orchestrator.cli.views import banks
from orchestrator.cli.views.console import clock, counted
from orchestrator.cli.views.plan_jobs import cells_table, counts, is_large, jobs_table, trials, word
from orchestrator.experiment.space import plain
from orchestrator.experiment.spec import SearchSpec, Spec, Weights
from orchestrator.jobs import canonical
from orchestrator.jobs.job import SHOWN
from orchestrator.jobs.kinds import KINDS
from orchestrator.planning.estimate import Estimate
from orchestrator.planning.explain import Status
from orchestrator.planning.plan import Plan, written
from orchestrator.planning.schedule import Machine, demand, workers
from orchestrator.planning.state import State

START_S = (5.0, 30.0)  # until Ray's first workers have imported torch, on two cores, idle and busy


def as_json(spec: Spec, plan: Plan, found: Mapping[str, Status], estimate: Estimate, machine: Machine) -> dict[str, Any]:
    """The plan for programs; durations in seconds, null where nothing was measured by which to tell them."""
    jobs = [
        {
            "key": job.key,
            "kind": job.kind,
            "title": job.title,
            "state": word(found[job.key].state),
            "reason": found[job.key].reason,
            "seconds_left": estimate.seconds.get(job.key),
            "guessed": job.key in estimate.guessed,
            "labels": job.labels,
            "config": job.config,
            "parents": job.parents,
        }
        for job in plan
    ]
    return {
        "name": plan.name,
        "settings": {name: value for name, value in canonical.plain(spec).items() if name != "source"},
        "jobs": jobs,
        "banks": banks.as_json(spec, plan),
        "counts": Counter(word(found[job.key].state) for job in plan),
        "estimate": {
            "seconds": estimate.total if estimate.known else None,
            "low": estimate.low if estimate.known else None,
            "high": estimate.high if estimate.known and not estimate.unknown else None,
            "start": {"low": START_S[0], "high": START_S[1]},  # seconds before the jobs', which are not in the others
            "guessed_jobs": len(estimate.guessed),
            "cpus": machine.cpus,
            "gpus": machine.gpus,
            "critical_path": {
                "seconds": estimate.path_seconds if estimate.known else None,
                "jobs": [{"key": job.key, "title": job.title} for job in estimate.path],
            },
        },
    }


def view(
    spec: Spec, plan: Plan, found: Mapping[str, Status], estimate: Estimate, machine: Machine, *, every: bool = False
) -> Iterator[RenderableType]:
    """The plan for people; of a large one each cell, unless ``every`` job is asked for."""
    cells = is_large(plan) and not every
    yield Text(f"{spec.name}: settings, with every default", style="bold")
    yield settings(spec, plan, estimate)
    for kind, kind_info in KINDS.items():
        if jobs := plan.of(kind):
            yield Text()
            yield Text(f"{kind_info.plural}: {counts(jobs, found)}", style="bold")
            yield (cells_table if cells else jobs_table)(jobs, found, estimate)
    yield Text()
    searched = sum(map(trials, plan.of("search")))
    tried = f"; {counted(searched, 'trial')} in its searches" if searched else ""
    yield Text(f"{counted(len(plan), 'job')}: {counts(list(plan), found)}{tried}")
    if cells:
        yield Text(
            "Each line stands for jobs that differ in their seed alone; --all shows every job, its key and why it is missing."
        )
    for line in time_left(plan, found, estimate, machine):
        yield Text(line)
    for problem in too_large(plan, found, spec, machine):
        yield Text(problem, style="red")


def time_left(plan: Plan, found: Mapping[str, Status], estimate: Estimate, machine: Machine) -> Iterator[str]:
    """The critical path, and what an estimate says or why it says nothing."""
    missing = sum(found[job.key].state not in (State.DONE, State.IDLE) for job in plan)
    if not missing:
        yield "Nothing is left to do."
        return
    chain = " → ".join(job.title for job in estimate.path)
    if not estimate.known:
        yield f"Critical path, by arithmetic: {chain}."
        yield "No estimate of the time yet: nothing has been measured in this store that is long enough to tell."
        return
    yield f"Critical path: {chain}: {clock(estimate.path_seconds)} on any machine."
    guesses = len(estimate.guessed & estimate.seconds.keys())
    guessed = f"; ~ is guessed, by arithmetic, for {counted(guesses, 'job')}" if guesses else ""
    untold = (
        f"; nothing like {counted(estimate.unknown, 'job')} was measured long enough to tell more" if estimate.unknown else ""
    )
    left = Left(estimate.low + START_S[0], estimate.high + START_S[1], estimate.unknown)
    yield f"Estimated time on {machine}, with the start of Ray and its workers: {left}{guessed}{untold}."


def too_large(plan: Plan, found: Mapping[str, Status], spec: Spec, machine: Machine) -> Iterator[str]:
    """The sections of ``resources`` by which something that is missing asks for more than there is."""
    allocations = {
        KINDS[job.kind].allocation: demand(job, spec.resources)
        for job in sorted(plan, key=lambda job: workers(job, spec.resources))  # the largest of each section is kept
        if found[job.key].state not in (State.DONE, State.IDLE)
    }
    for name, allocation in allocations.items():
        if allocation.cpus > machine.cpus or allocation.gpus > machine.gpus:
            yield f"resources.{name} asks for {allocation}: more than {machine}; `kd run` needs a larger cluster."


def settings(spec: Spec, plan: Plan, estimate: Estimate) -> Table:
    """Every setting in force."""
    made = Table.grid(padding=(0, 2, 0, 0))
    made.add_column(no_wrap=True, style="cyan")
    made.add_column(overflow="fold")
    made.add_row("file", spec.file)
    made.add_row("store", spec.store)
    if spec.protocol:
        protocol = PROTOCOLS[spec.protocol]
        made.add_row("protocol", f"{spec.protocol} fills what the file leaves out: {protocol.description} ({protocol.source})")
    made.add_row("data", f"{knobs(spec.data)}, {knobs(spec.place)}")
    for name, text in (*_teachers(spec), *_students(spec)):
        made.add_row(name, text)
    for asked in spec.evaluations:
        made.add_row("evaluation", f"{asked.name}: {knobs(asked.config)}")
    if spec.best_test:
        made.add_row("best test", "read at every epoch")
    for claim in spec.claims:
        made.add_row("claim", f"{claim.text}: {claim.better} against {claim.than} by {claim.by}")
    for name in ("bank", "resources", "tracking"):
        made.add_row(name, knobs(getattr(spec, name)))
    for name, text in banks.rows(spec, plan, estimate):
        made.add_row(name, text)
    return made


def knobs(config: Any) -> str:
    """``lr 0.05, epochs 20``; inner sections in brackets. Milestones are written out where they follow from the epochs."""
    values = written(config)
    if isinstance(config, Recipe) and config.schedule == "multistep":
        values["milestones"] = canonical.plain(config.steps)
    return ", ".join(f"{name} {knob(value)}" for name, value in values.items())


def knob(value: object) -> str:
    """A value as YAML has it."""
    match value:
        case dict():
            return f"({', '.join(f'{name} {knob(inner)}' for name, inner in value.items())})"
        case list():
            return f"[{', '.join(map(knob, value))}]"
        case None | bool():
            return {None: "null", True: "true", False: "false"}[value]
        case float():
            return f"{value:.6g}"
    return str(value)


def _teachers(spec: Spec) -> Iterator[tuple[str, str]]:
    """Names, and the recipe or weights that they share; then the probes, and the analyses where a student asks for them."""
    made: dict[tuple[str, str], list[str]] = {}
    for teacher in spec.teachers:
        how = ("weights", _given(teacher.weights)) if teacher.weights else ("recipe", knobs(teacher.recipe))
        made.setdefault(how, []).append(teacher.name)
    for (word_for_it, text), names in made.items():
        yield "teachers", ", ".join(names)
        yield f"  {word_for_it}", text
    yield "probes", knobs(spec.probes) if spec.probes else "off"
    if any(Need.ANALYSES in METHODS[student.method.name].needs(student.method.config) for student in spec.students):
        yield "analysis", knobs(spec.analysis)


def _given(weights: Weights) -> str:
    gone = "" if weights.name or Path(str(weights.file)).exists() else ", as it was when it was used last: the file is gone"
    return weights.name or f"{weights.file} (SHA-256 {str(weights.sha256)[:SHOWN]}…{gone})"


def _students(spec: Spec) -> Iterator[tuple[str, str]]:
    """Models, their recipe, and the methods with their knobs, seeds and teachers; models that have all of it in common once."""
    seeds: dict[tuple[str, str], dict[str, list[str]]] = {}
    searches: dict[str, tuple[SearchSpec, int]] = {}
    for student in spec.students:
        described = f"{student.method.label}: {knobs(student.method.config)}".removesuffix(": ")
        if student.teachers:
            all_of_them = student.teachers == tuple(teacher.name for teacher in spec.teachers)
            described += f"; {'all teachers' if all_of_them else 'teachers ' + ', '.join(student.teachers)}"
        if student.search:
            searches[described] = student.search, student.recipe.epochs
        seeds.setdefault((student.model, knobs(student.recipe)), {}).setdefault(described, []).append(str(student.seed))
    groups: dict[tuple[str, tuple[tuple[str, str], ...]], list[str]] = {}
    for (model, recipe), methods in seeds.items():
        lines: list[tuple[str, str]] = []
        for described, some in methods.items():
            alone = some[0] if len(some) == 1 else ""
            meant = f" alone (that many seeds are [0, …, {int(alone) - 1}])" if alone and int(alone) > 1 else ""
            lines.append(("  method", f"{described}; {'seed' if alone else 'seeds'} {', '.join(some)}{meant}"))
            if described in searches:
                lines += _search(*searches[described])
        groups.setdefault((recipe, tuple(lines)), []).append(model)
    for (recipe, told_of), models in groups.items():
        yield "students", ", ".join(models)
        yield "  recipe", recipe
        yield from told_of


def _search(search: SearchSpec, epochs: int) -> list[tuple[str, str]]:
    """What the search of a student of so many epochs looks for, and how; what follows from the epochs is written out."""
    epochs = search.how.epochs or epochs
    how = replace(search.how, epochs=epochs, grace=search.how.grace_of(epochs), interval=search.how.interval_of(epochs))
    space = ", ".join(f"{name} {distribution(each)}" for name, each in search.space)
    return [("    space", space), ("    search", knobs(how))]


def distribution(found: Distribution) -> str:
    """uniform [0.1, 4]"""
    [(kind, values)] = plain(found).items()
    return f"{kind} {knob(values)}"
