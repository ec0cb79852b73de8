"""Every order in which workers can take their steps on one store: a step is what a backend does in one piece.

Each worker is a greenlet, which hands over before every step: threads would take ten times as long for it. An order is replayed
from the start, since no worker can be copied; two orders that lead to the same files and that no worker can tell apart are gone
on with once.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from greenlet import getcurrent, greenlet

from orchestrator.store.logs import LOGS
from orchestrator.store.manifest import MANIFEST


class Killed(BaseException):
    """The worker's process is gone: it does nothing any more."""


def step(does):
    """A method that a worker does in one piece, when it is its turn; what comes of it is all that the worker learns."""

    @functools.wraps(does)
    def taken(self, name, *more, **named):
        self.wait(f"{does.__name__} {name}")
        try:
            result = does(self, name, *more, **named)
        except FileNotFoundError:
            self.learn("nothing")
            raise
        self.learn(repr(result) if not isinstance(result, bytes) else "content")
        return result

    return taken


class Memory:
    """A backend in memory; see :class:`orchestrator.store.backends.backend.Backend`. A lock is got by everybody who asks, as
    where leases run out under their holders."""

    many = 1
    pause_s = 0.0
    location = "memory"

    def __init__(self, folder: Path, wait: Callable[[str], None], learn: Callable[[str], None]) -> None:
        self.files: dict[str, bytes] = {}
        self.folder = folder
        self.wait = wait
        self.learn = learn

    @step
    def read(self, name, size=None):
        if name not in self.files:
            raise FileNotFoundError(name)
        return self.files[name][:size]

    def write(self, name, content, *, durable=True):
        if not name.startswith(f"{LOGS}/"):  # what a job says to people: no worker acts by it
            self.put(name, content)

    @step
    def put(self, name, content):
        self.files[name] = content

    def sizes(self, folder):
        return {} if folder.startswith(f"{LOGS}/") else self.listed(folder)

    @step
    def listed(self, folder):
        return {name: size for name, size in self._below(folder).items() if "/" not in name}

    @step
    def tree(self, folder):
        return self._below(folder)

    @step
    def folders(self, folder):
        return sorted({name.partition("/")[0] for name in self._below(folder) if "/" in name})

    @step
    def remove(self, name):
        self.files.pop(name, None)

    def sha256(self, name):
        return hashlib.sha256(self.read(name)).hexdigest()

    def begin(self, folder):
        path = self.folder / folder
        path.mkdir(parents=True)
        return path

    def keep(self, path, folder, files):
        for name in files:
            self.write(f"{folder}/{name}", (path / name).read_bytes())

    def drop(self, path, folder):
        shutil.rmtree(path)
        self.remove_tree(folder)

    def remove_tree(self, folder):
        for name in self._below(folder):
            self.remove(f"{folder}/{name}")

    @contextlib.contextmanager
    def lock(self, name, *, careful=True):
        yield True

    def holder(self, name):
        return None

    def look_again(self, folder):
        pass

    def _below(self, folder: str) -> dict[str, int]:
        found = (
            (name[len(folder) + 1 :], len(content)) for name, content in self.files.items() if name.startswith(f"{folder}/")
        )
        return dict(sorted(found))


@dataclass
class Worker:
    """What it did, what it is about to do, and how it ended."""

    name: str
    work: Callable[[], None]
    steps: list[str] = field(default_factory=list)
    learnt: list[str] = field(default_factory=list)  # by each step
    killed: bool = False
    ended: bool = False
    error: BaseException | None = None


class Run:
    """Workers, as far as an order has brought them."""

    def __init__(self, folder: Path, works: dict[str, Callable[[], None]]) -> None:
        self.memory = Memory(folder, self._wait, self._learn)
        self.workers = {name: Worker(name, work) for name, work in works.items()}
        self._started = {greenlet(functools.partial(self._go, worker)): worker for worker in self.workers.values()}
        self._of = {worker.name: each for each, worker in self._started.items()}

    def start(self) -> None:
        for each in self._started:
            each.switch()

    def take(self, choice: tuple[str, str]) -> None:
        """Let a worker take its step, or kill it before."""
        what, name = choice
        worker = self.workers[name]
        worker.killed = what == "kill"
        self._of[name].switch()

    def end(self) -> None:
        """Have all workers gone."""
        for worker in self.workers.values():
            while not worker.ended:
                self.take(("kill", worker.name))

    @property
    def current(self) -> Worker | None:
        """The worker that asks; None where it is none."""
        return self._started.get(getcurrent())

    def _go(self, worker: Worker) -> None:
        try:
            worker.work()
        except BaseException as error:
            worker.error = error
        worker.ended = True

    def _wait(self, name: str) -> None:
        if worker := self.current:
            self._pause(worker)
            worker.steps.append(name)

    def _learn(self, what: str) -> None:
        if worker := self.current:
            worker.learnt.append(what)

    def _pause(self, worker: Worker) -> None:
        if worker.killed:
            raise Killed
        self._of[worker.name].parent.switch()
        if worker.killed:
            raise Killed


def every_order(make: Callable[[], Run], kills: int = 0) -> Iterator[tuple[list[tuple[str, str]], Run]]:
    """Each order as far as it goes, one step longer than another: the choices made and the run in that state. ``kills`` of the
    workers are killed, each at every point."""
    known, todo = set(), [[]]
    while todo:
        order = todo.pop()
        run = make()
        run.start()
        for choice in order:
            run.take(choice)
        while (state := _state(run)) not in known:
            known.add(state)
            yield order, run
            living = [name for name, worker in run.workers.items() if not worker.ended]
            choices = [("step", name) for name in living]
            if sum(what == "kill" for what, _ in order) < kills:
                choices += [("kill", name) for name in living]
            if not choices:
                break
            first, *others = choices
            todo += [[*order, choice] for choice in others]
            run.take(first)  # it is there: what comes of it needs no replay
            order = [*order, first]
        run.end()


def _state(run: Run) -> tuple[object, ...]:
    """What tells one state from another: the files, which result is the first, and what each worker knows."""
    manifests = [(json.loads(content), name) for name, content in run.memory.files.items() if name.endswith(MANIFEST)]
    return (
        tuple(sorted(run.memory.files)),
        tuple(name for body, name in sorted(manifests, key=lambda each: (each[0]["finished"], each[1]))),
        tuple((tuple(worker.learnt), worker.killed, worker.ended) for worker in run.workers.values()),
    )
