"""The store: what has no manifest does not exist; what is corrupt is found; nothing is half-written."""

from __future__ import annotations

import json
import os
import pickle
import socket
import subprocess
import sys
import time

import pyarrow.fs
import pytest
import torch

from kd_core.training.checkpoint import Checkpoint, Checkpoints, Record
from kd_core.training.checkpoint_files import epoch_of, newest_first
from orchestrator.jobs import canonical
from orchestrator.jobs.job import Job
from orchestrator.store.errors import CorruptEntry, StoreError, StoreFailed
from orchestrator.store.files import read_json, write_bytes, write_json
from orchestrator.store.store import Store
from tests.support.object_store import SECRET

JOB = Job("teacher", 1, {"model": "resnet8", "seed": 0}, title="resnet8-s0")


MANIFEST = f"teacher/{JOB.key}/manifest.json"
MODEL = "model.safetensors"


@pytest.fixture
def store(place):
    found = Store(place)
    found.prepare()
    return found


def commit(store, job=JOB, content=b"weights", results=None):
    attempt = store.begin(job)
    (attempt.path / MODEL).write_bytes(content)
    attempt.commit(results or {"test_accuracy": 0.5}, seconds=2.0)
    return attempt


def test_a_store_that_is_prepared_is_empty(store):
    assert store.backend.sizes("") == {}
    assert store.find("teacher", JOB.key) is None
    assert list(store.entries("teacher")) == []


def test_an_entry_comes_back_as_it_was_committed(store):
    commit(store)
    entry = store.find("teacher", JOB.key, deep=True)
    assert entry.results == {"test_accuracy": 0.5}
    assert entry.manifest["seconds"] == 2.0
    assert entry.manifest["title"] == "resnet8-s0"
    assert entry.file(MODEL).read_bytes() == b"weights"
    assert entry.file(MODEL).name == MODEL
    assert [found.manifest["key"] for found in store.entries("teacher")] == [JOB.key]


def test_entries_come_in_the_order_of_their_keys(store):
    jobs = [Job("teacher", 1, {"model": "resnet8", "seed": seed}) for seed in range(5)]
    for job in jobs:
        commit(store, job)
    assert [entry.manifest["key"] for entry in store.entries("teacher")] == sorted(job.key for job in jobs)
    assert list(store.each(lambda job: store.find("teacher", job.key).manifest["key"], jobs)) == [job.key for job in jobs]


def test_an_entry_without_files(store):
    store.begin(JOB).commit({"ece": 0.1}, 1.0)
    assert store.find("teacher", JOB.key, deep=True).results == {"ece": 0.1}


def test_without_a_manifest_there_is_nothing(store):
    attempt = store.begin(JOB)
    (attempt.path / MODEL).write_bytes(b"weights")
    assert store.find("teacher", JOB.key) is None
    assert list(store.entries("teacher")) == []
    attempt.discard()
    assert not attempt.path.exists()
    assert everything(store) == []


def test_killed_between_the_files_and_the_manifest_there_is_nothing(store, monkeypatch):
    attempt = store.begin(JOB)
    (attempt.path / MODEL).write_bytes(b"weights")

    def killed(*args, **more):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(store.backend, "write", killed)
        with pytest.raises(KeyboardInterrupt):
            attempt.commit({}, 1.0)
    assert any(name.endswith(MODEL) for name in everything(store))
    assert store.find("teacher", JOB.key) is None
    assert list(store.entries("teacher")) == []
    commit(store, content=b"again")
    store.clear(JOB)
    assert len(everything(store)) == 2
    assert store.find("teacher", JOB.key, deep=True).file(MODEL).read_bytes() == b"again"


def test_a_commit_that_was_made_although_it_was_reported_to_have_failed_stays(store):
    attempt = commit(store)
    attempt.discard()
    assert store.find("teacher", JOB.key, deep=True)


