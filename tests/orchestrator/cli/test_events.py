"""What happens in a run, as events."""

from __future__ import annotations

import json
import re

from orchestrator.cli.events import Changes, Event, Happening
from orchestrator.planning.snapshot import Snapshot
from orchestrator.planning.state import State
from tests.support.paths import ROOT
from tests.support.world import a_plan, the


def told(changes, snapshot, now=0.0):
    return [(event.what.value, event.job and event.job.title, dict(event.said)) for event in changes.since(snapshot, now)]


def snapshot(plan, notes=(), failed=None, ready=0, progress=None, **states):
    found = {job.key: states.get(job.title, State.WAITING) for job in plan}
    said = {the(plan, title).key: values for title, values in (progress or {}).items()}
    reasons = {the(plan, title).key: reason for title, reason in (failed or {}).items()}
    return Snapshot(plan, found, said, tuple(notes), reasons, ready)


def test_a_run_from_its_beginning_to_its_end():
    plan, changes = a_plan(methods=("none",), seeds=(0,)), Changes()
    done, first, other = "probes of resnet20-s0", "resnet20-s0", "resnet8-s0"
    assert told(changes, snapshot(plan, notes=["a note"], **{done: State.DONE})) == [
        ("note", None, {"text": "a note"}),
        ("counts", None, {"done": 1, "waiting": 4, "ready": 0}),
    ], "what was done before is no event"
    assert told(changes, snapshot(plan, notes=["a note"], **{done: State.DONE})) == []
    running = {done: State.DONE, first: State.RUNNING, other: State.RUNNING}
    said = {first: {"doing": "importing torch", "pid": 7}, other: {"epoch": 1, "epochs": 10, "loss": 0.5, "seconds": 2.0}}
    assert told(changes, snapshot(plan, ["a note"], ready=1, progress=said, **running), now=10.0) == [
        ("job_begins", first, {}),
        ("job_begins", other, {}),
        ("progress", first, {"doing": "importing torch"}),
        ("progress", other, {"epoch": 1, "epochs": 10, "loss": 0.5, "seconds": 2.0}),
        ("counts", None, {"done": 1, "running": 2, "waiting": 2, "ready": 1}),
    ]
    assert told(changes, snapshot(plan, ["a note"], ready=1, progress=said, **running), now=11.0) == [], "nothing new"
    ended = {done: State.DONE, first: State.DONE, other: State.FAILED}
    assert told(changes, snapshot(plan, ["a note", "another"], failed={other: "no luck"}, **ended), now=13.5) == [
        ("note", None, {"text": "another"}),
        ("job_done", first, {"seconds": 3.5}),
        ("job_failed", other, {"reason": "no luck"}),
        ("counts", None, {"done": 2, "waiting": 2, "failed": 1, "ready": 0}),
    ]


def test_what_was_at_work_before_the_first_look_begins_with_it():
    plan = a_plan(methods=("none",), seeds=(0,))
    said = {"resnet8-s0": {"epoch": 4, "epochs": 10}}
    events = told(Changes(), snapshot(plan, progress=said, **{"resnet8-s0": State.RUNNING}))
    assert [name for name, _, _ in events] == ["job_begins", "progress", "counts"]


def test_an_event_is_a_line_of_json():
    job = the(a_plan(), "resnet8-s0")
    line = json.dumps(Event(Happening.JOB_FAILED, 12.34567, job, {"reason": "no luck"}).plain())
    assert json.loads(line) == {
        "event": "job_failed",
        "time": 12.346,
        "job": {"key": job.key, "kind": "teacher", "title": "resnet8-s0"},
        "reason": "no luck",
    }


def test_the_page_of_events_has_each_of_them():
    page = (ROOT / "docs" / "events.md").read_text()
    assert set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)) == {each.value for each in Happening}
