"""The store: what has no manifest does not exist; what is corrupt is found; nothing is half-written."""

from __future__ import annotations

import json
import pathlib
import pickle

import pyarrow.fs
import pytest
import torch

from kd_core.training.checkpoint import Checkpoint, Checkpoints, Record
from kd_core.training.checkpoint_files import epoch_of, newest_first
from orchestrator.jobs import canonical
from orchestrator.jobs.job import Job
from orchestrator.store.errors import CorruptEntry, StoreError, StoreFailed
from orchestrator.store.store import Store
from tests.support.least import least
from tests.support.object_store import SECRET

JOB = Job("teacher", 1, {"model": "resnet8", "seed": 0}, title="resnet8-s0")


PROGRESS = {"attempt": "a", "started": 1.0, "updated": 2.0, "epoch": 3}
PLACE = f"teacher/{JOB.key}"
MODEL = "model.safetensors"


def commit(store, job=JOB, content=b"weights", results=None):
    attempt = store.begin(job)
    (attempt.path / MODEL).write_bytes(content)
    attempt.commit(results or least(job.kind), seconds=2.0)
    return attempt


def test_a_store_that_is_prepared_is_empty(store):
    assert store.backend.sizes("") == {}
    assert store.find("teacher", JOB.key) is None
    assert list(store.entries("teacher")) == []


def test_an_entry_comes_back_as_it_was_committed(store):
    commit(store)
    entry = store.find("teacher", JOB.key, deep=True)
    assert entry.results == least("teacher")
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
    store.begin(JOB).commit(least(JOB.kind), 1.0)
    assert store.find("teacher", JOB.key, deep=True).results == least("teacher")


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
            attempt.commit(least(JOB.kind), 1.0)
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


def manifest_of(store):
    [name] = [name for name in store.backend.tree(PLACE) if name.endswith("/manifest.json")]
    return f"{PLACE}/{name}"


def truncate_manifest(store):
    store.backend.write(manifest_of(store), store.backend.read(manifest_of(store), 100))


def change_result(store):
    store.backend.write(manifest_of(store), store.backend.read(manifest_of(store)).replace(b"0.5", b"0.9"))


def list_instead_of_object(store):
    store.backend.write(manifest_of(store), b"[]")


def nest_deeply(store):
    store.backend.write(manifest_of(store), b'{"a":' * 100_000)


def forge(store, **changes):
    """A manifest whose digest is right; ``changes`` by field."""
    body = json.loads(store.backend.read(manifest_of(store))) | changes
    del body["digest"]
    store.backend.write(manifest_of(store), json.dumps({**body, "digest": canonical.digest(body)}).encode())


def forge_config(store):
    """One that is sound in itself, but is not what its key says."""
    forge(store, config={"model": "resnet8", "seed": 1})


def forge_version(store):
    forge(store, format=99)


def forge_files(store):
    forge(store, files=[])


def forge_path(store):
    forge(store, files={"../../identity": {"sha256": "0" * 64, "bytes": 12}})


def forge_results(store):
    forge(store, results="good")


def forge_empty_results(store):
    forge(store, results={})


def forge_text_as_accuracy(store):
    forge(store, results=least("teacher", test_accuracy="0.5"))


def forge_more_than_all_right(store):
    forge(store, results=least("teacher", test_accuracy=93.5))


def forge_attempt(store):
    forge(store, attempt="0123456789ab")


DAMAGES = [
    change_content,
    change_size,
    remove_file,
    truncate_manifest,
    change_result,
    list_instead_of_object,
    nest_deeply,
    forge_config,
    forge_version,
    forge_files,
    forge_path,
    forge_results,
    forge_empty_results,
    forge_text_as_accuracy,
    forge_more_than_all_right,
    forge_attempt,
]


@pytest.mark.parametrize("damage", DAMAGES)
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


@pytest.mark.parametrize("damage", DAMAGES)
def test_of_two_attempts_the_corrupt_one_is_quarantined_and_the_whole_one_counts(store, damage):
    commit(store)
    damage(store)
    whole = commit(store)
    beside = store.begin(JOB)
    (beside.path / MODEL).write_bytes(b"at work")
    for _ in range(2):  # as two runs do at once
        store.quarantine("teacher", JOB.key)
    assert store.find("teacher", JOB.key, deep=True).manifest["attempt"] == whole.id
    assert {name.partition("/")[0] for name in store.backend.tree(PLACE)} <= {whole.id, beside.id}
    beside.commit(least(JOB.kind), 1.0)


