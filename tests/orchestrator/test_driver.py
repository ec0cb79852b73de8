"""The pipeline with the inline executor: does what is missing, keeps what is done, says what failed."""

from __future__ import annotations

import json
import shutil

import pytest

from orchestrator.driver import run
from orchestrator.planning.state import State
from orchestrator.store.arrow import read_table
from orchestrator.store.errors import StoreError
from orchestrator.store.store import Store


def go(file, *overrides, **more):
    return run(file, executor="inline", overrides=overrides, **more)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """One finished run, to be copied by the tests that change it."""
    from tests.orchestrator.conftest import SMALL

    folder = tmp_path_factory.mktemp("finished")
    file = folder / "small.yaml"
    file.write_text(SMALL.format(store=folder / "store"))
    return file, go(file)


@pytest.fixture
def copy(finished, small):
    shutil.copytree(finished[1].store.root, small.parent / "store")
    return small


def content(store, plan):
    """Everything that a result consists of, without times."""
    found = {}
    for job in plan:
        entry = store.find(job.kind, job.key, deep=True)
        weights = {name: file["sha256"] for name, file in entry.manifest["files"].items() if name.endswith(".safetensors")}
        metrics = []
        if "history.arrow" in entry.manifest["files"]:
            metrics = read_table(entry.file("history.arrow")).select(["epoch", "name", "value"]).to_pylist()
        found[job.key] = (weights, metrics, {name: value for name, value in entry.results.items() if name != "device"})
    return found


def test_everything_is_made_and_the_tables_have_every_row(finished):
    _, outcome = finished
    assert outcome.computed == len(outcome.plan) == 2 + 2 + 4 + 10
    assert not outcome.failed
    assert not outcome.blocked
    results = outcome.results
    assert results.num_rows == 10
    assert set(results["status"].to_pylist()) == {"done"}
    assert outcome.probes.num_rows == 2 * 4 * 2  # teachers × (three stages and the embedding) × (train, validation)
    assert not (outcome.store.root / "work").exists() or not any((outcome.store.root / "work").rglob("*.safetensors"))


def test_students_of_a_seed_start_equal_and_methods_make_them_differ(finished):
    _, outcome = finished
    first_loss = {}
    for job in outcome.plan.of("student"):
        history = read_table(outcome.store.entry("student", job.key).file("history.arrow")).to_pylist()
        first_loss[job.title] = next(row["value"] for row in history if row["name"] == "validation/loss")
    assert len(set(first_loss.values())) == len(first_loss)


def test_again_does_nothing(copy):
    seen = []
    outcome = go(copy, watch=seen.append)
    assert outcome.computed == 0
    assert outcome.results.num_rows == 10


def test_only_what_is_new_is_made(copy):
    outcome = go(copy, "students.seeds=[0, 1, 2]", "students.methods=[none, kd]")
    assert outcome.computed == 2  # seed 2 of each


def test_a_second_experiment_uses_the_same_teachers(copy):
    outcome = go(copy, "name=other", "students.methods=[{kd: {temperature: 2}}]", "students.seeds=[5]")
    assert outcome.computed == 1


def test_a_fresh_store_gives_the_same_bits(finished, small):
    _, outcome = finished
    again = go(small)
    assert content(again.store, again.plan) == content(outcome.store, outcome.plan)


