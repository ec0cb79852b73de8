"""A report reads every entry once, and every table of an entry once, whatever is made of them."""

from __future__ import annotations

from collections import Counter

import pytest

from orchestrator.planning.state import State, standings
from orchestrator.report.data.reading import Reading
from orchestrator.report.text.render import FORMATS, render
from orchestrator.report.text.terminal import probe_table, terminal
from tests.support.report_world import a_plan, a_store, the_student
from tests.support.world import remove_entry


@pytest.fixture
def counted(tmp_path, monkeypatch):
    """A finished experiment, and how often each of its files is read."""
    plan = a_plan()
    store = a_store(tmp_path, plan)
    reads: Counter[str] = Counter()
    read, fetch = store.backend.read, store.backend.fetch
    monkeypatch.setattr(store.backend, "read", lambda name, size=None: (reads.update([name]), read(name, size))[1])
    monkeypatch.setattr(store.backend, "fetch", lambda name, sha256: (reads.update([name]), fetch(name, sha256))[1])
    return plan, store, reads


@pytest.mark.parametrize("made", [*FORMATS, "terminal", "probes", "all"])
def test_every_file_is_read_once(counted, made):
    plan, store, reads = counted
    reading = Reading(plan, store)
    for format in FORMATS if made == "all" else [made] if made in FORMATS else []:
        render(reading, format)
    if made in ("terminal", "all"):
        terminal(reading)
    if made in ("probes", "all"):
        probe_table(reading)
    assert set(reads.values()) == {1}
    manifests = {name: count for name, count in reads.items() if name.endswith("manifest.json")}
    assert manifests == {f"{store.entry(job.kind, job.key).folder}/manifest.json": 1 for job in plan}


def test_the_report_and_the_status_stand_on_the_same_standings(tmp_path):
    plan = a_plan({"none": (None, 0.9), "gpac": (None,)})
    store = a_store(tmp_path, plan, {"none": (None, 0.9), "gpac": (None,)})
    store.fail(the_student(plan, "none", 0), {"reason": "the loss diverged"})
    reading, found = Reading(plan, store), standings(plan, store)
    for job in plan:
        done, failed = found[job.key].state == State.DONE, found[job.key].state == State.FAILED
        assert reading.status(job) == ("done" if done else "failed" if failed else "missing")
        assert (reading.reason(job) == "") == done


def test_what_is_behind_a_failure_names_it_however_far_it_is(tmp_path):
    plan = a_plan({"gpac": (None,)})
    store = a_store(tmp_path, plan, {"gpac": (None,)})
    teacher = plan.of("teacher")[0]
    [probe] = [job for job in plan.of("probe") if job.parents["teachers"] == [teacher.key]]
    for job in (teacher, probe):
        remove_entry(store, job)
    store.fail(teacher, {"reason": "no space left on device"})
    reading = Reading(plan, store)
    for job in (probe, the_student(plan, "gpac", 0)):
        assert reading.reason(job) == f"{teacher.title} failed: no space left on device"
