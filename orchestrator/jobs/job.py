"""A job: one unit of work, named by the content that decides its result."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple, Protocol

from orchestrator.jobs import canonical
from orchestrator.jobs.kinds import KINDS

SHOWN = 16  # hex digits of a key that people see


def key_of(kind: str, version: int, config: dict[str, object], parents: dict[str, list[str]]) -> str:
    """SHA-256 of what decides a job's result: its kind, the stage's version, its config and its parents' keys."""
    return key_of_plain(kind, version, canonical.plain(config), canonical.plain(parents))


def key_of_plain(kind: str, version: int, config: dict[str, object], parents: dict[str, list[str]]) -> str:
    """:func:`key_of` what is in its plain form already."""
    return canonical.digest_of_plain({"kind": kind, "version": version, "config": config, "parents": parents})


class Named(Protocol):
    """Anything that a store holds something of: a job, or what is known of one by its name alone."""

    @property
    def kind(self) -> str: ...

    @property
    def key(self) -> str: ...


class JobName(NamedTuple):
    """What a job is stored under."""

    kind: str
    key: str


@dataclass(frozen=True, eq=False)
class Job:
    """``config`` and ``parents`` decide the result and are all that a stage may read; title and labels are for people.

    ``parents`` maps a role ("teachers", "probes", "banks:logits", …) to keys, in the order of the teachers.
    """

    kind: str
    version: int
    config: dict[str, Any] = field(repr=False)
    parents: dict[str, list[str]] = field(default_factory=dict, repr=False)
    title: str = ""
    labels: dict[str, str] = field(default_factory=dict, repr=False)

    @cached_property
    def key(self) -> str:
        """64 hex digits."""
        return key_of(self.kind, self.version, self.config, self.parents)

    @property
    def short(self) -> str:
        """The key as people see it."""
        return self.key[:SHOWN]

    @property
    def ancestors(self) -> tuple[str, ...]:
        """Keys of the jobs that must be done before."""
        return tuple(key for keys in self.parents.values() for key in keys)

    @property
    def epochs(self) -> int:
        """Epochs to train; 0 for a stage that does not train."""
        return int(self.config.get("recipe", {}).get("epochs", 0))

    @property
    def validated(self) -> bool:
        """Of a training: whether a validation split chooses the epoch of its result; otherwise that is the last."""
        return bool(self.config["data"]["validation"])

    @property
    def divisible(self) -> bool:
        """Whether several workers can share it, each with a part of every batch: the training of a teacher."""
        return KINDS[self.kind].divisible and self.epochs > 0
