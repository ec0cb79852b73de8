"""A cluster of several raylets on this machine, which loses a node and gains one in the middle of a run."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.orchestrator.executors.ray.test_executor import expected as expected  # what inline makes of it
from tests.orchestrator.executors.ray.test_executor import finish, found, pid_in_epoch, start

pytestmark = pytest.mark.slow

ONE_CORE = {"num_cpus": 1, "object_store_memory": 100 * 2**20}


@pytest.fixture
def cluster(monkeypatch):
    """A head that runs nothing, and two nodes of one core; no token is asked for."""
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "object_store_memory": 100 * 2**20})
    try:
        for _ in range(2):
            made.add_node(**ONE_CORE)
        yield made
    finally:
        made.shutdown()


def raylet_of(pid: int) -> int:
    """The process that started a worker."""
    status = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)
    return int(status["PPid"])


@pytest.mark.parametrize("kind", ["teacher", "student"])
def test_a_node_is_lost_and_another_comes_and_nothing_changes(small, expected, cluster, kind):
    """The node on which a job of that kind trains is killed; the job goes on from its last epoch elsewhere."""
    process = start(small, address=cluster.address)
    pid, job = pid_in_epoch(process, small, kind)
    nodes = {node.all_processes["raylet"][0].process.pid: node for node in cluster.worker_nodes}
    cluster.remove_node(nodes[raylet_of(pid)], allow_graceful=False)
    cluster.add_node(**ONE_CORE)
    finish(process)
    assert found(small) == expected
    assert not Path(f"/proc/{pid}").exists()
    assert len(cluster.worker_nodes) == 2
    [folder] = (small.parent / "store" / job.kind / job.key).glob("*/")
    assert (folder / "manifest.json").exists(), "what the lost node had begun was swept"
