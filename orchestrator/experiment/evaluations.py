"""How the questions to finished students are written: ``calibration``, or ``robustness: {strengths: [0.05, 0.1]}``."""

from __future__ import annotations

import sys
from typing import Annotated, Any, cast

from pydantic import AfterValidator, Field, GetCoreSchemaHandler, ValidationInfo, create_model
from pydantic_core import CoreSchema, core_schema

from kd_core.data.table import DataConfig
from kd_core.evaluation.table import EVALUATIONS
from kd_core.knobs import Knobs
from kd_core.models.table import model_info
from kd_core.plugins.tables import per_tables
from orchestrator.experiment.derive import FromSwitch, Section
from orchestrator.experiment.names import Context, check_data
from orchestrator.experiment.problems import InvalidValue
from orchestrator.experiment.spec import EvaluationSpec, other_data


class Asked(Section):
    """What the section holds besides the evaluations."""

    best_test: bool = Field(
        default=False,
        description="also read the test split at every epoch, for the best test accuracy that much of the literature reports",
    )

    @property
    def specs(self) -> tuple[EvaluationSpec, ...]:
        """What is asked of every student, in the order of the table."""
        found = {name: getattr(self, name) for name in EVALUATIONS}
        return tuple(EvaluationSpec(name, config) for name, config in found.items() if config is not None)


def fits(config: Knobs | None, info: ValidationInfo) -> Knobs | None:
    """Another data set must be one that the students can see.

    Raises:
        InvalidValue: where it is too small for its own classes, or has other channels than the students' data or too small
            images.
    """
    context = cast(Context, info.context)
    for name, data in other_data(config).items():
        try:
            check_data(data)
        except InvalidValue as error:
            raise InvalidValue(str(error), at=(name, *error.at)) from None
        if context.data and data.info.channels != context.data.info.channels:
            raise InvalidValue(
                f"{data.name} has images of {_channels(data)}, but the students are made for those of {context.data.name}, "
                f"of {_channels(context.data)}",
                at=(name, "name"),
            )
        for model in context.students:
            if refusal := model_info(model).refusal(size := data.info.size):
                message = f"{model} {refusal}, but those of {data.name} are {size}×{size}"
                raise InvalidValue(message, at=(name, "name"))
    return config


def _channels(data: DataConfig) -> str:
    return "1 channel" if data.info.channels == 1 else f"{data.info.channels} channels"


@per_tables
def asked_model() -> type[Asked]:
    """The model of the section: an optional field for every evaluation."""
    declared: dict[str, Any] = {}
    for name, evaluation in EVALUATIONS.items():
        description = (sys.modules[evaluation.__module__].__doc__ or name).strip().partition("\n")[0]
        kind: Any = evaluation.Config
        switched = Annotated[kind | None, FromSwitch(bare=True), AfterValidator(fits)]
        declared[name] = (switched, Field(default=None, description=description))
    return create_model("Evaluations", __base__=Asked, **declared)


class FromQuestions:
    """An :class:`Asked`, written as a section."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(lambda found: found, handler.generate_schema(asked_model()))
