"""The grid that a file multiplies out to, and what loading it may not do."""

from __future__ import annotations

import json
import math
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kd_core.knobs import Knobs
from kd_core.methods.aver import AVER
from kd_core.methods.gpac import GPAC
from kd_core.methods.kd import KD
from kd_core.methods.table import METHODS
from kd_core.probes.config import ProbeConfig
from kd_core.recipe import Recipe
from orchestrator.experiment.load import load
from orchestrator.experiment.methods import MethodSection
from orchestrator.experiment.spec import Allocation, Spec, TeacherAllocation
from orchestrator.experiment.yaml_lines import read_file
from tests.support.paths import EXPERIMENTS, ROOT

FULL = """\
name: digits
store: shared/store
data: {name: digits, validation: 0.15, train_size: 400, root: /data, download: true}
teachers:
  - models: [resnet20, wrn_16_2]
    recipe: &short {epochs: 20, lr: 5e-2}
  - {models: resnet20, seeds: [0, 7], label: long, recipe: {<<: *short, epochs: 40}}
probes: {C: 2}
students:
  - models: [resnet8, resnet14]
    seeds: [0, 1, 2]
    methods:
      - none
      - kd: {temperature: [2, 4]}
      - aver
      - at: {teachers: each}
      - gpac: {levels: [[1, 0.5], [1, 0.1]], boundaries: [0.5], label: ours}
    recipe: {epochs: 20, lr: [0.1, 0.05]}
bank: {mode: off, limit_gib: 0.5}
resources:
  teacher: {cpus: 2}
  student: {gpus: 0.25}
tracking: {uri: null}
"""


def spec_of(text: str, folder: Path, **options: Any) -> Spec:
    file = folder / "x.yaml"
    file.write_text(text)
    return load(file, **options)


def students(methods: str, folder: Path, teachers: str = "[resnet20, wrn_16_2]") -> Spec:
    text = f"name: x\ndata: {{name: digits}}\nteachers: {{models: {teachers}}}\n"
    return spec_of(text + f"students: {{models: resnet8, methods: {methods}}}\n", folder)


def test_every_section(tmp_path: Path) -> None:
    spec = spec_of(FULL, tmp_path)
    assert (spec.name, spec.file, spec.store) == ("digits", str(tmp_path / "x.yaml"), "shared/store")
    assert (spec.place.root, spec.place.download) == ("/data", True)
    assert spec.data == spec.data.resolved()
    assert (spec.data.train_size, spec.data.padding) == (400, 1)
    assert spec.probes == ProbeConfig(C=2.0)
    assert (spec.bank.mode, spec.bank.limit_gib) == ("off", 0.5)
    assert (spec.resources.teacher, spec.resources.student) == (TeacherAllocation(cpus=2), Allocation(gpus=0.25))
    assert (spec.tracking.uri, spec.tracking.experiment, spec.tracking.enabled) == (None, "digits", True)


def test_teachers_are_named_by_model_seed_and_label(tmp_path: Path) -> None:
    teachers = spec_of(FULL, tmp_path).teachers
    assert [teacher.name for teacher in teachers] == ["resnet20-s0", "wrn_16_2-s0", "resnet20-s0-long", "resnet20-s7-long"]
    assert [(teacher.model, teacher.seed) for teacher in teachers][2:] == [("resnet20", 0), ("resnet20", 7)]
    assert [teacher.recipe for teacher in teachers] == [Recipe(epochs=20, lr=0.05)] * 2 + [Recipe(epochs=40, lr=0.05)] * 2


def test_a_knob_of_the_recipe_that_is_null_goes_without_saying(tmp_path: Path) -> None:
    text = FULL[: FULL.index("students:")] + (
        "students:\n  models: [resnet8]\n  methods: none\n"
        "  recipe: {epochs: [40, 50], milestones: [null, [10, 20]], clip: [null, 1]}\n"
    )
    found = [student.cell.removeprefix("resnet8 · none · ") for student in spec_of(text, tmp_path).students]
    assert len(set(found)) == 8
    assert found[0] == "epochs=40"
    assert found[-1] == "epochs=50, milestones=[10,20], clip=1"


