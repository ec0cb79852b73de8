"""The store: what has no manifest does not exist; what is corrupt is found; nothing is half-written."""

from __future__ import annotations

import json
import multiprocessing
import os

import pytest

from orchestrator import store as store_module
from orchestrator.job import Job
from orchestrator.store import Attempt, CorruptEntry, Store, StoreError, read_json, write_bytes, write_json

JOB = Job("teacher", 1, {"model": "resnet8", "seed": 0}, title="resnet8-s0")


@pytest.fixture
def store(tmp_path):
    found = Store(tmp_path / "store")
    found.prepare()
    return found


def commit(store, job=JOB, content=b"weights", results=None):
    attempt = Attempt(store, job)
    (attempt.path / "model.safetensors").write_bytes(content)
    attempt.commit(results or {"test_accuracy": 0.5}, seconds=2.0)
    return attempt


def test_an_entry_comes_back_as_it_was_committed(store):
    commit(store)
    entry = store.find("teacher", JOB.key, deep=True)
    assert entry.results == {"test_accuracy": 0.5}
    assert entry.manifest["seconds"] == 2.0
    assert entry.manifest["title"] == "resnet8-s0"
    assert entry.file("model.safetensors").read_bytes() == b"weights"
    assert [found.manifest["key"] for found in store.entries("teacher")] == [JOB.key]


def test_without_a_manifest_there_is_nothing(store):
    attempt = Attempt(store, JOB)
    (attempt.path / "model.safetensors").write_bytes(b"weights")
    assert store.find("teacher", JOB.key) is None
    attempt.discard()
    assert not attempt.entry.exists()


def change_content(entry):
    entry.file("model.safetensors").write_bytes(b"Weights")


def change_size(entry):
    entry.file("model.safetensors").write_bytes(b"weight")


def remove_file(entry):
    entry.file("model.safetensors").unlink()


def truncate_manifest(entry):
    path = entry.path / "manifest.json"
    path.write_bytes(path.read_bytes()[:100])


def change_result(entry):
    path = entry.path / "manifest.json"
    path.write_text(path.read_text().replace("0.5", "0.9"))


def change_config_and_digest(entry):
    """A forged manifest that is sound in itself, but is not what its key says."""
    path = entry.path / "manifest.json"
    body = json.loads(path.read_text())
    body.pop("digest")
    body["config"]["seed"] = 1
    path.write_text(json.dumps({**body, "digest": store_module.canonical.digest(body)}))


def list_instead_of_object(entry):
    (entry.path / "manifest.json").write_text("[]")


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
    damage(store.find("teacher", JOB.key))
    with pytest.raises(CorruptEntry, match=JOB.key[:8]):
        store.find("teacher", JOB.key, deep=True)
    where = store.quarantine("teacher", JOB.key)
    assert where.is_dir()
    assert store.find("teacher", JOB.key) is None
    commit(store)
    assert store.find("teacher", JOB.key, deep=True)


def test_a_second_attempt_does_not_touch_the_first(store):
    """A worker that was thought dead goes on writing beside the one that replaced it."""
    slow = Attempt(store, JOB)
    (slow.path / "model.safetensors").write_bytes(b"slow")
    commit(store, content=b"fast")
    (slow.path / "model.safetensors").write_bytes(b"half")
    assert store.find("teacher", JOB.key, deep=True).file("model.safetensors").read_bytes() == b"fast"


def test_clear_leaves_only_the_entry(store):
    Attempt(store, JOB)  # an attempt that came to nothing
    write_json(store.work(JOB) / "progress.json", {"epoch": 1})
    store.fail(JOB, {"reason": "no luck"})
    assert store.failure(JOB)["reason"] == "no luck"
    kept = commit(store)
    store.clear(JOB)
    assert store.progress(JOB) == {}
    assert store.failure(JOB) == {}
    assert sorted(path.name for path in kept.entry.iterdir()) == sorted([kept.id, "manifest.json"])


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


def test_a_uri_is_refused():
    with pytest.raises(StoreError, match="s3://bucket"):
        Store("s3://bucket/kd")


def _hold(root, ready, release):
    with Store(root).lock("run-x") as held:
        ready.put(held)
        release.get()


def test_a_lock_is_exclusive_and_dies_with_its_process(store):
    context = multiprocessing.get_context("fork")
    ready, release = context.Queue(), context.Queue()
    holder = context.Process(target=_hold, args=(store.root, ready, release))
    holder.start()
    assert ready.get(timeout=30)
    with store.lock("run-x") as held:
        assert not held
    assert store.locked("run-x")
    assert not store.locked("run-y")
    holder.kill()
    holder.join()
    assert not store.locked("run-x")
    with store.lock("run-x") as held:
        assert held
