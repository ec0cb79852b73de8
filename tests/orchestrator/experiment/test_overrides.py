"""``--set``: what it changes, and what it says of what it cannot change."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator.experiment.load import load
from orchestrator.experiment.problems import SpecError
from orchestrator.experiment.spec import Spec

TEXT = """\
name: x
data: {name: digits}
teachers:
  - {models: resnet20, recipe: {epochs: 3}}
students:
  models: resnet8
  methods: [none, kd, gpac: {top: 2}]
  recipe: {lr: [0.1, 0.2]}
resources:
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "x.yaml"
    file.write_text(TEXT.replace("resources:\n", ""))
    return file


def first(name: str) -> Callable[[Spec], Any]:
    return lambda spec: next(student.method.config for student in spec.students if student.method.name == name)


@pytest.mark.parametrize(
    ("assignment", "read", "expected"),
    [
        ("data.train_size=400", lambda spec: spec.data.train_size, 400),
        ("students.recipe.epochs=2", lambda spec: spec.students[0].recipe.epochs, 2),
        ("students.recipe.lr=0.3", lambda spec: {student.recipe.lr for student in spec.students}, {0.3}),
        ("students.seeds=[4, 5]", lambda spec: {student.seed for student in spec.students}, {4, 5}),
        ("students.methods.1.kd.temperature=3", lambda spec: first("kd")(spec).temperature, 3.0),  # of a bare name
        ("students.methods[2].gpac.top=null", lambda spec: first("gpac")(spec).top, None),  # as errors write it
        ("students.methods=[none]", lambda spec: len(spec.students), 2),
        ("teachers.0.recipe.epochs=5", lambda spec: spec.teachers[0].recipe.epochs, 5),
        ("teachers.recipe.epochs=5", lambda spec: spec.teachers[0].recipe.epochs, 5),  # the only group
        ("resources.student.gpus=0.5", lambda spec: spec.resources.student.gpus, 0.5),  # in sections that are not there
        ("store=a=b", lambda spec: spec.store, "a=b"),
    ],
)
def test_set(assignment: str, read: Callable[[Spec], Any], expected: Any, file: Path) -> None:
    assert read(load(file, [assignment])) == expected


def test_an_empty_section_is_filled(tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_text(TEXT)
    assert load(file, ["resources.teacher.cpus=2"]).resources.teacher.cpus == 2


def test_later_assignments_win(file: Path) -> None:
    assert load(file, ["data={name: digits, train_size: 10}", "data.train_size=20"]).data.train_size == 20


@pytest.mark.parametrize(
    ("assignment", "problem"),
    [
        ("nothing", "must be written as `field=value`"),
        ("=3", "must be written as `field=value`"),
        ("data..name=digits", "must be written as `field=value`"),
        ("data.nam=digits", "data.nam: no such field; did you mean 'name'?"),
        ("dta.name=digits", "dta: no such field; did you mean 'data'?"),
        ("data.name=[1", "not valid YAML: while parsing a flow sequence"),
        ("data.name=!x digits", "data.name: YAML tags have no meaning here, but got !x"),
        ("data={name: digits, validation: 2}", "data.validation: must be <= 0.5, but got 2"),
        ("teachers.0.recipe.epochs=ten", "teachers[0].recipe.epochs: must be an integer, but got 'ten'"),
        ("students.recipe.lr=[0.1, -1]", "students.recipe.lr[1]: must be > 0, but got -1"),
        ("students.methods.9=kd", "students.methods is a list of 3: one of its indices must follow"),
        ("students.methods.kd.temperature=3", "students.methods is a list of 3: one of its indices must follow"),
        ("students.methods.0.kd.temperature=3", "students.methods[0] is 'none', not a section: it has no field 'kd'"),
        ("students.methods.1.kd.temperature=", "students.methods[1].kd.temperature: must be a number, but got null"),
        ("students.models=[]", "students.models: must not be empty"),
    ],
)
def test_mistakes_name_the_assignment(assignment: str, problem: str, file: Path) -> None:
    with pytest.raises(SpecError) as error:
        load(file, [assignment])
    assert len(error.value.problems) == 1
    assert str(error.value).startswith(f"--set {assignment}: {problem}")


def test_mistakes_in_the_file_keep_their_lines(file: Path) -> None:
    with pytest.raises(SpecError) as error:
        load(file, ["students.methods.2.gpac.tau_probe=0", "probes=false", "bad"], store="")
    assert str(error.value).splitlines() == [
        "--set bad: must be written as `field=value`, as in data.train_size=400",
        "--store : store: must not be empty",
        "--set students.methods.2.gpac.tau_probe=0: students.methods[2].gpac.tau_probe: must be > 0, but got 0",
    ]
    with pytest.raises(SpecError) as error:
        load(file, ["probes=false"])
    assert str(error.value) == f"{file}:7: students.methods[2].gpac: gpac needs probes, but `probes` is false"
