"""Several hosts on one machine: network namespaces with a switch between them. Needs root; nothing outside of them changes.

A host has addresses, ports, /tmp/ray, /run/secrets and /etc/hosts of its own, and shares the code. It runs the command and the
environment of a service of docker/compose.yaml as they are written there.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.support.ray_head import ROOT, environment

NETWORK = "10.77.0"  # exists in the namespaces alone
PRIVATE = """\
set -eu
mount -t tmpfs tmpfs /tmp/ray
mount -t tmpfs tmpfs /run
mkdir /run/secrets
mount --bind "$LAB/secrets" /run/secrets
mount --bind "$LAB/hosts" /etc/hosts
mount --bind "$LAB/nameservers" /etc/resolv.conf
exec "$@"
"""


class Lab:
    """A network of hosts. Used as a context: whatever was made is gone at its end."""

    def __init__(self) -> None:
        self.name = f"kd{uuid.uuid4().hex[:6]}"
        self.folder = Path(tempfile.mkdtemp(prefix="kd-lab-", dir="/var/tmp"))
        self.folder.chmod(0o755)
        self.hosts: list[str] = []
        self.started: list[subprocess.Popen] = []

    def __enter__(self) -> Lab:
        Path("/tmp/ray").mkdir(exist_ok=True)
        (self.folder / "hosts").write_text("127.0.0.1 localhost\n")
        (self.folder / "nameservers").write_text("nameserver 127.0.0.1\n")  # none: it is refused at once, and not waited for
        shutil.copy(ROOT / "docker/make-secrets", self.folder)
        subprocess.run([self.folder / "make-secrets"], check=True, capture_output=True)
        (self.folder / "secrets").chmod(0o755)  # compose mounts files, here it is the folder
        try:
            _ip("netns", "add", self.name)
            _ip("-n", self.name, "link", "add", "switch", "type", "bridge")
            _ip("-n", self.name, "link", "set", "switch", "up")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        for host in reversed(self.hosts):
            self.kill(host)
        for process in self.started:
            process.wait()
        for namespace in (*map(self._namespace, self.hosts), self.name):
            subprocess.run(["ip", "netns", "delete", namespace], capture_output=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def secret(self, name: str) -> str:
        return (self.folder / "secrets" / name).read_text()

    def add(self, host: str) -> str:
        """A host by that name; its address."""
        self.hosts.append(host)
        namespace, number = self._namespace(host), len(self.hosts)
        address = f"{NETWORK}.{number}"
        _ip("netns", "add", namespace)
        _ip("-n", namespace, "link", "add", "eth0", "type", "veth", "peer", "name", f"port{number}", "netns", self.name)
        _ip("-n", self.name, "link", "set", f"port{number}", "master", "switch", "up")
        _ip("-n", namespace, "addr", "add", f"{address}/24", "dev", "eth0")
        _ip("-n", namespace, "link", "set", "lo", "up")
        _ip("-n", namespace, "link", "set", "eth0", "up")
        _ip("-n", namespace, "route", "add", "default", "via", f"{NETWORK}.254")  # to nowhere; Ray finds its address by it
        with (self.folder / "hosts").open("a") as names:
            names.write(f"{address} {host}\n")
        for folder in ("home", "tmp"):
            (self.folder / host / folder).mkdir(parents=True)
        return address

    def start(self, host: str, command: Sequence[str | Path], settings: Mapping[str, Any]) -> subprocess.Popen:
        """Begin a command on a host; what it prints is in the host's log."""
        with self.log(host).open("a") as log:
            process = subprocess.Popen(
                self._on(host, command), env=self._environment(host, settings), stdout=log, stderr=log, start_new_session=True
            )
        self.started.append(process)
        return process

    def run(self, host: str, command: Sequence[str | Path], settings: Mapping[str, Any]) -> subprocess.CompletedProcess[str]:
        """Run a command on a host to its end."""
        return subprocess.run(
            self._on(host, command),
            env=self._environment(host, settings),
            capture_output=True,
            text=True,
            timeout=300,
            start_new_session=True,
        )

    def log(self, host: str) -> Path:
        return self.folder / f"{host}.log"

    def pids(self, host: str) -> list[int]:
        """All processes of a host."""
        listed = subprocess.run(["ip", "netns", "pids", self._namespace(host)], capture_output=True, text=True).stdout
        return [int(pid) for pid in listed.split()]

    def kill(self, host: str) -> None:
        """As if its power were cut."""
        until = time.monotonic() + 20
        while (found := self.pids(host)) and time.monotonic() < until:
            for pid in found:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.1)

    def wait(self, host: str, ready: Callable[[], bool], seconds: float = 180) -> None:
        """Wait for what a host has started."""
        until = time.monotonic() + seconds
        while not ready():
            assert time.monotonic() < until, f"{host} is not ready:\n{self.log(host).read_text()[-3000:]}"
            assert self.pids(host), f"{host} has ended:\n{self.log(host).read_text()[-3000:]}"
            time.sleep(0.5)

    def _namespace(self, host: str) -> str:
        return f"{self.name}-{host}"

    def _on(self, host: str, command: Sequence[str | Path]) -> list[str]:
        private = ["unshare", "--mount", "--propagation", "private", "--", "sh", "-c", PRIVATE, host]
        return ["ip", "netns", "exec", self._namespace(host), *private, *map(str, command)]

    def _environment(self, host: str, settings: Mapping[str, Any]) -> dict[str, str]:
        home = self.folder / host
        own = {"LAB": str(self.folder), "HOME": str(home / "home"), "TMPDIR": str(home / "tmp"), "RAY_TMPDIR": "/tmp"}
        made = environment(**own, **{name: str(value) for name, value in settings.items()})
        return made | {"PATH": f"{ROOT / 'docker'}{os.pathsep}{made['PATH']}"}


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True)
    assert done.returncode == 0, f"ip {' '.join(words)}: {done.stderr}"
