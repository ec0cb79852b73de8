"""The projection into a real MLflow, on SQLite."""

import dataclasses
import random
import shutil
from pathlib import Path

import pytest

from orchestrator.experiment.spec import Source
from orchestrator.planning.names import path_of
from orchestrator.tracking.failure import Busy
from orchestrator.tracking.history import flat
from orchestrator.tracking.projection import Summary, project
from orchestrator.tracking.tags import OLDER
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
    assert mirror(world) == Summary(written=8, unchanged=0, removed=0)  # 2 teachers, 2 probes, 2 students and their cell
    held = dump(client(world))
    assert held.keys() == {"experiment:toy", "cell:kd", *(job.key for job in world.jobs)}  # banks are no runs
    assert {run["status"] for run in held.values()} == {"FINISHED"}
    students = {job.key for job in world.of("student")}
    above = {key: run["tags"].get("parent") for key, run in held.items()}
    assert above == {key: "cell:kd" if key in students else "experiment:toy" for key in held} | {"experiment:toy": None}
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
    names = {
        "validation/accuracy_chosen": "validation_accuracy",
        "test/accuracy": "test_accuracy",
        "test/accuracy_last": "test_accuracy_last",
        "test/loss": "test_loss",
        **{name: name for name in ("chosen_epoch", "epochs", "parameters")},
    }
    assert {point for point in run["points"] if point[1] == 0} == {
        *((name, 0, ended, RESULTS[result]) for name, result in names.items()),
        ("seconds", 0, ended, 3.5),
    }
    assert len(run["points"]) == 3 * (4 + 1) + 8  # three epochs of four metrics and the seconds, and the results
    assert {step for name, step, _, _ in run["points"] if name == "weight/resnet8-s0"} == {1, 2, 3}  # teacher0, by its name
    assert run["params"]["recipe.lr"] == "0.05"
    assert run["params"]["recipe.milestones"] == "[1.875,2.25,2.625]"
    assert run["params"]["method.knobs.temperature"] == "4"
    tags = run["tags"]
    assert tags["mlflow.kd.key"] == world.of("student")[1].key
    assert (tags["kd.method"], tags["kd.student"], tags["kd.seed"]) == ("kd", "resnet8", "1")
    assert (tags["kd.teachers"], tags["kd.experiment"]) == ("resnet8-s0, resnet8-s1", "toy")
    assert (tags["mlflow.source.git.commit"], tags["mlflow.source.git.dirty"]) == ("c0ffee", "true")
    assert tags["mlflow.user"]
    assert "Test accuracy 62.50 % at epoch 2 of 3." in tags["mlflow.note.content"]
    assert (run["name"], run["params"]["recipe.milestones"]) == ("student/kd/s1", "[1.875,2.25,2.625]")
    [(name, digest, context)] = run["data"]
    assert (name, len(digest), context) == ("digits", 16, "training")
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
    figures = {"accuracy-by-method.png", "learning-curves.png", "instructional-weights.png"}
    probed = {"probes.arrow", "probes.csv", "probes.png"}
    assert held.keys() >= {"report.md", "report.html", "results.csv", *figures, *probed}


def test_the_report_in_mlflow_says_how_to_repeat_it(world, tmp_path):
    world.finish_all()
    source = Source("name: toy  # as it is\n", ("data.train_size=100",), "elsewhere")
    project(dataclasses.replace(world.spec, source=source), world.plan, world.store)
    mlflow = client(world)
    [run] = [run for run in living(mlflow) if run.data.tags["kd.stage"] == "experiment"]
    for name in ("report.md", "report.html"):
        text = Path(mlflow.download_artifacts(run.info.run_id, name, tmp_path)).read_text()
        assert "name: toy  # as it is" in text
        assert "kd run experiments/toy.yaml --store elsewhere --set data.train_size=100" in text


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
    assert mirror(world) == Summary(written=0, unchanged=8, removed=0)
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
    assert str(mirror(world, rebuild=True)) == "8 runs written, 0 unchanged, 8 removed"
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
    assert (
        killed_anywhere(world, empty) == 5 * 4 - 1 + 3
    )  # five runs: made, given artifacts (a cell has none), filled, ended; three have data


def test_duplicates_are_removed_and_the_complete_run_stays(world):
    world.finish_all()
    mirror(world)
    held, mlflow = dump(client(world)), client(world)
    for run in living(mlflow):
        twin = mlflow.create_run(run.info.experiment_id, start_time=0, tags=dict(run.data.tags))
        mlflow.delete_tag(twin.info.run_id, "mlflow.kd.written")
    assert mirror(world) == Summary(written=0, unchanged=8, removed=8)
    assert dump(mlflow) == held


