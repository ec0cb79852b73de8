"""The searches of an experiment and their trials as tables, read from the store alone: done, or as far as they have come."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from orchestrator.experiment.search_config import SearchConfig
from orchestrator.experiment.space import read_space, stands_at
from orchestrator.jobs import canonical
from orchestrator.jobs.canonical import from_plain
from orchestrator.jobs.job import Job
from orchestrator.report.analysis.statistics import paired, sample
from orchestrator.report.data.reading import Reading, once
from orchestrator.report.data.results import RESULTS, results
from orchestrator.search.budget import planned
from orchestrator.search.trial import DONE, FAILED, STOPPED, Trial

SEARCHES = pa.schema(
    [
        ("key", pa.string()),  # of the search
        *(RESULTS.field(name) for name in ("cell", "student", "setting", "method", "algorithm")),
        ("control", pa.string()),  # the cell of the defaults
        ("status", pa.string()),  # done, failed or missing
        ("reason", pa.string()),
        ("searcher", pa.string()),
        ("scheduler", pa.string()),
        ("space", pa.string()),  # JSON, as it is written in YAML; so are defaults and chosen
        ("defaults", pa.string()),
        ("chosen", pa.string()),  # by knob; null before the search is done
        ("winner", pa.int64()),  # its number
        ("planned", pa.int64()),  # trials
        ("done", pa.int64()),  # trained to their end
        ("stopped", pa.int64()),  # ended early
        ("failed", pa.int64()),
        ("validation_accuracy", pa.float64()),  # of the winner, in [0, 1]
        ("validation_accuracy_default", pa.float64()),  # of trial 0; null where that is not the defaults, or was not done
        ("seconds", pa.float64()),  # of training, in all trials
        ("student_seconds", pa.float64()),  # mean over the seeds of the student that was trained with the values
        ("seeds", pa.int64()),  # that both the student and its defaults have, of those planned:
        ("seeds_planned", pa.int64()),
        ("gain", pa.float64()),  # test accuracy over the defaults, paired by seed: mean and 95 % interval of Student's t
        ("gain_low", pa.float64()),
        ("gain_high", pa.float64()),
        ("gain_p", pa.float64()),  # not corrected
    ]
)
TRIALS = pa.schema(
    [
        ("search", pa.string()),  # its key
        ("cell", pa.string()),  # of the search's students
        ("number", pa.int64()),
        ("key", pa.string()),
        ("state", pa.string()),  # running, done, stopped or failed
        ("reason", pa.string()),
        ("values", pa.string()),  # JSON, by knob
        ("accuracy", pa.float64()),  # the best of its epochs on the validation split, in [0, 1]
        ("accuracies", pa.list_(pa.float64())),  # epoch by epoch
        ("seconds", pa.float64()),  # of training
        ("started", pa.float64()),  # Unix time
        ("finished", pa.float64()),
        ("generation", pa.int64()),
        ("parent", pa.int64()),  # the trial whose weights it went on with
    ]
)


@once
def searches(reading: Reading) -> pa.Table:
    """A row of :data:`SEARCHES` for every student and method whose knobs are searched."""
    plan = reading.plan
    if not plan.of("search"):
        return SEARCHES.empty_table()
    cells: dict[str, list[dict[str, Any]]] = {}
    for row in results(reading).to_pylist():
        cells.setdefault(row["cell"], []).append(row)
    rows = []
    for students in cells.values():
        job = plan.jobs[students[0]["key"]]
        if "searches" in job.parents:
            [key] = job.parents["searches"]
            search, control = plan.jobs[key], job.labels["control"]
            row = {name: students[0][name] for name in ("cell", "student", "setting", "method", "algorithm")}
            rows.append(row | {"control": control} | _found(reading, search) | _gain(students, cells.get(control, [])))
    return pa.Table.from_pylist(rows, schema=SEARCHES)


def trials(reading: Reading) -> pa.Table:
    """A row of :data:`TRIALS` for every trial that has begun, of every search."""
    rows = [
        {**trial.plain(), "values": canonical.text(trial.values), "accuracy": trial.accuracy}
        | {"search": search.key, "cell": search.labels["cell"]}
        for search in reading.plan.of("search")
        for trial in reading.trials(search)
    ]
    return pa.Table.from_pylist(rows, schema=TRIALS)


def chosen(reading: Reading) -> dict[str, dict[str, Any]]:
    """By student, the values that its search chose; those whose search is not done are absent."""
    plan = reading.plan
    found = {search.key: reading.entry(search) for search in plan.of("search")}
    values = {key: entry.results["chosen"] for key, entry in found.items() if entry}
    return {job.key: values[key] for job in plan.of("student") for key in job.parents.get("searches", []) if key in values}


def _found(reading: Reading, search: Job) -> dict[str, Any]:
    """What a search says of itself."""
    config, tried = search.config, reading.trials(search)
    how, space, student = from_plain(SearchConfig, config["how"]), read_space(config["space"]), config["student"]
    states = Counter(trial.state for trial in tried)
    row = {
        "key": search.key,
        "status": reading.status(search),
        "reason": reading.reason(search),
        "searcher": how.searcher,
        "scheduler": how.scheduler,
        "space": canonical.text(config["space"]),
        "defaults": canonical.text(stands_at(student, space)),
        "planned": planned(how, space, student["recipe"]["epochs"]),
        **{state: states[state] for state in (DONE, STOPPED, FAILED)},
        "validation_accuracy_default": _of_defaults(config["defaults"], tried),
        "seconds": sum(trial.seconds for trial in tried),
    }
    if entry := reading.entry(search):
        found = entry.results
        row |= {"chosen": canonical.text(found["chosen"]), "winner": found["trial"], "planned": len(tried)}
        row["validation_accuracy"] = found["validation_accuracy"]
    return row


def _of_defaults(defaults: Mapping[str, object] | None, tried: Sequence[Trial]) -> float | None:
    known = defaults is not None and tried and tried[0].state == DONE and tried[0].values == defaults
    return tried[0].accuracy if known else None


def _gain(students: Sequence[Mapping[str, Any]], control: Sequence[Mapping[str, object]]) -> dict[str, Any]:
    """What the chosen values are worth on the test split."""
    found = paired(_by_seed(students), _by_seed(control))
    took = sample([row["seconds"] for row in students if row["status"] == "done"])
    both = {row["seed"] for row in students} & {row["seed"] for row in control}
    row: dict[str, Any] = {"student_seconds": took and took.mean, "seeds": found.n if found else 0, "seeds_planned": len(both)}
    if found:
        row |= {"gain": found.mean, "gain_p": found.p}
        row["gain_low"], row["gain_high"] = found.interval or (None, None)
    return row


def _by_seed(rows: Sequence[Mapping[str, Any]]) -> dict[int, float]:
    return {row["seed"]: row["test_accuracy"] for row in rows if row["status"] == "done"}
