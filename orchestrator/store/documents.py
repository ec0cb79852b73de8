"""The small JSON documents of a store that are no results: what is read must be of the stated form, or there is nothing.

Whoever can write to the store can write into these, and a disk can garble them; no reader is to stumble over that.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec

from orchestrator.jobs.visible import visible

TOLD = ("reason", "doing")  # what people read


class Progress(msgspec.Struct):
    """How far a job is, as it last said: of its epochs or, a search, of its trials."""

    attempt: str
    started: float  # Unix time
    updated: float
    pid: int = 0
    doing: str = ""  # before it is at work on what it is for
    epoch: int = 0  # so many are done
    epochs: int = 0
    seconds: float = 0.0  # of the last epoch
    pace: float = 0.0  # of an epoch: the median of the last ones
    loss: float = 0.0
    accuracy: float = 0.0  # in [0, 1], on the validation split
    trials: int = 0
    ended: int = 0
    at_work: int = 0
    trial_seconds: float = 0.0  # mean of those that ended


class Failure(msgspec.Struct):
    """Why a job failed."""

    reason: str
    time: float  # Unix time
    type: str = ""
    trace: str = ""
    epoch: int = 0
    terms: dict[str, float] = {}


class ImageFolder(msgspec.Struct):
    """What was in a folder of images when it was first used."""

    folder: str
    listing: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
    count: int  # of its files
    time: float  # Unix time


class GivenFile(msgspec.Struct):
    """The content of a file of given weights, as an experiment named it."""

    experiment: str
    file: str
    sha256: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]


class JournalTrial(msgspec.Struct):
    """A trial of a search; see :class:`orchestrator.search.trial.Trial`."""

    number: int
    values: dict[str, Any]
    key: str
    state: str
    accuracies: list[float]
    seconds: float
    started: float
    finished: float
    reason: str
    generation: int
    parent: int | None


def sound(document: Mapping[str, Any], form: type[msgspec.Struct]) -> dict[str, Any]:
    """The document where it is of that form; else nothing. What people read of it is made visible."""
    try:
        msgspec.convert(document, form)
    except msgspec.ValidationError:
        return {}
    return {name: visible(value) if name in TOLD else value for name, value in document.items()}
