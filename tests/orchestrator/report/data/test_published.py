"""Which cells of an experiment repeat a published row, and what the report shows of them."""

from __future__ import annotations

import re

import pytest

from kd_core.published.ledger import ledger
from orchestrator.experiment.load import load
from orchestrator.planning.plan import make
from orchestrator.report.data.published import counterparts
from orchestrator.report.data.reading import Reading
from orchestrator.report.text.document import document
from orchestrator.report.text.render import render
from orchestrator.store.store import Store
from tests.support.paths import ROOT
from tests.support.report_world import commit

YAML = """\
name: row
store: {store}
data: {{name: cifar100, validation: 0}}
teachers: {{models: [resnet32x4, vgg13]}}
students:
  models: resnet8x4
  seeds: [0, 1]
  methods:
    - none
    - kd: {{teachers: resnet32x4-s0}}
    - kd: {{teachers: resnet32x4-s0, temperature: 2, label: cooler}}
    - kd: {{teachers: all, label: both}}
    - logit_std: {{teachers: resnet32x4-s0}}
    - at: {{teachers: vgg13-s0}}
{more}"""


def plan_of(tmp_path, more="", **changes):
    file = tmp_path / "row.yaml"
    text = YAML.format(store=tmp_path / "store", more=more)
    for old, new in changes.items():
        text = text.replace(old, new)
    file.write_text(text)
    return make(load(file))


def named(plan):
    return [(each.row.method, each.row.teacher) for each in counterparts(plan)]


def test_a_row_is_repeated_by_the_same_data_recipe_and_knobs(tmp_path):
    """Not by another temperature, nor by two teachers; and of vgg13 and resnet8x4 nothing was published."""
    assert named(plan_of(tmp_path)) == [("none", ""), ("kd", "resnet32x4"), ("logit_std/kd", "resnet32x4")]


@pytest.mark.parametrize(
    "other",
    [
        {"validation: 0": "validation: 0.1"},
        {"validation: 0}}": "validation: 0, label_noise: 0.1}}"},
        {"cifar100": "cifar10"},
    ],
)
def test_other_data_repeat_nothing(tmp_path, other):
    assert named(plan_of(tmp_path, **{old.replace("}}", "}"): new.replace("}}", "}") for old, new in other.items()})) == []


def test_another_recipe_repeats_nothing(tmp_path):
    assert named(plan_of(tmp_path, more="  recipe: {nesterov: true}\n")) == []
    assert named(plan_of(tmp_path, more="  recipe: {epochs: 239}\n")) == []


def test_a_student_of_another_teacher_recipe_repeats_only_plain_training(tmp_path):
    changed = {"[resnet32x4, vgg13]}": "[resnet32x4, vgg13], recipe: {epochs: 100}}"}
    assert named(plan_of(tmp_path, **changed)) == [("none", "")]


def test_the_report_shows_them_side_by_side(tmp_path):
    plan = plan_of(tmp_path)
    store = Store(tmp_path / "store")
    for job in plan.of("student"):
        if job.config["method"]["name"] == "none":
            commit(store, job, 0.735 + 0.01 * job.config["seed"])  # its last epoch is a point below
    text = render(Reading(plan, store), "md")
    table = text[text.index("## Published") :]
    assert "| resnet8x4 | – | none | 72.50 | 73.00 ± 0.71 | +0.50 | yes |" in table
    assert "| resnet8x4 | resnet32x4 | kd ← resnet32x4-s0 | 73.33 | not run | – | – |" in table
    assert "Ours is the last epoch" in table
    assert re.search(r"- \[1\] Zheng & Yang 2024", table.replace("\\", ""))


def test_an_experiment_that_repeats_nothing_has_no_such_table(tmp_path):
    plan = plan_of(tmp_path, **{"validation: 0": "validation: 0.1"})
    found = document(Reading(plan, Store(tmp_path / "store")))
    assert "Published" not in [table.title for table in found.tables]


def test_the_shipped_experiment_runs_every_published_row_of_its_pairs():
    """And its header quotes them."""
    file = ROOT / "experiments" / "cifar100_single.yaml"
    found = {(each.row.teacher, each.row.student, each.row.method) for each in counterparts(make(load(file)))}
    methods = ["none", "kd", "fitnet", "at", "sp", "cc", "vid", "rkd", "pkt", "ab", "ft", "fsp", "nst", "crd", "dist", "dkd"]
    header = re.findall(r"^#\s+(\w+) → (\w+)\s+([\d.]+)\s+([\d.]+)\s+([\d.]+)\s+([\d.]+)$", file.read_text(), re.MULTILINE)
    assert len(header) == 9
    by_name = {(row.teacher, row.student, row.method): row.top1 for row in ledger()}
    for teacher, student, *quoted in header:
        keys = [("" if method == "none" else teacher, student, method) for method in methods]
        assert {key for key in keys if key in by_name} <= found
        assert [by_name[keys[methods.index(name)]] for name in ("none", "kd", "crd", "dkd")] == list(map(float, quoted))


def test_every_published_row_of_mgd_is_run():
    """And the header quotes them."""
    file = ROOT / "experiments" / "cifar100_mgd.yaml"
    found = {each.row for each in counterparts(make(load(file)))}
    rows = {row for row in ledger() if row.protocol == "mgd"}
    assert rows <= found
    quoted = re.findall(r"^# +(\w+) +(\w+) → (\w+) +[\d.]+ → ([\d.]+) / ([\d.]+)$", file.read_text(), re.MULTILINE)
    assert len(quoted) == 6
    by_name = {(row.teacher, row.student, row.method): row.top1 for row in rows}
    for base, teacher, student, *numbers in quoted:
        of = [by_name[teacher, student, f"mgd/{base.lower()}/{scheme}"] for scheme in ("granularity", "stable")]
        assert of == list(map(float, numbers))
