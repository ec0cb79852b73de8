"""What is fetched from an object store: once on a machine, verified, and whole whatever happens."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.jobs.job import Job
from orchestrator.store.backends import cache
from orchestrator.store.errors import CorruptEntry
from orchestrator.store.store import Store
from tests.support.least import least

JOB = Job("bank", 1, {"need": "logits"})


@pytest.fixture
def store(s3):
    return Store(s3.uri())


@pytest.fixture
def entry(store, tmp_path, monkeypatch):
    """An entry that another machine has made: nothing of it is here."""
    attempt = store.begin(JOB)
    (attempt.path / "bank.safetensors").write_bytes(b"values" * 1000)
    attempt.commit(least(JOB.kind), 1.0)
    monkeypatch.setenv("KD_CACHE", str(tmp_path / "another"))
    return store.entry("bank", JOB.key)


@pytest.fixture
def reads(store, monkeypatch):
    """Names that are read from the store as a whole."""
    seen = []
    fetched = cache.fetched

    def noted(name, sha256, download):
        return fetched(name, sha256, lambda to: (seen.append(name), download(to)))

    monkeypatch.setattr("orchestrator.store.backends.cache.fetched", noted)
    return seen


def test_a_file_is_fetched_once(entry, reads, tmp_path):
    path = entry.file("bank.safetensors")
    assert path.read_bytes() == b"values" * 1000
    assert path.is_relative_to(tmp_path / "another")
    assert entry.file("bank.safetensors") == path
    assert reads == ["bank.safetensors"]
    assert sorted(found.name for found in path.parent.iterdir()) == [".lock", "bank.safetensors"]


def test_what_was_made_here_is_not_fetched(entry, reads, tmp_path, monkeypatch):
    monkeypatch.setenv("KD_CACHE", str(tmp_path / "cache"))
    assert entry.file("bank.safetensors").read_bytes() == b"values" * 1000
    assert reads == []


@pytest.mark.parametrize("damage", [b"", b"Values" + b"values" * 999])
def test_a_damaged_file_here_is_fetched_anew(entry, reads, damage):
    path = entry.file("bank.safetensors")
    path.unlink()
    path.write_bytes(damage)
    assert entry.file("bank.safetensors").read_bytes() == b"values" * 1000
    assert len(reads) == 2


def test_a_file_that_is_another_one_in_the_store_is_refused_and_not_kept(entry, store, tmp_path):
    store.backend.write(f"bank/{JOB.key}/{entry.manifest['attempt']}/bank.safetensors", b"Values" + b"values" * 999)
    with pytest.raises(CorruptEntry, match=r"bank.safetensors does not have its SHA-256"):
        entry.file("bank.safetensors")
    assert not list((tmp_path / "another").rglob("*.safetensors"))


FETCH = """
import sys
from orchestrator.store.backends import cache
fetched = cache.fetched
def noted(name, sha256, download):
    return fetched(name, sha256, lambda to: (print("fetched", flush=True), download(to)))
cache.fetched = noted
from orchestrator.store.store import Store
from tests.support.least import least
sys.stdin.readline()
assert Store(sys.argv[1]).entry("bank", sys.argv[2]).file("bank.safetensors").read_bytes() == b"values" * 1000
"""


def test_processes_that_want_a_file_at_once_fetch_it_once(entry, store):
    command = [sys.executable, "-c", FETCH, store.location, JOB.key]
    processes = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    said = [process.communicate(timeout=60)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert sorted(said) == ["", "", "fetched\n"]


def test_what_a_dead_process_was_writing_is_swept_and_what_a_living_one_writes_is_not(s3, tmp_path):
    program = "from orchestrator.store.backends import cache; path = cache.begin(); (path / 'a').write_bytes(b'1'); print(path)"
    ended = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, check=True)
    dead = Path(ended.stdout.strip())
    assert (dead / "a").exists()
    living = cache.begin()
    other = cache.begin()
    assert not dead.exists()
    assert living.is_dir()
    cache.end(living)
    cache.end(other)
    assert list((tmp_path / "cache" / "attempts").iterdir()) == []


def test_where_it_is(monkeypatch, tmp_path):
    monkeypatch.setenv("KD_CACHE", str(tmp_path / "named"))
    assert cache.cache() == tmp_path / "named"
    monkeypatch.delenv("KD_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    assert cache.cache() == tmp_path / "home" / "kd"
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path / "tmp"))
    assert cache.cache() == tmp_path / "tmp" / f"kd-{os.getuid()}"
