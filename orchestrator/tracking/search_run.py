"""What the run of a search holds besides what every job's does: its space, its progress trial by trial, its trials as files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv

from orchestrator.experiment.space import RECIPE
from orchestrator.jobs import canonical
from orchestrator.jobs.job import Job
from orchestrator.search.trial import DONE, Trial, trials_table
from orchestrator.store.artifacts import TRIALS
from orchestrator.tracking.history import Epoch, Point

DPI = 130


def settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """The config of a search, its student's settings under the names that a student's run has for them, without what is
    searched; the space as it is read: ``alpha`` is ``uniform [0.1,4]``."""
    searched = set(config["space"])
    student = {**config["student"], "method": {**config["student"]["method"]}}
    student["method"]["knobs"] = _without(student["method"]["knobs"], searched)
    student["recipe"] = _without(student["recipe"], {name.removeprefix(f"{RECIPE}.") for name in searched if _of_recipe(name)})
    space = {name: " ".join([kind, canonical.text(of)]) for name, each in config["space"].items() for kind, of in each.items()}
    return {**student, "space": space, "how": config["how"], "defaults": config["defaults"] or {}}


def best_so_far(trials: Sequence[Trial]) -> tuple[Epoch, ...]:
    """A step for every trial, by number, up to the first that is still at work: its accuracy, and the best of those that came
    to their end so far."""
    found: list[Epoch] = []
    best: float | None = None
    for trial in trials:
        if not trial.ended:
            break
        if trial.state == DONE and trial.accuracy is not None:
            best = trial.accuracy if best is None else max(best, trial.accuracy)
        values = {"accuracy_of_trial": trial.accuracy, "best_accuracy": best, "seconds_of_trial": trial.seconds}
        points = [Point(name, value, _ms(trial.finished), trial.number) for name, value in values.items() if value is not None]
        found.append(Epoch(_ms(trial.started), tuple(points)))
    return tuple(found)


def files(search: Job, trials: Sequence[Trial], winner: int, folder: Path) -> list[Path]:
    """The trials as they are stored, a CSV of them with a column for every knob, and the pictures that can be drawn."""
    from orchestrator.report.figures.search_charts import pictures

    TRIALS.write(trials_table(trials), folder)
    pyarrow.csv.write_csv(readable(trials), folder / "trials.csv")
    return [folder / TRIALS.name, folder / "trials.csv", *pictures(search, trials, winner, folder, DPI)]


def readable(trials: Sequence[Trial]) -> pa.Table:
    """A row for each trial, flat."""
    names = dict.fromkeys(name for trial in trials for name in trial.values)
    rows = [
        {"number": trial.number, "state": trial.state, "accuracy": trial.accuracy, "epochs": len(trial.accuracies)}
        | {name: canonical.text(trial.values[name]) for name in names}
        | {"seconds": trial.seconds, "generation": trial.generation, "parent": trial.parent, "reason": trial.reason}
        for trial in trials
    ]
    return pa.Table.from_pylist(rows)


def _without(knobs: Mapping[str, object], names: set[str]) -> dict[str, Any]:
    """Knobs but for those named, also those of a base within."""
    return {
        name: _without(value, {other.removeprefix(f"{name}.") for other in names if other.startswith(f"{name}.")})
        if isinstance(value, Mapping)
        else value
        for name, value in knobs.items()
        if name not in names
    }


def _of_recipe(name: str) -> bool:
    return name.startswith(f"{RECIPE}.")


def _ms(seconds: float) -> int:
    return int(1000 * seconds)
