"""A folder on a network's file system: another machine removes or replaces what is open here, and the handle goes stale."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from orchestrator.jobs.job import Job
from orchestrator.store.backends.local import Local
from orchestrator.store.files import RACES
from orchestrator.store.store import Store

OPEN = Path.open


def test_who_gets_a_job_s_lock_sees_what_who_had_it_left(tmp_path, monkeypatch):
    """Such a file system answers of a folder as it was for half a minute, unless one changes it; here, for ever."""
    known, real, changed = {}, Local.tree, os.utime

    def stale(self, folder):
        return known.setdefault(self.root / folder, real(self, folder))

    def utime(path, *more, **named):
        known.pop(Path(path), None)
        changed(path, *more, **named)

    job = Job("pretend", 1, {}, {}, "it")
    theirs, ours = Store(tmp_path), Store(tmp_path)
    monkeypatch.setattr(Local, "tree", stale)
    assert not ours.find(job.kind, job.key)
    with monkeypatch.context() as their_machine:
        their_machine.setattr(Local, "tree", real)
        with theirs.lock_job(job):
            theirs.begin(job).commit({}, 1.0)
            theirs.clear(job)
    assert not ours.find(job.kind, job.key)
    monkeypatch.setattr(os, "utime", utime)
    with ours.lock_job(job) as held:
        assert held
        assert ours.find(job.kind, job.key)


def test_to_look_again_makes_nothing(tmp_path):
    Store(tmp_path).backend.look_again("pretend/0123")
    assert list(tmp_path.iterdir()) == []


class File:
    """An open file on such a file system: as many of its reads fail as the test says, and every close."""

    def __init__(self, file, failing):
        self._file = file
        self._failing = failing

    def __getattr__(self, name):
        return getattr(self._file, name)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()

    def read(self, size=-1):
        if self._failing:
            raise self._failing.pop()
        return self._file.read(size)

    def close(self):
        self._file.close()
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))


@pytest.fixture
def failing(monkeypatch):
    """Errors of the reads to come, the last first."""
    found = []
    monkeypatch.setattr(Path, "open", lambda path, *how, **more: File(OPEN(path, *how, **more), found))
    return found


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path)


def written(folder):
    with OPEN(folder / "progress.json", "wb") as file:
        file.write(b"{}")


def stale():
    return OSError(errno.ESTALE, os.strerror(errno.ESTALE))


def test_what_is_replaced_while_it_is_read_is_read_again(store, tmp_path, failing):
    written(tmp_path)
    failing += [stale(), stale()]
    assert store.backend.read("progress.json") == b"{}"
    assert failing == []


def test_what_was_removed_is_not_there(store, tmp_path, failing):
    written(tmp_path)
    failing += [stale() for _ in range(RACES)]
    with pytest.raises(FileNotFoundError):
        store.backend.read("progress.json")
    failing += [stale() for _ in range(RACES)]
    assert store.read_json("progress.json") == {}


def test_another_error_is_told(store, tmp_path, failing):
    written(tmp_path)
    failing.append(OSError(errno.EIO, os.strerror(errno.EIO)))
    with pytest.raises(OSError, match=r"Errno 5"):
        store.backend.read("progress.json")


def test_locks_of_removed_files_can_be_closed(store, failing):
    with store.lock("run-x") as held:
        assert held
        assert store.holder("run-x").pid == os.getpid()
        with store.lock("run-x") as again:
            assert not again
    assert store.holder("run-x") is None


@pytest.mark.parametrize("code", [errno.ESTALE, errno.ENOENT])
def test_a_lock_that_is_removed_while_it_is_taken_is_taken_anew(store, monkeypatch, code):
    """Of three tries, the first two find that the file that they opened is gone."""
    from orchestrator.store.backends import local

    real, gone = os.path.sameopenfile, [code, code]

    def same(*files):
        if gone:
            raise OSError(gone.pop(), "gone")
        return real(*files)

    monkeypatch.setattr(local.os.path, "sameopenfile", same)
    with store.lock("run-x") as held:
        assert held
    assert gone == []


def test_a_lock_that_cannot_be_taken_for_another_reason_is_told(store, monkeypatch):
    from orchestrator.store.backends import local

    def no_locks(*how):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(local.fcntl, "flock", no_locks)
    with pytest.raises(OSError, match="No locks available"), store.lock("run-x"):
        pass
