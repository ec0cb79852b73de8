"""A Slurm of our own on loopback: munged, slurmctld and two slurmds, from Debian's packages `slurm-wlm` and `munge`.

No job of it is confined (proctrack/linuxproc, no cgroups): two jobs on one node see each other's ports, /tmp and processors, as
on sites that share nodes.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

DAEMONS = ("munged", "slurmctld", "slurmd")
CONF = """\
ClusterName=kd
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
CredType=cred/munge
SlurmctldPort={ports[0]}
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/%n.log
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,bf_interval=1,sched_min_interval=0,requeue_delay=1
MpiDefault=none
SwitchType=switch/none
ReturnToService=2
KillWait=10
OverTimeLimit=0
MinJobAge=300
InactiveLimit=0
SlurmctldTimeout=30
SlurmdTimeout=30
MessageTimeout=60
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
NodeName=DEFAULT CPUs=4 Boards=1 SocketsPerBoard=1 CoresPerSocket=4 ThreadsPerCore=1 RealMemory=4000 State=UNKNOWN
NodeName=n[1-2] NodeHostname={host} NodeAddr=127.0.0.1 Port=[{ports[1]}-{ports[2]}]
PartitionName=main Nodes=n[1-2] Default=YES MaxTime=60 State=UP PriorityTier=1 OverSubscribe=NO
PartitionName=urgent Nodes=n[1-2] MaxTime=60 State=UP PriorityTier=9 OverSubscribe=NO
"""


def why_not() -> str:
    """Why there can be no Slurm here; empty where there can."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    if missing := [name for name in DAEMONS if not shutil.which(name, path=path)]:
        return f"no {', '.join(missing)} here: apt-get install slurm-wlm munge"
    return "" if os.geteuid() == 0 else "slurmctld and slurmd are started as root"


class Slurm:
    """Two nodes, n1 and n2, of four processors each by its own account. ``env`` is what commands need to reach it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.env = {"SLURM_CONF": str(folder / "slurm.conf"), "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"}
        self._processes: list[subprocess.Popen[bytes]] = []

    def begin(self) -> None:
        """Start it, and wait until both nodes are there."""
        for name in ("state", "spool-n1", "spool-n2"):
            (self.folder / name).mkdir()
        with contextlib.ExitStack() as taken:
            base = _free(taken)
        ports = (base, base + 1, base + 2)
        conf = CONF.format(folder=self.folder, host=socket.gethostname(), ports=ports)
        (self.folder / "slurm.conf").write_text(conf)
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o400)
        files = {"key": "munge.key", "pid": "munged.pid", "log": "munged.log", "seed": "munge.seed"}
        named = [f"--{name}-file={self.folder}/{file}" for name, file in files.items()]
        self._start("munged", "--foreground", "--force", f"--socket={self.folder}/munge.socket", *named)
        _until(lambda: (self.folder / "munge.socket").exists())
        self._start("slurmctld", "-D", "-f", str(self.folder / "slurm.conf"))
        for node in ("n1", "n2"):
            self._start("slurmd", "-D", "-N", node, "-f", str(self.folder / "slurm.conf"))
        _until(lambda: self.call("sinfo", "-h", "-N", "-p", "main", "-o", "%N %t").split() == ["n1", "idle", "n2", "idle"])

    def end(self) -> None:
        """Cancel all jobs, and stop it."""
        with contextlib.suppress(Exception):
            self.call("scancel", "-f", "--state=RUNNING", "--user=root")
            self.call("scancel", "-f", "--state=PENDING", "--user=root")
            _until(lambda: not self.call("squeue", "-h"), 40)
        for process in reversed(self._processes):
            process.send_signal(signal.SIGTERM)
        for process in reversed(self._processes):
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def call(self, *words: str) -> str:
        """What a command of Slurm's prints."""
        return subprocess.run(
            words, env={**os.environ, **self.env}, text=True, capture_output=True, check=True, timeout=60
        ).stdout

    def shown(self, job: str) -> dict[str, str]:
        """What `scontrol` shows of a job."""
        return dict(word.partition("=")[::2] for word in self.call("scontrol", "-o", "show", "job", job).split())

    def state(self, job: str) -> str:
        """PENDING, RUNNING, COMPLETED, …"""
        return self.shown(job)["JobState"]

    def until_begun_again(self, job: str) -> None:
        """Wait until a job was put back into the queue."""
        _until(lambda: int(self.shown(job)["Restarts"]) > 0, 240)

    def until(self, job: str, *states: str, seconds: float = 180) -> str:
        """Wait for a job to come to one of these states, and say which."""
        _until(lambda: self.state(job) in states, seconds)
        return self.state(job)

    def _start(self, *words: str) -> None:
        log = (self.folder / f"{words[0]}-{len(self._processes)}.out").open("wb")
        with log:
            self._processes.append(
                subprocess.Popen(words, env={**os.environ, **self.env}, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
            )


@contextlib.contextmanager
def running_slurm() -> Iterator[Slurm]:
    """A Slurm that is there while the block runs, in a folder with a short name: its sockets' paths may have 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="kds-", dir="/tmp") as folder:
        slurm = Slurm(Path(folder))
        try:
            slurm.begin()
            yield slurm
        finally:
            slurm.end()


def _free(taken: contextlib.ExitStack) -> int:
    """The first of three neighbouring ports that are free."""
    while True:
        first = taken.enter_context(socket.socket())
        first.bind(("127.0.0.1", 0))
        port = int(first.getsockname()[1])
        try:
            for more in (1, 2):
                taken.enter_context(socket.socket()).bind(("127.0.0.1", port + more))
        except OSError:
            continue
        return port


def _until(condition, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while True:
        with contextlib.suppress(subprocess.CalledProcessError, subprocess.TimeoutExpired):
            if condition():
                return
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.2)
