"""Names of jobs that can be typed."""

from __future__ import annotations

import pytest

from orchestrator.experiment.load import load
from orchestrator.planning.names import UnknownJob, find, path_of
from orchestrator.planning.plan import make


@pytest.fixture
def plan(small):
    text = small.read_text().replace("bank:", "evaluations: {calibration: {}}\nbank:")
    small.write_text(text)
    return make(load(small))


def test_no_two_jobs_share_a_path(plan):
    paths = [path_of(job) for job in plan]
    assert len(set(paths)) == len(paths)
    for job, path in zip(plan, paths, strict=True):
        assert find(plan, path) == [job]
    kinds = {"teacher/wrn_16_1-s0", "student/resnet8/gpac/s1", "evaluation/calibration/resnet8/none/s0", "probe/resnet8-s0"}
    assert kinds <= set(paths)
    assert "bank/logits/resnet8-s0" in paths


@pytest.mark.parametrize("name", ["student/resnet8/kd/s1", "resnet8/kd/s1", "resnet8 · kd · s1", " resnet8/kd/s1/ "])
def test_a_student_by_what_people_call_it(plan, name):
    [job] = find(plan.of("student"), name)
    assert job.title == "resnet8 · kd · s1"
    assert find(plan, job.key[:8]) == [job]


def test_without_a_seed_all_seeds(plan):
    assert [job.title for job in find(plan.of("student"), "resnet8/kd")] == ["resnet8 · kd · s0", "resnet8 · kd · s1"]


def test_what_was_meant(plan):
    with pytest.raises(UnknownJob, match=r"there is no job `resnet8/gpca`; did you mean .*resnet8/gpac"):
        find(plan.of("student"), "resnet8/gpca")
    with pytest.raises(UnknownJob, match="none at all"):
        find([], "resnet8")
