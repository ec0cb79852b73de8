"""The JSON Schema says what loading says, as far as a schema can."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from kd_core.methods.table import METHODS
from kd_core.models.table import MODELS
from orchestrator.experiment.problems import SourceLocation
from orchestrator.experiment.schema import schema
from orchestrator.experiment.yaml_lines import read, read_file
from tests.support.paths import EXPERIMENTS

GOOD = """\
name: x
data: {name: digits}
teachers: [{models: resnet20, recipe: {milestones: [3, 5]}}]
probes: false
students:
  models: [resnet8]
  methods: [none, kd: , kd: {temperature: [2, 4]}, gpac: {tau_instruct: .inf, top: [1, null], levels: [[1, 0, 1], [1, 1, 1]]}]
  recipe: {lr: [0.1, 1], milestones: [[3], null]}
"""


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft202012Validator:
    found = schema()
    jsonschema.Draft202012Validator.check_schema(found)
    return jsonschema.Draft202012Validator(found)


def plain(text: str) -> Any:
    return read(text, lambda line: SourceLocation("x", line)).data


def test_good(validator: jsonschema.Draft202012Validator) -> None:
    assert [error.message for error in validator.iter_errors(plain(GOOD))] == []


@pytest.mark.parametrize("file", EXPERIMENTS, ids=lambda file: file.stem)
def test_the_experiments(file: Path, validator: jsonschema.Draft202012Validator) -> None:
    assert [error.message for error in validator.iter_errors(read_file(str(file)).data)] == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("dta",), {}),
        (("name",), "a/b"),
        (("name",), None),
        (("data", "name"), "kmnist"),
        (("data", "validation"), -0.1),
        (("teachers",), []),
        (("teachers", 0, "models"), "resnet21"),
        (("teachers", 0, "models"), []),
        (("teachers", 0, "seeds"), [0, 0]),
        (("teachers", 0, "seeds"), -1),
        (("teachers", 0, "recipe", "lr"), [0.1, 0.2]),  # an axis only in students
        (("teachers", 0, "recipe", "epochs"), "ten"),
        (("teachers", 0, "recipe", "epochs"), 1.5),
        (("probes",), None),
        (("students", "recipe", "lr"), [0.1, 0]),
        (("students", "recipe", "schedule"), "cosin"),
        (("students", "methods", 0), "kdd"),
        (("students", "methods", 0), {"kdd": {}}),
        (("students", "methods", 0), {}),
        (("students", "methods", 0), {"kd": {}, "at": {}}),
        (("students", "methods", 0), {"kd": {"temperatur": 2}}),
        (("students", "methods", 0), {"kd": {"temperature": []}}),
        (("students", "methods", 0), {"gpac": {"levels": [1, "x"]}}),
        (("resources",), {"student": {"gpus": -1}}),
    ],
)
def test_wrong(path: tuple[str | int, ...], value: Any, validator: jsonschema.Draft202012Validator) -> None:
    data = copy.deepcopy(plain(GOOD))
    here = data
    for part in path[:-1]:
        here = here[part]
    here[path[-1]] = value
    assert not validator.is_valid(data)


def test_what_editors_show() -> None:
    found = schema()
    kd = found["$defs"]["kd"]["properties"]["temperature"]
    assert kd == {
        "anyOf": [
            {"type": "number", "exclusiveMinimum": 0},
            {"type": "array", "items": {"type": "number", "exclusiveMinimum": 0}, "minItems": 1, "uniqueItems": True},
        ],
        "default": 4.0,
        "description": "softens both distributions",
    }
    bare, mapping = found["$defs"]["Method"]["anyOf"]
    assert bare["enum"] == list(METHODS)
    assert list(mapping["properties"]) == list(METHODS)
    assert all(about["description"] for about in mapping["properties"].values())
    model = found["$defs"]["StudentGroup"]["properties"]["models"]["anyOf"][0]
    assert set(MODELS) <= set(model["anyOf"][0]["enum"])
