"""The Ray executor on a real cluster: the same results as inline, whatever is killed."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import grpc
import pytest

from orchestrator.driver import run
from orchestrator.experiment.load import load
from orchestrator.planning.plan import make
from orchestrator.planning.state import State, checkpointed
from orchestrator.store.store import Store
from tests.orchestrator.conftest import SMALL
from tests.orchestrator.test_driver import content

pytestmark = pytest.mark.slow

EPOCHS = ("teachers.recipe.epochs=12", "students.recipe.epochs=12", "students.seeds=[0]")


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """What the inline executor makes of the experiment, undisturbed."""
    folder = tmp_path_factory.mktemp("inline")
    file = folder / "small.yaml"
    file.write_text(SMALL.format(store=folder / "store"))
    outcome = run(file, executor="inline", overrides=EPOCHS)
    return content(outcome.store, outcome.plan)


def start(file, *overrides, executor="ray", address=None, plain=False):
    """`kd run` in a process of its own, as a user starts it; ``plain``: with the file's own epochs and seeds."""
    command = [
        sys.executable,
        "-c",
        "import sys; from orchestrator.cli.app import main; sys.exit(main())",
        "run",
        str(file),
        "--executor",
        executor,
    ]
    command += ["--address", address] if address else []
    for override in (*(() if plain else EPOCHS), *overrides):
        command += ["--set", override]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def pid_in_epoch(process, file, kind, at_least=3, seconds=120):
    """The process that trains a job of a kind for ``kd run``, as soon as it is past an epoch."""
    spec = load(file, EPOCHS)
    plan, store = make(spec), Store(spec.store)
    until = time.monotonic() + seconds
    while time.monotonic() < until and process.poll() is None:
        for job in plan.of(kind):
            epoch = checkpointed(store.work(job))  # how far it is, is not said so often in an object store
            if at_least <= epoch < 11 and (progress := store.progress(job)):
                return progress["pid"], job
        time.sleep(0.02)
    process.terminate()
    output, _ = process.communicate(timeout=60)
    raise AssertionError(f"no {kind} was seen in epochs {at_least} to 10 of 12:\n{output}")


def finish(process, seconds=300):
    output, _ = process.communicate(timeout=seconds)
    assert process.returncode == 0, output
    return output


def found(file):
    spec = load(file, EPOCHS)
    return content(Store(spec.store), make(spec))


def test_ray_makes_what_inline_makes(small, expected):
    finish(start(small))
    assert found(small) == expected


def test_the_driver_hears_of_every_kind_of_job_how_far_it_is(small, monkeypatch):
    """From whoever runs it: it reads of no job's progress in the store, but for those on actors."""
    heard = {}

    def watch(snapshot):
        for job in snapshot.running:
            assert snapshot.states[job.key] is State.RUNNING
            heard.setdefault(job.kind, []).append(snapshot.progress[job.key].get("epoch", 0))

    monkeypatch.setattr(Store, "progress", lambda self, job: pytest.fail("the driver read it"))
    run(small, overrides=("teachers.recipe.epochs=40", "students.recipe.epochs=40", "students.seeds=[0]"), watch=watch)
    assert max(heard["teacher"]) > 1
    assert max(heard["student"]) > 1


def test_interrupted_it_says_so_and_goes_on(small, expected):
    process = start(small)
    pid_in_epoch(process, small, "teacher")
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "Traceback" not in output
    finish(start(small))
    assert found(small) == expected


def test_a_worker_that_always_dies_fails_its_job_and_no_other(small):
    """max_failures = 0: one death is one too many. The next run goes on from the checkpoint."""
    process = start(small, "resources.max_failures=0", "students.methods=[none]")
    pid, job = pid_in_epoch(process, small, "student")
    os.kill(pid, signal.SIGKILL)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 1
    assert "worker died" in output
    store = Store(small.parent / "store")
    assert "worker died" in store.failure(job)["reason"]
    assert store.progress(job)["epoch"] >= 3
    assert [entry.results["epochs"] for entry in store.entries("teacher")] == [12, 12]
    finish(start(small, "students.methods=[none]"))


def test_divergence_in_a_trial_fails_it_at_once_and_no_other(small):
    process = start(
        small, "students.methods=[none, {kd: {alpha: 1e38}}]", "teachers.recipe.epochs=2", "students.recipe.epochs=2"
    )
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 1
    assert "diverged in epoch 1" in output
    assert len(list(Store(small.parent / "store").entries("student"))) == 1


def test_resources_that_no_node_has_are_refused_at_once(small):
    process = start(small, "resources.student.cpus=4000")
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 2
    assert "resources.student asks for 4000 CPU" in output
    assert not (small.parent / "store" / "teacher").exists()


@pytest.mark.parametrize("executor", ["ray", "inline"])
@pytest.mark.parametrize("kind", ["teacher", "student"])
def test_a_batch_system_ends_it_at_an_epoch_s_end_and_it_goes_on(small, expected, executor, kind):
    """Teachers are on actors, students in Tune. What is said to be kept is there, and nothing new was begun."""
    process = start(small, executor=executor)
    _, job = pid_in_epoch(process, small, kind, at_least=2)
    process.send_signal(signal.SIGUSR1)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 75, output
    assert "Stopped by SIGUSR1. Kept of what was at work:" in output
    assert "It goes on from here with" in output
    store = Store(small.parent / "store")
    if not store.find(job.kind, job.key):
        assert f"{job.title} after {checkpointed(store.work(job))} epochs of 12" in output
    finish(start(small, executor=executor))
    assert found(small) == expected


def test_one_that_is_told_to_end_while_it_begins_does(small):
    process = start(small)
    time.sleep(2)
    process.terminate()
    output, _ = process.communicate(timeout=60)
    assert process.returncode in (75, -signal.SIGTERM), output  # the latter before it took notice at all
    assert "Traceback" not in output


