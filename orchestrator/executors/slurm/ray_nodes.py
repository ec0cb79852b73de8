"""A Ray cluster over all nodes of an allocation: one step of srun, of which each task becomes a node of Ray.

Ray's own `symmetric-run` is not used: it ends with `ray stop`, which ends every Ray of this user on the node, another job's
too. Here each node stays a child of its task, so that Slurm ends it with the step. Every port is a free one: two jobs on one
node must not meet. The cluster asks for a token that its own processes alone have.

    python -m orchestrator.executors.slurm.ray_nodes HOST PORT FOLDER         (what srun runs on every node)
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import FrameType

from orchestrator.executors.executor import CannotRun
from orchestrator.executors.slurm import commands
from orchestrator.planning.schedule import processors

HEAD_S = 180.0  # for the head to listen: python and Ray may be read from a slow file system
END = signal.SIGUSR2  # what ends a node
END_S = 20.0  # for the nodes to end in order
PAUSE_S = 0.5
LAST_LINES = 20
OBJECT_STORE_BYTES = 200 * 2**20  # jobs pass keys and files, not objects


class RayNodes:
    """Begins the cluster; ``folder`` is this job's own, on every node by the same name.

    Raises:
        CannotRun: where the head does not come up.
    """

    def __init__(self, folder: Path) -> None:
        count = os.environ["SLURM_JOB_NUM_NODES"]
        host, port = own_address(), free_port()
        os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
        os.environ.pop("RAY_AUTH_TOKEN_PATH", None)
        self.options = ["--address", f"{host}:{port}", "--nodes", count]
        cpus = os.environ.get("SLURM_CPUS_PER_TASK")  # srun takes it over from sbatch in some versions and not in others
        step = ["srun", f"--nodes={count}", f"--ntasks={count}", "--ntasks-per-node=1", "--export=ALL", "--kill-on-bad-exit=0"]
        step += [f"--cpus-per-task={cpus}"] if cpus else []
        step += [*commands.python("orchestrator.executors.slurm.ray_nodes"), host, str(port), str(folder)]
        self._step = subprocess.Popen(step, stdin=subprocess.DEVNULL)
        if not wait_for(host, port, HEAD_S, self._step):
            self.close()
            raise CannotRun(f"the head of the Ray cluster does not listen at {host}:{port} after {HEAD_S:g} s")

    @property
    def lost(self) -> str:
        """How all nodes came to their end; empty while there are some."""
        code = self._step.poll()
        return "" if code is None else f"srun ended with code {code}"

    def close(self) -> None:
        """End the nodes."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._step.send_signal(END)  # which srun passes on; by SIGTERM it would have Slurm kill all of them
            self._step.wait(END_S)
        self._step.kill()


def own_address() -> str:
    """The address by which the other nodes of the allocation reach this one: that of the interface which leads to them,
    whatever this node's name resolves to.

    Raises:
        CannotRun: where no other node's name can be resolved.
    """
    names = commands.call("scontrol", "show", "hostnames", os.environ["SLURM_JOB_NODELIST"]).split()
    other = next(name for name in names if name != here())
    shown = dict(word.partition("=")[::2] for word in commands.call("scontrol", "-o", "show", "node", other).split())
    for name in filter(None, (shown.get("NodeAddr"), shown.get("NodeHostName"), other)):
        if found := address_towards(name):
            return found
    raise CannotRun(f"node {here()} cannot resolve the name of node {other}: no cluster can be made of them")


def address_towards(name: str) -> str:
    """This machine's address as that host sees it; empty where its name cannot be resolved or no way leads there."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect((name, 9))  # nothing is sent
            return str(probe.getsockname()[0])
    except OSError:
        return ""


def here() -> str:
    """This node's name, by Slurm."""
    return os.environ.get("SLURMD_NODENAME", socket.gethostname())


def free_port() -> int:
    """A port that nobody listens on at this moment."""
    with socket.socket() as free:
        free.bind(("", 0))
        return int(free.getsockname()[1])


def wait_for(host: str, port: int, seconds: float, step: subprocess.Popen[bytes] | None = None) -> bool:
    """Whether somebody listens there within that time; not longer than ``step`` lives."""
    until = time.monotonic() + seconds
    while time.monotonic() < until and (step is None or step.poll() is None):
        try:
            socket.create_connection((host, port), timeout=PAUSE_S).close()
            return True
        except OSError:
            time.sleep(PAUSE_S)
    return False


def node(host: str, port: int, folder: str) -> list[str]:
    """The command that makes this task of the step a node of Ray: the first one the head.

    Raises:
        CannotRun: where the head does not come up.
    """
    common = [
        "--block",
        "--disable-usage-stats",
        "--min-worker-port=0",
        "--max-worker-port=0",
        "--dashboard-agent-listen-port=0",
    ]
    common += [f"--num-cpus={processors()}", f"--object-store-memory={OBJECT_STORE_BYTES}"]
    if os.environ["SLURM_PROCID"] == "0":
        own = ["--head", f"--node-ip-address={host}", f"--port={port}", f"--temp-dir={folder}", "--include-dashboard=false"]
    else:
        if not wait_for(host, port, HEAD_S):
            raise CannotRun(f"node {here()} takes no part: the head does not answer at {host}:{port} after {HEAD_S:g} s")
        own = [f"--address={host}:{port}", f"--node-ip-address={address_towards(host)}"]
    return [*commands.python("ray.scripts.scripts"), "start", *own, *common]


def main(host: str, port: str, folder: str) -> int:
    """Be a node until it is ended, and leave nothing behind. What Ray prints is kept aside, and shown where it fails."""
    ended = False

    def end(number: int, frame: FrameType | None) -> None:
        nonlocal ended
        ended = True
        if process:
            process.terminate()

    process: subprocess.Popen[bytes] | None = None
    for number in (END, signal.SIGTERM):
        signal.signal(number, end)
    try:
        words = node(host, int(port), folder)
    except CannotRun as problem:
        print(problem, file=sys.stderr, flush=True)
        return 0  # the others go on without it
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True)
        if ended:
            process.terminate()
        code = process.wait()
        shutil.rmtree(folder, ignore_errors=True)
        if code and not ended:
            said.seek(0)
            last = said.read().decode(errors="replace").splitlines()[-LAST_LINES:]
            print(f"Ray's node on {here()} ended with code {code}:", *last, sep="\n", file=sys.stderr, flush=True)
    return 0 if ended else code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
