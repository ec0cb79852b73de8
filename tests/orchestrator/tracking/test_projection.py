"""The projection into a real MLflow, on SQLite."""

import dataclasses
import random
import shutil

import pytest

from orchestrator.tracking.failure import Busy
from orchestrator.tracking.history import flat
from orchestrator.tracking.projection import Summary, project
from tests.support.tracking_world import (
    RESULTS,
    T0,
    World,
    a_spec,
    afresh,
    client,
    dump,
    killed_anywhere,
    living,
    mirror,
)

# --- What a run holds


def test_every_job_is_a_run_below_the_experiments_run(world):
    world.finish_all()
    assert mirror(world) == Summary(written=7, unchanged=0, removed=0)  # 2 teachers, 2 probes, 2 students; banks are no runs
    held = dump(client(world))
    assert held.keys() == {"experiment:toy", *(job.key for job in world.jobs)}
    assert {run["status"] for run in held.values()} == {"FINISHED"}
    assert {run["tags"].get("parent") for run in held.values()} == {None, "experiment:toy"}
    assert "parent" not in held["experiment:toy"]["tags"]
    assert [run["tags"]["kd.stage"] for run in held.values()].count("student") == 2


def test_a_student_holds_its_curves_at_their_own_times(world, monkeypatch):
    monkeypatch.setattr("orchestrator.store.attempt.environment", lambda: {"git_commit": "c0ffee+", "torch": "2.13.0"})
    world.finish_all()
    mirror(world)
    run = dump(client(world))[world.of("student")[1].key]
    stated = world.store.entry("student", world.of("student")[1].key).manifest
    ended = int(1000 * stated["finished"])
    assert run["time"] == (T0, ended)  # from its first epoch's beginning
    assert [point for point in run["points"] if point[0] == "loss/ce"] == [
        ("loss/ce", 1, T0 + 1000, 2.0),  # the second metric of the world: 2 / epoch
        ("loss/ce", 2, T0 + 2000, 1.0),
        ("loss/ce", 3, T0 + 3000, 2 / 3),
    ]
    assert {point for point in run["points"] if point[1] == 0} == {
        *((name, 0, ended, value) for name, value in RESULTS.items()),
        ("seconds", 0, ended, 3.5),
    }
    assert len(run["points"]) == 3 * (4 + 1) + 9  # three epochs of four metrics and the seconds, and the results
    assert run["params"]["recipe.lr"] == "0.05"
    assert run["params"]["method.knobs.temperature"] == "4"
    tags = run["tags"]
    assert tags["kd.key"] == world.of("student")[1].key
    assert (tags["kd.method"], tags["kd.student"], tags["kd.seed"]) == ("kd", "resnet8", "1")
    assert (tags["kd.teachers"], tags["kd.experiment"]) == ("resnet8-s0, resnet8-s1", "toy")
    assert (tags["kd.git_commit"], tags["mlflow.source.git.commit"]) == ("c0ffee+", "c0ffee")
    assert tags["kd.environment"] == '{"git_commit":"c0ffee+","torch":"2.13.0"}'
    assert run["files"] == {"model.safetensors": stated["files"]["model.safetensors"]["sha256"]}


def test_a_probe_holds_its_table_and_accuracy_over_depth(world):
    world.finish_all()
    mirror(world)
    run = dump(client(world))[world.of("probe")[0].key]
    values = {(name, step): value for name, step, _, value in run["points"]}
    assert values[("accuracy/embedding", 0)] == 0.75
    assert [values[("depth/validation_accuracy", step)] for step in (0, 1)] == [0.5, 0.75]
    assert [values[("depth/train_accuracy", step)] for step in (0, 1)] == [0.625, 0.875]
    assert run["files"].keys() == {"probes.arrow", "probes.csv"}


def test_the_experiment_holds_its_report_and_its_probes(world):
    world.finish_all()
    project(world.spec, world.plan, world.store)
    held = dump(client(world))["experiment:toy"]["files"]
    assert held.keys() == {"report.md", "report.html", "results.csv", "probes.arrow", "probes.csv", "probes.png"}


def test_params_are_written_stably():
    config = {"lr": 0.1 + 0.2, "model": "x", "knobs": {"top": 1.0, "levels": (1, 0.5), "off": None, "tau": float("inf")}}
    assert flat(config) == {
        "lr": "0.30000000000000004",
        "model": "x",
        "knobs.top": "1",
        "knobs.levels": "[1,0.5]",
        "knobs.off": "null",
        "knobs.tau": '"inf"',
    }


# --- One run for each job


def test_projecting_again_changes_nothing_and_asks_once(world, monkeypatch):
    world.finish_all()
    mirror(world)
    held = dump(client(world))
    asked = []
    from mlflow import MlflowClient

    for name in ("search_runs", "create_run", "log_batch", "log_artifact", "set_terminated", "delete_tag", "delete_run"):
        monkeypatch.setattr(MlflowClient, name, spy(asked, name, getattr(MlflowClient, name)))
    assert mirror(world) == Summary(written=0, unchanged=7, removed=0)
    assert asked == ["search_runs"]
    assert dump(client(world)) == held


