"""Searches in YAML: mistakes, names, controls and keys."""

from __future__ import annotations

import pytest

from kd_core.knobs import LogUniform, Uniform
from orchestrator.experiment.load import load
from orchestrator.experiment.schema import schema
from orchestrator.planning.plan import make

TOP = """\
name: x
data: {name: digits}
teachers: {models: [resnet8, resnet14]}
students:
  models: resnet8
  recipe: {epochs: 6}
  methods:
"""


@pytest.fixture
def written(tmp_path):
    def write(text):
        file = tmp_path / "x.yaml"
        file.write_text(text)
        return file

    return write


WRONG = {
    "none: {search: auto}": "search: none declares no space of its own; name distributions below `space`",
    "kd: {search: 3}": "search: must be auto or a section, but got 3",
    "kd: {search: {trial: 3}}": "search.trial: no such field; did you mean 'trials'?",
    "kd: {search: {trials: 0}}": "search.trials: must be >= 1, but got 0",
    "kd: {search: {trials: 3, scheduler: pbt}}": "search: `trials` must be >= 4 for pbt, but got 3",
    "kd: {search: {scheduler: pbt, searcher: grid}}": "search: `scheduler` pbt starts from samples",
    "kd: {search: {searcher: grid}}": "search: `searcher` grid enumerates choice and int, but alpha is continuous",
    "kd: {search: {space: {}}}": "search.space: names no knob",
    "kd: {search: {space: {temperatur: {uniform: [1, 2]}}}}": "space.temperatur: no such field; did you mean 'temperature'?",
    "kd: {search: {space: {temperature: {normal: [1, 2]}}}}": "temperature.normal: no such field; did you mean 'uniform'?",
    "kd: {search: {space: {temperature: {uniform: [2, 1]}}}}": "uniform: `low < high` must hold, but got [2.0, 1.0]",
    "kd: {search: {space: {temperature: {loguniform: null}}}}": "loguniform: must be [low, high], but got null",
    "kd: {search: {space: {temperature: {choice: null}}}}": "choice: must be a list of values, but got null",
    "kd: {search: {space: {temperature: {loguniform: [0, 1]}}}}": "loguniform: `low > 0` must hold, but got [0.0, 1.0]",
    "kd: {search: {space: {temperature: {uniform: [-1, 2]}}}}": "temperature: `temperature` must be > 0, but got -1",
    "kd: {search: {space: {temperature: {choice: []}}}}": "temperature.choice: must not be empty",
    "kd: {search: {space: {temperature: {uniform: [1, 2], choice: [1]}}}}": "temperature: must be one of uniform: […]",
    "kd: {search: {space: {recipe: {epochs: {int: [1, 4]}}}}}": "recipe.epochs: no such field (there are: batch_size",
    "kd: {search: {space: {recipe: {warmup: {int: [0, 6]}}}}}": "recipe.warmup: `warmup` must be < epochs (6), but got 6",
    "kd: {temperature: [1, 2], search: auto}": "kd.temperature: temperature is searched: give it one value",
    "mgd: {base: at, search: {space: {knobs: {bet: {uniform: [1, 2]}}}}}": "knobs.bet: `knobs` of at: no knob named `bet`",
}


@pytest.mark.parametrize("method", WRONG)
def test_a_mistake_is_named_at_its_line(written, method):
    with pytest.raises(ValueError) as error:
        load(written(f"{TOP}    - {method}\n"))
    [line] = str(error.value).splitlines()
    assert line.partition(":")[2].startswith("8: students.methods[0].")
    assert WRONG[method] in line


def test_a_searched_method_brings_its_defaults_along(written):
    spec = load(written(TOP + "    - none\n    - kd: {search: auto}\n"))
    assert [student.method.label for student in spec.students] == ["none", "kd", "kd, searched"]
    assert spec.students[2].control == spec.students[1].cell
    assert spec.students[1].search is None


