"""A search without training: its job, and trials that end as a test says."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from kd_core.data.table import DataConfig
from kd_core.knobs import Choice, Distribution, LogUniform, Uniform
from kd_core.methods.kd import KD
from kd_core.recipe import Recipe
from orchestrator.experiment.search_config import SearchConfig
from orchestrator.experiment.space import plain
from orchestrator.jobs import canonical
from orchestrator.jobs.job import Job
from orchestrator.planning.plan import written
from orchestrator.store.arrow import write_table
from orchestrator.store.store import Store

SPACE: dict[str, Distribution] = {"temperature": Uniform(1, 8), "recipe.lr": LogUniform(0.01, 0.1)}
EPOCHS = 9


def a_search(space=SPACE, *, epochs=EPOCHS, defaults=None, title="search of toy", **how) -> Job:
    """The search of a student that is taught by nobody."""
    student = {
        "data": written(DataConfig("digits")),
        "model": "resnet8",
        "seed": 0,
        "recipe": canonical.plain(Recipe(epochs=epochs)),
        "method": {"name": "kd", "version": 1, "knobs": canonical.plain(KD.Config())},
    }
    config = {
        "student": student,
        "space": {name: plain(distribution) for name, distribution in space.items()},
        "how": canonical.plain(SearchConfig(**how)),
        "defaults": defaults,
    }
    return Job("search", 1, config, {"teachers": ["0" * 64]}, title)


def choices(count: int) -> dict[str, Distribution]:
    """A space of so many points."""
    return {"temperature": Choice(tuple(range(1, count + 1)))}


def finish_trial(store: Store, job: Job, accuracies) -> None:
    """Commit a trial's entry as its stage leaves it, each epoch of a second."""
    attempt = store.begin(job)
    rows = [
        {"epoch": epoch, "time_ms": 1000 * epoch, "seconds": 1.0, "name": "validation/accuracy", "value": accuracy}
        for epoch, accuracy in enumerate(accuracies, start=1)
    ]
    write_table(pa.Table.from_pylist(rows), Path(attempt.path) / "history.arrow")
    attempt.commit({"validation_accuracy": max(accuracies)}, float(len(accuracies)))
    store.clear(job)
