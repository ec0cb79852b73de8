"""The store against a model of it: whatever is done in whatever order, it holds what the model says."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass, field

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from orchestrator.jobs.job import Job
from orchestrator.store.errors import CorruptEntry, StoreFailed
from orchestrator.store.store import PROGRESS, Store
from tests.support.least import least

JOBS = [Job("teacher", 1, {"model": "resnet8", "seed": seed}, title=f"resnet8-s{seed}") for seed in range(2)]
FILE = "model.safetensors"


@dataclass
class Known:
    """What the model says of a job."""

    whole: list[tuple[str, bytes]] = field(default_factory=list)  # attempt and content of what is committed, by its time
    reason: str = ""
    epoch: int = 0
    swept: set[str] = field(default_factory=set)  # attempts whose files somebody took for left over


class Machine(RuleBasedStateMachine):
    attempts = Bundle("attempts")

    def __init__(self) -> None:
        super().__init__()
        self.root = tempfile.mkdtemp(prefix="kd-machine-")
        self.store = Store(self.root)
        self.store.prepare()
        self.known = {job.key: Known() for job in JOBS}
        self.begun: dict[str, set[str]] = {job.key: set() for job in JOBS}
        self.count = 0

    def teardown(self) -> None:
        shutil.rmtree(self.root)

    @rule(target=attempts, job=st.sampled_from(JOBS))
    def begin(self, job):
        attempt = self.store.begin(job)
        self.count += 1
        attempt.content = f"weights {self.count}".encode()
        (attempt.path / FILE).write_bytes(attempt.content)
        self.begun[job.key].add(attempt.id)
        return attempt

    @rule(attempt=consumes(attempts))
    def commit(self, attempt):
        known = self.known[attempt.job.key]
        self.begun[attempt.job.key].discard(attempt.id)
        if attempt.id in known.swept:
            with pytest.raises((StoreFailed, FileNotFoundError)):
                attempt.commit(least("teacher"), 1.0)
            attempt.discard()
            return
        attempt.commit(least("teacher"), 1.0)
        known.whole.append((attempt.id, attempt.content))

    @rule(attempt=consumes(attempts))
    def discard(self, attempt):
        self.begun[attempt.job.key].discard(attempt.id)
        attempt.discard()

    @rule(attempt=consumes(attempts))
    def is_killed(self, attempt):
        """Its files stay, until somebody sweeps them."""

    @rule(job=st.sampled_from(JOBS))
    def clear(self, job):
        known = self.known[job.key]
        if not known.whole:  # only who has seen a job done sweeps
            return
        self.store.clear(job)
        known.reason, known.epoch = "", 0
        known.swept |= self.begun[job.key]
        self.begun[job.key] = set()
        assert set(self.store.backend.folders(f"teacher/{job.key}")) == {attempt for attempt, _ in known.whole}

    @rule(job=st.sampled_from(JOBS), reason=st.text(min_size=1, alphabet="abc "))
    def fail(self, job, reason):
        self.store.fail(job, {"reason": reason})
        self.known[job.key].reason = reason

    @rule(job=st.sampled_from(JOBS), epoch=st.integers(1, 240))
    def says(self, job, epoch):
        self.store.write_work(job, PROGRESS, {"attempt": "a", "started": 1.0, "updated": 2.0, "epoch": epoch})
        self.known[job.key].epoch = epoch

    @rule(job=st.sampled_from(JOBS), how=st.sampled_from(["changed", "cut", "gone", "manifest"]))
    def is_damaged(self, job, how):
        """What counts is damaged; it is found, and what was committed after it takes its place."""
        known = self.known[job.key]
        if not known.whole:
            return
        attempt, content = known.whole.pop(0)
        name = f"teacher/{job.key}/{attempt}/{'manifest.json' if how == 'manifest' else FILE}"
        path = f"{self.root}/{name}"
        if how == "gone":
            os.remove(path)
        else:
            with open(path, "r+b") as file:
                file.truncate(len(content) - 1) if how == "cut" else file.write(b"X")
        if not known.whole:
            with pytest.raises(CorruptEntry):
                self.store.find("teacher", job.key, deep=True)
        self.store.quarantine("teacher", job.key)

    @invariant()
    def what_counts_is_what_was_committed_first(self):
        for job in JOBS:
            whole = self.known[job.key].whole
            entry = self.store.find("teacher", job.key, deep=True)
            assert (entry.file(FILE).read_bytes() if entry else None) == (whole[0][1] if whole else None)

    @invariant()
    def what_was_said_last_is_what_is_known(self):
        for job in JOBS:
            known = self.known[job.key]
            assert self.store.failure(job).get("reason", "") == known.reason
            assert self.store.progress(job).get("epoch", 0) == known.epoch

    @invariant()
    def nothing_is_half_written(self):
        assert not [name for name in self.store.backend.tree("") if "/." in name]


TestStore = Machine.TestCase
TestStore.settings = settings(max_examples=60, stateful_step_count=30, deadline=None, database=None, print_blob=True)
