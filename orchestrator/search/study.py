"""A search at work: its journal in the store, what to try next, and what was best.

The journal is a document for each trial in the search's work folder, written when the trial is handed out and again when it
has ended. It is all the state there is: a study that is opened on it goes on where the last one was killed, runs again what
was at work then, from its checkpoint and under its own number, and counts nothing twice.
"""

from __future__ import annotations

import dataclasses
import os
import time
import uuid
from collections.abc import Sequence
from typing import Any

from orchestrator.experiment.search_config import PBT, SearchConfig
from orchestrator.experiment.space import applied, read_space
from orchestrator.jobs import canonical
from orchestrator.jobs.canonical import from_plain
from orchestrator.jobs.job import Job
from orchestrator.jobs.kinds import KINDS
from orchestrator.search import journal, population
from orchestrator.search.budget import planned
from orchestrator.search.trial import DONE, FAILED, STOPPED, Trial, trials_of
from orchestrator.store.artifacts import TRIALS
from orchestrator.store.store import PROGRESS, Store


class Study:
    """Args: ``job`` is the search's. One process at a time may open it (the pipeline holds the experiment's lock)."""

    def __init__(self, job: Job, store: Store) -> None:
        self.job = job
        self.store = store
        self.how = from_plain(SearchConfig, job.config["how"])
        self.space = dict(sorted(read_space(job.config["space"]).items()))  # no draw depends on the order in the YAML
        self.student = job.config["student"]
        self.trials = journal.written(job, store) or self._adopted()
        self._at_work: set[int] = set()  # handed out by this object
        self._put_back: dict[int, float] = {}  # those of them that can be handed out again, and when, by the monotonic clock
        self._exhausted = False
        self._attempt, self._began = uuid.uuid4().hex[:12], time.time()
        self._write_progress()

    @property
    def epochs(self) -> int:
        """Epochs of a whole trial."""
        return int(self.student["recipe"]["epochs"])

    @property
    def planned(self) -> int:
        """Trials in all, unless the space has fewer points."""
        return planned(self.how, self.space, self.epochs)

    @property
    def finished(self) -> bool:
        """Whether every trial has ended."""
        return all(trial.ended for trial in self.trials) and (self._exhausted or len(self.trials) >= self.planned)

    @property
    def running(self) -> int:
        """Trials that were handed out and have not ended."""
        for number in [number for number, due in self._put_back.items() if due <= time.monotonic()]:
            del self._put_back[number]
            self._at_work.discard(number)
        return len(self._at_work)

    def ask(self) -> Trial | None:
        """The next trial to run; None where there is none now."""
        running = self.running
        if self.how.parallel is not None and running >= self.how.parallel:
            return None
        again = next((trial for trial in self.trials if not trial.ended and trial.number not in self._at_work), None)
        trial = again or self._new()
        if trial is None:
            return None
        self._at_work.add(trial.number)
        if again is None:
            self.trials.append(trial)
        self._write(trial)
        return trial

    def put_back(self, trial: Trial, seconds: float = 0.0) -> None:
        """The trial cannot run now; after so many seconds it may be asked for again."""
        self._put_back[trial.number] = time.monotonic() + seconds

    def job_of(self, trial: Trial) -> Job:
        """What a trial has to do."""
        config = applied(self.student, trial.values)
        parents = dict(self.job.parents)
        if self.how.scheduler == PBT:
            config["generation"] = population.span(self.how, self.epochs, trial.generation)
            if trial.parent is not None:
                parents["continues"] = [self.trials[trial.parent].key]
        title = f"trial {trial.number} of {self.job.title}"
        return Job("trial", KINDS["trial"].version, config, parents, title, self.job.labels)

    def tell(self, number: int, state: str, accuracies: Sequence[float], seconds: float, reason: str = "") -> None:
        """A trial has ended: ``state`` is done, stopped or failed."""
        trial = self.trials[number]
        assert not trial.ended, f"trial {number} was told twice"
        assert state in (DONE, STOPPED, FAILED), state
        ended: dict[str, Any] = {"state": state, "accuracies": tuple(accuracies), "seconds": seconds, "reason": reason}
        self.trials[number] = dataclasses.replace(trial, finished=time.time(), **ended)
        self._at_work.discard(number)
        self._write(self.trials[number])

    @property
    def best(self) -> Trial | None:
        """The first of the whole trials with the best accuracy; of a population, in its last generation alone."""
        whole = [trial for trial in self.trials if trial.state == DONE]
        begin = 0
        if self.how.scheduler == PBT:
            last = population.generations(self.how, self.epochs) - 1
            whole = [trial for trial in whole if trial.generation == last]
            begin, _ = population.span(self.how, self.epochs, last)  # what came before, other values may have reached
        return max(whole, key=lambda trial: (max(trial.accuracies[begin:]), -trial.number), default=None)

    def _new(self) -> Trial | None:
        number = len(self.trials)
        if self._exhausted or number >= self.planned:
            return None
        if self.how.scheduler == PBT and number >= self.how.trials:
            return self._offspring(number)
        values = self.job.config["defaults"] if number == 0 else None  # the search never does worse than these on validation
        if values is None:
            from orchestrator.search.suggest import suggest

            values = suggest(self.space, self.how, number, self.trials)
        if values is None:
            self._exhausted = True
            return None
        return self._named(Trial(number, values, key="", started=time.time()))

    def _offspring(self, number: int) -> Trial | None:
        generation, index = divmod(number, self.how.trials)
        last = self.trials[(generation - 1) * self.how.trials : generation * self.how.trials]
        if not all(trial.ended for trial in last):
            return None
        member = population.offspring(self.space, self.how, last, index)
        if member is None:
            self._exhausted = True
            return None
        return self._named(Trial(number, member.values, "", started=time.time(), generation=generation, parent=member.parent))

    def _named(self, trial: Trial) -> Trial:
        return dataclasses.replace(trial, key=self.job_of(trial).key)

    def _adopted(self) -> list[Trial]:
        """The trials of a finished search that differs in their number alone: asking for more goes on from there."""
        same = canonical.text(_but_trials(self.job.config))
        if self.how.scheduler == PBT:
            return []
        found: list[Trial] = []
        for entry in self.store.entries("search"):
            config, parents = entry.manifest["config"], entry.manifest["parents"]
            if parents == self.job.parents and canonical.text(_but_trials(config)) == same:
                had = trials_of(TRIALS.read(entry))
                found = max(found, had[: self.planned], key=len)
        for trial in found:
            journal.write(self.job, self.store, trial)
        return found

    def _write(self, trial: Trial) -> None:
        journal.write(self.job, self.store, trial)
        self._write_progress()

    def _write_progress(self) -> None:
        """What the live view shows."""
        ended, best = [trial for trial in self.trials if trial.ended], self.best
        progress: dict[str, Any] = {"trials": self.planned, "ended": len(ended), "at_work": self.running}
        if best:
            progress["accuracy"] = best.accuracy
        if ended:
            progress["trial_seconds"] = sum(trial.seconds for trial in ended) / len(ended)
        own = {"attempt": self._attempt, "pid": os.getpid(), "started": self._began, "updated": time.time()}
        self.progress = own | progress
        self.store.write_work(self.job, PROGRESS, self.progress, durable=False)


def _but_trials(config: dict[str, Any]) -> dict[str, Any]:
    return {**config, "how": {name: value for name, value in config["how"].items() if name != "trials"}}
