"""What is worth waiting for once notice was given, by clocks that are set by hand."""

from __future__ import annotations

import time

import pytest

from orchestrator.executors.notice import Notice, OutOfTime


def given(seconds=10.0):
    notice = Notice()
    notice.give("SIGTERM", seconds)
    return notice


NOW = time.time()


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    """The time of the day stands still; the monotonic clock goes on."""
    monkeypatch.setattr(time, "time", lambda: NOW)


def said(epoch=3, seconds=4.0, ago=1.0):
    """What a job said at the end of an epoch, ``ago`` seconds ago."""
    return {"epoch": epoch, "seconds": seconds, "updated": NOW - ago}


@pytest.mark.parametrize(
    ("before", "now", "worth"),
    [
        (said(), said(), True),  # the epoch ends 3 s from now, and 10 s are left
        (said(seconds=60.0), said(seconds=60.0), False),  # it ends 59 s from now
        (said(seconds=60.0, ago=55.0), said(seconds=60.0, ago=55.0), True),  # as slow, but almost there
        (said(), said(epoch=4), False),  # it has ended
        (said(), {}, False),  # the job is done
        ({}, {}, False),  # it had not begun
        ({"updated": NOW}, {"updated": NOW}, True),  # its first epoch, which may be short
        ({"updated": NOW}, said(epoch=1), False),
    ],
)
def test_what_is_worth_waiting_for(before, now, worth):
    assert given().worth_waiting(before, now) == worth


def test_nothing_is_once_time_is_over():
    assert not given(0.0).worth_waiting(said(), said())


def test_this_process_goes_on_to_the_end_of_an_epoch_that_ends_in_time():
    notice = Notice()
    notice.expect(4.0)
    notice.give("SIGUSR1", 10.0)
    assert notice.given
    assert 9 < notice.left_s <= 10


def test_and_not_where_it_takes_longer():
    notice = Notice()
    notice.expect(60.0)
    with pytest.raises(OutOfTime):
        notice.give("SIGUSR1", 10.0)
    assert notice.reason == "SIGUSR1"


def test_a_second_notice_does_not_wait(monkeypatch):
    notice = given()
    notice.give("SIGTERM", 10.0)  # at once: the same word, by another way
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 2)
    with pytest.raises(OutOfTime):
        notice.give("SIGTERM", 10.0)


def test_a_run_that_lets_go_of_what_it_holds_is_not_disturbed():
    notice = given()
    notice.settle()
    notice.run_out()
    notice.give("SIGTERM", 10.0)
    assert notice.reason == "SIGTERM"
