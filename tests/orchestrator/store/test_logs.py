"""The logs of attempts: what is kept of them, and for how long."""

from __future__ import annotations

import pytest

from orchestrator.store import logs
from orchestrator.store.logs import FIRST, FLUSH_S, KEPT, LAST, Log, names, read
from orchestrator.store.store import Store
from tests.support.world import a_plan, finish_job, the


@pytest.fixture
def store(place):
    found = Store(place)
    found.prepare()
    return found


class Clock:
    """At 2026-11-29 07:01:02.25 UTC, until it is moved."""

    def __init__(self):
        self.now = 1795935662.25

    def __call__(self):
        return self.now


def test_lines_have_their_time_and_a_log_its_attempt(store):
    clock = Clock()
    log = Log(store.backend, "logs/teacher/abc", "0123456789ab", clock)
    log.add("one\ntwo")
    clock.now += 60
    log.add("")
    log.flush()
    [name] = names(store.backend, "logs/teacher/abc")
    assert name == "logs/teacher/abc/20261129T070102.250Z-0123456789ab.log"
    kept = read(store.backend, name)
    assert kept.text == "07:01:02 one\n07:01:02 two\n07:02:02 \n"
    assert (kept.attempt, kept.began) == ("0123456789ab", "2026-11-29 07:01:02")


def test_it_is_written_now_and_then(store):
    clock = Clock()
    log = Log(store.backend, "logs/teacher/abc", "0123456789ab", clock)
    log.add("one")
    log.flush_now_and_then()
    log.add("two")
    log.flush_now_and_then()
    assert read(store.backend, log.name).text == "07:01:02 one\n"
    clock.now += FLUSH_S
    log.flush_now_and_then()
    assert read(store.backend, log.name).text == "07:01:02 one\n07:01:02 two\n"


def test_of_a_long_one_the_beginning_and_the_end_are_kept(store):
    log = Log(store.backend, "logs/teacher/abc", "0123456789ab", Clock())
    for number in range(10_000):
        log.add(f"{number:07} " + "x" * 91)  # 109 characters with the time and the line's end
    lines = log.text.splitlines()
    assert [line.split()[1] for line in (lines[0], lines[-1])] == ["0000000", "0009999"]
    first, last = FIRST // 109, LAST // 109
    assert lines[first] == f"… {10_000 - first - last} lines are left out here …"
    assert len(lines) == first + 1 + last


def test_of_a_job_that_fails_again_and_again_the_last_are_kept(store):
    clock = Clock()
    for number in range(KEPT + 3):
        clock.now += 1
        log = Log(store.backend, "logs/teacher/abc", f"{number:012}", clock)
        log.flush()
    log.prune()
    found = [read(store.backend, name).attempt for name in names(store.backend, "logs/teacher/abc")]
    assert found == [f"{number:012}" for number in range(3, KEPT + 3)]


def test_what_cannot_be_written_hurts_nobody(store, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    log = Log(store.backend, "logs/teacher/abc", "0123456789ab", Clock())
    log.add("one")
    monkeypatch.setattr(store.backend, "write", full)
    log.flush()
    assert names(store.backend, "logs/teacher/abc") == []


def test_logs_outlive_the_success_of_a_job_and_go_with_it(store):
    job = the(a_plan(), "resnet8-s0")
    for attempt in ("failed000000", "good00000000"):
        log = Log(store.backend, logs.log_folder(job.kind, job.key), attempt)
        log.add(attempt)
        log.flush()
    finish_job(store, job)
    assert {log.attempt for log in store.logs(job)} == {"failed000000", "good00000000"}
    store.remove(job)
    assert store.logs(job) == []