def spy(asked, name, original):
    def asking(*arguments, **named):
        asked.append(name)
        return original(*arguments, **named)

    return asking


def test_a_rebuilt_mirror_is_the_same(world, empty):
    world.finish(*world.of("teacher"), *world.of("probe"))
    world.begin(world.of("student")[0], 2)
    world.fail(world.of("student")[1], "the loss diverged")
    mirror(world)
    held = dump(client(world))
    assert str(mirror(world, rebuild=True)) == "7 runs written, 0 unchanged, 7 removed"
    assert dump(client(world)) == held
    assert afresh(world, empty) == held


def test_whatever_happens_the_mirror_is_that_of_the_store(world, empty):
    """A random life: jobs begin, go on, are killed, repeat an epoch, fail and end, and MLflow looks on at random moments."""
    chance = random.Random(0)
    for _ in range(40):
        job = chance.choice(world.jobs)
        if not world.store.find(job.kind, job.key):
            epochs = chance.choice((0, 1, 2, 2, 3)) if job.epochs else 0
            event = chance.choice(("begin", "begin", "begin", "again", "fail", "finish"))
            if event == "begin":
                world.begin(job, epochs)
            elif event == "again":
                world.begin(job, epochs, again=chance.randrange(3))
            elif event == "fail":
                world.fail(job, f"reason {chance.randrange(100)}")
            else:
                world.finish(job, again=chance.randrange(3))
        begun = [job.key for job in world.jobs if world.store.progress(job)]
        mirror(world, running=chance.sample(begun, chance.randrange(len(begun) + 1)))
    world.finish(*(job for job in world.jobs if not world.store.find(job.kind, job.key)))
    mirror(world)
    held = dump(client(world), start=False)  # a run that was begun before its first epoch keeps that start
    fresh = afresh(world, empty)
    assert held == {key: {**run, "time": (None, run["time"][1])} for key, run in fresh.items()}


def test_a_projection_that_dies_anywhere_is_completed_by_the_next(tmp_path, empty):
    """Law over all writes: after each the process is killed, and the next projection ends as one that was not."""
    world = World(a_spec(tmp_path, seeds=1, teachers=1))
    world.finish_all()
    assert killed_anywhere(world, empty) == 4 * 5  # four runs: made, filled, given artifacts, ended, declared complete


def test_duplicates_are_removed_and_the_complete_run_stays(world):
    world.finish_all()
    mirror(world)
    held, mlflow = dump(client(world)), client(world)
    for run in living(mlflow):
        twin = mlflow.create_run(run.info.experiment_id, start_time=0, tags=dict(run.data.tags))
        mlflow.delete_tag(twin.info.run_id, "kd.written")
    assert mirror(world) == Summary(written=0, unchanged=7, removed=7)
    assert dump(mlflow) == held


def test_a_result_that_was_computed_again_takes_the_place_of_the_old_one(world, empty):
    world.finish_all()
    mirror(world)
    job = world.of("student")[0]
    shutil.rmtree(world.store.root / "student" / job.key)
    world.begin(job, 1)
    mirror(world, running=[job.key])
    run = dump(client(world))[world.of("student")[0].key]
    assert (run["status"], len(run["points"])) == ("RUNNING", 5)
    world.finish(job)
    mirror(world)
    assert dump(client(world)) == afresh(world, empty)


def test_an_epoch_that_was_repeated_is_not_shown_twice(world):
    """Its checkpoint was lost: the same values come again, at another moment."""
    job = world.of("student")[0]
    world.begin(job, 2)
    mirror(world, running=[job.key])
    world.finish(job, again=0)
    shutil.rmtree(world.store.root / "student" / job.key)
    world.begin(job, 2, again=1)
    world.begin(job, 3)  # tells of the first second epoch
    mirror(world, running=[job.key])
    assert mirror(world, running=[job.key]).removed == 0
    world.finish(job, again=4)
    assert mirror(world).removed == 1
    times = [point[2] for point in dump(client(world))[world.of("student")[0].key]["points"] if point[0] == "loss"]
    assert times == [T0 + 1000, T0 + 2000, T0 + 3000 + 28]


@pytest.mark.parametrize("done", [True, False])
def test_a_teacher_with_another_name_is_written_anew(world, done):
    """MLflow can change no param, and the name is one."""
    first = world.of("teacher")[0]
    if done:
        world.finish(first)
    else:
        world.begin(first, 1)
    mirror(world)
    [teacher, *others] = world.spec.teachers
    spec = dataclasses.replace(world.spec, teachers=(dataclasses.replace(teacher, name="elder"), *others), students=())
    renamed = World(spec)
    assert renamed.of("teacher")[0].key == first.key
    assert mirror(renamed).removed == 1
    run = dump(client(renamed))[first.key]
    assert (run["name"], run["params"]["teacher"]) == ("elder", "elder")


