"""What banks cost and spare, counted by hand on 1,294 images of 9 views, two teachers and the epochs of their students."""

from __future__ import annotations

import dataclasses

import pytest

from kd_core.bank.config import BankConfig
from kd_core.bank.storage import Storage
from kd_core.knowledge import Need
from orchestrator.planning.bank_costs import kept, live
from orchestrator.planning.plan import make
from tests.support.world import a_spec

IMAGES = 1_294
LOGITS = frozenset({(Need.LOGITS, Storage(), "resnet20-s0"), (Need.LOGITS, Storage(), "resnet8-s0")})


def found(spec):
    made = kept(spec, make(spec))
    return made, live(spec, made)


def test_what_is_filled_and_what_is_spared():
    made, asked = found(a_spec(methods=("none", "kd"), seeds=(0, 1), bank=BankConfig()))  # 10 epochs
    assert (made.students, made.banks) == (2, LOGITS)
    assert made.bytes == 2 * 9 * IMAGES * (10 * 2 + 2)
    assert (made.fill, made.live) == (2 * 9 * IMAGES, 2 * 2 * 10 * IMAGES)
    assert made.spared == pytest.approx(1 - 18 / 40)
    assert asked == []


def test_parts_of_a_bank_come_to_the_whole(monkeypatch):
    spec = a_spec(bank=BankConfig())
    whole, _ = found(spec)
    monkeypatch.setattr("kd_core.bank.parts.PART", 3000)
    assert len(make(spec).of("bank")) == 2 * 4
    assert found(spec)[0] == whole


def test_a_grid_that_would_be_worth_its_banks_is_proposed_the_setting_and_nothing_is_decided_by_it():
    """8 epochs of one student do not pay for 9 views; those of three do."""
    spec = a_spec(methods=("kd",), seeds=(0, 1, 2), bank=BankConfig())
    spec = dataclasses.replace(
        spec, students=tuple(dataclasses.replace(s, recipe=dataclasses.replace(s.recipe, epochs=8)) for s in spec.students)
    )
    made, [asked] = found(spec)
    assert (made, asked.students) == (None, 3)
    assert asked.reason.startswith("filling its banks takes 9 views")
    assert asked.proposal.shared_by == 3
    costs = asked.proposal.costs
    assert (costs.banks, costs.fill, costs.live) == (LOGITS, 2 * 9 * IMAGES, 3 * 2 * 8 * IMAGES)
    alone = dataclasses.replace(spec, students=spec.students[:1])
    assert [job.key for job in make(alone).of("student")] == [job.key for job in make(spec).of("student")][:1]
    assert found(alone)[1][0].proposal is None
    shared = dataclasses.replace(spec, bank=BankConfig(shared_by=asked.proposal.shared_by))
    made, asked = found(shared)
    assert (made, asked) == (costs, [])


def test_where_something_else_is_in_the_way_nothing_is_proposed():
    for bank in (BankConfig("off"), BankConfig(limit_gib=1e-6)):
        _, [asked] = found(a_spec(methods=("kd",), seeds=range(9), bank=bank))
        assert asked.proposal is None
