"""A protocol fills what a file leaves out: data, recipes by model, knobs by pair. What the file says stays."""

from __future__ import annotations

import pytest

from kd_core.recipe import Recipe
from orchestrator.experiment.load import load
from orchestrator.experiment.problems import SpecError
from orchestrator.planning.plan import make
from orchestrator.report.data.published import counterparts
from tests.support.wrong_files import check

TEXT = """\
name: repeated
protocol: repdistiller
data: {name: cifar100DATA}
teachers:
  - models: [resnet32x4, vgg13]
  - models: shufflenet_v2
    recipe: {epochs: 100}
students:
  models: [resnet8x4, shufflenet_v2]
  methods:
    - none
    - kd: {teachers: resnet32x4-s0}
    - dkd: {teachers: resnet32x4-s0}
    - logit_std: {teachers: resnet32x4-s0}
MORE"""


def spec_of(tmp_path, data="", more="", *assignments):
    file = tmp_path / "repeated.yaml"
    file.write_text(TEXT.replace("DATA", data).replace("MORE", more))
    return load(file, assignments)


def recipes(spec):
    return {student.model: student.recipe for student in spec.students}


def test_data_and_recipes_are_the_literatures_by_model(tmp_path):
    spec = spec_of(tmp_path)
    assert spec.protocol == "repdistiller"
    assert spec.data.validation == 0
    assert recipes(spec) == {"resnet8x4": Recipe(), "shufflenet_v2": Recipe(lr=0.01)}
    of_teachers = {teacher.model: teacher.recipe for teacher in spec.teachers}
    assert of_teachers == {
        "resnet32x4": Recipe(),
        "vgg13": Recipe(),
        "shufflenet_v2": Recipe(epochs=100, lr=0.01),  # what its group does not write
    }


def test_what_the_file_says_stays(tmp_path):
    spec = spec_of(tmp_path, ", validation: 0.1", "  recipe: {lr: [0.05, 0.2], nesterov: true}\n")
    assert spec.data.validation == 0.1
    found = {(student.model, student.recipe.lr) for student in spec.students}
    assert found == {(model, lr) for model in ("resnet8x4", "shufflenet_v2") for lr in (0.05, 0.2)}
    assert all(student.recipe.nesterov for student in spec.students)


def test_so_does_what_the_command_line_says(tmp_path):
    spec = spec_of(tmp_path, "", "", "data.validation=0.2", "students.recipe.lr=0.3", "students.methods.2.dkd.beta=5")
    assert spec.data.validation == 0.2
    assert {recipe.lr for recipe in recipes(spec).values()} == {0.3}
    assert {student.method.config.beta for student in spec.students if student.method.name == "dkd"} == {5.0}


def test_knobs_are_those_of_the_pair(tmp_path):
    file = tmp_path / "pairs.yaml"
    file.write_text(
        "name: pairs\nprotocol: repdistiller\ndata: {name: cifar100}\nteachers: {models: [vgg13, resnet56]}\n"
        "students:\n  - {models: vgg8, methods: [{dkd: {teachers: vgg13-s0}}, {logit_std: {teachers: vgg13-s0}}]}\n"
        "  - {models: resnet20, methods: {dkd: {teachers: resnet56-s0}}}\n"
    )
    spec = load(file)
    found = {(student.model, student.method.name): student.method.config for student in spec.students}
    assert found["vgg8", "dkd"].beta == 6.0
    assert found["resnet20", "dkd"].beta == 2.0
    inner = found["vgg8", "logit_std"].inner
    assert (inner.temperature, inner.alpha) == (3.0, 9.0)


def test_every_row_that_it_knows_is_the_published_one(tmp_path):
    found = {(each.row.student, each.row.method) for each in counterparts(make(spec_of(tmp_path)))}
    methods = ("none", "kd", "dkd", "logit_std/kd")
    assert found == {(model, method) for model in ("resnet8x4", "shufflenet_v2") for method in methods}