def test_the_grid_by_hand(tmp_path: Path) -> None:
    found = spec_of(FULL, tmp_path).students
    # 2 models × (none 1 + kd 2 temperatures + aver 1 + at 4 teachers + gpac 2 levels = 10) × 2 lr × 3 seeds
    assert len(found) == 2 * 10 * 2 * 3
    assert list(dict.fromkeys(student.cell for student in found))[:20] == [
        f"resnet8 · {label} · lr={lr}"
        for label in (
            "none",
            "kd(temperature=2)",
            "kd(temperature=4)",
            "aver",
            "at ← resnet20-s0",
            "at ← wrn_16_2-s0",
            "at ← resnet20-s0-long",
            "at ← resnet20-s7-long",
            "ours(levels=[1,0.5])",
            "ours(levels=[1,0.1])",
        )
        for lr in (0.1, 0.05)
    ]
    everyone = ("resnet20-s0", "wrn_16_2-s0", "resnet20-s0-long", "resnet20-s7-long")
    cells = {student.cell: student for student in found}
    assert cells["resnet8 · none · lr=0.1"].teachers == ()
    assert cells["resnet8 · kd(temperature=2) · lr=0.1"].method.config == KD.Config(temperature=2.0)
    assert cells["resnet8 · aver · lr=0.1"].method.config == AVER.Config()
    assert cells["resnet8 · aver · lr=0.1"].teachers == everyone
    assert cells["resnet14 · at ← wrn_16_2-s0 · lr=0.05"].teachers == ("wrn_16_2-s0",)
    assert cells["resnet14 · at ← wrn_16_2-s0 · lr=0.05"].recipe == Recipe(epochs=20, lr=0.05)
    ours = cells["resnet8 · ours(levels=[1,0.1]) · lr=0.1"].method
    assert (ours.name, ours.label) == ("gpac", "ours(levels=[1,0.1])")
    assert ours.config == GPAC.Config(levels=(1.0, 0.1), boundaries=(0.5,))
    assert [student.seed for student in found if student.cell == "resnet14 · aver · lr=0.1"] == [0, 1, 2]


def test_labels_name_what_differs_between_entries_too(tmp_path: Path) -> None:
    spec = students("[kd, kd: {temperature: 2}, kd: {temperature: 2, alpha: 1}, at]", tmp_path)
    assert [student.method.label for student in spec.students] == [
        "kd(alpha=0.9, temperature=4)",
        "kd(alpha=0.9, temperature=2)",
        "kd(alpha=1, temperature=2)",
        "at",
    ]


def test_labels_of_a_wrapper_name_the_knobs_of_its_base(tmp_path: Path) -> None:
    spec = students("[logit_std: {base: [kd, dist]}, logit_std: {base: dist, knobs: {beta: 3}}]", tmp_path)
    assert [student.method.label for student in spec.students] == [
        "logit_std(base=kd)",
        "logit_std(base=dist, knobs.beta=2)",
        "logit_std(base=dist, knobs.beta=3)",
    ]


def test_groups_may_share_a_cell_with_other_seeds(tmp_path: Path) -> None:
    text = "name: x\ndata: {name: digits}\nstudents:\n"
    text += "- {models: resnet8, methods: none}\n- {models: resnet8, methods: none, seeds: [1, 2]}\n"
    found = spec_of(text, tmp_path).students
    assert [(student.cell, student.seed) for student in found] == [("resnet8 · none", seed) for seed in (0, 1, 2)]


def test_teachers_of_a_method(tmp_path: Path) -> None:
    spec = students("[kd, kd: {teachers: wrn_16_2-s0}, at: {teachers: [wrn_16_2-s0, resnet20-s0]}]", tmp_path)
    assert [(student.method.label, student.teachers) for student in spec.students] == [
        ("kd", ("resnet20-s0", "wrn_16_2-s0")),
        ("kd ← wrn_16_2-s0", ("wrn_16_2-s0",)),
        ("at", ("resnet20-s0", "wrn_16_2-s0")),  # in the order of the teachers, so that one set is one cell
    ]
    alone = students("[kd: {teachers: each}]", tmp_path, teachers="resnet20")
    assert [student.method.label for student in alone.students] == ["kd"]


