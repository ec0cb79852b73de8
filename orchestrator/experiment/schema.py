"""The YAML of an experiment: its sections, what is checked in each, and its JSON Schema."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, cast

from pydantic import AfterValidator, Field, ValidationInfo, model_validator
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from kd_core.bank.config import BankConfig
from kd_core.data.place import Place
from kd_core.data.table import DataConfig
from kd_core.methods.modules.analysis_config import BEST, AnalysisConfig
from kd_core.plugins.tables import signature
from kd_core.probes.config import ProbeConfig
from kd_core.published.ledger import PROTOCOLS
from kd_core.recipe import Recipe
from orchestrator.experiment.claims import ClaimSection
from orchestrator.experiment.derive import FromKnobs, FromSwitch, Groups, OneOrMany, Section
from orchestrator.experiment.evaluations import Asked, FromQuestions, asked_model
from orchestrator.experiment.methods import HOLDOUT, NO_SPLIT, FromEntry, Variant
from orchestrator.experiment.names import (
    ALL,
    STORE,
    Context,
    ModelName,
    Name,
    Seed,
    TeacherName,
    Text,
    check_data,
    without_password,
)
from orchestrator.experiment.problems import InvalidValue
from orchestrator.experiment.search_config import SearchConfig
from orchestrator.experiment.spec import Resources, TeacherSpec, Tracking, Weights
from orchestrator.experiment.weights import FromPlace
from orchestrator.store.backends.uri import uri_problem

MAX_TEACHERS = 1_000


class TeacherGroup(Section):
    models: Annotated[tuple[ModelName, ...], OneOrMany()] = Field(description="see `kd list models`")
    seeds: Annotated[tuple[Seed, ...], OneOrMany()] = Field(default=(0,), description="a teacher for each model and seed")
    recipe: Annotated[Recipe, FromKnobs()] = Field(default_factory=Recipe, description="how they are trained")
    weights: Annotated[Weights | None, FromPlace()] = Field(
        default=None, description="a file (.safetensors, .pth, .pt), or a name of torchvision's: it is not trained, but probed"
    )
    label: Name | None = Field(default=None, description="ends the teachers' names, where groups would share them")

    @model_validator(mode="after")
    def trained_or_given(self) -> TeacherGroup:
        """The group, whose teachers are trained by a recipe or given by their weights.

        Raises:
            InvalidValue: where both are written.
        """
        if self.weights and "recipe" in self.model_fields_set:
            raise InvalidValue("a teacher with given `weights` is not trained: leave `recipe` out", at=("recipe",))
        return self


def noted_heard(teachers: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
    cast(Context, info.context).heard = teachers
    return teachers


class StudentGroup(Section):
    # `teachers` is validated before `methods`, which see it in the Context.

    models: Annotated[tuple[ModelName, ...], OneOrMany()] = Field(description="see `kd list models`")
    seeds: Annotated[tuple[Seed, ...], OneOrMany()] = Field(default=(0,), description="a student for each, in every cell")
    teachers: Annotated[tuple[TeacherName, ...], OneOrMany(), AfterValidator(noted_heard)] = Field(
        default=(ALL,),
        description="whom methods learn from that do not say it themselves: all at once, each by itself, or names",
    )
    methods: Annotated[tuple[Annotated[tuple[Variant, ...], FromEntry()], ...], OneOrMany()] = Field(
        description="see `kd list methods`; a list for a knob multiplies out"
    )
    recipe: Annotated[tuple[Recipe, ...], FromKnobs()] = Field(
        default_factory=lambda: (Recipe(),), description="how they are trained; a list for a knob multiplies out"
    )

    @model_validator(mode="before")
    @classmethod
    def of_its_own(cls, value: object, info: ValidationInfo) -> object:
        """The group, whose methods do not hear the teachers of the group before it."""
        cast(Context, info.context).heard = (ALL,)
        return value


def check_store(location: str) -> str:
    """The location, which can be a store's.

    Raises:
        InvalidValue: where it cannot.
    """
    if problem := uri_problem(location):
        raise InvalidValue(problem)
    return location


def check_split(found: tuple[DataConfig, Place], info: ValidationInfo) -> tuple[DataConfig, Place]:
    data, _ = found
    check_data(data)
    context = cast(Context, info.context)
    context.data = data
    context.probes = context.probes and data.validation > 0
    return found


def named_teachers(groups: tuple[TeacherGroup, ...], info: ValidationInfo) -> tuple[TeacherSpec, ...]:
    """Every teacher of every group.

    Raises:
        InvalidValue: where they are more than MAX_TEACHERS, or two have one name.
    """
    count = sum(len(group.models) * len(group.seeds) for group in groups)
    if count > MAX_TEACHERS:
        raise InvalidValue(f"are {count:,} teachers; at most {MAX_TEACHERS:,} can be run")
    teachers: dict[str, TeacherSpec] = {}
    origins: dict[str, int] = {}
    for index, group in enumerate(groups):
        for model in group.models:
            for seed in group.seeds:
                name = "-".join(filter(None, (model, f"s{seed}", group.label)))
                if name in teachers:
                    message = f"names a teacher {name} again; give one of the groups a `label`"
                    raise InvalidValue(message, at=(index,), like=(origins[name],))
                recipe = None if group.weights else group.recipe
                teachers[name] = TeacherSpec(name, model, seed, recipe, group.weights, index)
                origins[name] = index
    cast(Context, info.context).teachers = tuple(teachers)
    return tuple(teachers.values())


def noted_probes(probes: ProbeConfig | None, info: ValidationInfo) -> ProbeConfig | None:
    """The section, whose probes are judged on images that there are.

    Raises:
        InvalidValue: where there is no validation split for them.
    """
    context = cast(Context, info.context)
    context.probes = probes is not None
    if probes and probes.data == "validation" and context.data and not context.data.validation:
        raise InvalidValue(f"{NO_SPLIT} to judge probes on: {HOLDOUT}", at=("data",))
    return probes


def possible_analysis(analysis: AnalysisConfig, info: ValidationInfo) -> AnalysisConfig:
    """The section, whose best epoch can be told.

    Raises:
        InvalidValue: where there is no validation split to tell it by.
    """
    data = cast(Context, info.context).data
    if analysis.keep == BEST and data and not data.validation:
        raise InvalidValue(f"{NO_SPLIT} by which an epoch could be the best", at=("keep",))
    return analysis


def noted_search(search: SearchConfig, info: ValidationInfo) -> SearchConfig:
    cast(Context, info.context).search = search
    return search


def noted_students(groups: tuple[StudentGroup, ...], info: ValidationInfo) -> tuple[StudentGroup, ...]:
    cast(Context, info.context).students = tuple(dict.fromkeys(model for group in groups for model in group.models))
    return groups


class Experiment(Section):
    """An experiment of multi-teacher knowledge distillation."""

    # Sections are validated in this order: later ones see the Context of earlier ones.

    name: Name = Field(description="the experiment's name, in tables, MLflow and file names")
    plugins: list[Text] = Field(
        default_factory=list,
        description="files (my_methods.py, beside this one) or modules (package.module) that bring methods, models, data sets "
        "and evaluations of their own",
    )
    protocol: Literal[*PROTOCOLS] | None = Field(  # type: ignore[valid-type]
        default=None,
        description="the literature whose data settings, recipes and knobs by pair fill what this file leaves out; see "
        "`kd list published`",
    )
    store: Annotated[Text, AfterValidator(check_store)] = Field(
        default=STORE, description="where all results are kept: a path, or a URI such as s3://bucket/store"
    )
    data: Annotated[tuple[DataConfig, Place], FromKnobs(), AfterValidator(check_split)] = Field(description="what is learnt")
    teachers: Annotated[tuple[TeacherSpec, ...], Groups(TeacherGroup), AfterValidator(named_teachers)] = Field(
        default_factory=tuple, description="a group of teachers, or a list of groups"
    )
    probes: Annotated[ProbeConfig | None, FromSwitch(), AfterValidator(noted_probes)] = Field(
        default_factory=ProbeConfig, description="linear probes of every layer of every teacher; false: none"
    )
    analysis: Annotated[AnalysisConfig, FromKnobs(), AfterValidator(possible_analysis)] = Field(
        default_factory=AnalysisConfig, description="how a teacher is analysed where a method asks for it, as mgd does"
    )
    search: Annotated[SearchConfig, FromKnobs(), AfterValidator(noted_search)] = Field(
        default_factory=SearchConfig,
        description="how the knobs of methods with `search` are searched, unless these say otherwise",
    )
    students: Annotated[tuple[StudentGroup, ...], Groups(StudentGroup), AfterValidator(noted_students)] = Field(
        default_factory=tuple, description="a group of students, or a list of groups"
    )
    evaluations: Annotated[Asked, FromQuestions()] = Field(
        default_factory=lambda: asked_model()(), description="what is asked of every finished student besides its accuracy"
    )
    claims: list[ClaimSection] = Field(
        default_factory=list, description="comparisons of two methods by name, which the report tests"
    )
    bank: Annotated[BankConfig, FromKnobs()] = Field(
        default_factory=BankConfig, description="what teachers say, kept for all students"
    )
    resources: Annotated[Resources, FromKnobs()] = Field(default_factory=Resources, description="how jobs are run")
    tracking: Annotated[Tracking, FromKnobs(), AfterValidator(without_password)] = Field(
        default_factory=Tracking, description="the MLflow mirror"
    )


def experiment_model() -> type[Experiment]:
    """The model, as the tables of methods, models, data sets and evaluations are now."""
    global _built_for
    if _built_for != signature():
        for model in (TeacherGroup, StudentGroup, Experiment):
            model.model_rebuild(force=True)
        _built_for = signature()
    return Experiment


_built_for = signature()


class _Schema(GenerateJsonSchema):
    """pydantic's draft 2020-12, without made-up titles and what JSON or editors do not know."""

    def field_title_should_be_set(self, schema: object) -> bool:
        return False

    def tagged_union_schema(self, schema: core_schema.TaggedUnionSchema) -> JsonSchemaValue:
        return {"anyOf": super().tagged_union_schema(schema)["oneOf"]}  # an empty list is both a tuple and a list of tuples

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        default = schema.get("default")
        if isinstance(default, float) and math.isinf(default):  # has no form in JSON
            return self.generate_inner(schema["schema"])
        return super().default_schema(schema)


def schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of an experiment's YAML, for editors."""
    found = experiment_model().model_json_schema(schema_generator=_Schema)
    return {"$schema": _Schema.schema_dialect, **found}
