"""What MLflow is to hold of a trial of a search. Trials are in no plan; each search shows its own, by number."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from kd_core.training.metrics import VALIDATION_ACCURACY
from orchestrator.jobs import canonical
from orchestrator.jobs.job import Job
from orchestrator.planning.names import path_of
from orchestrator.search.trial import DONE, FAILED, STOPPED, Trial
from orchestrator.store.artifacts import HISTORY
from orchestrator.store.entry import Entry
from orchestrator.store.errors import CorruptEntry
from orchestrator.store.store import Store
from orchestrator.tracking import history
from orchestrator.tracking.history import Epoch, Point, flat
from orchestrator.tracking.names import CHOSEN, with_teachers
from orchestrator.tracking.record import FORMAT, Data, Status
from orchestrator.tracking.tags import JOB

STATUS = {DONE: Status.FINISHED, STOPPED: Status.KILLED, FAILED: Status.FAILED}


@dataclass(frozen=True)
class TrialRecord:
    """The run of a trial that has ended, below its search's. ``entry`` is there where it came to its end."""

    search: Job
    trial: Trial
    entry: Entry | None = None
    sealed: bool = field(default=True, init=False)
    reported: int = field(default=0, init=False)

    @property
    def key(self) -> str:
        """By the search and the number: two trials of one search, or of two, may have one job."""
        return key_of(self.search, self.trial)

    @property
    def title(self) -> str:
        return f"trial/{path_of(self.search).partition('/')[2]}/{self.trial.number}"

    @property
    def status(self) -> Status:
        return STATUS[self.trial.state]

    @cached_property
    def fingerprint(self) -> str:
        made = self.entry.manifest["attempt"] if self.entry else ""
        return canonical.digest([FORMAT, self.title, self.search.labels, self.trial.plain(), made])

    @property
    def began_ms(self) -> int:
        return int(1000 * self.trial.started)

    @property
    def ended_ms(self) -> int:
        return int(1000 * self.trial.finished)

    def epochs(self) -> tuple[Epoch, ...]:
        """All curves of what came to its end. Of the others the accuracies are known, and drawn evenly over their time."""
        if self.entry:
            names = self.search.labels.get("teachers", "")
            return with_teachers(history.finished(HISTORY.read(self.entry)), names.split(", ") if names else [])
        each = (self.ended_ms - self.began_ms) / max(1, len(self.trial.accuracies))
        return tuple(
            Epoch(
                int(self.began_ms + each * (epoch - 1)),
                (Point(VALIDATION_ACCURACY, accuracy, int(self.began_ms + each * epoch), epoch),),
            )
            for epoch, accuracy in enumerate(self.trial.accuracies, start=1)
        )

    def params(self) -> dict[str, str]:
        """The values of the searched knobs."""
        return flat(self.trial.values)

    def tags(self) -> dict[str, str]:
        labels = {("student" if label == "model" else label): value for label, value in self.search.labels.items()}
        found = {f"kd.{label}": value for label, value in labels.items()}
        found |= {"kd.stage": "trial", "kd.search": self.search.key, "kd.trial": str(self.trial.number)}
        found |= {JOB: self.trial.key, "kd.reason": self.trial.reason}
        if self.trial.state == STOPPED:
            found["kd.stopped"] = "true"
        if self.trial.parent is not None:
            found |= {"kd.generation": str(self.trial.generation), "kd.continues": str(self.trial.parent)}
        return {name: value for name, value in found.items() if value}

    def results(self) -> list[Point]:
        """The best accuracy and the time; nothing of a trial that came to no epoch."""
        if self.trial.accuracy is None:
            return []
        values = {CHOSEN: self.trial.accuracy, "seconds": self.trial.seconds}
        return [Point(name, float(value), self.ended_ms, 0) for name, value in values.items()]

    def data(self) -> Data | None:
        return None

    def files(self, folder: Path) -> list[Path]:
        return []


def key_of(search: Job, trial: Trial) -> str:
    """Names a trial's run."""
    return f"{search.key}/{trial.number}"


def trial_record(search: Job, trial: Trial, store: Store) -> TrialRecord:
    """What the store says of a trial that has ended."""
    entry = None
    if trial.state == DONE:
        try:
            entry = store.find("trial", trial.key)
        except CorruptEntry:
            entry = None
    return TrialRecord(search, trial, entry)
