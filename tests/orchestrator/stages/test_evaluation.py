"""Evaluations as a stage, inline on digits: what is asked of a student is what was tested, and the report tells it."""

from __future__ import annotations

import csv
import io

import pytest
import torch

from orchestrator.driver import run
from orchestrator.experiment.load import load
from orchestrator.jobs.job import Job
from orchestrator.planning.estimate import Estimator
from orchestrator.planning.plan import make
from orchestrator.report.analysis.evaluations import answers
from orchestrator.report.data.reading import Reading
from orchestrator.report.data.results import EVALUATIONS, evaluations
from orchestrator.report.text.render import render
from orchestrator.report.text.terminal import terminal
from orchestrator.stages.evaluation import subject_of
from orchestrator.stages.runner import Context, Runtime
from orchestrator.store.arrow import read_table
from orchestrator.store.errors import CorruptEntry
from orchestrator.store.store import Store
from orchestrator.tracking.job_record import record_of
from orchestrator.tracking.record import Status

YAML = """\
name: asked
store: {store}
data: {{name: digits, train_size: 150}}
teachers: {{models: resnet8, recipe: {{epochs: 2, batch_size: 32}}}}
probes: false
students:
  models: resnet8
  seeds: [0, 1]
  methods: [none, simkd]
  recipe: {{epochs: 2, batch_size: 32}}
evaluations:
  calibration:
  robustness: {{strengths: [1e-9, 0.5]}}
  transfer: {{data: {{name: digits, train_size: 100}}}}
tracking: {{enabled: false}}
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("asked")
    file = folder / "asked.yaml"
    file.write_text(YAML.format(store=folder / "store"))
    return file, run(file, executor="inline")


def told(outcome, name):
    return {row["student_key"]: row["value"] for row in outcome.evaluations.to_pylist() if row["name"] == name}


def test_a_row_for_every_number_and_again_does_nothing(finished):
    file, outcome = finished
    assert not outcome.failed
    rows = outcome.evaluations.to_pylist()
    assert [(row["evaluation"], row["name"]) for row in rows] == 4 * [
        ("calibration", "ece"),
        ("calibration", "nll"),
        ("robustness", "accuracy@0.5"),
        ("robustness", "accuracy@1e-09"),
        ("transfer", "test_accuracy"),
        ("transfer", "validation_accuracy"),
    ]
    assert {row["status"] for row in rows} == {"done"}
    assert run(file, executor="inline").computed == 0


def test_without_noise_the_accuracy_is_that_of_the_test_also_where_the_method_makes_the_logits(finished):
    _, outcome = finished
    tested = {row["key"]: row["test_accuracy"] for row in outcome.results.to_pylist()}
    assert told(outcome, "accuracy@1e-09") == pytest.approx(tested, abs=1e-12)
    losses = {row["key"]: row["test_loss"] for row in outcome.results.to_pylist()}
    assert told(outcome, "nll") == pytest.approx(losses, rel=1e-5)


def test_precision_is_the_recipes(finished, tmp_path):
    file, _ = finished
    half = ["students.recipe.precision=bf16", "students.seeds=[0]", "evaluations.transfer=false"]
    outcome = run(file, executor="inline", overrides=half, store=str(tmp_path))
    losses = {row["key"]: row["test_loss"] for row in outcome.results.to_pylist()}
    assert told(outcome, "nll") == pytest.approx(losses, rel=1e-5)


def test_the_best_test_accuracy_where_it_is_asked_for(finished, tmp_path):
    file, outcome = finished
    assert "(best)" not in render(outcome.reading, "md")
    section = "evaluations={best_test: true}"
    found = run(file, executor="inline", overrides=[section, "students.methods=[none]"], store=str(tmp_path))
    before = {row["seed"]: row for row in outcome.results.to_pylist() if row["method"] == "none"}
    for row in found.results.to_pylist():
        history = read_table(found.store.entry("student", row["key"]).file("history.arrow")).to_pylist()
        watched = [moment["value"] for moment in history if moment["name"] == "test/accuracy"]
        assert row["test_accuracy_best"] == max(watched)
        assert row["test_accuracy"] == watched[row["chosen_epoch"] - 1] == before[row["seed"]]["test_accuracy"]
        assert row["test_accuracy_last"] == watched[-1]
        assert before[row["seed"]]["test_accuracy_best"] is None
    assert "test (best)" in render(found.reading, "md")


def test_the_report_tells_them_in_every_format(finished):
    _, outcome = finished
    for name in ("md", "tex", "html"):
        text = render(outcome.reading, name)
        assert all(f"Evaluation: {evaluation}" in text for evaluation in ("calibration", "robustness", "transfer"))
    assert "Evaluation: robustness" in terminal(outcome.reading)
    rows = list(csv.DictReader(io.StringIO(render(outcome.reading, "csv"))))
    assert {row["key"]: float(row["robustness/accuracy@0.5"]) for row in rows} == told(outcome, "accuracy@0.5")


def test_mlflow_is_told(finished):
    _, outcome = finished
    [job] = [job for job in outcome.plan.of("evaluation") if job.title == "robustness of resnet8 · simkd · s1"]
    record = record_of(job, outcome.store, running=False)
    assert record.status == Status.FINISHED
    assert {point.name for point in record.results()} == {"evaluation/accuracy/0.5", "evaluation/accuracy/1e-09", "seconds"}
    assert record.params()["knobs.strengths"] == "[1e-09,0.5]"
    assert record.tags().items() >= {
        ("kd.stage", "evaluation"),
        ("kd.evaluation", "robustness"),
        ("kd.student", "resnet8"),
        ("kd.method", "simkd"),
        ("kd.teachers", "resnet8-s0"),
        ("kd.seed", "1"),
    }
    assert (record.epochs(), record.files(outcome.store.root)) == ((), [])


def test_their_duration_is_estimated_by_model_and_evaluation(finished):
    file, outcome = finished
    estimator = Estimator(load(file).resources)
    estimator.learn_all(outcome.store)
    [job, *_] = outcome.plan.of("evaluation")
    assert estimator.seconds(outcome.plan, job) > 0
    other = Job("evaluation", 1, {**job.config, "evaluation": "other"}, job.parents)
    assert estimator.seconds(outcome.plan, other) is None


def test_cells_by_hand(tmp_path):
    """ECE of plain 0.2, 0.4; of simkd 0.1, 0.1 + 1e-3: differences −0.1, −0.299; mean −0.1995, half width of the interval
    12.706 · 0.1407 / √2 = 1.264."""
    file = tmp_path / "x.yaml"
    file.write_text(YAML.format(store=tmp_path / "store"))
    plan, store = make(load(file)), Store(tmp_path / "store")
    values = {"none": (0.2, 0.4), "simkd": (0.1, 0.101)}
    for job in plan.of("evaluation"):
        if job.config["evaluation"] == "calibration":
            number = values[job.labels["method"]][int(job.labels["seed"])]
            store.begin(job).commit({"ece": number}, 1.0)
    table = evaluations(Reading(plan, store))
    assert table.schema == EVALUATIONS
    assert [row["reason"] for row in table.to_pylist() if row["evaluation"] == "transfer"] == ["not run yet"] * 4
    found = answers(table)
    plain, simkd = found["calibration"]
    assert (plain.control, plain.done, plain.planned) == (True, 2, 2)
    assert plain.numbers["ece"].values.mean == pytest.approx(0.3)
    assert plain.numbers["ece"].difference is None
    difference = simkd.numbers["ece"].difference
    assert (difference.n, difference.mean) == (2, pytest.approx(-0.1995))
    assert difference.interval[1] == pytest.approx(-0.1995 + 1.264, abs=1e-3)
    assert simkd.numbers["ece"].apart == 0
    assert [(cell.done, cell.planned, cell.numbers) for cell in found["transfer"]] == [(0, 2, {})] * 2
    assert "0/2" in render(Reading(plan, store), "md")


def test_a_corrupt_student_is_told(finished):
    _, outcome = finished
    store = outcome.store
    job = next(job for job in outcome.plan.of("student") if job.labels["method"] == "simkd")
    entry = store.entry("student", job.key)
    own = entry.file("method.safetensors")
    whole = own.read_bytes()
    context = Context(Runtime(store.root), store, None, None, lambda progress: None)
    try:
        own.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        with pytest.raises(CorruptEntry, match=r"method\.safetensors"):
            subject_of(entry, context)
    finally:
        own.write_bytes(whole)
    assert torch.is_tensor(subject_of(entry, context).predict(torch.zeros(1, 1, 8, 8)))