def test_defaults_that_are_there_already_are_not_named_twice(written):
    spec = load(written(TOP + "    - kd\n    - kd: {search: auto, label: best kd}\n"))
    assert [student.method.label for student in spec.students] == ["kd", "best kd"]
    assert spec.students[1].control == spec.students[0].cell


def test_the_space_is_the_method_s_own_or_as_it_is_written(written):
    text = "{space: {alpha: {uniform: [0, 1]}, recipe: {lr: {loguniform: [0.01, 0.1]}}}, trials: 7}"
    spec = load(
        written(f"search: {{scheduler: median}}\n{TOP}    - kd: {{search: auto}}\n    - kd: {{search: {text}, label: mine}}\n")
    )
    own, said = [student.search for student in spec.students if student.search]
    assert {"alpha", "temperature"} <= dict(own.space).keys()
    assert dict(said.space) == {"alpha": Uniform(0, 1), "recipe.lr": LogUniform(0.01, 0.1)}
    assert (said.how.trials, said.how.scheduler) == (7, "median")
    assert (own.how.trials, own.how.scheduler) == (20, "median")


def test_seeds_share_a_search_and_every_variant_has_its_own(written):
    spec = load(
        written(TOP + "    - kd: {alpha: [0.5, 0.9], search: {space: {temperature: {uniform: [1, 8]}}}}\n  seeds: [0, 1]\n")
    )
    plan = make(spec)
    assert len(plan.of("search")) == 2
    searched = [job for job in plan.of("student") if "searches" in job.parents]
    assert len(searched) == 4
    assert len({job.parents["searches"][0] for job in searched}) == 2
    controls = {job.labels["cell"] for job in plan.of("student") if "searches" not in job.parents}
    assert {job.labels["control"] for job in searched} == controls


def test_whether_a_knob_is_searched_and_how_is_in_the_key(written):
    def keys(search):
        plan = make(load(written(f"{TOP}    - kd: {{search: {search}}}\n")))
        return {job.key for job in plan.of("search")}, {job.key for job in plan.of("student")}

    searches, students = keys("auto")
    for other in ("{trials: 21}", "{seed: 1}", "{scheduler: none}", "{space: {alpha: {uniform: [0, 1]}}}", "{epochs: 5}"):
        assert not searches & keys(other)[0], other
        assert len(students & keys(other)[1]) == 1, other  # the control stays what it was


def test_parents_are_what_the_method_needs_anywhere_in_its_space(written):
    """GPAC with `top: null` and no `tau_probe` asks no probes; where `tau_probe` is searched, it does."""
    base = "top: null, tau_probe: .inf, alpha: 1"
    plan = make(
        load(
            written(
                f"{TOP}    - gpac: {{{base}}}\n    - gpac: {{{base}, search: {{space: {{tau_probe: {{choice: [0.1, 1]}}}}}}}}\n"
            )
        )
    )
    plain, searched = plan.of("student")[:1], [job for job in plan.of("student") if "searches" in job.parents]
    assert "probes" not in plain[0].parents
    assert "probes" in searched[0].parents
    assert "probes" in plan.of("search")[0].parents


def test_the_schema_tells_editors_of_searches():
    import jsonschema

    whole = schema()
    check = jsonschema.Draft202012Validator(whole)
    good = {
        "name": "x",
        "data": {"name": "digits"},
        "search": {"trials": 3},
        "students": {
            "models": "resnet8",
            "methods": [
                {"kd": {"search": "auto"}},
                {"kd": {"search": {"space": {"alpha": {"uniform": [0, 1]}, "recipe": {"lr": {"choice": [0.1]}}}, "trials": 3}}},
                {"mgd": {"search": {"space": {"knobs": {"beta": {"uniform": [0, 1]}}}}}},
            ],
        },
    }
    check.validate(good)
    for wrong in ("always", {"trials": 0}, {"space": {"alhpa": {"uniform": [0, 1]}}}, {"space": {"alpha": {"uniform": [0]}}}):
        bad = {**good, "students": {"models": "resnet8", "methods": [{"kd": {"search": wrong}}]}}
        assert not check.is_valid(bad), wrong
