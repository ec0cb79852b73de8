"""Watches over the two processes of a cluster that a run cannot do without: the raylet of its node, and the head's GCS.

Ray itself waits for them: a driver whose raylet was killed, for ever; one whose GCS was, for a minute.
"""

from __future__ import annotations

import os
import socket
import threading
import time

RAYLET_GONE, GCS_GONE = 81, 82  # exit codes
WHY = {
    RAYLET_GONE: "the raylet of this node is gone",
    GCS_GONE: "its head is gone: the GCS does not answer",
}
PAUSE_S = 1.0
PRIVATE_S = 1.0  # how long one of a private cluster may be out of reach: nobody restarts it
JOINED_S = 15.0  # of one that others run, which may restart its head
ANSWER_S = 5.0


class Watch:
    """Of the cluster that this process has joined. Where one of the two is gone, this process ends at once, with an exit code
    that says which: whatever it waits for at that moment, and before anything is taken for a failure of a job."""

    def __init__(self, *, private: bool) -> None:
        self._patience_s = PRIVATE_S if private else JOINED_S
        self._ended = threading.Event()
        self._places = _places()
        threading.Thread(target=self._run, name="cluster-watch", daemon=True).start()

    def require(self) -> None:
        """Return when both are there."""
        until = time.monotonic() + self._patience_s
        while gone := next((code for code, place in self._places.items() if not _listens(place)), 0):
            if self._ended.is_set():
                return
            if time.monotonic() >= until:
                os._exit(gone)
            time.sleep(min(PAUSE_S, self._patience_s / 4))

    def end(self) -> None:
        """Let the cluster go."""
        self._ended.set()

    def _run(self) -> None:
        while not self._ended.wait(PAUSE_S):
            self.require()


def _places() -> dict[int, tuple[str, int] | str]:
    """Where they listen, by the exit code that says that they do not; none for a cluster that is reached through a proxy
    (``ray://``), where Ray's client notices by itself."""
    import ray

    if ray.util.client.ray.is_connected():
        return {}
    context = ray.get_runtime_context()
    host, _, port = context.gcs_address.rpartition(":")
    own = next(node for node in ray.nodes() if node["NodeID"] == context.get_node_id())
    return {RAYLET_GONE: own["RayletSocketName"], GCS_GONE: (host.strip("[]"), int(port))}


def _listens(place: tuple[str, int] | str) -> bool:
    family = socket.AF_UNIX if isinstance(place, str) else socket.AF_INET6 if ":" in place[0] else socket.AF_INET
    with socket.socket(family) as own:
        own.settimeout(ANSWER_S)
        try:
            own.connect(place)
        except OSError:
            return False
    return True
