"""An experiment on all training images, as published tables have it: the last epoch is the result, and every table says so."""

from __future__ import annotations

import csv
import io

import pytest

from orchestrator.driver import run
from orchestrator.report.data.reading import Reading
from orchestrator.report.figures.charts import charts
from orchestrator.report.text.render import render
from orchestrator.report.text.terminal import terminal
from orchestrator.store.artifacts import HISTORY, PROBES
from orchestrator.tracking.job_record import record_of

YAML = """\
name: whole
store: {store}
data: {{name: digits, validation: 0}}
probes: {{data: train_holdout}}
analysis: {{epochs: 1}}
teachers: {{models: [resnet8, wrn_16_1], recipe: {{epochs: 1}}}}
students:
  models: resnet8
  methods: [none, gpac, {{mgd: {{base: kd}}}}]
  recipe: {{epochs: 2}}
evaluations:
  transfer: {{data: {{name: digits, train_size: 100, validation: 0}}}}
tracking: {{enabled: false}}
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    file = folder / "whole.yaml"
    file.write_text(YAML.format(store=folder / "store"))
    return run(file, executor="inline")


def test_all_images_are_trained_on_and_the_last_epoch_is_the_result(finished):
    for row in finished.results.to_pylist():
        assert (row["status"], row["validated"], row["chosen_epoch"]) == ("done", False, 2)
        assert row["test_accuracy"] == row["test_accuracy_last"]
        assert row["validation_accuracy"] is None
    job = finished.plan.of("student")[0]
    names = set(HISTORY.read(finished.store.entry("student", job.key))["name"].to_pylist())
    assert not [name for name in names if "validation" in name]


def test_probes_are_judged_on_images_held_out_of_them_alone(finished):
    for job in finished.plan.of("probe"):
        table = PROBES.read(finished.store.entry("probe", job.key))
        assert set(table["split"].to_pylist()) == {"train", "holdout"}
    listened = next(job for job in finished.plan.of("student") if job.config["method"]["name"] == "gpac")
    assert listened.parents["probes"]


def test_every_table_says_which_epoch_it_is(finished):
    reading = Reading(finished.plan, finished.store)
    for format in ("md", "tex", "html"):
        text = render(reading, format)
        assert "test (last epoch)" in text
        assert "test is read at the last epoch" in text
        assert "epoch chosen on the validation split" not in text
        assert "their teachers have seen" in text
    assert {row["validated"] for row in csv.DictReader(io.StringIO(render(reading, "csv")))} == {"False"}
    assert "test (last epoch)" in terminal(reading)
    titles = {chart.title: chart.caption for chart in charts(reading)}
    assert titles["Learning curves"].startswith("Training accuracy")
    assert titles["Accuracy by method"].startswith("Test accuracy at the last epoch")


def test_mlflow_is_to_hold_it(finished):
    for kind in ("teacher", "student", "probe", "analysis", "evaluation"):
        record = record_of(finished.plan.of(kind)[0], finished.store, running=False)
        assert record is not None
        names = {point.name for point in record.results()}
        assert not [name for name in names if "validation" in name]
