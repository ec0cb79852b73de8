"""Durations learnt from the store, and the time that jobs take together on a machine."""

from __future__ import annotations

import dataclasses
import time

import pytest

from kd_core.bank.config import BankConfig
from kd_core.data.table import DataConfig
from kd_core.methods.modules.analysis_config import AnalysisConfig
from orchestrator.experiment.spec import Allocation, Resources, TeacherAllocation
from orchestrator.jobs.job import Job
from orchestrator.planning.estimate import Estimator, epochs_left
from orchestrator.planning.plan import make
from orchestrator.planning.schedule import Machine, finish, this_machine
from orchestrator.store.store import Store
from tests.support.world import a_plan, a_spec, finish_job, the

ONE = Machine(1)


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def taught(store, resources=None):
    estimator = Estimator(resources or Resources())
    estimator.learn_all(store)
    return estimator


def test_seconds_scale_with_the_epochs(store):
    finish_job(store, the(a_plan(epochs=10), "resnet20-s0"), seconds=30)
    plan = a_plan(epochs=40)  # the same images: 30 s · 40 / 10 = 120 s
    assert taught(store).seconds(plan, the(plan, "resnet20-s0")) == pytest.approx(120)
    assert taught(store).seconds(plan, the(plan, "resnet20-s0"), epochs_done=30) == pytest.approx(30)
    assert taught(store).seconds(plan, the(plan, "resnet8-s0")) is None, "another model"


def test_the_median_of_the_same_method_and_else_of_the_same_model(store):
    plan = a_plan(methods=("none", "kd", "at"), seeds=(0, 1, 2))
    for title, seconds in (("none · s0", 10), ("none · s1", 14), ("none · s2", 99), ("kd · s0", 30)):
        finish_job(store, the(plan, f"resnet8-{title}"), seconds=seconds)
    estimator = taught(store)
    assert estimator.seconds(plan, the(plan, "resnet8-none · s1")) == pytest.approx(14)
    assert estimator.seconds(plan, the(plan, "resnet8-kd · s1")) == pytest.approx(30)
    assert estimator.seconds(plan, the(plan, "resnet8-at · s1")) == pytest.approx((14 + 30) / 2)  # of 10, 14, 30, 99


def test_a_probe_is_as_large_as_its_teacher_whatever_its_epochs(store):
    before = a_plan(epochs=10)
    finish_job(store, the(before, "resnet8-s0"))
    finish_job(store, the(before, "probes of resnet8-s0"), seconds=4)
    plan = a_plan(epochs=20)
    assert taught(store).seconds(plan, the(plan, "probes of resnet8-s0")) == pytest.approx(4)
    assert taught(store).seconds(plan, the(plan, "probes of resnet20-s0")) is None


def test_an_analysis_is_as_large_as_its_teacher_times_its_own_epochs(store):
    def planned(epochs):
        return make(dataclasses.replace(a_spec(epochs=10, methods=("mgd",)), analysis=AnalysisConfig(epochs=epochs)))

    for title, seconds in (("resnet8-s0", 99), ("analysis of resnet8-s0", 6)):
        finish_job(store, the(planned(3), title), seconds=seconds)
    plan = planned(12)  # 6 s · 12 / 3
    assert taught(store).seconds(plan, the(plan, "analysis of resnet8-s0")) == pytest.approx(24)
    assert taught(store).seconds(plan, the(plan, "analysis of resnet20-s0")) is None


def test_what_was_measured_on_a_cpu_says_nothing_of_a_gpu(store):
    plan = a_plan()
    finish_job(store, the(plan, "resnet8-none · s0"))
    assert taught(store, Resources(student=Allocation(1, 0.5))).seconds(plan, the(plan, "resnet8-none · s1")) is None


def test_what_was_measured_on_small_images_says_nothing_of_large_ones(store):
    finish_job(store, the(a_plan(), "resnet8-s0"))
    large = make(dataclasses.replace(a_spec(), data=DataConfig("digits", size=16).resolved()))
    assert taught(store).seconds(large, the(large, "resnet8-s0")) is None


