"""A lock in an object store: a lease, which its holder renews from a thread and others may take once it has run out.

Object stores as pyarrow reaches them cannot write on a condition. So who wants a free lease writes it, waits a moment and reads
whether it is still theirs. Two of them can both win where the write of one takes longer than that moment, and a holder that
cannot reach the store, or whose clock is off by more than the lease, loses it unawares. Nothing is lost then: every attempt has
a folder of its own and each manifest is whole, so two drivers would do work twice and not wrongly.

Where the holder was on this very machine and its process is gone, the lease is free at once, as a kernel's lock would be.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from orchestrator.store.backends.backend import Backend, Holder
from orchestrator.store.files import json_bytes, json_object

LEASE_S = 60.0
RENEW_S = 15.0
SETTLE_S = 1.0  # longer than a small write takes


@contextlib.contextmanager
def lease(backend: Backend, name: str, *, careful: bool = True) -> Iterator[bool]:
    """Hold the lease in the file of that name while the block runs; False where another has it. Not ``careful``: without
    the wait."""
    if holder(backend, name):
        yield False
        return
    ours = {"id": uuid.uuid4().hex, "since": time.time(), "host": socket.gethostname(), **_process()}
    _write(backend, name, ours)
    if careful:
        time.sleep(SETTLE_S)
    if not _is(backend, name, ours):
        yield False
        return
    ended = threading.Event()
    renewing = threading.Thread(target=_renew, args=[backend, name, ours, ended], name="kd-lease", daemon=True)
    renewing.start()
    try:
        yield True
    finally:
        ended.set()
        renewing.join(RENEW_S)
        with contextlib.suppress(OSError):
            if _is(backend, name, ours):
                backend.remove(name)


def holder(backend: Backend, name: str) -> Holder | None:
    """Who has the lease; None where nobody has, or it has run out."""
    content = _read(backend, name)
    if time.time() >= content.get("expires", 0) or _gone(content):
        return None
    return Holder(content["since"], content["host"], content["pid"])


def _renew(backend: Backend, name: str, ours: dict[str, object], ended: threading.Event) -> None:
    while not ended.wait(RENEW_S):
        with contextlib.suppress(OSError):  # the next round may reach it
            if not _is(backend, name, ours):
                return
            if not ended.is_set():
                _write(backend, name, ours)


def _write(backend: Backend, name: str, ours: dict[str, object]) -> None:
    backend.write(name, json_bytes({**ours, "expires": time.time() + LEASE_S}))


def _read(backend: Backend, name: str) -> dict[str, Any]:
    try:
        return json_object(backend.read(name))
    except FileNotFoundError:
        return {}


def _is(backend: Backend, name: str, ours: dict[str, object]) -> bool:
    return bool(_read(backend, name).get("id") == ours["id"])


def _process() -> dict[str, Any]:
    """Names this process among those that this kernel shows to each other; on other systems than Linux only its number."""
    try:
        machine = f"{Path('/proc/sys/kernel/random/boot_id').read_text().strip()}/{os.readlink('/proc/self/ns/pid')}"
    except OSError:
        machine = ""
    return {"pid": os.getpid(), "machine": machine, "born": _born(os.getpid())}


def _gone(content: dict[str, Any]) -> bool:
    """Whether the process was one of this machine and is no more."""
    machine = _process()["machine"]
    return bool(machine) and content.get("machine") == machine and _born(content["pid"]) != content["born"]


def _born(pid: int) -> str:
    """When a living process began, in the kernel's own ticks; empty where there is none."""
    try:
        state, *rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if state in "ZX" else rest[18]
