"""What can be wrong with a store."""

from __future__ import annotations


class StoreError(ValueError):
    """The store's place cannot be used."""


class StoreFailed(OSError):
    """The store's place, which could be used before, fails now; in one sentence."""


class CorruptEntry(RuntimeError):
    """An entry does not hold what its manifest says."""
