"""What can be wrong with a store."""

from __future__ import annotations


class StoreError(ValueError):
    """The store's place cannot be used."""


class StoreFailed(OSError):
    """The store's place, which could be used before, fails now; in one sentence."""


class StoreUnreachable(StoreError, StoreFailed):
    """The store has not been reached even once: a mistake where a run begins, a failure like any other where one ends."""


class CorruptEntry(RuntimeError):
    """An entry does not hold what its manifest says."""
