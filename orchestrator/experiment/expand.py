"""The grid: from a validated experiment to its spec, with every teacher and student by name."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace

from kd_core.knobs import Knobs
from kd_core.knowledge import Side
from kd_core.methods.table import METHODS
from kd_core.models.table import model_info
from kd_core.published.ledger import PROTOCOLS, Protocol, method_key
from kd_core.recipe import Recipe
from orchestrator.experiment import space
from orchestrator.experiment.claims import Candidate, numbers, settle
from orchestrator.experiment.derive import MAX_GRID
from orchestrator.experiment.methods import Variant
from orchestrator.experiment.problems import Path, Problem, SpecError, dotted
from orchestrator.experiment.protocol import with_knobs, with_recipe, written_at
from orchestrator.experiment.schema import Experiment
from orchestrator.experiment.spec import MethodSpec, Spec, StudentSpec, TeacherSpec
from orchestrator.experiment.yaml_lines import Document
from orchestrator.jobs import canonical

SEARCHED = ", searched"


@dataclass(frozen=True)
class Cell:
    """Students that differ in their seeds alone."""

    model: str
    variant: Variant
    recipe: Recipe
    seeds: tuple[int, ...]
    origin: Path  # of its method entry

    @property
    def work(self) -> str:
        """What its students do, whatever it is called."""
        variant = self.variant
        search = variant.search and [[name, space.plain(found)] for name, found in variant.search.space] + [variant.search.how]
        return canonical.text([self.model, variant.name, variant.config, variant.teachers, self.recipe, search])

    @property
    def control(self) -> Cell:
        """Of a searched cell, that of its defaults."""
        return replace(self, variant=replace(self.variant, search=None, label=None))


def expand(experiment: Experiment, document: Document, file: str) -> Spec:
    """The spec of a validated experiment.

    Raises:
        SpecError: where it names nothing, too much, or the same student twice.
    """
    if not experiment.teachers and not experiment.students:
        raise SpecError([Problem(document.location(()), (), "names neither `teachers` nor `students`")])
    teachers = tuple(teacher.name for teacher in experiment.teachers)
    cells, problems = multiply_out(experiment, document)
    problems += unfit(cells, {teacher.name: teacher.model for teacher in experiment.teachers}, document)
    cells = with_controls(cells)
    names = cell_names(cells, teachers)
    problems += clashes(cells, names, document)
    asked = experiment.evaluations.specs
    claims, wrong = settle(experiment.claims, candidates(cells, names), numbers(asked), document)
    if problems := [*problems, *wrong]:
        raise SpecError(list({problem.path: problem for problem in reversed(problems)}.values()))
    data, place = experiment.data
    tracking = experiment.tracking
    return Spec(
        name=experiment.name,
        file=file,
        store=experiment.store,
        protocol=experiment.protocol,
        data=data.resolved(),
        place=place,
        teachers=by_protocol(experiment, document),
        probes=experiment.probes if data.validation or "probes" in experiment.model_fields_set else None,
        analysis=experiment.analysis,
        students=tuple(students(cells, names)),
        evaluations=asked,
        best_test=experiment.evaluations.best_test,
        claims=claims,
        bank=experiment.bank,
        resources=experiment.resources,
        tracking=replace(tracking, experiment=tracking.experiment or experiment.name),
    )


def multiply_out(experiment: Experiment, document: Document) -> tuple[list[Cell], list[Problem]]:
    """Model by model, method by method, recipe by recipe, group after group; and what its protocol does not know.

    Raises:
        SpecError: where there are more than MAX_GRID students.
    """
    protocol = protocol_of(experiment)
    models = {teacher.name: teacher.model for teacher in experiment.teachers}
    count = 0
    for group in experiment.students:
        count += len(group.models) * sum(map(len, group.methods)) * len(group.recipe) * len(group.seeds)
    if count > MAX_GRID:
        message = f"the grid has {count:,} students; at most {MAX_GRID:,} can be run"
        raise SpecError([Problem(document.location(("students",)), ("students",), message)])
    cells: list[Cell] = []
    problems: dict[Path, Problem] = {}
    for number, group in enumerate(experiment.students):
        written = written_at(document, ("students", number, "recipe"))
        for model in group.models:
            for index, entry in enumerate(group.methods):
                origin = document.nearest(("students", number, "methods", index))
                for variant in entry:
                    knobs = written_at(document, ("students", number, "methods", index, variant.name))
                    try:
                        variant = for_pair(protocol, variant, knobs, model, models)
                    except ValueError as error:
                        at = document.nearest((*origin, variant.name))
                        problems.setdefault(at, Problem(document.location(at), at, str(error)))
                    for recipe in group.recipe:
                        if protocol:
                            published = protocol.student(model, method_key(variant.name, canonical.plain(variant.config)))
                            recipe = with_recipe(published, recipe, written)
                        cells.append(Cell(model, variant, recipe, group.seeds, origin))
    return cells, list(problems.values())


def protocol_of(experiment: Experiment) -> Protocol | None:
    return PROTOCOLS[experiment.protocol] if experiment.protocol else None


def for_pair(
    protocol: Protocol | None, variant: Variant, written: Collection[str], model: str, teachers: Mapping[str, str]
) -> Variant:
    """A variant with the protocol's knobs for its teacher and student, where it has one teacher.

    Raises:
        ValueError: from :func:`orchestrator.experiment.protocol.with_knobs`.
    """
    if protocol is None or len(variant.teachers) != 1:
        return variant
    pair = (teachers[variant.teachers[0]], model)
    return replace(variant, config=with_knobs(protocol, variant.name, variant.config, written, pair))


def by_protocol(experiment: Experiment, document: Document) -> tuple[TeacherSpec, ...]:
    """The teachers, each with the protocol's recipe for what its group does not write."""
    protocol = protocol_of(experiment)

    def trained(teacher: TeacherSpec) -> TeacherSpec:
        if teacher.recipe is None or protocol is None:
            return teacher
        written = written_at(document, ("teachers", teacher.group, "recipe"))
        return replace(teacher, recipe=with_recipe(protocol.teacher(teacher.model), teacher.recipe, written))

    return tuple(map(trained, experiment.teachers))