def test_an_experiment_that_grows_keeps_its_runs(world, tmp_path):
    world.finish_all()
    mirror(world)
    ids = {run.info.run_id for run in living(client(world))}
    grown = World(dataclasses.replace(a_spec(tmp_path, seeds=3), tracking=world.spec.tracking))
    assert mirror(grown) == Summary(written=1, unchanged=6, removed=0)
    assert dump(client(grown))["experiment:toy"]["status"] == "KILLED"  # nobody computes what is missing
    grown.finish(grown.of("student")[2])
    assert mirror(grown) == Summary(written=2, unchanged=6, removed=0)
    assert ids < {run.info.run_id for run in living(client(grown))}
    assert dump(client(grown))["experiment:toy"]["status"] == "FINISHED"


def test_runs_below_a_parent_that_the_user_deleted_find_the_new_one(world):
    world.finish_all()
    mirror(world)
    held, mlflow = dump(client(world)), client(world)
    [parent] = [run for run in living(mlflow) if run.data.tags["kd.stage"] == "experiment"]
    mlflow.delete_run(parent.info.run_id)
    mirror(world)
    assert dump(mlflow) == held


def test_a_deleted_experiment_comes_back(world):
    world.finish_all()
    mirror(world)
    held, mlflow = dump(client(world)), client(world)
    mlflow.delete_experiment(mlflow.get_experiment_by_name("toy").experiment_id)
    mirror(world)
    assert dump(mlflow) == held


def test_a_colleagues_runs_of_the_same_jobs_are_left_alone(world, tmp_path):
    """Two stores, one server, one experiment: the same keys, but each its own results."""
    theirs = World(dataclasses.replace(a_spec(tmp_path / "their"), tracking=world.spec.tracking))
    for one in (world, theirs):
        one.finish_all()
        assert mirror(one) == Summary(written=7, unchanged=0, removed=0)
    assert mirror(world, rebuild=True) == Summary(written=7, unchanged=0, removed=7)
    assert mirror(theirs) == Summary(written=0, unchanged=7, removed=0)
    assert len(living(client(world))) == 14


def test_only_one_process_writes(world):
    with world.store.lock("tracking-toy"), pytest.raises(Busy, match="another `kd run` or `kd track` of toy is writing"):
        mirror(world)


# --- Status


def test_a_job_that_is_killed_fails_and_ends_is_one_run(world):
    job = world.of("student")[0]
    seen = []

    def look(running=()):
        mirror(world, running)
        held = dump(client(world))
        run = held[job.key]
        seen.append((run["status"], held["experiment:toy"]["status"], run["tags"].get("kd.reason"), len(run["points"])))
        return run

    world.begin(job)
    look([job.key])
    world.begin(job, 1)
    look([job.key])
    look()
    world.begin(job, 2)
    look([job.key])
    world.store.fail(job, {"reason": "the loss diverged"})
    failed = look()
    world.store.forget_failure(job)
    look([job.key])
    world.finish(job)
    run = look()
    assert seen == [
        ("RUNNING", "RUNNING", None, 0),
        ("RUNNING", "RUNNING", None, 5),
        ("KILLED", "KILLED", None, 5),
        ("RUNNING", "RUNNING", None, 10),
        ("FAILED", "FAILED", "the loss diverged", 10),
        ("RUNNING", "RUNNING", None, 10),
        ("FINISHED", "KILLED", None, 24),
    ]
    assert failed["time"][1] == int(1000 * world.store.failure(job).get("time", failed["time"][1] / 1000))
    assert run["time"][0] == T0
    assert len(client(world).search_runs([client(world).get_experiment_by_name("toy").experiment_id], run_view_type=3)) == 2


def test_the_experiment_says_which_jobs_failed(world):
    world.finish(*world.of("teacher"), *world.of("probe"))
    for job in world.of("student"):
        world.fail(job, "no memory")
    mirror(world)
    parent = dump(client(world))["experiment:toy"]
    titles = ", ".join(job.title for job in world.of("student"))
    assert (parent["status"], parent["tags"]["kd.reason"]) == ("FAILED", f"2 of 6 jobs failed: {titles}")


def test_a_run_of_a_job_that_is_no_longer_planned_does_not_run_for_ever(world):
    job = world.of("student")[1]
    world.finish(*world.of("teacher"))
    world.begin(job, 1)
    mirror(world, running=[job.key])
    fewer = World(dataclasses.replace(world.spec, students=world.spec.students[:1]))
    mirror(fewer)
    assert dump(client(world))[world.of("student")[1].key]["status"] == "KILLED"
    assert mirror(fewer).written == 0


def test_a_corrupt_entry_is_not_shown_as_done(world):
    world.finish_all()
    job = world.of("student")[0]
    world.store.entry("student", job.key).file("history.arrow").unlink()
    mirror(world)
    assert job.key not in dump(client(world))
