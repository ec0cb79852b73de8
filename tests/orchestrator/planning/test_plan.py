"""The plan: what is in a key, what is not, and what has to run."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest

from kd_core.models.table import MODELS
from orchestrator.experiment.load import load
from orchestrator.planning.plan import make

YAML = """
name: x
data: {name: digits}
teachers:
  models: [resnet8, wrn_16_1]
  seeds: [0]
  recipe: {epochs: 20}
students:
  models: [resnet8]
  seeds: [0, 1]
  methods: [none, kd, at, gpac]
  recipe: {epochs: 20}
"""


@pytest.fixture
def plan(tmp_path):
    file = tmp_path / "x.yaml"
    file.write_text(YAML)

    def make_plan(*overrides, store=None):
        return make(load(file, overrides, store))

    return make_plan


def changed(before, after):
    """The methods of the students whose keys differ."""
    pairs = zip(before.of("student"), after.of("student"), strict=True)
    return {old.labels["method"] for old, new in pairs if old.key != new.key}


def keys(plan, kind):
    return [job.key for job in plan.of(kind)]


def test_counts(plan):
    found = plan()
    # 2 teachers, a probe each; banks of logits and of attention for each; 1 model × 4 methods × 2 seeds
    assert {kind: len(found.of(kind)) for kind in ("teacher", "probe", "bank", "student")} == {
        "teacher": 2,
        "probe": 2,
        "bank": 4,
        "student": 8,
    }
    assert len({job.key for job in found}) == len(found) == 16
    assert all(len(job.key) == 64 and job.key.startswith(job.short) and len(job.short) == 16 for job in found)


def test_parents_by_need(plan):
    roles = {job.labels["method"]: sorted(job.parents) for job in plan().of("student")}
    assert roles == {
        "none": [],
        "kd": ["banks:logits", "teachers"],
        "at": ["banks:attention", "teachers"],
        "gpac": ["banks:attention", "banks:logits", "probes", "teachers"],
    }


def test_ancestors_come_first(plan):
    seen = set()
    for job in plan():
        assert set(job.ancestors) <= seen
        seen.add(job.key)


NOT_IN_ANY_KEY = [
    "name=other",
    "store=elsewhere",
    "data.root=/mnt/data",
    "data.download=true",
    "resources.teacher.cpus=2",
    "resources.student.gpus=0.25",
    "resources.max_failures=5",
    "resources.compile=true",
    "resources.deterministic=false",
    "tracking.uri=http://127.0.0.1:5000",
    "tracking.enabled=false",
    "tracking.experiment=other",
    "bank.limit_gib=3",
    "bank.shared_by=2",
    "data.memory_gib=0.5",
    "data.cache=/fast/disk",
    "data.padding=1",  # the default of digits, written out
    "data.size=8",
    "teachers.recipe.lr=0.05",  # the default of the recipe, written out
]


@pytest.mark.parametrize("override", NOT_IN_ANY_KEY)
def test_what_is_not_in_any_key(plan, override):
    assert [job.key for job in plan(override)] == [job.key for job in plan()]


def test_knobs_of_other_data_sets_are_in_no_key(plan):
    held = {name for job in plan() for name in job.config.get("data", {})}
    assert held == {"name", "validation", "split_seed", "label_noise", "padding", "flip", "size"}
    synthetic = plan("data.name=synthetic", "data.difficulty=0.25").of("teacher")[0].config["data"]
    assert (synthetic["difficulty"], synthetic["classes"]) == (0.25, 100)


@pytest.mark.parametrize(
    ("override", "teachers", "probes", "students"),
    [
        ("data.validation=0.2", True, True, True),
        ("data.split_seed=1", True, True, True),
        ("data.train_size=300", True, True, True),
        ("data.label_noise=0.1", True, True, True),
        ("data.padding=0", True, True, True),
        ("data.size=16", True, True, True),
        ("data.flip=true", True, True, True),
        ("teachers.seeds=[1]", True, True, "those that listen"),
        ("teachers.recipe.lr=0.1", True, True, "those that listen"),
        ("teachers.recipe.epochs=21", True, True, "those that listen"),
        ("teachers.recipe.precision=bf16", True, True, "those that listen"),
        ("probes.C=10", False, True, "those that ask probes"),
        ("bank.mode=off", False, False, "those that listen"),
        ("students.recipe.weight_decay=0", False, False, True),
        ("students.models=[resnet14]", False, False, True),
        ("students.seeds=[2, 3]", False, False, True),
    ],
)
def test_what_is_in_which_key(plan, override, teachers, probes, students):
    before, after = plan(), plan(override)
    assert (set(keys(before, "teacher")).isdisjoint(keys(after, "teacher"))) is teachers
    assert (set(keys(before, "probe")).isdisjoint(keys(after, "probe"))) is probes
    expected = {
        True: {"none", "kd", "at", "gpac"},
        "those that listen": {"kd", "at", "gpac"},
        "those that ask probes": {"gpac"},
    }
    assert changed(before, after) == expected[students]


def test_a_methods_knob_changes_only_its_own_students(plan):
    before, after = plan(), plan("students.methods=[none, {kd: {temperature: 2}}, at, gpac]")
    assert changed(before, after) == {"kd"}


def test_a_methods_version_is_in_its_students_keys(plan, monkeypatch):
    from kd_core.methods.kd import KD

    before = plan()
    monkeypatch.setattr(KD, "version", KD.version + 1)
    assert changed(before, plan()) == {"kd"}


MGD = "students.methods=[kd, mgd, {mgd: {base: at, scheme: stable}}, {mgd: {base: gpac}}, {mgd: {gamma: 0}}]"


def test_a_models_version_is_in_its_keys_from_the_second_on(plan, monkeypatch):
    assert "model_version" not in plan().of("teacher")[0].config
    monkeypatch.setitem(MODELS, "resnet8", replace(MODELS["resnet8"], version=2))
    teacher, other = plan().of("teacher")
    assert (teacher.config["model"], teacher.config["model_version"]) == ("resnet8", 2)
    assert "model_version" not in other.config
    assert all(student.config["model_version"] == 2 for student in plan().of("student"))


def test_analyses_are_made_once_for_all_students_that_ask_for_them(plan):
    found = plan(MGD, "bank.mode=on")  # three kinds of 9 views are more than 20 epochs
    assert plan().of("analysis") == []
    assert [(job.title, job.parents) for job in found.of("analysis")] == [
        (f"analysis of {teacher.title}", {"teachers": [teacher.key]}) for teacher in found.of("teacher")
    ]
    asking = [job for job in found.of("student") if "analyses" in job.parents]
    assert len(asking) == 3 * 2  # not kd, and not the control
    assert all(job.parents["analyses"] == keys(found, "analysis") for job in asking)
    of_gpac = asking[-1]
    assert sorted(of_gpac.parents) == [
        *("analyses", "banks:attention", "banks:embedding", "banks:logits", "probes", "teachers"),
    ]
    alone = plan("students.methods=[{mgd: {teachers: [wrn_16_1-s0]}}]")
    assert [job.title for job in alone.of("analysis")] == ["analysis of wrn_16_1-s0"]


@pytest.mark.parametrize(
    ("override", "teachers", "analyses", "students"),
    [
        ("analysis.epochs=30", False, True, True),
        ("analysis.lr=0.02", False, True, True),
        ("analysis.codes=[32, 128]", False, True, True),
        ("analysis.temperatures=[1, 4]", False, True, True),
        ("analysis.milestones=[20, 40]", False, True, True),
        ("teachers.recipe.lr=0.1", True, True, True),
        ("data.train_size=300", True, True, True),
        ("students.recipe.lr=0.1", False, False, True),
        ("bank.mode=off", False, False, True),
        ("probes.C=10", False, False, False),
        ("analysis={epochs: 60, codes: [64, 256], temperatures: [2, 8]}", False, False, False),  # the defaults, written out
        ("resources.teacher.cpus=2", False, False, False),
    ],
)
def test_what_is_in_the_key_of_an_analysis(plan, override, teachers, analyses, students):
    before, after = plan("students.methods=[none, mgd]"), plan("students.methods=[none, mgd]", override)
    for kind, changes in (("teacher", teachers), ("analysis", analyses)):
        assert set(keys(before, kind)).isdisjoint(keys(after, kind)) is changes
    asking = [{job.key for job in found.of("student") if job.labels["method"] == "mgd"} for found in (before, after)]
    assert asking[0].isdisjoint(asking[1]) is students
    if override.startswith("analysis"):
        plain = [{job.key for job in found.of("student") if job.labels["method"] == "none"} for found in (before, after)]
        assert plain[0] == plain[1]


def test_a_wrapped_methods_version_is_in_its_students_keys(plan, monkeypatch):
    from kd_core.methods.at import AT

    methods = "students.methods=[kd, {mgd: {base: at}}, {mgd: {base: kd}}, {logit_std: {base: kd}}]"
    before = plan(methods)
    monkeypatch.setattr(AT, "version", AT.version + 1)
    assert changed(before, plan(methods)) == {"mgd(base=at)"}


def test_a_second_experiment_that_names_the_same_teacher_needs_nothing_of_it(plan):
    done = {job.key for job in plan() if job.kind != "student"}
    other = plan("name=other", "students.methods=[aver]")
    needed = other.needed(done)
    assert {job.kind for job in needed} == {"student"}


SEARCHED = "{kd: {search: {space: {temperature: {uniform: [1, 8]}}}}}"
SOFTENED = f"students.methods=[kd, {{kd: {{temperature: 2}}}}, {{gpac: {{beta: 0}}}}, dkd, {SEARCHED}]"


def test_banks_of_the_largest_logits_are_of_one_temperature_and_of_methods_that_take_a_softmax(plan):
    found = plan(SOFTENED, "bank.top=5", "students.seeds=[0]", "teachers.models=[resnet8]")
    assert [job.title for job in found.of("bank")] == [
        "5 logits at temperature 4 of resnet8-s0",
        "5 logits at temperature 2 of resnet8-s0",
    ]
    assert found.of("bank")[0].config == {
        "need": "logits",
        "storage": {"precision": "fp16", "top": 5, "temperature": 4},
    }
    banked = {job.labels["method"] for job in found.of("student") if "banks:logits" in job.parents}
    assert banked == {"kd(temperature=4)", "kd(temperature=2)", "gpac"}
    assert all("banks:logits" not in job.parents for job in found.of("search"))
    whole = plan(SOFTENED, "bank.top=10", "students.seeds=[0]", "teachers.models=[resnet8]")
    assert [job.key for job in whole] == [
        job.key for job in plan(SOFTENED, "students.seeds=[0]", "teachers.models=[resnet8]")
    ], "of ten classes ten are all"


def test_needed_follows_the_missing_ones(plan):
    found = plan()
    everything = {job.key for job in found}
    assert found.needed(everything) == []
    bank = found.of("bank")[0]
    assert found.needed(everything - {bank.key}) == []  # nobody who is missing needs it
    student = next(job for job in found.of("student") if bank.key in job.ancestors)
    assert {job.key for job in found.needed(everything - {bank.key, student.key})} == {bank.key, student.key}
    teacher = found.of("teacher")[0]
    assert [job.key for job in found.needed(everything - {teacher.key})] == [teacher.key]  # teachers are wanted for themselves


def test_each_makes_a_student_per_teacher(plan):
    found = plan("students.methods=[{kd: {teachers: each}}]", "students.seeds=[0]")
    assert [job.labels["teachers"] for job in found.of("student")] == ["resnet8-s0", "wrn_16_1-s0"]


def test_without_probes_there_are_none(plan):
    found = plan("probes=false", "students.methods=[none, kd]")
    assert found.of("probe") == []


def test_planning_imports_neither_torch_nor_ray_nor_mlflow(tmp_path):
    (tmp_path / "x.yaml").write_text(YAML)
    code = (
        "import sys; from orchestrator.planning.plan import make; from orchestrator.experiment.load import load; "
        f"make(load({str(tmp_path / 'x.yaml')!r})); "
        "print([name for name in ('torch', 'ray', 'mlflow', 'pyarrow') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
