"""What things are called in MLflow."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from kd_core.recipe import Recipe
from orchestrator.jobs.canonical import from_plain
from orchestrator.tracking.history import Epoch

CHOSEN = "validation/accuracy_chosen"  # of the chosen epoch; the curve itself is validation/accuracy
RENAMED = {"validation_accuracy": CHOSEN, "validation_accuracy_last": ""}  # the curve ends in that
TEACHER = re.compile(r"/teacher(\d+)\Z")  # by its place among those of its student
FORBIDDEN = re.compile(r"[^\w\-. :/]")


def metric(name: str) -> str:
    """A result's name: ``test_accuracy`` is ``test/accuracy``, ``accuracy@0.1`` is ``accuracy/0.1``; empty where a curve says
    the same."""
    if name in RENAMED:
        return RENAMED[name]
    return re.sub(r"^(test|validation)_", r"\1/", name).replace("@", "/")


def with_teachers(epochs: Sequence[Epoch], teachers: Sequence[str]) -> tuple[Epoch, ...]:
    """Curves of the single teachers under the teachers' own names: ``weight/resnet20-s0``."""

    def renamed(name: str) -> str:
        return TEACHER.sub(lambda found: f"/{FORBIDDEN.sub('_', teachers[int(found[1])])}", name)

    if not teachers:
        return tuple(epochs)
    return tuple(
        epoch._replace(points=tuple(point._replace(name=renamed(point.name)) for point in epoch.points)) for epoch in epochs
    )


def as_planned(config: Mapping[str, object]) -> dict[str, object]:
    """The config of a training whose recipe says its milestones, also where they are the default; any other as it is."""
    recipe = config.get("recipe") if "model" in config else None
    if not isinstance(recipe, dict) or recipe.get("schedule") != "multistep" or recipe.get("milestones", ...) is not None:
        return dict(config)
    return {**config, "recipe": {**recipe, "milestones": list(from_plain(Recipe, recipe).steps)}}
