"""What can be removed of a store, and that nothing else goes."""

from __future__ import annotations

import os
import time

import pytest

from kd_core.bank.config import BankConfig
from orchestrator.planning.garbage import Garbage
from orchestrator.planning.heaps import Heap
from orchestrator.store.backends import cache
from orchestrator.store.store import Store
from tests.support.world import a_plan, begin, finish_job, the

SAFE = (Heap.LEFT, Heap.QUARANTINE, Heap.BANKS, Heap.OTHERS)  # without what is not the store's


@pytest.fixture
def store(place, tmp_path, monkeypatch):
    monkeypatch.setenv("KD_CACHE", str(tmp_path / "cache"))
    found = Store(place)
    found.prepare()
    return found


def complete(store, **changes):
    plan = a_plan(**changes)
    for job in plan:
        finish_job(store, job)
    return plan


def names(store):
    return set(store.backend.tree(""))


def removed(store, heap, *plans):
    """What goes with a heap; what was shown before is what goes."""
    before, shown = names(store), Garbage(plans, store).look(heap)
    ended = Garbage(plans, store).remove(heap)
    assert ended == shown
    gone = before - names(store)
    assert names(store) <= before
    assert bool(gone) == bool(ended.count and not ended.refused)
    return gone


def test_in_a_store_in_order_there_is_nothing(store):
    plan = complete(store)
    store.identity()
    for heap in SAFE:
        assert removed(store, heap, plan) == set()


def test_what_killed_runs_left(store):
    plan = complete(store)
    done, missing = the(plan, "resnet20-s0"), the(plan, "resnet8-kd · s0")
    store.backend.remove_tree(f"{missing.kind}/{missing.key}")
    kept = names(store)
    store.backend.write(f"{done.kind}/{done.key}/0123456789ab/model.safetensors", b"half")
    begin(store, done, 3)
    store.fail(done, {"reason": "no luck"})
    store.backend.write("tune/toy/state.json", b"{}")
    left = names(store) - kept
    begin(store, missing, 3)
    store.fail(missing, {"reason": "no luck"})
    useful = names(store) - left
    with store.lock_job(done):
        assert removed(store, Heap.LEFT, plan) == {"tune/toy/state.json"}, "somebody is at it"
    store.backend.write("tune/toy/state.json", b"{}")
    with store.lock("run-toy"):
        assert removed(store, Heap.LEFT, plan) == left - {"tune/toy/state.json"}
    assert removed(store, Heap.LEFT, plan) == {"tune/toy/state.json"}
    assert names(store) == useful, "what a run would go on from stays"


def test_of_two_whole_attempts_the_first_stays(store):
    plan = complete(store)
    job = the(plan, "resnet20-s0")
    first = store.entry(job.kind, job.key)
    finish_job(store, job)
    assert {name.split("/")[2] for name in removed(store, Heap.LEFT, plan)} != {first.manifest["attempt"]}
    assert store.find(job.kind, job.key, deep=True) == first
    assert len(store.backend.folders(f"{job.kind}/{job.key}")) == 1


def test_half_written_files_and_locks_of_the_dead_in_a_folder(tmp_path):
    store = Store(tmp_path / "store")
    plan = complete(store)
    old, new, mine = (store.root / "failed" / name for name in (".a.json.0123abcd", ".b.json.0123abcd", ".keep"))
    old.parent.mkdir()
    for path in (old, new, mine):
        path.write_bytes(b"half")
    os.utime(old, times=(time.time() - 7200,) * 2)
    (store.root / "locks").mkdir()
    (store.root / "locks" / "job-x.lock").write_text("{}")
    with store.lock("run-other"):
        found = Garbage([plan], store).remove(Heap.LEFT)
        assert (found.count, found.bytes) == (2, 6)
        assert [path.name for path in (store.root / "locks").iterdir()] == ["run-other.lock"]
    assert sorted(path.name for path in (store.root / "failed").iterdir()) == [".b.json.0123abcd", ".keep"]


def test_what_was_corrupt(store):
    plan = complete(store)
    store.backend.write("quarantine/teacher-x/model.safetensors", b"bad")
    assert removed(store, Heap.QUARANTINE, plan) == {"quarantine/teacher-x/model.safetensors"}


def test_banks_go_when_nothing_missing_needs_them(store):
    plan = complete(store, methods=("none", "kd"), bank=BankConfig("on"))
    student = the(plan, "resnet8-kd · s0")
    store.remove(student)
    assert removed(store, Heap.BANKS, plan) == set()
    finish_job(store, student)
    banks = {job.key for job in plan.of("bank")}
    assert banks
    with store.lock("run-other"):
        assert removed(store, Heap.BANKS, plan) == set(), "what it needs is not known"
    assert {name.split("/")[1] for name in removed(store, Heap.BANKS, plan)} == banks


def test_what_others_refer_to(store):
    mine, theirs = complete(store, lr=0.05), complete(store, lr=0.1)
    only_theirs = {job.key for job in theirs} - {job.key for job in mine}
    begin(store, the(theirs, "resnet8-kd · s0"), 3)
    store.backend.write("plugins/aaaa/plugin.json", b"{}")
    assert only_theirs
    assert removed(store, Heap.OTHERS, mine, theirs) == {"plugins/aaaa/plugin.json"}
    with store.lock("run-other"):
        assert removed(store, Heap.OTHERS, mine) == set()
        assert "a run of other is at work (process" in Garbage([mine], store).look(Heap.OTHERS).refused
    with store.lock("run-toy"):
        gone = removed(store, Heap.OTHERS, mine)
    assert {name.split("/")[-2 if name.startswith("work") else 1] for name in gone} == only_theirs
    assert all(store.find(job.kind, job.key, deep=True) for job in mine)


def test_files_that_this_machine_keeps(store):
    plan = complete(store)
    (cache.cache() / "mlflow" / "a").mkdir(parents=True)
    (cache.cache() / "mlflow" / "a" / "mlflow.db").write_bytes(b"runs")
    path = cache.begin()
    assert "a job is at work" in Garbage([plan], store).remove(Heap.CACHE).refused
    cache.end(path)
    (cache.cache() / "ab").mkdir(exist_ok=True)
    (cache.cache() / "ab" / "model").write_bytes(b"weights")
    assert Garbage([plan], store).remove(Heap.CACHE).count >= 1
    assert [path.name for path in cache.cache().iterdir() if path.name != "attempts"] == ["mlflow"]
    assert (cache.cache() / "mlflow" / "a" / "mlflow.db").read_bytes() == b"runs"
    assert all(store.find(job.kind, job.key, deep=True) for job in plan), "fetched again"