def everything(store, folder=""):
    """The names of all files of a store."""
    names = [f"{folder}/{name}".lstrip("/") for name in store.backend.sizes(folder)]
    return names + [
        name for inner in store.backend.folders(folder) for name in everything(store, f"{folder}/{inner}".lstrip("/"))
    ]


def model_of(store):
    return f"teacher/{JOB.key}/{store.find('teacher', JOB.key).manifest['attempt']}/{MODEL}"


def change_content(store):
    store.backend.write(model_of(store), b"Weights")


def change_size(store):
    store.backend.write(model_of(store), b"weight")


def remove_file(store):
    store.backend.remove(model_of(store))


def truncate_manifest(store):
    store.backend.write(MANIFEST, store.backend.read(MANIFEST, 100))


def change_result(store):
    store.backend.write(MANIFEST, store.backend.read(MANIFEST).replace(b"0.5", b"0.9"))


def change_config_and_digest(store):
    """A forged manifest that is sound in itself, but is not what its key says."""
    body = json.loads(store.backend.read(MANIFEST))
    body.pop("digest")
    body["config"]["seed"] = 1
    store.backend.write(MANIFEST, json.dumps({**body, "digest": canonical.digest(body)}).encode())


def list_instead_of_object(store):
    store.backend.write(MANIFEST, b"[]")


@pytest.mark.parametrize(
    "damage",
    [
        change_content,
        change_size,
        remove_file,
        truncate_manifest,
        change_result,
        change_config_and_digest,
        list_instead_of_object,
    ],
)
def test_every_damage_is_found_and_quarantined(store, damage):
    commit(store)
    damage(store)
    with pytest.raises(CorruptEntry, match=JOB.key[:8]):
        store.find("teacher", JOB.key, deep=True)
    before = len(everything(store))
    where = store.quarantine("teacher", JOB.key)
    assert where.startswith(store.location.partition("?")[0])
    assert store.find("teacher", JOB.key) is None
    names = everything(store)
    assert len(names) == before
    assert all(name.startswith(f"quarantine/teacher-{JOB.key}-") for name in names)
    commit(store)
    assert store.find("teacher", JOB.key, deep=True)


def test_a_second_attempt_does_not_touch_the_first(store):
    """A worker that was thought dead goes on writing beside the one that replaced it."""
    slow = store.begin(JOB)
    (slow.path / MODEL).write_bytes(b"slow")
    commit(store, content=b"fast")
    (slow.path / MODEL).write_bytes(b"half")
    assert store.find("teacher", JOB.key, deep=True).file(MODEL).read_bytes() == b"fast"


def test_of_two_that_commit_the_last_manifest_counts_and_both_are_whole(store):
    first, second = store.begin(JOB), store.begin(JOB)
    for attempt, content in ((first, b"first"), (second, b"second")):
        (attempt.path / MODEL).write_bytes(content)
    first.commit({"test_accuracy": 0.1}, 1.0)
    earlier = store.find("teacher", JOB.key)
    second.commit({"test_accuracy": 0.2}, 1.0)
    entry = store.find("teacher", JOB.key, deep=True)
    assert (entry.results, entry.file(MODEL).read_bytes()) == ({"test_accuracy": 0.2}, b"second")
    assert earlier.problem(deep=True) is None, "who read the first manifest still finds its files"
    assert earlier.file(MODEL).read_bytes() == b"first"
    store.clear(JOB)
    assert len(everything(store)) == 2
    assert store.find("teacher", JOB.key, deep=True)


def test_clear_leaves_only_the_entry(store):
    kept = commit(store)
    store.backend.write(f"teacher/{JOB.key}/0123456789ab/{MODEL}", b"of an attempt that came to nothing")
    store.write_work(JOB, "progress.json", {"epoch": 1})
    store.work(JOB).write("epoch-00001.0123456789abcdef.safetensors", b"checkpoint")
    store.fail(JOB, {"reason": "no luck"})
    assert store.failure(JOB)["reason"] == "no luck"
    store.clear(JOB)
    assert store.progress(JOB) == {}
    assert store.work(JOB).names() == []
    assert store.failure(JOB) == {}
    assert sorted(everything(store)) == sorted([MANIFEST, f"teacher/{JOB.key}/{kept.id}/{MODEL}"])


