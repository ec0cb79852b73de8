"""What is known of one trial of a search."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa

from orchestrator.experiment.space import Values
from orchestrator.jobs import canonical
from orchestrator.store.artifacts import TRIALS

SAID = ("epoch", "loss", "accuracy", "seconds", "updated", "doing")  # of a trial's progress
AT_WORK = "of_trials"  # in the progress of a search as it is shown: a list of what :func:`shown` gives
RUNNING, DONE, STOPPED, FAILED = STATES = ("running", "done", "stopped", "failed")


@dataclass(frozen=True)
class Trial:
    """``accuracies`` are those on the validation split after each epoch. Times are Unix seconds."""

    number: int  # from 0
    values: Values
    key: str  # of its job
    state: str = RUNNING  # of STATES; stopped: ended early
    accuracies: tuple[float, ...] = ()
    seconds: float = 0.0  # of training
    started: float = 0.0
    finished: float = 0.0
    reason: str = ""  # why it failed
    generation: int = 0  # of a population
    parent: int | None = None  # the number of the trial whose weights it goes on with

    @property
    def accuracy(self) -> float | None:
        """The best of its epochs, which is what a student of these values would be tested at."""
        return max(self.accuracies, default=None)

    @property
    def ended(self) -> bool:
        """Whether it has ended."""
        return self.state != RUNNING

    def plain(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)

    @classmethod
    def read(cls, stated: Mapping[str, Any]) -> Trial:
        """The trial whose :meth:`plain` form is ``stated``."""
        return cls(**{**stated, "accuracies": tuple(stated["accuracies"])})


def shown(trial: Trial, epochs: int, progress: Mapping[str, Any]) -> dict[str, Any]:
    """What is shown of a trial at work: which it is, what it tries, and how far it is of so many epochs."""
    said = {name: progress[name] for name in SAID if name in progress}
    return {"number": trial.number, "values": dict(trial.values), "epochs": epochs, **said}


def trials_table(trials: Sequence[Trial]) -> pa.Table:
    """A row for each trial; ``values`` is JSON."""
    rows = [{**trial.plain(), "values": canonical.text(trial.values), "accuracy": trial.accuracy} for trial in trials]
    return pa.Table.from_pylist(rows, schema=TRIALS.schema)


def trials_of(table: pa.Table) -> list[Trial]:
    """The trials of a :func:`trials_table`, by number."""
    rows = table.drop_columns(["accuracy"]).to_pylist()
    return [Trial.read({**row, "values": json.loads(row["values"])}) for row in sorted(rows, key=lambda row: row["number"])]
