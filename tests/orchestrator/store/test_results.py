"""The forms of results: each kind has one, and what the stages leave has it."""

from __future__ import annotations

import msgspec
import pytest

from orchestrator.jobs.kinds import KINDS
from orchestrator.store.results import FORMS, check
from tests.support.least import LEAST, least


def test_every_kind_has_a_form():
    assert FORMS.keys() == KINDS.keys()


@pytest.mark.parametrize("kind", LEAST)
def test_the_least_is_enough_and_nothing_is_not(kind):
    check(kind, least(kind))
    for name in least(kind):
        with pytest.raises(msgspec.ValidationError):
            check(kind, {other: value for other, value in least(kind).items() if other != name})


@pytest.mark.parametrize("kind", ["teacher", "student", "trial", "probe", "evaluation"])
@pytest.mark.parametrize("value", ["0.5", None, [], {}, "good"])
def test_what_is_a_number_is_one(kind, value):
    for name, other in least(kind).items():
        if isinstance(other, float):
            with pytest.raises(msgspec.ValidationError, match="float"):
                check(kind, least(kind) | {name: value})


@pytest.mark.parametrize("accuracy", [-0.1, 1.1, 93.5])
@pytest.mark.parametrize(("kind", "name"), [("teacher", "test_accuracy"), ("trial", "validation_accuracy"), ("probe", "fc")])
def test_an_accuracy_is_a_fraction(kind, name, accuracy):
    with pytest.raises(msgspec.ValidationError, match=r"0\.0|1\.0"):
        check(kind, least(kind) | {name: accuracy})


@pytest.mark.parametrize("stages", [[[16]], [[16, 8, 0]], [["a", 8, 8]], "none"])
def test_a_shape_has_sizes(stages):
    shape = least("student")["shape"] | {"stages": stages}
    with pytest.raises(msgspec.ValidationError, match=r"shape\.stages"):
        check("student", least("student", shape=shape))
