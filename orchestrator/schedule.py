"""When jobs that share a machine end. Nothing is run."""

from __future__ import annotations

import heapq
import os
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from orchestrator.job import Job
from orchestrator.spec.spec import Share

TINY = 1e-9  # thirds of a GPU add up to one


@dataclass(frozen=True)
class Machine:
    """What jobs share."""

    cpus: float
    gpus: float = 0

    def __str__(self) -> str:
        cores = "1 CPU core" if self.cpus == 1 else f"{self.cpus:g} CPU cores"
        return cores + (f" and {self.gpus:g} GPU" if self.gpus else "")


def this_machine() -> Machine:
    """The processors that this process may use, and the NVIDIA devices there are; found without importing anything."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        gpus = sum(1 for _ in Path("/dev").glob("nvidia[0-9]*"))
    else:
        gpus = sum(name.strip() not in ("", "-1") for name in visible.split(","))
    return Machine(len(os.sched_getaffinity(0)), gpus)


def finish(jobs: Iterable[Job], seconds: Mapping[str, float], share: Callable[[Job], Share], machine: Machine) -> float:
    """Seconds until the last job ends, each started as soon as its ancestors are done and its share is free.

    ``seconds`` by key; a job without counts as none. A share that is larger than the machine counts as all of it.
    """
    todo = {job.key: job for job in jobs}
    waits = {key: len(set(job.ancestors) & todo.keys()) for key, job in todo.items()}
    follow: defaultdict[str, list[str]] = defaultdict(list)
    for key, job in todo.items():
        for above in set(job.ancestors):
            follow[above].append(key)
    asked = {key: (min(share(job).cpus, machine.cpus), min(share(job).gpus, machine.gpus)) for key, job in todo.items()}
    queues: defaultdict[tuple[float, float], deque[str]] = defaultdict(deque)
    for key in todo:
        if not waits[key]:
            queues[asked[key]].append(key)
    cpus, gpus, now = machine.cpus, machine.gpus, 0.0
    running: list[tuple[float, str]] = []
    while True:
        for (some_cpus, some_gpus), queue in queues.items():
            while queue and some_cpus <= cpus + TINY and some_gpus <= gpus + TINY:
                cpus, gpus = cpus - some_cpus, gpus - some_gpus
                key = queue.popleft()
                heapq.heappush(running, (now + seconds.get(key, 0.0), key))
        if not running:
            return now
        now, key = heapq.heappop(running)
        cpus, gpus = cpus + asked[key][0], gpus + asked[key][1]
        for below in follow[key]:
            waits[below] -= 1
            if not waits[below]:
                queues[asked[below]].append(below)
