"""What the driver gives to an executor, and when: no barrier between stages, the longest chain first. Nothing is trained."""

from __future__ import annotations

import contextlib
import dataclasses
import os

import pytest

from kd_core.bank.config import BankConfig
from orchestrator import driver
from orchestrator.executors.executor import Ended
from orchestrator.planning.state import State
from orchestrator.store.store import Store
from tests.support.world import TEACHERS, a_spec, begin, finish_job, tamper, the


class Script:
    """An executor that ends one job at each poll, as ``choose`` says, and remembers what it was given beside what had ended."""

    machine = None

    def __init__(self, store: Store, choose) -> None:
        self.store, self.choose = store, choose
        self.waiting, self.ended, self.given = [], [], []

    def submit(self, job, priority):
        self.waiting.append(job)
        self.given.append((job, set(self.ended)))

    def poll(self, timeout):
        job = self.choose(self.waiting)
        self.waiting.remove(job)
        finish_job(self.store, job)
        self.ended.append(job.key)
        return [Ended(job)]

    def close(self):
        pass


@pytest.fixture
def go(tmp_path, monkeypatch):
    """Runs a spec with a script."""
    monkeypatch.setattr(driver, "check_data", lambda *asked: [])

    def run(spec, choose=lambda waiting: waiting[0]):
        script = Script(Store(spec.store), choose)
        monkeypatch.setattr(driver._Run, "executor", lambda self, *asked: script)
        spec = dataclasses.replace(spec, tracking=dataclasses.replace(spec.tracking, enabled=False))
        outcome = driver.run(spec)
        assert not outcome.failed
        assert len(script.ended) == outcome.computed
        return script

    return run


def alone(spec):
    """Every student learns from one teacher, in turn."""
    students = [
        dataclasses.replace(student, teachers=(TEACHERS[index % 2],), cell=f"{student.cell} ← {TEACHERS[index % 2]}")
        for index, student in enumerate(spec.students)
    ]
    return dataclasses.replace(spec, students=tuple(students))


def test_a_student_is_given_as_soon_as_its_own_teacher_probes_and_banks_are_there(go, tmp_path):
    """The first teacher, which the longest chain hangs on, is the last to end: all that is not about it is done by then."""

    def choose(waiting):
        [*others] = [job for job in waiting if TEACHERS[0] not in job.title]
        return others[0] if others else waiting[0]

    spec = alone(a_spec(tmp_path / "store", methods=("kd", "gpac", "mgd"), seeds=(0, 1), bank=BankConfig("on")))
    script = go(spec, choose)
    for job, ended in script.given:
        assert set(job.ancestors) <= ended
    slow = next(job.key for job, _ in script.given if job.title == TEACHERS[0])
    early = [job for job, ended in script.given if job.kind == "student" and slow not in ended]
    assert len(early) == 3, "the student of each method that learns from the other teacher"
    assert {kind for job in early for kind in job.parents} == {"teachers", "probes", "analyses", "banks:logits"} | {
        role for job in early for role in job.parents if role.startswith("banks:")
    }


def test_each_job_is_given_in_the_very_moment_its_last_ancestor_ended(go, tmp_path):
    script = go(alone(a_spec(tmp_path / "store", methods=("kd", "gpac"), bank=BankConfig("on"))))
    for job, ended in script.given:
        if job.ancestors:
            assert script.ended[len(ended) - 1] in job.ancestors


def test_what_the_longest_chain_hangs_on_is_given_first(go, tmp_path):
    """The larger teacher before the smaller, and both before plain students, which wait for nobody and nobody for them."""
    script = go(a_spec(tmp_path / "store"))
    assert [job.title for job, ended in script.given if not ended] == [
        "resnet20-s0",
        "resnet8-s0",
        "resnet8-none · s0",
        "resnet8-none · s1",
    ]