@pytest.mark.parametrize("kind", ["teacher", "probe", "student"])
def test_a_corrupt_entry_is_quarantined_and_made_again_with_the_same_bits(finished, copy, kind):
    _, expected = finished
    store = Store(copy.parent / "store")
    job = expected.plan.of(kind)[0]
    entry = store.entry(kind, job.key)
    file = entry.file(min(entry.manifest["files"]))
    damaged = bytearray(file.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    file.write_bytes(damaged)
    outcome = go(copy)
    assert outcome.computed == 1
    assert any("quarantine" in note and job.title in note for note in outcome.notes)
    assert len(list((store.root / "quarantine").iterdir())) == 1
    assert content(store, outcome.plan) == content(expected.store, expected.plan)


def test_a_missing_bank_is_made_only_where_it_is_needed(finished, copy):
    store = Store(copy.parent / "store")
    shutil.rmtree(store.root / "bank")
    assert go(copy).computed == 0
    kd = next(job for job in finished[1].plan.of("student") if job.labels["method"] == "kd")
    shutil.rmtree(store.root / "student" / kd.key)
    assert go(copy).computed == 1 + 2  # the student and the logits of two teachers


def test_divergence_fails_one_job_and_the_others_go_on(small):
    states = []
    overrides = ("students.methods=[none, {kd: {alpha: 1e38}}]", "students.seeds=[0]")
    outcome = go(small, *overrides, watch=lambda snapshot: states.append(dict(snapshot.states)))
    [(job, reason)] = outcome.failed
    assert job.labels["method"].startswith("kd")
    assert reason.startswith("the loss diverged in epoch 1: ce = ")
    assert states[-1][job.key] == State.FAILED
    failure = Store(small.parent / "store").failure(job)
    assert failure["epoch"] == 1
    assert set(failure["terms"]) == {"ce", "kl"}
    statuses = dict(zip(outcome.results["key"].to_pylist(), outcome.results["status"].to_pylist(), strict=True))
    assert sorted(statuses.values()) == ["done", "failed"]
    again = go(small, *overrides)  # tried again from its checkpoint, and it fails again
    assert [failed.key for failed, _ in again.failed] == [job.key]


def test_what_needs_a_failed_teacher_is_blocked_and_the_rest_is_done(small):
    outcome = go(small, "teachers.recipe.lr=1e30", "teachers.models=[resnet8]", "students.seeds=[0]")
    assert [job.kind for job, _ in outcome.failed] == ["teacher"]
    assert {job.kind for job in outcome.blocked} == {"probe", "bank", "student"}
    done = [row["method"] for row in outcome.results.to_pylist() if row["status"] == "done"]
    assert done == ["none"]


class Stop(KeyboardInterrupt):
    """Ctrl-C, from inside the watch."""


def test_stopped_anywhere_it_goes_on(small, finished, monkeypatch):
    """The driver goes away at every third snapshot, within jobs and between; the same call goes on, and nothing differs."""
    monkeypatch.setattr("orchestrator.driver.TICK_S", 0)  # a snapshot after every epoch
    for _ in range(200):
        seen = []

        def watch(snapshot, seen=seen):
            seen.append(snapshot)
            if len(seen) == 3:
                raise Stop

        try:
            outcome = go(small, watch=watch)
        except Stop:
            continue
        break
    else:
        pytest.fail("it never ended")
    assert outcome.failed == ()
    whole = go(small)
    assert whole.computed == 0
    assert outcome.plan.jobs.keys() == whole.plan.jobs.keys()
    assert content(whole.store, whole.plan) == content(finished[1].store, finished[1].plan)


def test_two_drivers_at_once_are_refused(small):
    store = Store(small.parent / "store")
    store.prepare()
    with store.lock("run-small"), pytest.raises(StoreError, match="another `kd run` of small"):
        go(small)


def test_what_is_waited_for_is_told_and_what_failed_and_what_waits_for_a_worker(small):
    said, seen = [], []
    go(
        small,
        "teachers.models=[resnet8]",
        "teachers.recipe.lr=1e30",
        "students.methods=[none]",
        watch=seen.append,
        waits=said.append,
    )
    assert said[0] == "looking into the store"
    assert "verifying every byte of what the store holds (0 of 4 jobs are done)" in said
    assert said[-2:] == ["", "letting the workers go"]
    assert said.index("reading the data (digits)") > 1
    [reason] = seen[-1].failed.values()
    assert "diverged" in reason
    assert max(snapshot.ready for snapshot in seen) == 2, "of the students, one runs after the other"
    assert seen[0].machine.cpus >= 1


def test_missing_data_is_said_before_anything_is_trained(small):
    with pytest.raises(ValueError, match="cifar"):
        go(small, "data={name: cifar100}", f"data.root={small.parent}/none")
    assert not (small.parent / "store" / "teacher").exists()


def test_a_full_disk_fails_the_jobs_and_the_same_call_goes_on(small, monkeypatch):
    """Files may not grow beyond 20 kB: every model fails to be written, as on a full disk."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        outcome = go(small, "students.methods=[none]")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert len(outcome.failed) == 4
    assert all("File too large" in reason for _, reason in outcome.failed)
    store = Store(small.parent / "store")
    assert not list((store.root).rglob("manifest.json"))
    assert go(small, "students.methods=[none]").failed == ()


def test_a_job_can_be_run_from_its_manifest_alone(finished):
    """Config and parents are all that a stage reads: the manifest names everything that decides the result."""
    _, outcome = finished
    for job in outcome.plan:
        manifest = outcome.store.entry(job.kind, job.key).manifest
        assert manifest["config"] == json.loads(json.dumps(job.config))
        assert manifest["parents"] == job.parents
