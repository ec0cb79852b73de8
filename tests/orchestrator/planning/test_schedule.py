"""The order in which jobs are begun: a worked example, bounds that no order beats, and what the order is worth."""

from __future__ import annotations

import itertools
import os
import random
import statistics

import pytest

from orchestrator.experiment.spec import Allocation, Resources, TeacherAllocation
from orchestrator.jobs.job import Job
from orchestrator.planning.schedule import Machine, critical_path, demand, finish, priorities, processors, workers

ONE = Machine(1)


def graph(parents: dict[str, str]) -> dict[str, Job]:
    """Jobs by name; the letters of each value are the names of its parents."""
    jobs: dict[str, Job] = {}
    for name, above in parents.items():
        jobs[name] = Job("teacher", 1, {"name": name}, {"above": [jobs[each].key for each in above]}, name)
    return jobs


def timed(jobs: dict[str, Job], seconds: dict[str, float]) -> dict[str, float]:
    return {jobs[name].key: value for name, value in seconds.items()}


def test_a_worked_example():
    """a 2 → c 5, and a, b → d 1; b 3; e 4 alone. On two cores: a and e (7, 4, 4: e before b among equals) begin, then c at 2
    and b at 4, both until 7; d until 8."""
    jobs = graph({"a": "", "e": "", "b": "", "c": "a", "d": "ab"})
    seconds = timed(jobs, {"a": 2, "b": 3, "c": 5, "d": 1, "e": 4})
    found = priorities(jobs.values(), seconds)
    assert {job.title: found[job.key] for job in jobs.values()} == {"a": 2 + 5, "e": 4, "b": 3 + 1, "c": 5, "d": 1}
    assert [job.title for job in critical_path(jobs.values(), seconds)] == ["a", "c"]
    assert finish(jobs.values(), seconds, lambda job: ONE, Machine(2), found) == 8
    backwards = {key: -value for key, value in found.items()}  # e (−4), b (−4); at 3 a until 5, d (−1) until 6, c at 5 until 10
    assert finish(jobs.values(), seconds, lambda job: ONE, Machine(2), backwards) == 10


def test_ancestors_that_are_done_are_not_waited_for():
    jobs = graph({"a": "", "b": "a", "c": "b"})
    seconds = timed(jobs, {"a": 9, "b": 2, "c": 1})
    rest = [jobs["c"], jobs["b"]]  # in any order
    assert priorities(rest, seconds) == {jobs["b"].key: 3, jobs["c"].key: 1}
    assert critical_path(rest, seconds) == [jobs["b"], jobs["c"]]
    assert critical_path([], seconds) == []
    assert priorities([jobs["a"]], {}) == {jobs["a"].key: 0}, "no duration is no length"


def a_random_graph(source: random.Random) -> tuple[list[Job], dict[str, float]]:
    jobs: list[Job] = []
    for number in range(source.randint(3, 40)):
        above = source.sample(jobs, min(len(jobs), source.choice([0, 0, 1, 2, 3])))
        jobs.append(Job("student", 1, {"number": number}, {"above": [job.key for job in above]}))
    return jobs, {job.key: source.lognormvariate(1, 1) for job in jobs}


def an_experiment(source: random.Random) -> tuple[list[Job], dict[str, float]]:
    """Teachers in the order of the spec, their probes, and students of one, some or all of them."""
    seconds: dict[str, float] = {}

    def made(kind: str, number: int, above: list[Job], length: float) -> Job:
        job = Job(kind, 1, {"number": number}, {"above": [each.key for each in above]})
        seconds[job.key] = length
        return job

    count = source.randint(2, 8)
    teachers = [made("teacher", number, [], source.lognormvariate(4, 1)) for number in range(count)]
    probes = [made("probe", number, [above], 0.1 * seconds[above.key]) for number, above in enumerate(teachers)]
    students = []
    for number in range(source.randint(4, 40)):
        some = source.sample(range(count), min(count, source.choice([0, 1, 1, 2, count])))
        above = [teachers[index] for index in some] + [probes[index] for index in some if source.random() < 0.5]
        students.append(made("student", number, above, source.lognormvariate(3, 0.7)))
    return [*teachers, *probes, *students], seconds


@pytest.mark.parametrize("make", [a_random_graph, an_experiment])
@pytest.mark.parametrize("cores", [1, 2, 4, 8])
def test_no_order_beats_the_bounds_and_this_one_comes_close(make, cores):
    """The bounds: the critical path, and all the work over all the cores. Graham: no greedy order is twice as long."""
    source = random.Random(0)
    in_plan_order, longest_chain_first = [], []
    for _ in range(200):
        jobs, seconds = make(source)
        path = sum(seconds[job.key] for job in critical_path(jobs, seconds))
        bound = max(path, sum(seconds.values()) / cores)
        plan_order = {job.key: -place for place, job in enumerate(jobs)}
        for order, found in ((plan_order, in_plan_order), (priorities(jobs, seconds), longest_chain_first)):
            took = finish(jobs, seconds, lambda job: ONE, Machine(cores), order)
            assert bound - 1e-9 <= took <= (2 - 1 / cores) * bound + 1e-9
            found.append(took / bound)
    assert statistics.mean(longest_chain_first) <= statistics.mean(in_plan_order)
    assert statistics.mean(longest_chain_first) < 1.02


@pytest.mark.parametrize("make", [a_random_graph, an_experiment])
def test_priorities_fall_along_every_chain_by_the_job_s_own_length_at_least(make):
    jobs, seconds = make(random.Random(1))
    found = priorities(jobs, seconds)
    for job in jobs:
        for above in job.ancestors:
            assert found[above] >= seconds[above] + found[job.key]
    path = critical_path(jobs, seconds)
    assert sum(seconds[job.key] for job in path) == pytest.approx(max(found.values()))
    assert all(above.key in below.ancestors for above, below in itertools.pairwise(path))


def test_a_chain_is_found_in_a_plan_of_thousands():
    names = [Job("student", 1, {"number": 0})]
    for number in range(1, 5000):
        names.append(Job("student", 1, {"number": number}, {"above": [names[-1].key]}))
    assert priorities(names, {job.key: 1.0 for job in names})[names[0].key] == 5000


def test_all_workers_of_a_teacher_take_their_share():
    resources = Resources(teacher=TeacherAllocation(2, 1, 3), student=Allocation(1, 0.25))
    teacher = Job("teacher", 1, {"recipe": {"epochs": 4}})
    assert (workers(teacher, resources), demand(teacher, resources)) == (3, Machine(6, 3))
    for job in (Job("teacher", 1, {"weights": {}}), Job("probe", 1, {}), Job("analysis", 1, {"recipe": {"epochs": 4}})):
        assert (workers(job, resources), demand(job, resources)) == (1, Machine(2, 1))
    assert demand(Job("student", 1, {"recipe": {"epochs": 4}}), resources) == Machine(1, 0.25)


@pytest.mark.parametrize(("granted", "expected"), [("", 2), ("1", 1), ("64", 2), ("0", 2), ("2(x3)", 2)])
def test_processors_are_those_that_slurm_grants_where_they_are_fewer(monkeypatch, granted, expected):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1}, raising=False)
    monkeypatch.setenv("SLURM_CPUS_ON_NODE", granted)
    assert processors() == expected
