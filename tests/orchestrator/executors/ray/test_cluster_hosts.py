"""A whole cluster of hosts, as docker/compose.yaml describes it: its commands and its environment, in network namespaces.

Ray's head and workers, MLflow on PostgreSQL, an S3; `kd submit` from a host of its own. One worker is lost and one comes.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from orchestrator.experiment.load import load
from orchestrator.planning.plan import make
from tests.docker.test_docker import interpolated
from tests.orchestrator.conftest import SMALL
from tests.orchestrator.test_driver import content
from tests.orchestrator.test_driver import run as run_here
from tests.support.hosts import Lab
from tests.support.ray_head import ROOT

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1500),
    pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="network namespaces need Linux and root"),
]

EPOCHS = ("teachers.recipe.epochs=15", "students.recipe.epochs=15", "students.seeds=[0]", "tracking.enabled=true")
STORE = "s3://kd-store/small"
DATABASE = """\
set -eu
bin=$1 data=$HOME/data
mkdir "$data" && chown postgres: "$HOME" "$HOME/.." "$data"
as="setpriv --reuid=postgres --regid=postgres --clear-groups --"
$as "$bin/initdb" -D "$data" -U mlflow --pwfile=/run/secrets/postgres_password --auth=scram-sha-256 >/dev/null
echo 'host all all 10.77.0.0/24 scram-sha-256' >>"$data/pg_hba.conf"
echo 'create database mlflow' | $as "$bin/postgres" --single -D "$data" postgres >/dev/null
exec $as "$bin/postgres" -D "$data" -h '*' -p 5432 -k "$data" -c fsync=off
"""


@pytest.fixture(scope="module")
def postgres() -> Path:
    """Where PostgreSQL's programs are, and `ip` with them; installed where they are not."""
    if not (shutil.which("ip") and list(Path("/usr/lib/postgresql").glob("*/bin/postgres"))):
        quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
        subprocess.run(["apt-get", "-q", "update"], check=True, env=quiet)
        subprocess.run(["apt-get", "-q", "install", "-y", "postgresql", "iproute2"], check=True, env=quiet)
    return max(Path("/usr/lib/postgresql").glob("*/bin"))


@pytest.fixture(scope="module")
def services():
    return interpolated((ROOT / "docker/compose.yaml").read_text())["services"]


@pytest.fixture(scope="module")
def lab():
    with Lab() as made:
        yield made


@pytest.fixture(scope="module")
def cluster(lab, services, postgres):
    """All hosts but the second and third worker, healthy."""

    def healthy(host, what):
        return lambda: lab.run(host, ["healthy", what], {}).returncode == 0

    for host in ("head", "worker1", "worker2", "worker3", "mlflow", "postgres", "objects", "desk"):
        lab.add(host)
    begin(lab, services, "head")
    lab.start("objects", [Path(sys.executable).parent / "moto_server", "-H", "0.0.0.0", "-p", "8333"], {})
    lab.start("postgres", ["sh", "-c", DATABASE, "sh", postgres], {})
    lab.wait("postgres", lambda: lab.run("postgres", [postgres / "pg_isready", "-h", "127.0.0.1"], {}).returncode == 0)
    made = lab.run("desk", services["bucket"]["command"], services["bucket"]["environment"])
    assert (made.returncode, made.stderr) == (0, "")
    begin(lab, services, "mlflow")
    lab.wait("head", healthy("head", "head"))
    for worker in ("worker1", "worker2"):
        begin(lab, services, worker, "worker", "--num-cpus", "1")
        lab.wait(worker, healthy(worker, "worker"))
    lab.wait("mlflow", healthy("mlflow", "mlflow"))
    return lab


def begin(lab, services, host, service=None, *more):
    """Start on a host what compose.yaml starts in a container; an object store of Ray that this machine can hold."""
    started = services[service or host]
    command = [ROOT / "docker" / started["command"][0], *started["command"][1:], *more]
    if command[0].name.startswith("ray-"):
        command += ["--object-store-memory", str(100 * 2**20)]
    return lab.start(host, command, started["environment"])


def far(lab, settings, what, file, *words):
    """What :mod:`tests.support.far` answers on the desk."""
    command = [sys.executable, "-m", "tests.support.far", what, file, STORE, *EPOCHS, *words]
    asked = lab.run("desk", command, settings)
    assert asked.returncode == 0, f"{asked.stderr}\n{lab.log('desk').read_text()[-3000:]}"
    return json.loads(asked.stdout.splitlines()[-1])


def of_the_desk(services):
    """The environment of who submits: that of Ray's hosts, with the password as a person has it."""
    settings = dict(services["head"]["environment"])
    settings.pop("MLFLOW_TRACKING_PASSWORD_FILE")
    return settings


@pytest.fixture
def file(cluster):
    """The experiment, where the desk sees it."""
    path = cluster.folder / "desk" / "small.yaml"
    path.write_text(SMALL.format(store="kd-store"))
    return path


