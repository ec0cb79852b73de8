"""Banks that are filled in parts, each by a job of its own."""

from __future__ import annotations

import pytest

from orchestrator.driver import run
from orchestrator.planning.state import State
from orchestrator.stages.student import bank_files

ONLY = ("students.methods=[kd]", "students.seeds=[0]", "teachers.recipe.epochs=1", "students.recipe.epochs=1")


class Stop(KeyboardInterrupt):
    """Ctrl-C, from inside the watch."""


@pytest.fixture
def in_parts(monkeypatch):
    monkeypatch.setattr("kd_core.bank.parts.PART", 300)  # views of images: 90 × 9 = 810 make three parts


def go(file, store, watch=lambda snapshot: None):
    return run(file, executor="inline", overrides=ONLY, store=str(store), watch=watch)


def files(outcome, kind, name):
    """The SHA-256 of a file of every entry of a kind, by title."""
    return {job.title: outcome.store.entry(kind, job.key).manifest["files"][name] for job in outcome.plan.of(kind)}


def test_a_killed_fill_goes_on_from_its_last_part_to_the_same_bits(small, tmp_path, in_parts):
    whole = go(small, tmp_path / "whole")
    banks = whole.plan.of("bank")
    assert [job.title for job in banks] == [
        f"logits (views {views}) of {teacher}"
        for teacher in ("resnet8-s0", "wrn_16_1-s0")
        for views in ("0 to 2", "3 to 5", "6 to 8")
    ]

    def watch(snapshot):
        if snapshot.states[banks[1].key] is State.DONE:
            raise Stop

    with pytest.raises(Stop):
        go(small, tmp_path / "killed", watch)
    again = go(small, tmp_path / "killed")
    assert again.computed <= len(whole.plan) - 4, "two teachers and two parts were kept"
    assert files(again, "bank", "bank.safetensors") == files(whole, "bank", "bank.safetensors")
    assert files(again, "student", "model.safetensors") == files(whole, "student", "model.safetensors")


def test_a_student_reads_every_part_of_every_teacher(small, tmp_path, in_parts):
    outcome = go(small, tmp_path / "store")
    [student] = outcome.plan.of("student")
    found = bank_files(student, outcome.store)
    keys = [[[path.parent.parent.name for path in parts] for parts in kinds] for kinds in found]
    banks = [job.key for job in outcome.plan.of("bank")]
    assert keys == [[banks[:3]], [banks[3:]]]
    assert outcome.store.entry("bank", banks[0]).results["views"] == 3


def test_it_learns_from_parts_what_it_learns_from_the_whole(small, tmp_path, monkeypatch):
    whole = go(small, tmp_path / "whole")
    monkeypatch.setattr("kd_core.bank.parts.PART", 300)
    parts = go(small, tmp_path / "parts")
    assert len(parts.plan.of("bank")) == 3 * len(whole.plan.of("bank"))
    assert files(parts, "student", "model.safetensors") == files(whole, "student", "model.safetensors")