def test_a_running_job_is_told_by_its_last_epochs_and_tells_of_others_like_it(store):
    plan = a_plan(methods=("none",))
    jobs = [the(plan, title) for title in ("resnet8-none · s0", "resnet8-none · s1", "resnet20-s0")]
    said = {jobs[0].key: {"epoch": 4, "seconds": 9.0, "pace": 3.0, "updated": time.time()}, jobs[1].key: {"epochs": 10}}
    estimate = taught(store).estimate(plan, jobs, said, Machine(3))
    own, like = (estimate.seconds[job.key] for job in jobs[:2])
    assert own == pytest.approx(18, abs=0.5)  # 6 epochs are left
    assert like == pytest.approx(30)  # 10 epochs
    assert estimate.seconds[jobs[2].key] == pytest.approx(30 * 40.8 / 12.5)  # by arithmetic
    assert (estimate.guessed, estimate.unknown) == ({jobs[2].key}, 0)
    assert estimate.low == pytest.approx(30 * 40.8 / 12.5 / 2)
    assert estimate.high == pytest.approx(30 * 40.8 / 12.5 * 2)


def test_without_its_median_the_last_epoch_tells(store):
    job = the(a_plan(), "resnet8-none · s0")
    assert epochs_left(job.epochs, {"epoch": 4, "seconds": 3.0, "updated": time.time()}) == pytest.approx(18, abs=0.5)


def test_the_range_is_that_of_the_quartiles_and_no_narrower_than_what_is_measured_anyhow(store):
    plan = a_plan(methods=("none",), seeds=tuple(range(6)))
    for seed, seconds in enumerate((60, 80, 100, 120, 140)):  # quartiles 80, 100, 120
        finish_job(store, the(plan, f"resnet8-none · s{seed}"), seconds=seconds)
    last = the(plan, "resnet8-none · s5")
    estimate = taught(store).estimate(plan, [last], {}, ONE)
    assert (estimate.low, estimate.total, estimate.high) == (pytest.approx(80), pytest.approx(100), pytest.approx(120))
    other = Store(store.root.parent / "other")
    finish_job(other, the(plan, "resnet8-none · s0"), seconds=100)
    estimate = taught(other).estimate(plan, [last], {}, ONE)
    assert (estimate.low, estimate.high) == (pytest.approx(100 / 1.15), pytest.approx(115))


@pytest.mark.parametrize(
    ("measured", "epochs", "like", "guess"),
    [
        (2, 100, True, True),  # 20 s, and 65 s by arithmetic
        (2, 500, True, False),  # 100 s, 326 s: of what takes more than 100 times as long two seconds tell nothing
        (2, 1500, False, False),  # 300 s
        (40, 1500, True, False),  # 6000 s: what was measured for half a minute tells of its like, whatever the length
    ],
)
def test_what_took_seconds_tells_nothing_of_what_takes_days(store, measured, epochs, like, guess):
    finish_job(store, the(a_plan(epochs=10), "resnet8-s0"), seconds=measured)
    plan = a_plan(epochs=epochs)
    alike, other = the(plan, "resnet8-s0"), the(plan, "resnet20-s0")
    estimate = taught(store).estimate(plan, [alike, other], {}, Machine(2))
    assert estimate.seconds.keys() == {job.key for job, told in ((alike, like), (other, guess)) if told}
    assert estimate.unknown == (not like) + (not guess)
    assert estimate.path[0] is other, "it is still the longest"


@pytest.mark.parametrize(
    ("ago", "left"), [(0, 18), (2, 16), (60, 15)]
)  # of 6 epochs of 3 s; one may take long, the others wait
def test_time_goes_by_within_an_epoch(ago, left):
    job = the(a_plan(), "resnet8-none · s0")
    said = {"epoch": 4, "seconds": 3.0, "updated": time.time() - ago}
    assert epochs_left(job.epochs, said) == pytest.approx(left, abs=0.5)
    assert epochs_left(job.epochs, {**said, "epoch": 10}) == 0
    assert epochs_left(job.epochs, {"epochs": 10}) is None


