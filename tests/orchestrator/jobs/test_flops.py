"""How much arithmetic a job is, before it has run."""

from __future__ import annotations

import pytest

from kd_core.methods.table import METHODS
from orchestrator.jobs import canonical
from orchestrator.jobs.flops import views_at_once, work

DATA = {"name": "digits", "validation": 0.2, "size": 8}


def student(method: str, **knobs: object) -> dict[str, object]:
    config = METHODS[method].Config(**knobs)
    stated = {"name": method, "knobs": canonical.plain(config)}
    return {"data": DATA, "model": "resnet8", "recipe": {"epochs": 2}, "method": stated}


@pytest.mark.parametrize(
    ("method", "knobs", "views"),
    [("kd", {}, 1), ("mlld", {}, 2), ("crld", {}, 2), ("mgd", {"base": "crld"}, 2), ("mgd", {"base": "at"}, 1)],
)
def test_a_second_view_is_twice_the_work(method: str, knobs: dict[str, object], views: int) -> None:
    assert views_at_once(student(method, **knobs)) == views
    assert work("student", student(method, **knobs), ["resnet14"]) == views * work("student", student("kd"), ["resnet14"])


def test_what_no_method_trains_is_seen_once() -> None:
    assert views_at_once({"data": DATA, "model": "resnet8", "recipe": {"epochs": 2}}) == 1
