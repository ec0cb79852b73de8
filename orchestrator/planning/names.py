"""What people call a job: names that can be typed, and the jobs that a name means."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from orchestrator.jobs.job import Job

SHORTEST = 6  # hex digits of a key that are taken for one


class UnknownJob(ValueError):
    """No job is called so; the text says which come near."""


def path_of(job: Job) -> str:
    """Its kind and what tells it from others of that kind: ``student/resnet8/gpac/s2``, ``teacher/resnet20-s0``,
    ``evaluation/calibration/resnet8/kd/s0``."""
    labels = job.labels
    cell, seed = labels.get("cell", ""), labels.get("seed")
    parts = [job.kind, labels.get("evaluation"), job.config.get("need"), cell.replace(" · ", "/") or labels.get("teacher")]
    parts += [f"s{seed}"] if cell and seed else []
    return "/".join(filter(None, parts))


def find(jobs: Iterable[Job], name: str) -> list[Job]:
    """The jobs that a name means: one by its path or title (the kind may be left out) or by its key or the beginning of it;
    several by what their seeds have in common.

    Raises:
        UnknownJob: where there is none.
    """
    asked, known = name.strip().replace(" · ", "/").strip("/"), list(jobs)
    called: dict[str, list[Job]] = {}
    for job in known:
        path = path_of(job)
        short = path.partition("/")[2]
        for each in dict.fromkeys((path, short, job.title.replace(" · ", "/"), *_without_seed(job, path, short))):
            called.setdefault(each, []).append(job)
    if asked in called:
        return called[asked]
    keyed = [job for job in known if len(asked) >= SHORTEST and job.key.startswith(asked)]
    if keyed:
        return keyed
    near = difflib.get_close_matches(asked, called, n=4, cutoff=0.5) or list(called)[:4]
    raise UnknownJob(f"there is no job `{name}`; " + (f"did you mean {' or '.join(near)}?" if near else "there is none at all"))


def _without_seed(job: Job, *paths: str) -> list[str]:
    seed = f"/s{job.labels.get('seed')}"
    return [path.removesuffix(seed) for path in paths if path.endswith(seed)]
