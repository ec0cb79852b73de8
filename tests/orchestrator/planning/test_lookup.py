"""Which job is meant, and what is said where none is."""

from __future__ import annotations

import pytest

from orchestrator.planning.lookup import Lookup, NoSuchJob
from orchestrator.store.store import Store
from tests.support.world import a_plan, finish_job, the


@pytest.fixture
def lookup(tmp_path):
    return Lookup(a_plan(), Store(tmp_path))


@pytest.mark.parametrize("asked", ["resnet8-kd · s1", "ResNet8-KD s1", "resnet8-kd/s1", " resnet8-kd  ·  s1 "])
def test_a_name_however_it_is_typed(lookup, asked):
    assert lookup.find(asked).title == "resnet8-kd · s1"


def test_the_beginning_of_a_key_as_it_is_shown(lookup):
    job = the(lookup.plan, "resnet20-s0")
    for asked in (job.key, job.short, job.key[:8] + "…", job.key[:6].upper()):
        assert lookup.find(asked).job is job


def test_what_is_in_the_store_beside_the_plan(lookup):
    other = the(a_plan(lr=0.2), "resnet8-kd · s0")
    finish_job(lookup.store, other)
    assert other.key not in lookup.plan.jobs
    found = lookup.find(other.key[:10])
    assert (found.key, found.title, found.job.config) == (other.key, other.title, other.config)


def test_a_job_that_left_nothing_but_a_log(lookup):
    lookup.store.backend.write(f"logs/student/{'ab' * 32}/20261129T070102.250Z-0123456789ab.log", b"a line")
    found = lookup.find("abababab")
    assert (found.kind, found.job) == ("student", None)
    assert [log.text for log in lookup.store.logs(found)] == ["a line"]


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ("kd", "no job is called kd; near are: resnet8-kd · s0, resnet8-kd · s1 ("),
        ("resnt20-s0", "no job is called resnt20-s0; near are: resnet20-s0, "),
        ("☃", "no job is called ☃; there are: resnet20-s0, resnet8-s0, probes of resnet20-s0, probes of resnet8-s0, "),
        ("0123456789", "no key in the plan or in the store "),
        ("", "no job is called ; there are: "),
    ],
)
def test_an_unknown_name_gets_the_nearest(lookup, asked, words):
    with pytest.raises(NoSuchJob) as error:
        lookup.find(asked)
    assert str(error.value).startswith(words)


def test_a_beginning_of_several_keys(lookup, monkeypatch):
    jobs = list(lookup.plan)
    for number, job in enumerate(jobs[:2]):
        monkeypatch.setitem(lookup.plan.jobs, "abcd" + f"{number}" * 60, lookup.plan.jobs.pop(job.key))
        object.__setattr__(job, "key", "abcd" + f"{number}" * 60)
    with pytest.raises(
        NoSuchJob, match=r"2 keys begin with abcd: abcd0000… \(resnet20-s0\), abcd1111… \(resnet8-s0\); give more of it"
    ):
        lookup.find("abcd")