@pytest.mark.parametrize("killed_after", [None, 0, 1, 2])
def test_runs_with_the_tags_of_an_older_version_go_on(world, killed_after):
    """None is written twice, and one that was kept away stays away. The process may die while it gives them today's tags."""
    world.finish_all()
    mirror(world)
    held, mlflow = dump(client(world)), client(world)
    for run in living(mlflow):
        for name, older in OLDER.items():
            if name in run.data.tags:
                mlflow.set_tag(run.info.run_id, older, run.data.tags[name])
                mlflow.delete_tag(run.info.run_id, name)
    away = next(run for run in living(mlflow) if run.data.tags["kd.stage"] == "student")
    mlflow.set_tag(away.info.run_id, "kd.away", "")
    mlflow.delete_run(away.info.run_id)
    if killed_after is not None:
        [one, *_] = living(mlflow)
        tags = {name: one.data.tags[older] for name, older in OLDER.items() if older in one.data.tags}
        for name, value in tags.items():
            mlflow.set_tag(one.info.run_id, name, value)
        for name in list(tags)[:killed_after]:
            mlflow.delete_tag(one.info.run_id, OLDER[name])
    found = mirror(world)
    assert (found.written, found.removed) == (0, 0)
    assert dump(mlflow) == {key: one for key, one in held.items() if key != away.data.tags["kd.key"]}


def test_nothing_that_only_we_read_is_offered_to_group_by(world):
    """MLflow's menu leaves out what begins with mlflow. alone."""
    world.finish_all()
    mirror(world)
    shown = {name for run in dump(client(world)).values() for name in run["tags"] if not name.startswith("mlflow.")}
    assert shown == {
        *(
            "kd.cell",
            "kd.device",
            "kd.environment",
            "kd.experiment",
            "kd.model",
            "kd.method",
            "kd.seed",
            "kd.stage",
            "kd.store",
            "kd.student",
        ),
        *("kd.teachers", "parent"),
    }


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
    assert (run["name"], run["params"]["teacher"]) == ("teacher/elder", "elder")


def test_an_experiment_that_grows_keeps_its_runs(world, tmp_path):
    world.finish_all()
    mirror(world)
    ids = {run.info.run_id for run in living(client(world))}
    grown = World(dataclasses.replace(a_spec(tmp_path, seeds=3), tracking=world.spec.tracking))
    assert mirror(grown) == Summary(written=2, unchanged=6, removed=0)  # the experiment and the cell
    assert dump(client(grown))["experiment:toy"]["status"] == "KILLED"  # nobody computes what is missing
    grown.finish(grown.of("student")[2])
    assert mirror(grown) == Summary(written=3, unchanged=6, removed=0)
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


def test_a_run_that_was_deleted_is_written_again_and_it_is_said(world):
    world.finish_all()
    mirror(world)
    held, mlflow = dump(client(world)), client(world)
    mlflow.delete_run(next(run.info.run_id for run in living(mlflow) if run.data.tags["kd.stage"] == "student"))
    found = mirror(world)
    assert found.note.startswith(
        "runs that were deleted in MLflow are written again, since the store has them: 1; one that bore"
    )
    assert dump(mlflow) == held
    assert mirror(world).note == ""


def test_a_run_that_was_deleted_with_a_tag_stays_away(world):
    world.finish_all()
    mirror(world)
    held, mlflow = dump(client(world)), client(world)
    run = next(run for run in living(mlflow) if run.data.tags["kd.stage"] == "student")
    mlflow.set_tag(run.info.run_id, "kd.away", "it diverged")
    mlflow.delete_run(run.info.run_id)
    for _ in range(2):
        found = mirror(world)
        assert (found.note, found.written) == ("runs that stay away, as their tag kd.away says: 1", 0)
        assert dump(mlflow) == {key: one for key, one in held.items() if key != run.data.tags["mlflow.kd.key"]}
    mlflow.restore_run(run.info.run_id)
    assert mirror(world).note == ""


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
        assert mirror(one) == Summary(written=8, unchanged=0, removed=0)
    assert mirror(world, rebuild=True) == Summary(written=8, unchanged=0, removed=8)
    assert mirror(theirs) == Summary(written=0, unchanged=8, removed=0)
    assert len(living(client(world))) == 16


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
        ("FINISHED", "KILLED", None, 23),
    ]
    assert failed["time"][1] == int(1000 * world.store.failure(job).get("time", failed["time"][1] / 1000))
    assert run["time"][0] == T0
    assert len(client(world).search_runs([client(world).get_experiment_by_name("toy").experiment_id], run_view_type=3)) == 3


def test_the_experiment_says_which_jobs_failed(world):
    world.finish(*world.of("teacher"), *world.of("probe"))
    for job in world.of("student"):
        world.fail(job, "no memory")
    mirror(world)
    parent = dump(client(world))["experiment:toy"]
    titles = ", ".join(path_of(job) for job in world.of("student"))
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