def test_checkpoints_are_kept_in_the_store_and_a_damaged_one_is_passed_over(store):
    checkpoints = Checkpoints(store.work(JOB))
    assert checkpoints.newest() is None
    for epochs in (9, 10, 11):
        history = tuple(Record(epoch, 1000 * epoch, 0.5, {"loss": 1 / epoch}) for epoch in range(1, epochs + 1))
        checkpoints.save(Checkpoint({"w": torch.full((3,), float(epochs))}, history))
    elsewhere = Checkpoints(Store(store.location).work(JOB))  # as another node finds them
    assert torch.equal(elsewhere.newest().tensors["w"], torch.full((3,), 11.0))
    assert elsewhere.newest().history == history
    newest, before = newest_first(store.work(JOB))
    assert (epoch_of(newest), epoch_of(before)) == (11, 10)
    for damaged in (b"", store.work(JOB).read(newest)[:-1], b"x" * 500):
        store.work(JOB).write(newest, damaged)
        assert len(elsewhere.newest().history) == 10
    store.work(JOB).write(before, b"")
    assert elsewhere.newest() is None


def test_the_first_bytes_of_a_file(store):
    store.backend.write("a/b", b"0123456789")
    assert store.backend.read("a/b", 4) == b"0123"
    assert store.backend.read("a/b", 40) == b"0123456789"
    for size in (None, 4):
        with pytest.raises(FileNotFoundError):
            store.backend.read("a/none", size)


class Meddled:
    """A file system of pyarrow's on which something happens between the question for an object's size and its reading."""

    def __init__(self, files, *acts):
        self.files = files
        self.acts = list(acts)

    def open_input_file(self, path):
        file = self.files.open_input_file(path)
        if self.acts:
            self.acts.pop(0)()
        return file

    def get_file_info(self, path):
        return self.files.get_file_info(path)


@pytest.fixture
def meddled(s3):
    """A store on S3 that holds an object, and how to have it meddled with."""
    store = Store(s3.uri())
    store.backend.write("a/b", b"12345")
    files, base = store.backend._reached()

    def meddle(*acts):
        store.backend._connected = Meddled(files, *acts), base
        return store.backend

    def write(content):
        with files.open_output_stream(f"{base}/a/b") as sink:
            sink.write(content)

    def delete():
        files.delete_file(f"{base}/a/b")

    return meddle, write, delete


@pytest.mark.parametrize("now", [b"", b"1", b"54321", b"1234567", b"9" * 1000])
def test_an_object_that_is_replaced_while_it_is_read_comes_whole(meddled, now):
    meddle, write, delete = meddled
    assert meddle(lambda: write(now)).read("a/b") == now
    assert meddle(lambda: write(b"12345"), lambda: write(now)).read("a/b") in (now, b"12345")
    write(b"12345")
    assert meddle(lambda: (delete(), write(now))).read("a/b") == now


@pytest.mark.parametrize("size", [None, 3])
@pytest.mark.parametrize("content", [b"12345", b"1" * 2000])
def test_an_object_that_is_deleted_while_it_is_read_is_not_there(meddled, size, content):
    """S3 answers with a page of XML, which does not fit where the SDK wants the few bytes of the object."""
    meddle, write, delete = meddled
    write(content)
    with pytest.raises(FileNotFoundError):
        meddle(delete).read("a/b", size)


def test_an_object_that_is_always_replaced_is_given_up(meddled):
    meddle, write, _ = meddled
    acts = [lambda length=length: write(b"1" * length) for length in range(10, 100)]
    with pytest.raises(StoreFailed, match=r"a/b in s3://.* is replaced faster than it can be read"):
        meddle(*acts).read("a/b")


