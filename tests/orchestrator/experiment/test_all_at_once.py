"""Every mistake of a file is told at once, also those that other mistakes could hide."""

from __future__ import annotations

import pytest

from orchestrator.experiment.load import load
from orchestrator.experiment.problems import SpecError

OF_SECTIONS = """\
name: five
data: {name: digits}
teachers:
  models: [resnet32x5]
  recipe: {epoch: 3}
students:
  models: [resnet8]
  methods:
    - none
    - kd: {temperature: -2}
    - dkd: {teachers: resnet99-s0}
    - at: {teachers: resnet20-s1}
    - crd: {teachers: everyone}
  recipe: {lr: 0}
tracking: {uri: "foo://bar"}
"""
TOGETHER = """\
name: four
data: {name: digits}
teachers: {models: [resnet20], recipe: {epochs: 3}}
students:
  models: [resnet8]
  methods:
    - none
    - crd
    - kd: {search: {space: {temperature: {uniform: [-1, 2]}, recipe: {nesterov: {int: [0, 1]}}}}}
    - dkd: {label: same}
    - at: {label: same}
  recipe: {epochs: 3, mixup: 1}
claims:
  - {better: nobody, than: none}
"""


def told(text, tmp_path):
    """The lines of the file that are complained about, with the beginning of the message."""
    (tmp_path / "x.yaml").write_text(text)
    with pytest.raises(SpecError) as refused:
        load(tmp_path / "x.yaml")
    return {problem.location.line: problem.message for problem in refused.value.problems}


def test_mistakes_of_all_sections(tmp_path):
    found = told(OF_SECTIONS, tmp_path)
    assert list(found) == [4, 5, 10, 11, 13, 14, 15]  # resnet20-s1 may be a teacher, once line 4 is right
    assert found[11] == "no teacher named 'resnet99-s0': a name is MODEL-sSEED, as in resnet56-s0"
    assert found[15].endswith("or databricks, but got 'foo://bar'")


def test_what_does_not_go_together(tmp_path):
    found = told(TOGETHER, tmp_path)
    assert list(found) == [8, 9, 11, 14]
    assert "mixes them" in found[8]
    assert "no method, label or student" in found[14] or "nobody" in found[14]


@pytest.mark.parametrize(
    "uri", ["http://h:5000", "https://h/mlflow", "sqlite:///m.db", "postgresql+psycopg://h/m", "databricks"]
)
def test_places_of_mlflow(tmp_path, uri):
    text = TOGETHER.partition("students:")[0] + f"tracking: {{uri: '{uri}'}}\n"
    (tmp_path / "x.yaml").write_text(text)
    assert load(tmp_path / "x.yaml").tracking.uri == uri


@pytest.mark.parametrize("uri", ["foo://bar", "", "http:/bar", "mysql:bar", "somewhere"])
def test_what_is_no_place_of_mlflow(tmp_path, uri):
    text = TOGETHER.partition("students:")[0] + f"tracking: {{uri: '{uri}'}}\n"
    assert f"but got {uri!r}" in told(text, tmp_path)[4]


@pytest.mark.parametrize("written", ["inf", ".inf", "[inf, 2]"])
def test_infinity_is_written_either_way_where_it_means_something(tmp_path, written):
    text = TOGETHER.partition("  methods:")[0] + f"  methods: [gpac: {{tau_probe: {written}}}]\n"
    (tmp_path / "x.yaml").write_text(text)
    assert load(tmp_path / "x.yaml").students[0].method.config.tau_probe == float("inf")
    text = TOGETHER.partition("  methods:")[0] + "  methods: [gpac: {beta: inf}]\n"
    assert told(text, tmp_path)[6] == "must be a number, but got 'inf'"