def refusals(cell: Cell, config: Knobs, recipe: Recipe, teachers: Mapping[str, str]) -> Iterator[str]:
    """Why a cell's method, with these knobs, cannot be trained by a recipe, or on its pair of networks."""
    method = METHODS[cell.variant.name]
    if recipe.mixes and not method.mixable(config):
        yield "its loss is one of single images, but the recipe mixes them: no `mixup`, no `cutmix`"
    spoken = {Side.STUDENT: {cell.model: cell.model}, Side.TEACHER: {name: teachers[name] for name in cell.variant.teachers}}
    tokens = {side: [name for name, model in spoken[side].items() if model_info(model).tokens] for side in Side}
    if wrong := [f"the {side} {name}" for side in Side for name in tokens[side] if side in method.maps(config)]:
        able = [name for name, other in METHODS.items() if not any(tokens[side] for side in other.maps(other.Config()))]
        pair = f"{cell.model} ← {', '.join(cell.variant.teachers)}"
        yield (
            f"{cell.variant.name} compares feature maps, but of {pair} the stages of {' and of '.join(wrong)} are tokens; "
            f"of these can learn {', '.join(able)}"
        )


def unfit(cells: Sequence[Cell], teachers: Mapping[str, str], document: Document) -> Iterator[Problem]:
    """Methods that their recipe or their networks do not suit, and searches that would try what a knob or a method does not
    allow. ``teachers`` are their models by name."""
    seen: set[tuple[Path, str]] = set()

    def told(at: Path, messages: Iterable[str]) -> Iterator[Problem]:
        for message in messages:
            if (at, message) not in seen:
                seen.add((at, message))
                yield Problem(document.location(at), at, message)

    for cell in cells:
        variant = cell.variant
        if found := list(refusals(cell, variant.config, cell.recipe, teachers)):
            yield from told(document.nearest((*cell.origin, variant.name)), found)
            continue
        for name, distribution in variant.search.space if variant.search else ():
            at = document.nearest((*cell.origin, variant.name, "search", "space", *name.split(".")))
            if message := space.unsuited(distribution, variant.config, cell.recipe, name):
                yield from told(at, [message])
                continue
            for value in space.corners(distribution):
                try:
                    config, recipe = space.changed(variant.config, cell.recipe, {name: value})
                except ValueError as error:
                    yield from told(at, [str(error)])
                else:
                    yield from told(at, refusals(cell, config, recipe, teachers))


def with_controls(cells: Sequence[Cell]) -> list[Cell]:
    """The cells, and before each searched one that of its defaults, where it is not among them."""
    found: list[Cell] = []
    done = {(cell.work, seed) for cell in cells for seed in cell.seeds}
    for cell in cells:
        if cell.variant.search:
            control = cell.control
            missing = tuple(seed for seed in cell.seeds if (control.work, seed) not in done)
            if missing:
                found.append(replace(control, seeds=missing))
                done |= {(control.work, seed) for seed in missing}
        found.append(cell)
    return found


