"""What a store and this machine hold that may be removed: a word for each heap of it. Instant to import."""

from __future__ import annotations

import enum


class Heap(enum.StrEnum):
    """What can be removed; the value is the word for it."""

    LEFT = "left"
    QUARANTINE = "quarantine"
    BANKS = "banks"
    OTHERS = "others"
    CACHE = "cache"

    @property
    def description(self) -> str:
        return DESCRIPTIONS[self]


DESCRIPTIONS = {
    Heap.LEFT: "what killed runs left",
    Heap.QUARANTINE: "what was corrupt and moved aside",
    Heap.BANKS: "knowledge banks that nothing missing needs",
    Heap.OTHERS: "what these experiments do not refer to",
    Heap.CACHE: "files of stores, kept on this machine",
}