def test_what_comes_besides_the_epochs_is_added_once(store):
    plan = a_plan(epochs=10)
    finish_job(store, the(plan, "resnet20-s0"), seconds=30, besides=4)
    longer = a_plan(epochs=20)
    assert taught(store).seconds(longer, the(longer, "resnet20-s0")) == pytest.approx(64, abs=0.5)


def chain(*names: str) -> dict[str, Job]:
    """Jobs that each need the one before."""
    jobs: dict[str, Job] = {}
    for name in names:
        above = {"teachers": [next(reversed(jobs.values())).key]} if jobs else {}
        jobs[name] = Job("teacher", 1, {"name": name}, above)
    return jobs


def test_independent_jobs_share_the_machine():
    jobs = [Job("student", 1, {"seed": seed}) for seed in range(4)]
    seconds = dict(zip((job.key for job in jobs), (5.0, 3.0, 4.0, 2.0), strict=True))
    assert finish(jobs, seconds, lambda job: ONE, Machine(1)) == 14
    assert finish(jobs, seconds, lambda job: ONE, Machine(2)) == 7  # 5, then 2 at 5; beside them 3, then 4 at 3
    assert finish(jobs, seconds, lambda job: ONE, Machine(8)) == 5
    assert finish(jobs, seconds, lambda job: Machine(2), Machine(2)) == 14
    assert finish(jobs, seconds, lambda job: Machine(64), Machine(2)) == 14, "a share larger than the machine is all of it"


def test_fractions_of_a_gpu_add_up():
    jobs = [Job("student", 1, {"seed": seed}) for seed in range(3)]
    seconds = {job.key: 1.0 for job in jobs}
    assert finish(jobs, seconds, lambda job: Machine(1, 1 / 3), Machine(8, 1)) == 1
    assert finish(jobs, seconds, lambda job: Machine(1, 0.5), Machine(8, 1)) == 2


def test_a_chain_is_walked_one_by_one_and_what_is_done_is_not_waited_for():
    jobs = chain("a", "b", "c")
    seconds = {job.key: 2.0 for job in jobs.values()}
    assert finish(jobs.values(), seconds, lambda job: ONE, Machine(4)) == 6
    assert finish([jobs["b"], jobs["c"]], seconds, lambda job: ONE, Machine(4)) == 4
    assert finish([], seconds, lambda job: ONE, Machine(4)) == 0


