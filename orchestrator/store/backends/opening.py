"""From a store's location, a path or a URI, to its backend."""

from __future__ import annotations

import functools
from pathlib import Path
from urllib.parse import unquote, urlsplit

from orchestrator.store.backends.backend import Backend
from orchestrator.store.backends.local import Local
from orchestrator.store.backends.uri import hidden, uri_problem
from orchestrator.store.errors import StoreError


def backend_at(location: Path | str) -> Backend:
    """The files at a path or URI; nothing is asked of them yet.

    Raises:
        StoreError: where no store can be there.
    """
    text = str(location)
    if problem := uri_problem(text):
        raise StoreError(f"the store {hidden(text)} {problem}")
    if "://" not in text:
        return Local(Path(text))
    parts = urlsplit(text)
    if parts.scheme == "file":
        return Local(Path(unquote(parts.path)))
    return _remote(text)


@functools.cache
def _remote(uri: str) -> Backend:
    """One for a process: connecting takes longer than most requests."""
    from orchestrator.store.backends.object_store import Remote

    return Remote(uri)
