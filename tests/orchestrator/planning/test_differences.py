"""Why two jobs are not the same."""

from __future__ import annotations

import pytest

from orchestrator.planning.differences import ABSENT, Change, Comparison
from orchestrator.planning.lookup import Lookup
from orchestrator.store.store import Store
from tests.support.world import a_plan, the


@pytest.fixture
def compared(tmp_path):
    """The difference of two jobs, each of a plan."""

    def compare(first, title, second, other=None):
        lookups = [Lookup(plan, Store(tmp_path)) for plan in (first, second)]
        return Comparison(*lookups).compare(lookups[0].find(title), lookups[1].find(other or title))

    return compare


def test_two_students_of_a_method_differ_in_their_seed_alone(compared):
    found = compared(a_plan(), "resnet8-kd · s0", a_plan(), "resnet8-kd · s1")
    assert found.changes == (Change("seed", 0, 1),)
    assert found.parents == ()


def test_what_the_teachers_differ_in_is_told_once_and_as_which_parent(compared):
    found = compared(a_plan(methods=("gpac",)), "resnet8-gpac · s0", a_plan(methods=("gpac",), epochs=20))
    assert found.changes == ()
    teachers = [parent for parent in found.parents if parent.role == "teachers"]
    assert [(parent.place, parent.changes) for parent in teachers] == [
        (place, (Change("recipe.epochs", 10, 20),)) for place in (0, 1)
    ]
    probes = [parent for parent in found.parents if parent.role == "probes"]
    assert [[above.again for above in probe.parents] for probe in probes] == [[True], [True]]
    assert [probe.changes for probe in probes] == [(), ()]


def test_methods_have_knobs_and_parents_of_their_own(compared):
    found = compared(a_plan(), "resnet8-none · s0", a_plan(), "resnet8-kd · s0")
    assert Change("method.name", "none", "kd") in found.changes
    assert Change("method.knobs.temperature", ABSENT, 4) in found.changes
    assert [(parent.role, parent.first, parent.second.title) for parent in found.parents] == [
        ("teachers", None, "resnet20-s0"),
        ("teachers", None, "resnet8-s0"),
    ]


def test_kinds_differ_too(compared):
    found = compared(a_plan(), "resnet8-s0", a_plan(), "resnet8-none · s0")
    assert found.changes[0] == Change("kind", "teacher", "student")


def test_of_what_is_gone_nothing_is_known(compared, tmp_path):
    plan = a_plan()
    Store(tmp_path).backend.write(f"logs/student/{'ab' * 32}/20261129T070102.250Z-0123456789ab.log", b"a line")
    assert compared(plan, "resnet8-kd · s0", plan, "abababab").unknown
    student = the(plan, "resnet8-kd · s0")
    less = a_plan(methods=("none",))
    for key in student.ancestors:
        del less.jobs[key]
    less.jobs[student.key] = the(a_plan(lr=0.2), "resnet8-kd · s0")
    found = compared(plan, "resnet8-kd · s0", less, the(less, "resnet8-kd · s0").title)
    assert found.changes == (Change("recipe.lr", 0.05, 0.2),)