def test_a_file_in_the_place_of_an_entry_is_moved_out_of_the_way(tmp_path):
    store = Store(tmp_path / "store")
    store.backend.write(PLACE, b"not an entry")
    with pytest.raises(CorruptEntry, match="a file in its place"):
        store.find("teacher", JOB.key)
    moved = store.quarantine("teacher", JOB.key)
    assert pathlib.Path(moved).read_bytes() == b"not an entry"
    commit(store)
    assert store.find("teacher", JOB.key, deep=True)


def test_a_folder_in_the_place_of_a_manifest_is_none(tmp_path):
    store = Store(tmp_path / "store")
    attempt = commit(store)
    (attempt.path / "manifest.json").unlink()
    store.backend.write(f"{PLACE}/{attempt.id}/manifest.json/inside", b"")
    assert store.find("teacher", JOB.key) is None
    commit(store)
    store.clear(JOB)
    assert len(store.backend.tree(PLACE)) == 2


def test_entries_of_stores_as_they_were_before_are_read(store):
    """The manifest lay beside the attempts."""
    attempt = commit(store)
    store.backend.write(f"{PLACE}/manifest.json", store.backend.read(manifest_of(store)))
    store.backend.remove(f"{PLACE}/{attempt.id}/manifest.json")
    assert store.find("teacher", JOB.key, deep=True).file(MODEL).read_bytes() == b"weights"
    store.clear(JOB)
    assert store.find("teacher", JOB.key, deep=True)
    store.backend.write(f"{PLACE}/{attempt.id}/{MODEL}", b"Weights")
    with pytest.raises(CorruptEntry, match="SHA-256"):
        store.find("teacher", JOB.key, deep=True)
    store.quarantine("teacher", JOB.key)
    assert store.find("teacher", JOB.key) is None
    assert store.backend.tree(PLACE) == {}


def test_a_second_attempt_does_not_touch_the_first(store):
    """A worker that was thought dead goes on writing beside the one that replaced it."""
    slow = store.begin(JOB)
    (slow.path / MODEL).write_bytes(b"slow")
    commit(store, content=b"fast")
    (slow.path / MODEL).write_bytes(b"half")
    assert store.find("teacher", JOB.key, deep=True).file(MODEL).read_bytes() == b"fast"


def test_of_two_that_commit_the_first_counts_and_both_are_whole(store):
    first, second = store.begin(JOB), store.begin(JOB)
    for attempt, content in ((first, b"first"), (second, b"second")):
        (attempt.path / MODEL).write_bytes(content)
    first.commit(least(JOB.kind, test_accuracy=0.1), 1.0)
    for then in (lambda: None, lambda: second.commit(least(JOB.kind, test_accuracy=0.2), 1.0), lambda: store.clear(JOB)):
        then()
        entry = store.find("teacher", JOB.key, deep=True)
        assert (entry.results, entry.file(MODEL).read_bytes()) == (least(JOB.kind, test_accuracy=0.1), b"first")
    assert len(everything(store)) == 4, "nothing that has a manifest is removed: somebody may be reading it"


def test_an_attempt_whose_files_were_swept_as_a_dead_ones_does_not_exist(store):
    slow = store.begin(JOB)
    (slow.path / MODEL).write_bytes(b"slow")
    fast = commit(store)
    keep = store.backend.keep

    def swept(path, folder, files):
        keep(path, folder, files)
        store.clear(JOB)

    store.backend.keep = swept
    try:
        with pytest.raises(StoreFailed, match="as they were written"):
            slow.commit(least(JOB.kind), 1.0)
    finally:
        del store.backend.keep
    slow.discard()
    assert {name.partition("/")[0] for name in store.backend.tree(PLACE)} == {fast.id}


