"""Close a search: what its trials were, and which values it chose. The trials have run before, as jobs of their own."""

from __future__ import annotations

from collections import Counter
from typing import Any

from orchestrator.jobs.job import Job
from orchestrator.search.study import Study
from orchestrator.search.trial import DONE, FAILED, STOPPED, trials_table
from orchestrator.stages.runner import Context
from orchestrator.store.artifacts import TRIALS


def run(job: Job, context: Context) -> dict[str, Any]:
    """Parents: those of a student. Files: trials.arrow, a row for each trial. ``chosen`` holds the values by dotted name.

    Raises:
        RuntimeError: where no trial came to its end.
    """
    study = Study(job, context.store)
    assert study.finished, "a trial has not ended"
    best = study.best
    if best is None:
        reasons = Counter(trial.reason for trial in study.trials if trial.state == FAILED)
        [(reason, _)] = reasons.most_common(1) or [("there was none", 0)]
        raise RuntimeError(f"none of its {len(study.trials)} trials came to its end: {reason}")
    TRIALS.write(trials_table(study.trials), context.attempt.path)
    first = study.trials[0]
    known = first.values == job.config["defaults"] and first.state == DONE
    return {
        "chosen": best.values,
        "trial": best.number,
        "validation_accuracy": best.accuracy,
        **({"validation_accuracy_default": first.accuracy} if known else {}),
        "trials": len(study.trials),
        "stopped": sum(trial.state == STOPPED for trial in study.trials),
        "failed": sum(trial.state == FAILED for trial in study.trials),
        "seconds": sum(trial.seconds for trial in study.trials),
    }
