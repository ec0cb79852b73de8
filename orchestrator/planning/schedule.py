"""In which order jobs are best begun, and when those that share a machine end. Nothing is run."""

from __future__ import annotations

import heapq
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from graphlib import TopologicalSorter
from itertools import count
from pathlib import Path
from typing import Protocol, TypeVar

from orchestrator.experiment.spec import Resources
from orchestrator.jobs.job import Job

TINY = 1e-9  # thirds of a GPU add up to one


class Node(Protocol):
    """What is put into order: a job, or a part of one."""

    @property
    def key(self) -> str: ...

    @property
    def ancestors(self) -> tuple[str, ...]: ...


Some = TypeVar("Some", bound=Node)


@dataclass(frozen=True)
class Machine:
    """What jobs share, or what one of them asks for."""

    cpus: float
    gpus: float = 0

    def __str__(self) -> str:
        cores = "1 CPU core" if self.cpus == 1 else f"{self.cpus:g} CPU cores"
        return cores + (f" and {self.gpus:g} GPU" if self.gpus else "")


def processors() -> int:
    """How many processors this process may use: a batch system may give fewer than it keeps a process to."""
    allowed, granted = len(os.sched_getaffinity(0)), os.environ.get("SLURM_CPUS_ON_NODE", "")
    return min(allowed, int(granted)) if granted.isdecimal() and int(granted) else allowed


def this_machine() -> Machine:
    """The processors that this process may use, and the NVIDIA devices there are; found without importing anything."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        gpus = sum(1 for _ in Path("/dev").glob("nvidia[0-9]*"))
    else:
        gpus = sum(name.strip() not in ("", "-1") for name in visible.split(","))
    return Machine(processors(), gpus)


def workers(job: Job, resources: Resources) -> int:
    """How many processes share a job."""
    return resources.teacher.workers if job.divisible else 1


def demand(job: Job, resources: Resources) -> Machine:
    """What a job may use, all its workers together."""
    allocation, times = resources.of(job.kind), workers(job, resources)
    return Machine(allocation.cpus * times, allocation.gpus * times)


def priorities(jobs: Iterable[Node], seconds: Mapping[str, float]) -> dict[str, float]:
    """By key, the seconds of the longest chain of jobs that begins with each: what is higher is better begun earlier.

    A long job comes before a short one, and a short one on which a long chain hangs before both. ``seconds`` by key; a job
    without counts as none, and an ancestor that is not among ``jobs`` is done.
    """
    found = {job.key: job for job in jobs}
    below: defaultdict[str, float] = defaultdict(float)
    lengths = {}
    for key in reversed(_in_order(found)):
        lengths[key] = seconds.get(key, 0.0) + below[key]
        for above in found[key].ancestors:
            below[above] = max(below[above], lengths[key])
    return lengths


def critical_path(jobs: Iterable[Some], seconds: Mapping[str, float]) -> list[Some]:
    """The chain that takes longest, ancestors first: no machine is done sooner than it."""
    found = {job.key: job for job in jobs}
    lengths = priorities(found.values(), seconds)
    waiting = [key for key, job in found.items() if not any(above in found for above in job.ancestors)]
    follow = _descendants(found)
    path = []
    while waiting:
        key = max(waiting, key=lengths.__getitem__)
        path.append(found[key])
        waiting = follow[key]
    return path


def finish(
    jobs: Iterable[Some],
    seconds: Mapping[str, float],
    allocation: Callable[[Some], Machine],
    machine: Machine,
    priority: Mapping[str, float] | None = None,
) -> float:
    """Seconds until the last job ends, each started as soon as its ancestors are done and its share is free.

    Of those that could start, the one of the highest ``priority`` does (:func:`priorities` where it is not given).
    ``seconds`` by key; a job without counts as none. A share that is larger than the machine counts as all of it.
    """
    todo = {job.key: job for job in jobs}
    rank = priorities(todo.values(), seconds) if priority is None else priority
    waits = {key: sum(above in todo for above in set(job.ancestors)) for key, job in todo.items()}
    follow = _descendants(todo)
    asked = {
        key: (min(allocation(job).cpus, machine.cpus), min(allocation(job).gpus, machine.gpus)) for key, job in todo.items()
    }
    queues: defaultdict[tuple[float, float], list[tuple[float, int, str]]] = defaultdict(list)
    turn = count()  # among equals, the first comes first

    def ready(key: str) -> None:
        heapq.heappush(queues[asked[key]], (-rank[key], next(turn), key))

    for key in todo:
        if not waits[key]:
            ready(key)
    cpus, gpus, now = machine.cpus, machine.gpus, 0.0
    running: list[tuple[float, str]] = []
    while True:
        while fitting := [some for some, queue in queues.items() if queue and _fits(some, cpus, gpus)]:
            some = min(fitting, key=lambda each: queues[each][0])
            _, _, key = heapq.heappop(queues[some])
            cpus, gpus = cpus - some[0], gpus - some[1]
            heapq.heappush(running, (now + seconds.get(key, 0.0), key))
        if not running:
            return now
        now, key = heapq.heappop(running)
        cpus, gpus = cpus + asked[key][0], gpus + asked[key][1]
        for below in follow[key]:
            waits[below] -= 1
            if not waits[below]:
                ready(below)


def _fits(allocation: tuple[float, float], cpus: float, gpus: float) -> bool:
    return allocation[0] <= cpus + TINY and allocation[1] <= gpus + TINY


def _descendants(jobs: Mapping[str, Node]) -> defaultdict[str, list[str]]:
    """By key, the jobs that wait for it."""
    follow: defaultdict[str, list[str]] = defaultdict(list)
    for key, job in jobs.items():
        for above in set(job.ancestors):
            follow[above].append(key)
    return follow


def _in_order(jobs: Mapping[str, Node]) -> list[str]:
    """The keys, ancestors before descendants."""
    return list(TopologicalSorter({key: [a for a in job.ancestors if a in jobs] for key, job in jobs.items()}).static_order())
