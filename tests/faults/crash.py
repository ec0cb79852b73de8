"""A run that meets a fault before its N-th change of a file: it is killed, or the disk is full from there on.

CPython reports every opening, renaming and removing of a file to audit hooks before it happens, and what a hook raises happens
in its place. So every step that a run makes in its store can be struck, without the run knowing of it.
"""

from __future__ import annotations

import contextlib
import errno
import multiprocessing
import os
import signal
import sys
import traceback
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

KILLED, FULL, READ_ONLY = "killed", "disk full", "read-only"
ERRORS = {FULL: errno.ENOSPC, READ_ONLY: errno.EROFS}
NEW = ("os.mkdir", "os.link", "os.symlink", "os.rename")  # operations that take room
CHANGES = (*NEW, "os.remove", "os.rmdir", "os.truncate")

context = multiprocessing.get_context("forkserver")
context.set_forkserver_preload(
    ["torch", "pyarrow", "sklearn.datasets", "optuna", "orchestrator.driver", "orchestrator.stages.runner"]
)


class Steps:
    """Counts the changes below a folder, and strikes at one of them."""

    def __init__(self, place: Path, fault: str, at: int) -> None:
        self.place = str(place)
        self.fault = fault
        self.at = at
        self.count = 0

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not (event in CHANGES or (event == "open" and self._writes(arguments))):
            return
        if not any(isinstance(path, str | Path) and str(path).startswith(self.place) for path in arguments[:2]):
            return
        self.count += 1
        if self.fault == KILLED and self.count == self.at:
            os.kill(os.getpid(), signal.SIGKILL)
        takes_room = event == "open" or event in NEW
        if self.fault in ERRORS and self.at <= self.count and (takes_room or self.fault == READ_ONLY):
            raise OSError(ERRORS[self.fault], os.strerror(ERRORS[self.fault]), str(arguments[0]))

    @staticmethod
    def _writes(arguments: tuple[Any, ...]) -> bool:
        flags = arguments[2] if len(arguments) > 2 else 0
        return isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))


def run_struck(file: Path, fault: str = KILLED, at: int = 0) -> tuple[int, int]:
    """Run an experiment, inline, in a process of its own; it is struck at one of its changes of the store, or never (0).

    Returns:
        Its exit code: 0 for all done, 1 for jobs that failed, 2 for an error that says what is wrong, 3 for any other, -9 for
        killed; and how many changes there were.
    """
    receiver, sender = context.Pipe(duplex=False)
    process: ForkServerProcess = context.Process(target=_run, args=[str(file), fault, at, sender])
    process.start()
    sender.close()
    count = 0
    with contextlib.suppress(EOFError):
        count = receiver.recv()
    process.join()
    assert process.exitcode is not None
    return process.exitcode, count


def _run(file: str, fault: str, at: int, sender: Any) -> None:
    os.environ["OMP_NUM_THREADS"] = "1"
    from orchestrator.driver import run

    steps = Steps(Path(file).parent / "store", fault, at)
    sys.addaudithook(steps)
    try:
        outcome = run(Path(file), executor="inline")
        code = 1 if outcome.failed or outcome.blocked else 0
    except (ValueError, OSError, RuntimeError) as error:
        code = 2 if type(error).__module__.startswith(("orchestrator.", "kd_core.")) else 3
        if code == 3:
            traceback.print_exc()
    except BaseException:
        traceback.print_exc()
        code = 3
    sender.send(steps.count)
    sender.close()
    sys.stdout.flush()
    os._exit(code)