def cell_names(cells: Sequence[Cell], teachers: tuple[str, ...]) -> list[tuple[str, str]]:
    """The method's label and the cell's name, of every cell. They say what varies in this experiment, and no more; where a knob
    of the recipe is null, so that its value follows from others or is none, it goes without saying."""
    configs: dict[str, list[Knobs]] = {}
    for cell in cells:
        configs.setdefault(_base(cell.variant), []).append(cell.variant.config)
    knobs = {base: varying(found) for base, found in configs.items()}
    recipe = varying([cell.recipe for cell in cells])

    def trained(cell: Cell) -> str:
        return _settings(cell.recipe, {knob for knob in recipe if getattr(cell.recipe, knob[1]) is not None})

    found = []
    for cell in cells:
        base, variant = _base(cell.variant), cell.variant
        listens = f" ← {', '.join(variant.teachers)}" if variant.teachers not in ((), teachers) else ""
        settings = _settings(variant.config, knobs[base])
        label = base + (f"({settings})" if settings else "") + listens
        if variant.search and not variant.label:
            label += SEARCHED
        found.append((label, " · ".join(filter(None, (cell.model, label, trained(cell))))))
    return found


Knob = tuple[type[Knobs], str]  # its owner, and its dotted name: a wrapper's config holds its base's


def values(config: Knobs, prefix: str = "") -> Iterator[tuple[Knob, str]]:
    """The canonical text of every knob, also of configs within."""
    for field in fields(config):
        value = getattr(config, field.name)
        if isinstance(value, Knobs):
            yield from values(value, f"{prefix}{field.name}.")
        else:
            yield (type(config), prefix + field.name), canonical.text(value)


def varying(configs: Iterable[Knobs]) -> set[Knob]:
    """The knobs that are not the same in all of the configs that have them."""
    seen: dict[Knob, set[str]] = {}
    for config in configs:
        for knob, value in values(config):
            seen.setdefault(knob, set()).add(value)
    return {knob for knob, texts in seen.items() if len(texts) > 1}


def _base(variant: Variant) -> str:
    return variant.label or variant.name


def _settings(config: Knobs, named: set[Knob]) -> str:
    return ", ".join(f"{knob[1]}={value.strip(chr(34))}" for knob, value in values(config) if knob in named)


def clashes(cells: Sequence[Cell], names: Sequence[tuple[str, str]], document: Document) -> list[Problem]:
    """Students that are named twice, and different cells that bear one name."""
    found: dict[tuple[Path, Path], Problem] = {}
    done: dict[tuple[str, int], Cell] = {}
    named: dict[str, Cell] = {}
    for cell, (label, name) in zip(cells, names, strict=True):
        work, location = cell.work, document.location(cell.origin)
        for seed in cell.seeds:
            other = done.setdefault((work, seed), cell)
            if other is not cell:
                message = f"names the same student as {_there(other, document)}: {name}, seed {seed}"
                found.setdefault((cell.origin, other.origin), Problem(location, cell.origin, message))
        other = named.setdefault(name, cell)
        if other.work != work:
            message = f"bears the label {label!r} as does {_there(other, document)}, which differs; set another `label`"
            found.setdefault((cell.origin, other.origin), Problem(location, cell.origin, message))
    return list(found.values())


def _there(cell: Cell, document: Document) -> str:
    return f"{dotted(cell.origin)} ({document.location(cell.origin)})"


def candidates(cells: Sequence[Cell], names: Sequence[tuple[str, str]]) -> list[Candidate]:
    """What claims may be about."""
    settings = [canonical.text([cell.model, cell.recipe]) for cell in cells]
    return [
        Candidate(label, _base(cell.variant), setting, cell.seeds)
        for cell, (label, _), setting in zip(cells, names, settings, strict=True)
    ]


def students(cells: Sequence[Cell], names: Sequence[tuple[str, str]]) -> Iterator[StudentSpec]:
    by_work = {cell.work: name for cell, (_, name) in zip(cells, names, strict=True)}
    for cell, (label, name) in zip(cells, names, strict=True):
        variant = cell.variant
        method = MethodSpec(variant.name, variant.config, label)
        control = by_work[cell.control.work] if variant.search else ""
        for seed in cell.seeds:
            yield StudentSpec(cell.model, seed, method, variant.teachers, cell.recipe, name, variant.search, control)
