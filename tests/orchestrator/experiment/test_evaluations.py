"""The section of evaluations: how it is written, what is refused, and what of it is in which key."""

from __future__ import annotations

from pathlib import Path

import jsonschema
import pytest

from kd_core.data.table import DataConfig
from kd_core.evaluation.calibration import Calibration
from kd_core.evaluation.robustness import Robustness
from kd_core.evaluation.transfer import Transfer
from orchestrator.experiment.load import load
from orchestrator.experiment.schema import schema
from orchestrator.experiment.spec import EvaluationSpec
from orchestrator.experiment.yaml_lines import read_file
from orchestrator.planning.plan import make
from tests.support.wrong_files import STUDENTS, Wrong, check

HEAD = STUDENTS + "    [none, kd]\n"  # lines 1 to 7


@pytest.fixture
def spec(tmp_path: Path):
    def read(section: str, *overrides: str):
        file = tmp_path / "x.yaml"
        file.write_text(HEAD + section)
        jsonschema.validate(read_file(str(file)).data, schema())
        return load(file, overrides)

    return read


def test_the_ways_to_write_it(spec):
    found = spec("evaluations:\n  transfer: {data: {name: digits}, C: 2}\n  calibration:\n  robustness: {strengths: [1]}\n")
    assert found.evaluations == (
        EvaluationSpec("calibration", Calibration.Config()),
        EvaluationSpec("robustness", Robustness.Config(strengths=(1.0,))),
        EvaluationSpec("transfer", Transfer.Config(data=DataConfig("digits"), C=2.0)),
    )
    assert not found.best_test
    assert spec("evaluations: {calibration: true}\n").evaluations == (EvaluationSpec("calibration", Calibration.Config()),)
    assert spec("evaluations: {calibration: false}\n").evaluations == spec("").evaluations == ()
    assert spec("evaluations: {best_test: true}\n").best_test


WRONG: Wrong = {
    "misspelt": (
        HEAD + "evaluations:\n  calibratoin: {bins: 15}\n  robustness: {strength: [0.1]}\n",
        [
            ":9: evaluations.calibratoin: no such field; did you mean 'calibration'?",
            ":10: evaluations.robustness.strength: no such field; did you mean 'strengths'?",
        ],
    ),
    "out of bounds": (
        HEAD + "evaluations:\n  calibration: {bins: 0}\n  robustness:\n    strengths: [0.1, 2]\n  best_test: 3\n",
        [
            ":9: evaluations.calibration.bins: must be >= 1, but got 0",
            ":11: evaluations.robustness.strengths[1]: must be <= 1, but got 2",
            ":12: evaluations.best_test: must be true or false, but got 3",
        ],
    ),
    "neither on nor off": (
        HEAD + "evaluations:\n  calibration: yes please\n",
        [":9: evaluations.calibration: must be a section of `field: value` lines, but got 'yes please'"],
    ),
    "other channels": (
        HEAD + "evaluations:\n  transfer:\n    data:\n      name: cifar10\n",
        [
            ":11: evaluations.transfer.data.name: cifar10 has images of 3 channels, but the students are made for those of "
            "digits, of 1 channel"
        ],
    ),
    "other channels by default": (
        HEAD + "evaluations:\n  transfer:\n",
        [":9: evaluations.transfer: cifar100 has images of 3 channels"],
    ),
    "a split that cannot be": (
        HEAD + "evaluations:\n  transfer:\n    data: {name: digits, validation: 0.004}\n",
        [":10: evaluations.transfer.data.validation: leaves 6 validation images for the 10 classes of digits"],
    ),
    "images too small for a student": (
        "name: x\ndata: {name: cifar10}\nstudents: {models: mobilenet_v2, methods: none}\n"
        "evaluations:\n  transfer: {data: {name: cifar100, size: 8}}\n",
        [":5: evaluations.transfer.data.name: mobilenet_v2 takes images from 16×16 on, but those of cifar100 are 8×8"],
    ),
}


@pytest.mark.parametrize(("text", "expected"), WRONG.values(), ids=WRONG)
def test_wrong(text, expected, tmp_path):
    check(text, expected, tmp_path)


ALL = "evaluations: {calibration: , robustness: , transfer: {data: {name: digits}}}\n"


def asked(plan, name):
    return [job.key for job in plan.of("evaluation") if job.config["evaluation"] == name]


def test_a_job_for_every_student_and_evaluation(spec):
    plan, without = make(spec(ALL)), make(spec(""))
    students = plan.of("student")
    assert [job.key for job in students] == [job.key for job in without.of("student")]
    assert [(job.title, job.parents) for job in plan.of("evaluation")] == [
        (f"{name} of {student.title}", {"students": [student.key]})
        for student in students
        for name in ("calibration", "robustness", "transfer")
    ]
    assert {job.labels["method"] for job in plan.of("evaluation")} == {"none", "kd"}
    assert plan.needed(job.key for job in plan if job.kind != "evaluation") == plan.of("evaluation")  # wanted for themselves


@pytest.mark.parametrize(
    ("override", "changed"),
    [
        ("evaluations.calibration={bins: 10}", {"calibration"}),
        ("evaluations.calibration={bins: 15}", set()),  # the default, written out
        ("evaluations.robustness={strengths: [0.1]}", {"robustness"}),
        ("evaluations.transfer.C=2", {"transfer"}),
        ("evaluations.transfer.data.train_size=100", {"transfer"}),
        ("evaluations.transfer.data.padding=1", set()),
        ("students.recipe.lr=0.1", {"calibration", "robustness", "transfer"}),
        ("data.root=/mnt/data", set()),
    ],
)
def test_what_is_in_the_key_of_an_evaluation(spec, override, changed):
    before, after = make(spec(ALL)), make(spec(ALL, override))
    names = ("calibration", "robustness", "transfer")
    assert {name for name in names if set(asked(before, name)).isdisjoint(asked(after, name))} == changed
    assert {name for name in names if asked(before, name) == asked(after, name)} == set(names) - changed


def test_an_evaluations_version_is_in_its_key(spec, monkeypatch):
    before = make(spec(ALL))
    monkeypatch.setattr(Calibration, "version", Calibration.version + 1)
    after = make(spec(ALL))
    assert set(asked(before, "calibration")).isdisjoint(asked(after, "calibration"))
    assert asked(before, "robustness") == asked(after, "robustness")


def test_the_best_test_accuracy_is_in_the_keys_of_students_alone_and_only_where_it_is_asked_for(spec):
    before, off, on = (
        make(spec(text)) for text in ("", "evaluations: {best_test: false}\n", "evaluations: {best_test: true}\n")
    )
    assert list(before.jobs) == list(off.jobs)
    others = [[job.key for job in plan if job.kind != "student"] for plan in (before, on)]
    assert others[0] == others[1]
    assert {job.key for job in before.of("student")}.isdisjoint(job.key for job in on.of("student"))
