from dataclasses import replace

import pyarrow as pa
import pytest

from kd_core.recipe import Recipe
from orchestrator.jobs import canonical
from orchestrator.report.data.reading import Reading
from orchestrator.report.data.results import history, probes, results, teachers
from orchestrator.store.artifacts import PREDICTIONS
from tests.support.least import least
from tests.support.report_world import LAYERS, RESULTS, TEACHERS, a_plan, a_store, commit, the_student
from tests.support.world import begin, remove_entry, tamper, the


def test_settings_are_told_apart_also_by_a_knob_that_came_later(tmp_path):
    plain = a_plan({"none": (0.9,)})
    [job] = plain.of("student")
    other = replace(job, config=job.config | {"recipe": canonical.plain(Recipe(epochs=4, label_smoothing=0.1))})
    plan = replace(plain, jobs=plain.jobs | {other.key: other})
    rows = results(Reading(plan, a_store(tmp_path, plain))).to_pylist()
    assert [row["setting"] for row in rows] == ["resnet8 (label_smoothing=0)", "resnet8 (label_smoothing=0.1)"]


def test_a_row_for_every_student(tmp_path):
    plan = a_plan()
    rows = results(Reading(plan, a_store(tmp_path, plan))).to_pylist()
    assert [row["key"] for row in rows] == [job.key for job in plan.of("student")]
    assert [row["test_accuracy"] for row in rows] == [value for values in RESULTS.values() for value in values]
    [row] = [row for row in rows if (row["method"], row["seed"]) == ("gpac", 1)]
    assert row == {
        "key": row["key"],
        "cell": "resnet8-gpac-4",
        "student": "resnet8",
        "setting": "resnet8",
        "method": "gpac",
        "algorithm": "gpac",
        "teachers": list(TEACHERS),
        "seed": 1,
        "validated": True,
        "status": "done",
        "reason": "",
        "epochs": 4,
        "chosen_epoch": 3,
        "validation_accuracy": pytest.approx(0.97),
        "validation_accuracy_last": 0.96,
        "test_accuracy": 0.96,
        "test_accuracy_last": pytest.approx(0.95),
        "test_accuracy_best": None,
        "test_loss": 0.3,
        "parameters": 278_324,
        "multiplications": None,
        "seconds": 21.0,
        **dict.fromkeys(("test_brier", "test_top5", "peak_memory", "device_seconds", "agreement")),  # of entries from before
    }


def test_what_a_row_cost_and_how_often_it_agrees_with_its_teachers(tmp_path):
    plan = a_plan({"kd": (0.9,)})
    store = a_store(tmp_path, plan, {"kd": (None,)})
    [student] = plan.of("student")
    said = {"resnet20-s0": [0, 1, 2, 3], "resnet32-s0": [0, 1, 0, 0], "wrn_16_2-s0": [1, 1, 1, 1]}
    for job in plan.of("teacher"):
        remove_entry(store, job)
        predict(store, job, said[job.title])
    predict(store, student, [0, 1, 2, 0], {"gpus": 0.5, "cpus": 4, "workers": 1, "peak_memory": 123})
    [row] = results(Reading(plan, store)).to_pylist()
    assert row["agreement"] == pytest.approx((3 / 4 + 3 / 4 + 1 / 4) / 3)
    assert (row["device_seconds"], row["peak_memory"]) == (5.0, 123)


def predict(store, job, classes, resources=None):
    attempt = store.begin(job)
    table = pa.table({"predicted": classes, "label": [0] * len(classes)}, PREDICTIONS.schema)
    PREDICTIONS.write(table, attempt.path)
    attempt.commit(least(job.kind), 10.0, resources)


def test_what_is_not_done_has_a_row_and_a_reason(tmp_path):
    values = {"none": (None, None, None, 0.9), "gpac": (None,)}
    plan = a_plan(values)
    store = a_store(tmp_path, plan, values)
    store.fail(the_student(plan, "none", 0), {"reason": "the loss diverged in epoch 2: ce = nan"})
    begin(store, the_student(plan, "none", 1), 3)
    tamper(store, the_student(plan, "none", 3))
    teacher = the(plan, "wrn_16_2-s0")
    remove_entry(store, teacher)
    store.fail(teacher, {"reason": "no space left on device"})
    rows = results(Reading(plan, store)).to_pylist()
    assert [(row["status"], row["reason"]) for row in rows] == [
        ("failed", "the loss diverged in epoch 2: ce = nan"),
        ("missing", "at epoch 3 of 4"),
        ("missing", "not run yet"),
        ("missing", f"its entry in the store is corrupt (student/{rows[3]['key']}: model.safetensors has 6 bytes, not 7)"),
        ("missing", "wrn_16_2-s0 failed: no space left on device"),
    ]
    assert {row["test_accuracy"] for row in rows} == {None}


def test_students_of_one_model_are_told_apart_by_what_differs_in_their_recipes(tmp_path):
    plan = a_plan({"none": (0.9,)}, epochs=(4, 8))
    rows = results(Reading(plan, a_store(tmp_path, plan, {"none": (0.9,)}))).to_pylist()
    assert [row["setting"] for row in rows] == ["resnet8 (epochs=4)", "resnet8 (epochs=8)"]


def test_teachers(tmp_path):
    plan = a_plan()
    rows = teachers(Reading(plan, a_store(tmp_path, plan))).to_pylist()
    assert {row["teacher"]: row["test_accuracy"] for row in rows} == TEACHERS
    assert [row["model"] for row in rows] == ["resnet20", "resnet32", "wrn_16_2"]


def test_probes_are_one_table_with_the_names_of_the_teachers(tmp_path):
    plan = a_plan()
    store = a_store(tmp_path, plan)
    table = probes(Reading(plan, store))
    assert table.num_rows == len(TEACHERS) * len(LAYERS) * 2
    assert {(row["name"], row["teacher"]) for row in table.to_pylist()} == {(job.title, job.key) for job in plan.of("teacher")}


def test_an_empty_store_gives_tables_with_the_same_columns(tmp_path):
    plan = a_plan()
    full, empty = a_store(tmp_path / "full", plan), a_store(tmp_path / "empty", a_plan({}), {})
    (empty.root / "probe").rename(tmp_path / "gone")
    assert probes(Reading(plan, empty)).num_rows == 0
    for table in (results, teachers, probes):
        assert table(Reading(plan, empty)).schema == table(Reading(plan, full)).schema


def test_history_holds_the_asked_curves_of_what_is_done(tmp_path):
    plan = a_plan({"gpac": (0.9, None)})
    done, missing = plan.of("student")
    store = a_store(tmp_path, plan, {"gpac": (None, None)})
    commit(store, done, 0.9)
    rows = history(Reading(plan, store), [done, missing], {"weight/teacher2"}).to_pylist()
    assert rows == [{"key": done.key, "epoch": epoch, "name": "weight/teacher2", "value": 0.5} for epoch in (1, 2, 3, 4)]