def test_a_host_is_lost_and_another_comes_and_nothing_changes(cluster, services, file, tmp_path):
    expected = run_here(file, executor="inline", overrides=(*EPOCHS, "tracking.enabled=false"), store=str(tmp_path / "inline"))
    desk = of_the_desk(services)
    kd = [sys.executable, "-m", "orchestrator"]
    sets = [word for override in EPOCHS for word in ("--set", override)]

    submitted = cluster.start("desk", [*kd, "submit", file, "--address", "http://head:8265", "--store", STORE, *sets], desk)
    at = far(cluster, desk, "training", file, "teacher")
    [lost] = [host for host in ("worker1", "worker2") if at["pid"] in cluster.pids(host)]
    cluster.kill(lost)
    begin(cluster, services, "worker3", "worker", "--num-cpus", "1")
    shown = subprocess.run(["ps", "axww", "-o", "args"], capture_output=True, text=True, check=True).stdout
    until = time.monotonic() + 600
    while submitted.poll() is None:
        assert time.monotonic() < until, cluster.log("desk").read_text()
        shown += subprocess.run(["ps", "axww", "-o", "args"], capture_output=True, text=True, check=True).stdout
        time.sleep(2)
    output = cluster.log("desk").read_text()
    assert submitted.returncode == 0, output
    assert "Did 13 jobs of 13" in output

    made = far(cluster, desk, "results", file)
    assert made == json.loads(json.dumps(content(expected.store, expected.plan)))
    status = cluster.run("desk", [*kd, "status", file, "--store", STORE, *sets], desk)
    assert status.returncode == 0, status.stderr
    assert [line.split() for line in status.stdout.splitlines()[3:]] == [
        ["teacher", "2"],
        ["probe", "2"],
        ["bank", "4"],
        ["student", "5"],
    ]

    password = {"MLFLOW_TRACKING_PASSWORD": cluster.secret("mlflow_admin_password")}
    tracked = far(cluster, desk | password, "runs", file)
    plan = make(load(file, EPOCHS))
    wanted = [job.key for job in plan if job.kind != "bank"]
    cells = {f"cell:{job.labels['cell']}" for job in plan.of("student")}
    assert tracked == sorted([[key, "FINISHED"] for key in (*wanted, *cells, f"experiment:{plan.name}")])

    check_secrets(cluster, desk, file, output + status.stdout + status.stderr, shown)


def test_a_store_that_each_host_has_for_itself_is_refused_before_anything_is_trained(cluster, services, file):
    """/tmp/ray is a folder of each host's own here."""
    kd = [sys.executable, "-m", "orchestrator"]
    sent = cluster.run(
        "desk", [*kd, "submit", file, "--address", "http://head:8265", "--store", "/tmp/ray/store"], of_the_desk(services)
    )
    assert sent.returncode == 2, sent.stdout + sent.stderr
    [refusal] = [line for line in sent.stdout.splitlines() if "not all nodes see the store" in line]
    assert "/tmp/ray/store" in refusal
    assert "10.77.0.1:" not in refusal, "the head, where the driver runs, sees it"
    assert any(
        f"10.77.0.{number}: No such file" in refusal or f"10.77.0.{number}: [Errno 2]" in refusal for number in (2, 3, 4)
    )


def check_secrets(lab, desk, file, output, shown):
    """None of them is in what was printed, in an argument, in the bucket, in MLflow's database or in what Ray wrote."""
    secrets = {name: lab.secret(name).encode() for name in os.listdir(lab.folder / "secrets") if "." not in name}
    secrets["aws_credentials"] = secrets["aws_credentials"].split()[-1]
    assert len(secrets) == 5
    for name, secret in secrets.items():
        assert secret.decode() not in output, name
        assert secret.decode() not in shown, name
    assert "raylet" in shown
    assert "postgres" in shown
    assert far(lab, desk, "holding", file) == []
    [head, *_] = [pid for pid in lab.pids("head") if Path(f"/proc/{pid}/root/tmp/ray").exists()]
    places = [Path(f"/proc/{head}/root/tmp/ray"), *(lab.folder / host for host in lab.hosts), *lab.folder.glob("*.log")]
    read = 0
    for place in places:
        for path in [place] if place.is_file() else place.rglob("*"):
            if path.is_file() and not path.is_symlink():
                content_of = path.read_bytes()
                read += 1
                assert [name for name, secret in secrets.items() if secret in content_of] == [], path
    assert read > 100


def test_who_has_no_token_gets_nothing(cluster, services, file):
    kd = [sys.executable, "-m", "orchestrator"]
    for token, expected in (({"RAY_AUTH_TOKEN": "wrong"}, "does not accept our token"), ({}, "asks for its token")):
        sent = cluster.run("desk", [*kd, "submit", file, "--address", "http://head:8265", "--store", STORE], token)
        assert sent.returncode == 2
        assert expected in sent.stderr
    anonymous = {"MLFLOW_TRACKING_URI": "http://mlflow:5000", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
    asked = cluster.run(
        "desk", [sys.executable, "-c", "import mlflow; print(mlflow.MlflowClient().search_experiments())"], anonymous
    )
    assert asked.returncode != 0
    assert "401" in asked.stderr or "not authenticated" in asked.stderr.lower()