@pytest.mark.parametrize(
    ("knobs", "expected"),
    [
        ("{tau_instruct: .inf}", GPAC.Config(tau_instruct=math.inf)),
        ("{alpha: 1}", GPAC.Config(alpha=1.0)),
        ("{epsilon: 1e-3}", GPAC.Config(epsilon=0.001)),  # YAML 1.1 would make it text
        ("{top: null}", GPAC.Config(top=None)),
        ("{levels: [2, 1, 0]}", GPAC.Config(levels=(2.0, 1.0, 0.0))),
    ],
)
def test_values(knobs: str, expected: Knobs, tmp_path: Path) -> None:
    config = students(f"[gpac: {knobs}]", tmp_path).students[0].method.config
    assert config == expected
    assert type(config.alpha) is float  # type: ignore[attr-defined]


def test_probes_are_on_unless_switched_off(tmp_path: Path) -> None:
    text = "name: x\ndata: {name: digits}\nteachers: {models: resnet20}\n"
    assert spec_of(text, tmp_path).probes == ProbeConfig()
    assert spec_of(text + "probes: true\n", tmp_path).probes == ProbeConfig()
    assert spec_of(text + "probes: false\n", tmp_path).probes is None


def test_a_method_that_does_without_probes_runs_without(tmp_path: Path) -> None:
    text = "name: x\ndata: {name: digits}\nteachers: {models: resnet20}\nprobes: false\n"
    text += "students: {models: resnet8, methods: [gpac: {top: null, tau_probe: .inf}]}\n"
    assert len(spec_of(text, tmp_path).students) == 1


@pytest.mark.parametrize("seed", range(5))
def test_the_order_of_keys_does_not_matter(seed: int, tmp_path: Path) -> None:
    spec = spec_of(FULL, tmp_path)
    data = read_file(spec.file).data
    generator = random.Random(seed)

    def shuffled(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: shuffled(value[key]) for key in generator.sample(sorted(value), len(value))}
        return [shuffled(item) for item in value] if isinstance(value, list) else value

    assert spec_of(json.dumps(shuffled(data)), tmp_path) == spec  # JSON is YAML


def test_the_store_can_be_replaced(tmp_path: Path) -> None:
    assert spec_of(FULL, tmp_path, store="s3://bucket/x").store == "s3://bucket/x"


def test_loading_is_light_and_writes_nothing(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text(FULL)
    heavy = "{'torch', 'ray', 'pyarrow', 'mlflow', 'numpy', 'pandas'}"
    code = (
        f"import sys; from orchestrator.experiment.load import load; load('x.yaml'); print(sorted({heavy} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "[]\n", "")
    assert [path.name for path in tmp_path.iterdir()] == ["x.yaml"]


@pytest.mark.parametrize("name", METHODS)
def test_every_method_can_be_written(name: str, tmp_path: Path) -> None:
    assert not set(MethodSection.model_fields) & set(METHODS[name].Config.__dataclass_fields__)
    (student,) = students(name, tmp_path).students
    assert student.method.config == METHODS[name].Config()


@pytest.mark.parametrize("file", EXPERIMENTS, ids=lambda file: file.stem)
def test_the_experiments_load(file: Path) -> None:
    assert load(file).teachers


def test_the_teachers_of_a_group_are_those_of_its_methods_that_name_none(tmp_path: Path) -> None:
    text = (
        "name: x\ndata: {name: digits}\nteachers: {models: [resnet20, wrn_16_2]}\nstudents:\n"
        "  - {models: resnet8, teachers: wrn_16_2-s0, methods: [none, kd, at: {teachers: all}, sp: {teachers: each}]}\n"
        "  - {models: resnet8, seeds: 1, methods: [kd]}\n"
    )
    spec = spec_of(text, tmp_path)
    every = tuple(teacher.name for teacher in spec.teachers)
    assert [(one.method.name, one.teachers) for one in spec.students] == [
        ("none", ()),
        ("kd", ("wrn_16_2-s0",)),
        ("at", every),
        *(("sp", (name,)) for name in every),
        ("kd", every),  # the group before it says nothing of this one
    ]
