"""How a node of an allocation becomes a node of Ray."""

from __future__ import annotations

import socket

import pytest

from orchestrator.executors.executor import CannotRun
from orchestrator.executors.slurm import ray_nodes
from orchestrator.executors.slurm.ray_nodes import address_towards, free_port, node, own_address


@pytest.fixture(autouse=True)
def on_a_node(monkeypatch):
    monkeypatch.setenv("SLURMD_NODENAME", "n1")
    monkeypatch.setenv("SLURM_JOB_NODELIST", "n[1-2]")
    monkeypatch.setenv("SLURM_CPUS_ON_NODE", "1")
    monkeypatch.setenv("SLURM_PROCID", "0")


def test_the_first_is_the_head_and_takes_no_port_that_another_job_may_have():
    words = node("10.0.0.1", 4711, "/tmp/kd-0-7")
    assert "--head" in words
    assert {"--port=4711", "--node-ip-address=10.0.0.1", "--temp-dir=/tmp/kd-0-7", "--num-cpus=1"} <= set(words)
    assert {"--min-worker-port=0", "--max-worker-port=0", "--dashboard-agent-listen-port=0"} <= set(words)


def test_the_others_join_it_by_the_interface_that_leads_there(monkeypatch):
    monkeypatch.setenv("SLURM_PROCID", "1")
    with socket.create_server(("127.0.0.1", 0)) as head:
        words = node("127.0.0.1", head.getsockname()[1], "/tmp/x")
    assert "--head" not in words
    assert "--node-ip-address=127.0.0.1" in words


def test_one_that_cannot_reach_the_head_says_so(monkeypatch):
    monkeypatch.setenv("SLURM_PROCID", "1")
    monkeypatch.setattr(ray_nodes, "HEAD_S", 0.1)
    with pytest.raises(CannotRun, match=r"node n1 takes no part: the head does not answer at 127\.0\.0\.1:"):
        node("127.0.0.1", free_port(), "/tmp/x")


def test_an_address_does_not_need_this_node_s_name_to_resolve(pretended):
    pretended("scontrol", 'case "$2" in hostnames) echo n1; echo n2 ;; *) echo "NodeName=n2 NodeAddr=127.0.0.1" ;; esac')
    assert own_address() == "127.0.0.1"
    assert address_towards("no-such-host.invalid") == ""


def test_no_name_of_another_node_that_resolves(pretended):
    pretended(
        "scontrol", 'case "$2" in hostnames) echo n1; echo n2.invalid ;; *) echo "NodeName=n2 NodeAddr=n2.invalid" ;; esac'
    )
    with pytest.raises(CannotRun, match=r"node n1 cannot resolve the name of node n2\.invalid"):
        own_address()