PAIR = """\
name: x
protocol: repdistiller
data: {name: cifar100}
teachers: {models: [resnet56, vgg13]}
students:
  models: vgg8
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            PAIR + "  methods:\n    - dkd: {teachers: resnet56-s0}\n    - dkd: {teachers: vgg13-s0}\n",
            [":8: students.methods[0].dkd: dkd was tuned by pair, and for resnet56 → vgg8 its published knobs are not"],
        ),
        (
            PAIR.replace("repdistiller", "repdistill") + "  methods: none\n",
            [":2: protocol: must be 'repdistiller', 'mdistiller', 'mgd', 'mtkd' or 'imagenet', but got 'repdistill'"],
        ),
    ],
)
def test_what_it_does_not_know_is_said(tmp_path, text, expected):
    check(text, expected, tmp_path)


def test_teachers_have_a_recipe_of_their_own_where_the_protocol_has(tmp_path):
    file = tmp_path / "several.yaml"
    file.write_text(PAIR.replace("repdistiller", "mtkd") + "  methods: [ca_mkd]\n")
    spec = load(file)
    assert {teacher.recipe for teacher in spec.teachers} == {Recipe()}
    assert {student.recipe for student in spec.students} == {Recipe(nesterov=True)}


def test_what_all_pairs_share_comes_beside_what_is_written(tmp_path):
    file = tmp_path / "photographs.yaml"
    file.write_text(
        "name: x\nprotocol: imagenet\ndata: {name: imagenet}\n"
        "teachers:\n  - {models: [torchvision:resnet34, torchvision:resnet50]}\n"
        "students:\n  models: torchvision:resnet18\n  methods:\n    - kd: {teachers: each}\n"
        "    - dkd: {teachers: 'torchvision:resnet34-s0'}\n    - dkd: {teachers: 'torchvision:resnet50-s0', beta: 3}\n"
        "    - crd: {teachers: 'torchvision:resnet34-s0'}\n"
    )
    spec = load(file)
    found = [student.method.config for student in spec.students]
    assert [(config.ce, config.temperature) for config in found[:2]] == [(0.5, 1.0)] * 2
    assert [(config.beta, config.temperature, config.warmup) for config in found[2:4]] == [(0.5, 1.0, 1), (3.0, 1.0, 1)]
    assert (spec.data.crop, spec.data.validation, spec.data.kept) == ("resized", 0, 256)
    assert {(one.method.name, one.recipe.batch_size, one.recipe.lr) for one in spec.students} == {
        ("kd", 512, 0.2),
        ("dkd", 512, 0.2),
        ("crd", 256, 0.1),
    }


def test_rows_of_mgd_are_met_by_its_scheme(tmp_path):
    file = tmp_path / "mgd.yaml"
    head = "name: x\nprotocol: mgd\ndata: {name: cifar100}\nteachers: {models: vgg13}\nstudents:\n  models: vgg8\n"
    file.write_text(
        head + "  methods:\n    - mgd: {base: at, scheme: [granularity, stable]}\n    - mgd: {base: at, gamma: 2}\n"
    )
    assert [(each.row.method, each.row.top1) for each in counterparts(make(load(file)))] == [
        ("mgd/at/granularity", 72.11),
        ("mgd/at/stable", 73.38),
    ]


def test_what_is_written_for_an_unknown_pair_is_taken(tmp_path):
    file = tmp_path / "own.yaml"
    file.write_text(PAIR + "  methods:\n    - dkd: {teachers: resnet56-s0, beta: 3}\n    - aver\n")
    spec = load(file)
    assert [student.method.config.beta for student in spec.students if student.method.name == "dkd"] == [3.0]


def test_mistakes_of_the_data_are_still_told(tmp_path):
    with pytest.raises(SpecError, match="no such field"):
        spec_of(tmp_path, ", validaton: 0.1")
    head, teachers, folder = "name: x\nprotocol: repdistiller\n", "teachers: {models: vgg8}\n", tmp_path / "apart"
    folder.mkdir()
    check(head + "data: [1]\n" + teachers, [":3: data: must be a section"], folder)
    check(head + "data: {name: [1]}\n" + teachers, [":3: data.name: must be "], folder)
    check(head.replace("repdistiller", "[a]") + "data: {name: digits}\n" + teachers, [":2: protocol: must be "], folder)
