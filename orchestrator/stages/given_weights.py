"""Given weights, tried on the networks of their teachers before anything is trained."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from kd_core.models.weights import fill, read
from orchestrator.jobs.job import Job
from orchestrator.stages.networks import fresh


def tried(teachers: Iterable[Job], file_of: Callable[[Job], Path | None]) -> tuple[list[str], list[str]]:
    """Notes of what the user should know of the files that teachers are to be given, and why some do not fit.

    Args:
        file_of: where the file of a teacher lies; None of what torchvision publishes, which fits.
    """
    notes, problems = [], []
    for job in teachers:
        file = file_of(job)
        try:
            whole = fill(fresh(job.config, job.kind), read(file)) if file else True
        except FileNotFoundError:
            problems.append(f"{job.title}: no such file: {file}")
        except (ValueError, OSError) as error:
            named = str(error) if str(file) in str(error) else f"{file}: {error}"
            problems.append(f"{job.title}: {named} (`kd list models {job.config['model']}` shows its tensors)")
        else:
            if not whole:
                notes.append(f"{job.title}: its weights ({file}) have no head; it gets a random one, and answers by chance")
    return notes, problems
