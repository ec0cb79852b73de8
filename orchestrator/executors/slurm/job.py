"""What a batch script becomes on its node: it sees whether the store is the one that was meant, starts Ray over the allocation
where there are several nodes, runs `kd run` or `kd worker`, and has the job begin again where its time was too short.

    python -m orchestrator.executors.slurm.job --store PLACE --identity ID [--tmp FOLDER] [--requeue] -- run FILE …
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from kd_core.training.checkpoint_files import SUFFIX
from orchestrator.executors.executor import CannotRun
from orchestrator.executors.slurm import commands
from orchestrator.executors.slurm.ray_nodes import RayNodes, here
from orchestrator.jobs.kinds import KINDS
from orchestrator.store.errors import StoreError
from orchestrator.store.manifest import MANIFEST
from orchestrator.store.store import Store

STOPPED = os.EX_TEMPFAIL  # the exit code of a command that a signal ended, and that goes on when it is given again
LOOK_S = 1.0  # between two looks at whether Ray's nodes are there


def main(arguments: Sequence[str]) -> int:
    """The job; its exit code is that of the command that it ran."""
    parser = argparse.ArgumentParser(prog="python -m orchestrator.executors.slurm.job")
    parser.add_argument("--store", required=True)
    parser.add_argument("--identity", required=True)
    parser.add_argument("--tmp", default="/tmp")
    parser.add_argument("--requeue", action="store_true")
    parser.add_argument("words", nargs="+", metavar="-- run FILE …")
    asked = parser.parse_args(arguments)
    command = _Command()
    try:
        store = same_store(asked.store, asked.identity)
        before = progress(store)
        with contextlib.ExitStack() as stack:
            nodes = None
            if asked.words[0] == "run":
                tmp = own_folder(Path(asked.tmp))
                stack.callback(shutil.rmtree, tmp, ignore_errors=True)
                os.environ["RAY_TMPDIR"] = str(tmp)
                if int(os.environ.get("SLURM_JOB_NUM_NODES", "1")) > 1:
                    nodes = stack.enter_context(contextlib.closing(RayNodes(tmp)))
            code = command.run([*asked.words, *(nodes.options if nodes else [])], nodes)
    except (CannotRun, StoreError) as error:
        say(str(error))
        return 2
    if code != STOPPED:
        return code
    if signal.SIGTERM in command.told:  # Slurm ends the job, by scancel, a preemption or its limit
        say("Slurm ends this job: it begins again by itself where it was preempted, and not where it was cancelled.")
        return code
    return go_on(store, before) if asked.requeue else code


def same_store(location: str, identity: str) -> Store:
    """The store, where this node has the same as the machine on which the job was submitted.

    Raises:
        CannotRun: where it is another one, or none.
    """
    store = Store(location)
    try:
        found = f"here it is {store.backend.read('identity').decode(errors='replace')}"
    except OSError as error:
        found = f"here is none: {(str(error).splitlines() or [type(error).__name__])[0]}"
    if not found.endswith(identity):
        raise CannotRun(
            f"node {here()} does not see the store {store.location} as it is where this job was submitted (its "
            f"identity is {identity}; {found}): `store` must be a place that both reach by the same name"
        )
    return store


def progress(store: Store) -> frozenset[str]:
    """Names of which others are there once an epoch has ended or a job is done."""
    epochs = (name for name in store.backend.tree("work") if name.endswith(SUFFIX))
    done = (name for kind in KINDS for name in store.backend.tree(kind) if name.endswith(MANIFEST))
    return frozenset([*epochs, *done])


def own_folder(tmp: Path) -> Path:
    """A folder of this job's own on this node, with a short name: the paths of Ray's sockets may have 107 bytes, and /tmp/ray
    is another user's where that one was first.

    Raises:
        CannotRun: where there can be none.
    """
    name = os.environ.get("SLURM_JOB_ID", str(os.getpid()))
    folder = tmp / f"kd-{os.getuid()}-{name}"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise CannotRun(f"node {here()}: no folder can be made in {tmp} ({error.strerror}): see `tmp`") from None
    return folder


def go_on(store: Store, before: frozenset[str]) -> int:
    """Have Slurm begin the job again, unless it would only do the same again. The exit code where it does not."""
    if progress(store) == before:
        say("Not begun again: in all its time no epoch came to its end and no job was done. Ask for more (`time`).")
        return 1
    array, task = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    job = f"{array}_{task}" if array and task else os.environ["SLURM_JOB_ID"]
    say(f"Job {job} is put back into the queue, and goes on when it begins again.")
    try:
        commands.requeue(job)
    except CannotRun as error:
        say(f"It is not: {error}. Submit it again, and it goes on from here.")
        return STOPPED
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    while True:  # until Slurm ends this process: an end of its own would be the job's end
        signal.pause()


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


class _Command:
    """A command of `kd`, to which the signals that this process gets are passed on."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self.told: list[int] = []  # signals
        for number in (signal.SIGUSR1, signal.SIGTERM):
            signal.signal(number, self._pass_on)

    def run(self, words: Sequence[str], nodes: RayNodes | None) -> int:
        """Its exit code. Where the nodes go away under it, it is ended."""
        self._process = subprocess.Popen([*commands.python("orchestrator"), *words])
        if self.told:  # before there was anything to pass it on to
            self._process.send_signal(self.told[-1])
        while True:
            try:
                return self._process.wait(LOOK_S if nodes else None)
            except subprocess.TimeoutExpired:
                if nodes and nodes.lost:
                    say(f"Ray's nodes ended before their time ({nodes.lost}).")
                    self._process.terminate()
                    nodes = None

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        self.told.append(number)
        if self._process:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