def test_measured_durations_count_for_more_than_guessed_ones(go, tmp_path):
    """resnet8 was measured to be slower than resnet20 with one seed, whatever arithmetic says: so it will be with another."""
    first = a_spec(tmp_path / "store", methods=("none",), seeds=(0,))
    store = Store(first.store)
    for job in driver.make(first):
        finish_job(store, job, seconds=900.0 if job.title == "resnet8-s0" else 10.0)
    teachers = tuple(dataclasses.replace(t, seed=1, name=f"{t.model}-s1") for t in first.teachers)
    students = tuple(dataclasses.replace(s, seed=1, teachers=tuple(t.name for t in teachers)) for s in first.students)
    script = go(dataclasses.replace(first, teachers=teachers, students=students))
    assert [job.title for job, _ in script.given if job.kind == "teacher"] == ["resnet8-s1", "resnet20-s1"]


class Elsewhere(Script):
    """Leaves teachers to another run, as long as that holds their locks."""

    def poll(self, timeout):
        if not self.waiting:
            return []
        job = self.waiting.pop(0)
        if holder := self.store.worker(job):
            self.ended.append(("elsewhere", job.key))
            return [Ended(job, elsewhere=str(holder))]
        finish_job(self.store, job)
        self.ended.append(job.key)
        return [Ended(job)]


@pytest.mark.parametrize("leaves", ["a result", "nothing", "a corrupt result"])
def test_what_another_run_does_is_waited_for_and_done_here_where_it_leaves_nothing(tmp_path, monkeypatch, leaves):
    monkeypatch.setattr(driver, "check_data", lambda *asked: [])
    monkeypatch.setattr(driver, "LOOK_AGAIN_S", 0.0)
    spec = a_spec(tmp_path / "store", methods=("none", "kd"), seeds=(0,))
    spec = dataclasses.replace(spec, tracking=dataclasses.replace(spec.tracking, enabled=False))
    store = Store(spec.store)
    script = Elsewhere(store, None)
    monkeypatch.setattr(driver._Run, "executor", lambda self, *asked: script)
    theirs = the(driver.make(spec), TEACHERS[1])
    lock = contextlib.ExitStack()
    lock.enter_context(store.lock_job(theirs))
    begin(store, theirs, 3)

    def watch(snapshot):
        states = {job.title: snapshot.states[job.key] for job in snapshot.plan}
        assert states["resnet8-kd · s0"] == State.WAITING or not store.worker(theirs)
        if states["resnet8-none · s0"] == State.DONE and store.worker(theirs):
            assert states[TEACHERS[1]] == State.RUNNING, "it has said how far it is"
            if leaves != "nothing":
                finish_job(store, theirs)
            if leaves == "a corrupt result":
                tamper(store, theirs)
            lock.close()

    outcome = driver.run(spec, watch=watch)
    assert not outcome.failed
    assert f"another run on this store is at work on some of the jobs (process {os.getpid()} on " in outcome.notes[0]
    assert outcome.computed == len(outcome.plan) - (leaves == "a result")
    assert script.ended.count(theirs.key) == (leaves != "a result")
    assert all(store.find(job.kind, job.key, deep=True) for job in outcome.plan)
    assert ("moved to" in " ".join(outcome.notes)) == (leaves == "a corrupt result")


def test_a_rerun_sweeps_what_killed_runs_left_of_what_is_done(go, tmp_path):
    """Killed between the manifest and the end of the clearing; and a failure that another run had before this one succeeded."""
    spec = a_spec(tmp_path / "store", methods=("none",), seeds=(0,))
    script = go(spec)
    store = script.store
    before = set(store.backend.tree(""))
    done, failed, at_work = (the(driver.make(spec), title) for title in (*TEACHERS, "resnet8-none · s0"))
    begin(store, done, 3)
    store.backend.write(f"{done.kind}/{done.key}/0123456789ab/model.safetensors", b"half")
    store.fail(failed, {"reason": "no space left on device"})
    begin(store, at_work, 3)
    with store.lock_job(at_work):  # by another run, which does it again
        go(spec)
        assert set(store.backend.tree("")) - before - {f"locks/job-student-{at_work.key}.lock"} == {
            f"work/student/{at_work.key}/progress.json",
            f"work/student/{at_work.key}/epoch-00003.0123456789abcdef.safetensors",
        }
    go(spec)
    assert set(store.backend.tree("")) == before
    assert sorted(path.name for path in store.root.iterdir()) == ["probe", "student", "teacher"], "and no empty folders"