def test_what_is_not_there_can_be_removed(store):
    store.backend.remove("a/none")
    store.backend.remove_tree("a")
    store.forgive(JOB)
    assert store.backend.sizes("a") == {}
    assert store.backend.folders("a") == []


def test_half_a_document_reads_as_nothing(store):
    store.backend.write("failed/x.json", b'{"epoch": ')
    assert store.read_json("failed/x.json") == {}
    assert store.read_json("failed/none.json") == {}


def test_a_store_has_one_identity(store):
    name = store.identity()
    assert len(name) == 12
    assert Store(store.location).identity() == name


def test_a_scratch_folder_is_reached_by_its_path_and_file_system(store):
    scratch = store.scratch("tune/toy")
    store.backend.write("tune/toy/a", b"1")
    files = scratch.filesystem or pyarrow.fs.LocalFileSystem()
    assert files.open_input_stream(f"{scratch.path}/a").read() == b"1"
    assert SECRET.encode() not in pickle.dumps(scratch.filesystem)
    scratch.clear()
    assert everything(store) == []
    scratch.clear()


def test_documents_of_work_come_back_and_are_listed_until_the_job_is_done(store):
    assert store.read_work(JOB, "trials/00001.json") == {}
    assert store.list_work(JOB, "trials") == []
    for number in (2, 1, 10):
        store.write_work(JOB, f"trials/{number:05d}.json", {"number": number})
    store.write_work(JOB, "trials/00002.json", {"number": 2, "accuracy": 0.5})
    store.write_work(JOB, "progress.json", {"epoch": 3})
    assert store.list_work(JOB, "trials") == ["trials/00001.json", "trials/00002.json", "trials/00010.json"]
    assert store.read_work(JOB, "trials/00002.json") == {"number": 2, "accuracy": 0.5}
    assert store.progress(JOB) == {"epoch": 3}
    commit(store)
    store.clear(JOB)
    assert store.list_work(JOB, "trials") == []


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path, monkeypatch):
    path = tmp_path / "progress.json"
    write_json(path, {"epoch": 1})

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_json(path, {"epoch": 2})
    assert read_json(path) == {"epoch": 1}
    assert [found.name for found in tmp_path.iterdir()] == ["progress.json"]


def test_half_a_json_file_reads_as_nothing(tmp_path):
    write_bytes(tmp_path / "a.json", b'{"epoch": ')
    assert read_json(tmp_path / "a.json") == {}
    assert read_json(tmp_path / "absent.json") == {}


def test_a_store_that_cannot_be_written_says_so(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"file/store cannot be written: Not a directory"):
        Store(tmp_path / "file" / "store").prepare()


HOLD = """
import sys
from orchestrator.store.store import Store
with Store(sys.argv[1]).lock("run-x") as held:
    print(held, flush=True)
    sys.stdin.read()
"""


def hold(store):
    """A process that holds a lock until it is killed or its input ends, and whether it got it."""
    command = [sys.executable, "-c", HOLD, store.location]
    holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    return holder, holder.stdout.readline() == "True\n"


def test_a_lock_is_exclusive_and_dies_with_its_process(store):
    began = time.time()
    holder, held = hold(store)
    assert held
    with store.lock("run-x") as held:
        assert not held
    assert store.holder("run-x") is not None
    assert store.holder("run-y") is None
    who = store.holder("run-x")
    assert (who.pid, who.host) == (holder.pid, socket.gethostname())
    assert began <= who.since <= time.time()
    holder.kill()
    holder.communicate()
    assert store.holder("run-x") is None
    with store.lock("run-x") as held:
        assert held
        with store.lock("run-x") as again:
            assert not again
    assert store.holder("run-x") is None


def test_a_lock_ends_with_its_block(store):
    holder, held = hold(store)
    assert held
    holder.communicate("", timeout=30)
    assert holder.returncode == 0
    assert store.holder("run-x") is None
