"""The states that a driver keeps by events are those that follow from all facts at once, after every event."""

from __future__ import annotations

import functools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kd_core.bank.config import BankConfig
from orchestrator.planning.board import Board
from orchestrator.planning.state import Facts, State, decide
from tests.support.world import a_plan, the


@functools.cache
def plan():
    """Teachers, probes, banks and analyses, plain students and taught ones."""
    return a_plan(methods=("none", "kd", "gpac", "mgd"), seeds=(0, 1), bank=BankConfig("on"))


def agrees(board):
    facts = Facts(board.done, board.progress, board.failed)
    assert board.states == decide(board.plan, facts)
    assert {state: number for state, number in board.counts.items() if number} == {
        state: list(board.states.values()).count(state) for state in set(board.states.values())
    }


EVENTS = ("begin", "again", "finish", "fail")


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_after_any_events_the_states_are_those_that_follow(data):
    keys = [job.key for job in plan()]
    board = Board(plan(), data.draw(st.sets(st.sampled_from(keys))))
    agrees(board)
    for _ in range(data.draw(st.integers(0, 12))):
        event, key = data.draw(st.sampled_from(EVENTS)), data.draw(st.sampled_from(keys))
        if key in board.done or key in board.failed:
            continue
        getattr(board, event)(key, *{"begin": [{"epoch": 1}], "fail": ["out of memory"]}.get(event, []))
        agrees(board)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_each_job_is_ready_once_and_when_all_above_it_are_done(data):
    done = data.draw(st.sets(st.sampled_from([job.key for job in plan()])))
    board, given_, queue = Board(plan(), done), [], []
    while True:
        ready = board.take_ready()
        for job in ready:
            assert set(job.ancestors) <= board.done
        given_ += [job.key for job in ready]
        queue += [job.key for job in ready]
        if not queue:
            break
        board.finish(queue.pop(data.draw(st.integers(0, len(queue) - 1))))
    assert len(given_) == len(set(given_))
    assert not set(given_) & done
    assert {job.key for job in plan() if board.states[job.key] not in (State.DONE, State.IDLE)} == set()
    assert set(given_) <= set(board.turned)


def test_what_was_left_by_another_run_is_ready_once_more():
    board = Board(plan(), set())
    [job] = [job for job in board.take_ready() if job.title == "resnet20-s0"]
    board.begin(job.key, {"epoch": 3})
    assert board.states[job.key] is State.RUNNING
    board.again(job.key)
    assert board.states[job.key] is State.WAITING
    assert board.take_ready() == [job]


def test_a_failure_blocks_what_hangs_on_it_and_nothing_else():
    board = Board(plan(), set())
    board.fail(the(plan(), "resnet8-s0").key, "diverged")
    assert board.states[the(plan(), "probes of resnet8-s0").key] is State.BLOCKED
    assert board.states[the(plan(), "resnet8-kd · s0").key] is State.BLOCKED
    assert board.states[the(plan(), "probes of resnet20-s0").key] is State.WAITING
    assert [job.key for job in board.take_ready() if board.states[job.key] is State.BLOCKED] == []


@pytest.mark.parametrize("students", [10, 100])
def test_an_event_costs_what_it_changes(monkeypatch, students):
    """However many students there are: the states of three are settled where one ends, its own and those of what it needed."""
    wide = a_plan(methods=("kd",), seeds=range(students))
    board, settled = Board(wide, {job.key for job in wide.of("teacher")}), []
    settle = Board._settle
    monkeypatch.setattr(Board, "_settle", lambda self, key: settled.append(key) or settle(self, key))
    board.begin(wide.of("student")[0].key, {})
    board.finish(wide.of("student")[0].key)
    assert len(settled) <= 4
