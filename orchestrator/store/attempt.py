"""One try at a job, up to the manifest that makes its result exist."""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Mapping

from orchestrator.jobs import canonical
from orchestrator.jobs.job import Job
from orchestrator.store.backends.backend import Backend
from orchestrator.store.entry import manifest_of
from orchestrator.store.files import json_bytes, json_object, sha256
from orchestrator.store.provenance import environment

FORMAT = 1  # of a manifest


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
        """Make the result exist: first the files, durably, then the manifest in one step. ``resources``: the share it took."""
        written = sorted(self.path.iterdir())
        sums = {path.name: sha256(path) for path in written}
        files = {path.name: {"sha256": sums[path.name], "bytes": path.stat().st_size} for path in written}
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
        manifest = json_bytes({**body, "digest": canonical.digest(body)})
        self.backend.write(manifest_of(self.job.kind, self.job.key), manifest)

    def discard(self) -> None:
        """Forget what was written; nothing is left behind. A result whose manifest is there, whatever was reported, stays."""
        with contextlib.suppress(OSError):
            if json_object(self.backend.read(manifest_of(self.job.kind, self.job.key))).get("attempt") == self.id:
                return
        self.backend.drop(self.path, self.folder)
