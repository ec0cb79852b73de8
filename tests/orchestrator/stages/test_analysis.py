"""The self-analysing stage, inline on digits: made once, used by every student that asks, resumed to the same bits."""

from __future__ import annotations

import pytest
import torch

from orchestrator.driver import run
from orchestrator.report.data.probe_grid import selections
from orchestrator.stages.analysis import analysed
from orchestrator.stages.runner import Runtime, run_job
from orchestrator.store.arrow import read_table
from orchestrator.store.artifacts import ANALYSER
from orchestrator.store.errors import CorruptEntry
from orchestrator.store.store import Store
from orchestrator.tracking.job_record import record_of
from orchestrator.tracking.record import Status

YAML = """\
name: granular
store: {store}
data: {{name: digits, train_size: 100}}
teachers:
  models: [resnet8, wrn_16_1]
  recipe: {{epochs: 2, batch_size: 32}}
analysis: {{epochs: 4, batch_size: 32, codes: [8, 16]}}
students:
  models: [resnet8]
  methods: [mgd, mgd: {{base: at, scheme: stable}}, mgd: {{base: gpac, label: over gpac}}, mgd: {{base: fitnet, label: live}}]
  recipe: {{epochs: 1, batch_size: 32}}
bank: {{mode: on}}
tracking: {{enabled: false}}
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("granular")
    file = folder / "granular.yaml"
    file.write_text(YAML.format(store=folder / "store"))
    return file, run(file, executor="inline")


def analyses(outcome):
    return [outcome.store.entry("analysis", job.key) for job in outcome.plan.of("analysis")]


def test_one_for_each_teacher_and_all_students_are_done(finished):
    _, outcome = finished
    assert not outcome.failed
    # teachers, probes and analyses of two; banks of logits, embedding and attention; students
    assert outcome.computed == len(outcome.plan) == 2 + 2 + 2 + 3 * 2 + 4
    assert [row["status"] for row in outcome.results.to_pylist()] == ["done"] * 4
    for entry in analyses(outcome):
        assert set(entry.manifest["files"]) == {ANALYSER.name, "history.arrow"}
        assert entry.results["epochs"] == 4
        history = read_table(entry.file("history.arrow")).to_pylist()
        last = {row["name"]: row["value"] for row in history if row["epoch"] == 4}
        assert entry.results["validation_accuracy_granularity1"] == last["validation/accuracy/granularity1"]
        losses = {row["epoch"]: row["value"] for row in history if row["name"] == "loss"}
        assert losses[4] < losses[1]


def test_students_report_a_term_for_every_granularity(finished):
    _, outcome = finished
    told = {}
    for job in outcome.plan.of("student"):
        rows = read_table(outcome.store.entry("student", job.key).file("history.arrow")).to_pylist()
        told[job.labels["method"]] = {row["name"].removeprefix("loss/") for row in rows if row["name"].startswith("loss/")}
    granular = {"ce", "kl", "granularity0", "granularity1"}
    extras = [set(), {"attention"}, {"instruct", "attention"}, {"hint"}]
    assert list(told.values()) == [granular | more for more in extras]


def test_what_gpac_selects_as_a_base_is_told(finished):
    _, outcome = finished
    [found] = selections(outcome.reading)
    assert (found.students, found.methods, found.teachers) == (("resnet8",), ("over gpac",), ("resnet8-s0", "wrn_16_1-s0"))


def test_again_does_nothing_and_a_lost_analysis_is_made_again_with_the_same_bits(finished):
    file, outcome = finished
    [first, _] = analyses(outcome)
    before = first.manifest["files"][ANALYSER.name]["sha256"]
    outcome.store.backend.remove_tree(first.folder)
    again = run(file, executor="inline")
    assert again.computed == 1
    assert analyses(again)[0].manifest["files"][ANALYSER.name]["sha256"] == before
    assert run(file, executor="inline").computed == 0


def test_killed_after_an_epoch_it_goes_on_to_the_same_bits(finished, tmp_path):
    _, outcome = finished
    job = outcome.plan.of("analysis")[0]
    store = Store(tmp_path)
    store.prepare()
    (store.root / "teacher").symlink_to(outcome.store.root / "teacher")
    runtime = Runtime(tmp_path)

    def kill(progress):
        if progress.get("epoch") == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_job(job, runtime, kill)
    stopped = record_of(job, store, running=False)
    assert (stopped.status, stopped.reported, len(stopped.epochs())) == (Status.KILLED, 2, 2)
    told = []
    run_job(job, runtime, told.append)
    assert [progress["epoch"] for progress in told if "epoch" in progress] == [3, 4]
    files = [each.entry("analysis", job.key).manifest["files"] for each in (store, outcome.store)]
    assert files[0][ANALYSER.name] == files[1][ANALYSER.name]


def test_mlflow_is_to_hold_it(finished):
    _, outcome = finished
    job = outcome.plan.of("analysis")[1]
    record = record_of(job, outcome.store, running=False)
    assert (record.title, record.status) == ("analysis/wrn_16_1-s0", Status.FINISHED)
    assert record.tags()["kd.stage"] == "analysis"
    assert record.tags()["kd.teachers"] == "wrn_16_1-s0"
    assert record.params()["recipe.codes"] == "[8,16]"
    names = {point.name for epoch in record.epochs() for point in epoch.points}
    assert {"loss/kl/granularity0", "loss/ce/granularity1", "validation/accuracy"} <= names
    assert "validation/accuracy_chosen" in {point.name for point in record.results()}


def test_a_damaged_analyser_is_noticed_when_it_is_read(finished):
    _, outcome = finished
    key = outcome.plan.of("analysis")[0].key
    whole = analysed(outcome.store, key)
    assert not any(parameter.requires_grad for parameter in whole.parameters())
    assert whole.config.codes == (8, 16)
    codes, decoded = whole(torch.zeros(1, whole.encode.granularities[0][0].in_features))
    assert [code.shape[1] for code in codes] == [8, 16]
    assert [logits.shape[1] for logits in decoded] == [10, 10]
    file = outcome.store.entry("analysis", key).file(ANALYSER.name)
    content = file.read_bytes()
    try:
        file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        with pytest.raises(CorruptEntry, match=f"{ANALYSER.name} does not have its SHA-256"):
            analysed(outcome.store, key)
    finally:
        file.write_bytes(content)


def test_divergence_fails_it_and_blocks_who_needs_it(finished):
    file, _ = finished
    overrides = ("analysis.lr=1e30", "teachers.models=[resnet8]", "students.methods=[kd, mgd]")
    outcome = run(file, executor="inline", overrides=overrides)
    [(job, reason)] = outcome.failed
    assert job.kind == "analysis"
    assert reason.startswith("the loss diverged in epoch 1: kl/granularity0 = ")
    assert [job.labels["method"] for job in outcome.blocked] == ["mgd"]