def test_one_whose_parent_is_gone_ends_in_order_too(tiny):
    """As after `nohup kd run … &` and logout. Ray itself would end it in the middle, at times."""
    log, endless = tiny.parent / "log", "teachers.recipe.epochs=100000"
    words = [sys.executable, "-m", "orchestrator", "run", str(tiny), "--set", endless]
    shell = subprocess.run(["sh", "-c", f"{shlex.join(words)} > {log} 2>&1 & echo $!"], stdout=subprocess.PIPE, check=True)
    pid, until = int(shell.stdout), time.monotonic() + 240
    try:
        [teacher] = make(load(tiny, [endless])).of("teacher")
        while not Store(tiny.parent / "store").progress(teacher).get("epoch"):
            assert time.monotonic() < until, log.read_text()
            time.sleep(0.1)
        os.kill(pid, signal.SIGTERM)
        while Path(f"/proc/{pid}").exists():
            assert time.monotonic() < until, log.read_text()
            time.sleep(0.1)
        assert "It goes on from here with" in log.read_text()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def test_it_joins_a_cluster_that_is_there_and_leaves_it_running(small, expected, monkeypatch):
    """Two nodes of one core each, as `ray start` makes them; jobs go to both. It asks for no token, though we have one."""
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")  # the cluster's
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    try:
        cluster.add_node(num_cpus=1)
        monkeypatch.delenv("RAY_AUTH_MODE")
        monkeypatch.setenv("RAY_AUTH_TOKEN", "a-token-of-another-cluster-altogether")
        finish(start(small, address=cluster.address))
        assert found(small) == expected
        assert len(cluster.list_all_nodes()) == 2
        assert all(node.all_processes["raylet"][0].process.poll() is None for node in cluster.list_all_nodes())
    finally:
        cluster.shutdown()


def test_an_address_where_nobody_answers_is_a_mistake(small):
    process = start(small, address="127.0.0.1:1")
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 2, output
    assert "no Ray cluster answers at 127.0.0.1:1" in output


def test_a_private_cluster_is_reached_from_this_machine_alone_and_by_nobody_without_its_token(small, monkeypatch):
    """Ray would listen on every interface; and who reaches it without a token can run any code."""
    monkeypatch.setenv("RAY_AUTH_TOKEN", "a-token-of-32-characters-or-more!")  # else it makes one that we would not know
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    process = start(small, "teachers.recipe.epochs=100000")
    until = time.monotonic() + 120
    while not list(small.parent.glob("store/work/teacher/*/progress.json")):
        assert time.monotonic() < until
        time.sleep(0.1)
    family = descendants(process.pid)
    sockets = subprocess.run(["ss", "-ltnpH"], capture_output=True, text=True, check=True).stdout.splitlines()
    ours = [line.split()[3] for line in sockets if any(f"pid={pid}," in line for pid in family)]
    assert len(ours) > 3
    assert {address.rpartition(":")[0] for address in ours} <= {"127.0.0.1", "[::ffff:127.0.0.1]", "[::1]"}
    [gcs] = [pid for pid, arguments in family.items() if "gcs_server " in arguments]
    port = next(line.split()[3].rpartition(":")[2] for line in sockets if f"pid={gcs}," in line)
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        ask = channel.unary_unary("/ray.rpc.NodeInfoGcsService/GetClusterId")
        for metadata in (), (("authorization", "Bearer wrong"),):
            with pytest.raises(grpc.RpcError) as refused:
                ask(b"", timeout=10, metadata=metadata)
            assert refused.value.code() == grpc.StatusCode.UNAUTHENTICATED
        assert ask(b"", timeout=10, metadata=(("authorization", "Bearer a-token-of-32-characters-or-more!"),))
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)


def descendants(pid):
    """The arguments of all processes below one, by pid."""
    lines = subprocess.run(["ps", "axww", "-o", "pid=,ppid=,args="], capture_output=True, text=True, check=True).stdout
    rows = [line.split(None, 2) for line in lines.splitlines()]
    found, grown = {pid: ""}, True
    while grown:
        below = {int(row[0]): row[2] for row in rows if int(row[1]) in found and int(row[0]) not in found}
        found |= below
        grown = bool(below)
    return found


def under_another_name(file):
    other = file.with_name("other.yaml")
    other.write_text(file.read_text().replace("name: small", "name: other", 1))
    return other


def beside(file):
    """What is in the store beside one attempt at each job."""
    spec = load(file, EPOCHS)
    store = Store(spec.store)
    left = [f"{folder}/{name}" for folder in ("work", "failed", "quarantine", "locks") for name in store.backend.tree(folder)]
    attempts = {job.title: store.backend.folders(f"{job.kind}/{job.key}") for job in make(spec)}
    return left + [f"{title}: {folders}" for title, folders in attempts.items() if len(folders) > 1]


def test_two_runs_at_once_do_each_job_once(small, expected):
    mine, yours = start(small), start(under_another_name(small))
    outputs = [finish(process) for process in (mine, yours)]
    assert found(small) == expected
    assert beside(small) == []
    assert any("another run on this store is at work" in output for output in outputs)


def test_a_run_takes_over_what_a_killed_one_was_at(small, expected):
    mine = start(small)
    pid_in_epoch(mine, small, "teacher")
    yours = start(under_another_name(small))
    store, until = Store(small.parent / "store"), time.monotonic() + 60
    while not store.holder("run-other"):
        assert time.monotonic() < until
        time.sleep(0.05)
    pid_in_epoch(mine, small, "student")
    mine.kill()
    mine.communicate(timeout=60)
    finish(yours)
    assert found(small) == expected
    assert beside(small) == ["locks/run-small.lock"]
