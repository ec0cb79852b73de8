"""What the executor does where its session is lost, with a session that is pretended."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kd_core.data.place import Place
from orchestrator.executors.executor import CannotRun, ClusterLost, Ended
from orchestrator.executors.ray import executor as module
from orchestrator.executors.ray.executor import DEATHS, RETURN_S, RayExecutor
from orchestrator.executors.ray.session_process import SessionLost, SessionProcess
from orchestrator.executors.ray.terms import Terms
from orchestrator.executors.runtimes import Runtimes
from orchestrator.experiment.spec import Resources
from orchestrator.jobs.job import Job
from orchestrator.planning.schedule import Machine

TERMS = Terms(Runtimes("/nowhere", Resources(), Place(), {}), frozenset({"teacher"}), None, "tune/x")


class World:
    """Sessions that answer by a script, and a clock that moves when somebody sleeps."""

    def __init__(self):
        self.now = 1000.0
        self.log = []  # what was asked of each session
        self.answers = []  # functions of a request; the first that does not give None answers
        self.ended = 0

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        assert seconds > 0
        self.now += seconds

    def session(self, terms):
        number, world = len(self.log), self
        self.log.append([])

        class Session:
            opened = False

            def wait(self):
                self.ask("open")
                self.opened = True

            def ask(self, *request):
                if request[0] == "said":
                    return {}
                world.log[number].append(request)
                for answer in world.answers:
                    if (found := answer(number, *request)) is not None:
                        if isinstance(found, Exception):
                            raise found
                        return found
                return [] if request[0] == "poll" else None

            def end(self):
                world.ended += 1

        return Session()


@pytest.fixture
def world(monkeypatch):
    made = World()
    monkeypatch.setattr(module, "SessionProcess", made.session)
    monkeypatch.setattr(module, "time", made)
    return made


def executor(tmp_path, notes, address=None, waits=lambda what: None):
    terms = replace(TERMS, runtimes=replace(TERMS.runtimes, store=str(tmp_path)), address=address)
    return RayExecutor(terms, notes.append, waits)


def job(number):
    return Job("teacher", 1, {"number": number}, {}, f"job{number}")


def poll_for(world, runner, seconds):
    """As the driver does; a poll itself takes a moment."""
    until = world.now + seconds
    while world.now < until:
        runner.poll(0.5)
        world.now += 0.01


def requests(world, session, name):
    return [request[1:] for request in world.log[session] if request[0] == name]


@pytest.mark.parametrize("when", ["submit", "poll"])
def test_a_new_session_gets_what_had_not_ended_with_its_priority(world, tmp_path, when):
    notes = []
    runner = executor(tmp_path, notes)
    first, second, third = map(job, range(3))
    runner.submit(first, 3.0)
    runner.submit(second, 2.0)
    world.answers = [lambda number, name, *_: [Ended(first)] if (number, name) == (0, "poll") else None]
    assert runner.poll(0.5) == [Ended(first)]
    world.answers = [lambda number, name, *_: SessionLost("it was killed") if (number, name) == (0, when) else None]
    runner.submit(third, 1.0)
    assert runner.poll(0.5) == []
    if when == "poll":
        runner.poll(0.5)
    assert requests(world, 1, "submit") == [(second, 2.0), (third, 1.0)]
    assert notes == ["the Ray cluster died (it was killed): a new one is begun, and jobs go on from their checkpoints"]
    runner.close()
    assert world.ended == 2


@pytest.mark.parametrize(("address", "what"), [(None, "starting Ray"), ("a:6379", "joining the Ray cluster at a:6379")])
def test_it_says_that_it_waits_for_ray_until_that_is_there_and_how_large_it_is(world, tmp_path, address, what):
    said = []
    runner = executor(tmp_path, [], address, said.append)
    world.answers = [lambda number, name, *_: Machine(4, 1) if name == "machine" else None]
    assert said == []
    runner.submit(job(0), 1.0)
    runner.submit(job(1), 1.0)
    assert said == [what, ""]
    assert runner.machine is None
    poll_for(world, runner, 1)
    assert runner.machine == Machine(4, 1)
    world.answers = [lambda number, name, *_: Machine(8, 1) if name == "machine" else None]
    poll_for(world, runner, 15)
    assert runner.machine == Machine(8, 1), "it grew"
    assert len(requests(world, 0, "machine")) == 2


def test_what_is_submitted_between_two_sessions_goes_to_the_second(world, tmp_path):
    runner = executor(tmp_path, [])
    world.answers = [lambda number, name, *_: SessionLost("gone") if (number, name) == (0, "poll") else None]
    runner.poll(0.5)
    late = job(0)
    runner.submit(late, 1.0)
    runner.poll(0.5)
    assert requests(world, 1, "submit") == [(late, 1.0)]


@pytest.mark.parametrize("when", ["open", "submit", "poll"])
def test_one_that_always_dies_ends_the_run(world, tmp_path, when):
    runner = executor(tmp_path, [])
    runner.submit(job(0), 1.0)
    world.answers = [lambda number, name, *_: SessionLost("gone") if name == when or not number else None]
    with pytest.raises(ClusterLost, match=f"died {DEATHS} times in a row, and no job ended in between: gone"):
        poll_for(world, runner, 100)
    assert len(world.log) == world.ended == DEATHS


def test_deaths_with_jobs_between_them_are_no_end(world, tmp_path):
    runner = executor(tmp_path, [])
    jobs = [job(number) for number in range(3 * DEATHS)]
    for each in jobs:
        runner.submit(each, 1.0)

    def answer(number, name, *_):
        polled = len(requests(world, number, "poll"))
        if name == "poll":
            return [Ended(jobs[number])] if polled == 1 else SessionLost("gone")
        return None

    world.answers = [answer]
    ended = [end for _ in range(2 * len(jobs)) for end in runner.poll(0.5)]
    assert [end.job for end in ended] == jobs


def test_a_cluster_of_others_is_waited_for_until_the_limit(world, tmp_path):
    notes = []
    runner = executor(tmp_path, notes, "10.0.0.1:6379")
    away = CannotRun("no Ray cluster answers at 10.0.0.1:6379")
    world.answers = [
        lambda number, name, *_: SessionLost("gone") if (number, name) == (0, "poll") else away if name == "open" else None
    ]
    began = world.now
    with pytest.raises(ClusterLost, match=r"did not come back: no Ray cluster answers at 10\.0\.0\.1:6379"):
        poll_for(world, runner, 2 * RETURN_S)
    assert RETURN_S < world.now - began < RETURN_S + 10
    assert notes == [
        "the Ray cluster died (gone): the cluster at 10.0.0.1:6379 is waited for, and jobs go on from their checkpoints"
    ]


def test_a_first_session_that_cannot_be_had(world, tmp_path):
    world.answers = [lambda number, *_: CannotRun("no node has as much")]
    runner = executor(tmp_path, [])
    with pytest.raises(CannotRun, match="no node has as much"):
        runner.submit(job(0), 1.0)
    runner.close()
    assert world.ended == 1


def test_a_process_that_dies_says_how(monkeypatch):
    monkeypatch.setattr("orchestrator.executors.ray.session_process.CODE", "import os, signal; os.kill(os.getpid(), 9)")
    session = SessionProcess(TERMS)
    with pytest.raises(SessionLost, match="the process that works with it was killed by SIGKILL"):
        session.wait()
    session.end()


@pytest.mark.parametrize(("code", "why"), [(81, "the raylet of this node is gone"), (82, "its head is gone"), (3, "code 3")])
def test_an_exit_code_says_why(monkeypatch, code, why):
    monkeypatch.setattr("orchestrator.executors.ray.session_process.CODE", f"import os; os._exit({code})")
    session = SessionProcess(TERMS)
    with pytest.raises(SessionLost, match=why):
        session.wait()
    session.end()
