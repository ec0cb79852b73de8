"""One try at a job, up to the manifest that makes its result exist."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping

from orchestrator.jobs.job import Job
from orchestrator.store import manifest
from orchestrator.store.backends.backend import Backend
from orchestrator.store.entry import Entry
from orchestrator.store.errors import StoreFailed
from orchestrator.store.files import sha256
from orchestrator.store.manifest import FORMAT, MANIFEST
from orchestrator.store.provenance import environment


class Attempt:
    """One try at a job: a local folder to write files into, then :meth:`commit`."""

    def __init__(self, backend: Backend, job: Job) -> None:
        self.backend = backend
        self.job = job
        self.id = uuid.uuid4().hex[:12]
        self.folder = f"{job.kind}/{job.key}/{self.id}"
        self.started = time.time()
        self.path = backend.begin(self.folder)

    def commit(self, results: dict[str, object], seconds: float, resources: Mapping[str, object] | None = None) -> None:
        """Make the result exist: first the files, durably, then the manifest in one step. ``resources``: the share it took.

        Raises:
            StoreFailed: where somebody took this attempt for dead meanwhile and swept its files: nothing exists then.
        """
        paths = sorted(self.path.iterdir())
        sums = {path.name: sha256(path) for path in paths}
        files = {path.name: {"sha256": sums[path.name], "bytes": path.stat().st_size} for path in paths}
        self.backend.keep(self.path, self.folder, sums)
        body = {
            "format": FORMAT,
            "kind": self.job.kind,
            "version": self.job.version,
            "key": self.job.key,
            "title": self.job.title,
            "config": self.job.config,
            "parents": self.job.parents,
            "attempt": self.id,
            "files": files,
            "results": results,
            "environment": environment(),
            "started": self.started,
            "finished": time.time(),
            "seconds": seconds,
            "resources": dict(resources or {}),
        }
        self.backend.write(f"{self.folder}/{MANIFEST}", manifest.written(body))
        # Only now: who saw the manifest before sweeping lets the files be, and who did not has swept them by now or will be
        # known by the manifest of their own that is there (see orchestrator.store.store.Store.clear).
        if problem := Entry(self.backend, self.folder, body).problem(deep=False):
            self.backend.remove(f"{self.folder}/{MANIFEST}")
            raise StoreFailed(f"the files of {self.folder} are not in {self.backend.location} as they were written ({problem})")

    def discard(self) -> None:
        """Forget what was written; nothing is left behind. A result whose manifest is there, whatever was reported, stays."""
        try:
            committed = MANIFEST in self.backend.sizes(self.folder)
        except OSError:
            committed = True  # nobody can say: another worker of this job will sweep it where it is not
        if not committed:
            self.backend.drop(self.path, self.folder)