def test_clear_leaves_only_the_entry(store):
    kept = commit(store)
    store.backend.write(f"teacher/{JOB.key}/0123456789ab/{MODEL}", b"of an attempt that came to nothing")
    store.write_work(JOB, "progress.json", PROGRESS)
    store.work(JOB).write("epoch-00001.0123456789abcdef.safetensors", b"checkpoint")
    store.fail(JOB, {"reason": "no luck"})
    assert store.failure(JOB)["reason"] == "no luck"
    store.clear(JOB)
    assert store.progress(JOB) == {}
    assert store.work(JOB).names() == []
    assert store.failure(JOB) == {}
    assert sorted(everything(store)) == sorted([manifest_of(store), f"{PLACE}/{kept.id}/{MODEL}"])


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


def test_all_files_below_a_folder(store):
    for name in ("a", "b/c", "b/d/e", "b/d/f/g", "bc/h"):
        store.backend.write(name, name.encode())
    assert store.backend.tree("") == {name: len(name) for name in ("a", "b/c", "b/d/e", "b/d/f/g", "bc/h")}
    assert store.backend.tree("b") == {"c": 3, "d/e": 5, "d/f/g": 7}
    assert store.backend.tree("b/d") == {"e": 5, "f/g": 7}
    assert store.backend.tree("none") == {}
    assert sorted(everything(store)) == sorted(store.backend.tree(""))


def test_what_is_not_there_can_be_removed(store):
    with pytest.raises(FileNotFoundError):
        store.backend.move("a/none", "b/none")
    store.backend.remove("a/none")
    store.backend.remove_tree("a")
    store.forget_failure(JOB)
    assert store.backend.sizes("a") == {}
    assert store.backend.folders("a") == []
    assert store.backend.folders("") == []


def test_a_folder_that_is_empty_now_is_gone(tmp_path):
    store = Store(tmp_path / "store")
    store.backend.write("a/b/c", b"")
    store.backend.write("a/d", b"")
    store.backend.remove("a/b/c")
    assert [path.name for path in (store.root / "a").iterdir()] == ["d"]
    store.backend.remove_tree("a")
    assert list(store.root.iterdir()) == []
    with store.lock("run-x"):
        assert list(store.root.iterdir())
    assert list(store.root.iterdir()) == []


def test_half_a_document_reads_as_nothing(store):
    store.backend.write("failed/x.json", b'{"epoch": ')
    assert store.read_json("failed/x.json") == {}
    assert store.read_json("failed/none.json") == {}


@pytest.mark.parametrize(
    "change", [{"epoch": "three"}, {"accuracy": "good"}, {"updated": None}, {"attempt": 1}, {"accuracy": [0.5]}]
)
def test_progress_of_another_form_is_none(store, change):
    store.write_work(JOB, "progress.json", PROGRESS | change)
    assert store.progress(JOB) == {}


@pytest.mark.parametrize("change", [{"reason": 5}, {"time": "now"}, {"reason": None}])
def test_a_failure_of_another_form_is_none_and_its_reason_is_fit_to_be_shown(store, change):
    store.fail(JOB, {"reason": "\x1b[31mred"})
    assert store.failure(JOB)["reason"] == r"\x1b[31mred"
    store.fail(JOB, {"reason": "no luck", **change})
    assert store.failure(JOB) == {}


def test_a_store_has_one_identity(store):
    name = store.identity()
    assert len(name) == 12
    assert Store(store.location).identity() == name
    for damaged in (b"", name[:-1].encode(), b"\xff" * 12):
        store.backend.write("identity", damaged)
        with pytest.raises(StoreFailed, match=r"`identity` of the store .* was damaged"):
            store.identity()


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
    store.write_work(JOB, "progress.json", PROGRESS)
    assert store.list_work(JOB, "trials") == ["trials/00001.json", "trials/00002.json", "trials/00010.json"]
    assert store.read_work(JOB, "trials/00002.json") == {"number": 2, "accuracy": 0.5}
    assert store.progress(JOB) == PROGRESS
    commit(store)
    store.clear(JOB)
    assert store.list_work(JOB, "trials") == []


def test_a_path_with_a_nul_is_no_place():
    with pytest.raises(StoreError, match="holds a NUL character"):
        Store("a\0b")


def test_a_store_that_cannot_be_written_says_so(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"file/store cannot be written: Not a directory"):
        Store(tmp_path / "file" / "store").prepare()
