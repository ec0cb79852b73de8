"""Files of given weights that jobs of a store were made with: what their content was, so that what is done needs them no more.

<store>/given/<digest of experiment and path>.json
"""

from __future__ import annotations

import contextlib

from orchestrator.jobs import canonical
from orchestrator.store.documents import GivenFile, sound
from orchestrator.store.errors import StoreError, StoreFailed
from orchestrator.store.files import json_bytes
from orchestrator.store.store import Store


def remember(experiment: str, file: str, sha256: str, store: Store) -> None:
    """Keep the SHA-256 of a file, as an experiment names it.

    Raises:
        StoreFailed: where the store cannot be written.
    """
    if remembered(experiment, file, store) != sha256:
        store.backend.write(_name(experiment, file), json_bytes({"experiment": experiment, "file": file, "sha256": sha256}))


def remembered(experiment: str, file: str, store: Store) -> str | None:
    """The SHA-256 that a file had when it was used last; None where it was not, or the store cannot be asked."""
    with contextlib.suppress(StoreError, StoreFailed, OSError):
        return sound(store.read_json(_name(experiment, file)), GivenFile).get("sha256")
    return None


def _name(experiment: str, file: str) -> str:
    return f"given/{canonical.digest([experiment, file])[:32]}.json"