def test_the_devices_that_are_visible_count(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,3")
    assert this_machine().gpus == 2
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert this_machine().gpus == 0


def test_what_was_not_measured_is_guessed_from_its_arithmetic(store):
    """resnet8 was measured: 10 s for 3 · 12.5 M multiplications an image. resnet20 has 40.8 M: 32.64 s, and twice that where
    the epochs are doubled; a student of a live teacher computes that one's forward passes as well."""
    plan = a_plan(epochs=10)
    finish_job(store, the(plan, "resnet8-s0"), seconds=10)
    estimator, longer = taught(store), a_plan(epochs=20)
    assert estimator.guess(plan, the(plan, "resnet20-s0")) == pytest.approx(10 * 40.8 / 12.5)
    assert estimator.guess(longer, the(longer, "resnet20-s0")) == pytest.approx(20 * 40.8 / 12.5)
    assert estimator.guess(longer, the(longer, "resnet20-s0"), 15) == pytest.approx(5 * 40.8 / 12.5)
    assert estimator.guess(plan, the(plan, "resnet8-none · s0")) == pytest.approx(10)
    assert estimator.guess(plan, the(plan, "resnet8-kd · s0")) == pytest.approx(10 * (3 * 12.5 + 12.5 + 40.8) / (3 * 12.5))
    banked = a_plan(bank=BankConfig("on"))
    assert estimator.guess(banked, the(banked, "resnet8-kd · s0")) == pytest.approx(10)


def test_a_part_of_a_bank_takes_its_share_of_the_views(store, monkeypatch):
    """9 views of a bank in four parts: 2, 2, 2 and 3."""
    monkeypatch.setattr("kd_core.bank.parts.PART", 3000)
    plan = a_plan(bank=BankConfig("on"))
    first, last = (the(plan, f"logits (views {views}) of resnet8-s0") for views in ("0 to 1", "6 to 8"))
    finish_job(store, the(plan, "resnet8-s0"), seconds=10)
    finish_job(store, first, seconds=4)
    estimator = taught(store)
    assert estimator.seconds(plan, last) == pytest.approx(6)
    assert estimator.guess(plan, last) == pytest.approx(6)
    monkeypatch.undo()
    whole = a_plan(bank=BankConfig("on"))
    assert estimator.seconds(whole, the(whole, "logits of resnet8-s0")) == pytest.approx(18)


def test_an_estimate_says_what_is_guessed_and_the_critical_path(store):
    plan = a_plan(epochs=10, seeds=(0,))
    finish_job(store, the(plan, "resnet8-s0"), seconds=10)
    finish_job(store, the(plan, "resnet8-none · s0"), seconds=12)
    rest = [job for job in plan if job.title in ("resnet20-s0", "probes of resnet20-s0", "resnet8-kd · s0")]
    estimate = taught(store).estimate(plan, rest, {}, Machine(2))
    assert estimate.guessed == {the(plan, "resnet20-s0").key, the(plan, "probes of resnet20-s0").key}
    assert [job.title for job in estimate.path] == ["resnet20-s0", "resnet8-kd · s0"]
    assert estimate.total == pytest.approx(estimate.path_seconds)
    assert estimate.path_seconds == pytest.approx(10 * 40.8 / 12.5 + 12)  # the method none stands in for kd
    assert (estimate.known, estimate.unknown) == (True, 0)


def test_where_nothing_was_measured_there_is_an_order_but_no_time(store):
    plan = a_plan(epochs=10, seeds=(0,))
    estimator = taught(store)
    estimate = estimator.estimate(plan, list(plan), {}, Machine(2))
    assert (estimate.known, estimate.unknown, estimate.total) == (False, len(plan), 0)
    assert [job.title for job in estimate.path] == ["resnet20-s0", "resnet8-kd · s0"]
    lengths = estimator.lengths(plan, plan)
    assert lengths[the(plan, "resnet20-s0").key] == pytest.approx(lengths[the(plan, "resnet8-s0").key] * 40.8 / 12.5)


def test_workers_share_the_epochs_of_a_teacher(store):
    plan = a_plan(epochs=10)
    finish_job(store, the(plan, "resnet20-s0"), seconds=30)
    for workers, seconds in ((1, 30), (3, 10)):
        estimator = taught(store, Resources(teacher=TeacherAllocation(workers=workers)))
        assert estimator.seconds(plan, the(plan, "resnet20-s0")) == pytest.approx(seconds)
    other = Store(store.root.parent / "other")  # measured by two workers, it takes one twice as long
    finish_job(other, the(plan, "resnet20-s0"), seconds=30, workers=2)
    assert taught(other).seconds(plan, the(plan, "resnet20-s0")) == pytest.approx(60)


def test_of_many_entries_a_sample_is_read_and_what_is_known_already_is_not(store, monkeypatch):
    plan = a_plan(seeds=range(6))
    for job in plan:
        finish_job(store, job, seconds=20.0 if job.kind == "teacher" else 10.0)
    read = []
    monkeypatch.setattr("orchestrator.planning.estimate.SAMPLE", 2)
    monkeypatch.setattr(Store, "entry", lambda self, kind, key, entry=Store.entry: read.append(kind) or entry(self, kind, key))
    known = [store.find(job.kind, job.key) for job in plan.of("teacher")]
    estimator = Estimator(Resources())
    estimator.learn_all(store, known)
    assert sorted(read) == ["probe", "probe", "student", "student"]
    assert estimator.seconds(plan, the(plan, "resnet20-s0")) == pytest.approx(20)
    assert estimator.seconds(plan, the(plan, "resnet8-none · s5")) == pytest.approx(10)
