"""Images, compose, Kubernetes and `ray up` files: linted and checked for what we promise, without an engine."""

from __future__ import annotations

import configparser
import json
import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from compose_pydantic import ComposeSpecification

from tests.orchestrator.executors.ray.test_submission import served
from tests.support.object_store import ENVIRONMENT, ObjectStore
from tests.support.ray_head import BIN, ROOT, environment, free_ports

DOCKER = ROOT / "docker"
SCRIPTS = ("guard.sh", "healthy", "make-bucket", "mlflow-server", "ray-head", "ray-worker")  # in the image
SECRET = re.compile("(?i)pass|token|secret|key")
OURS = ("head", "worker", "mlflow", "bucket")  # services of our own image


def text(name: str) -> str:
    return (DOCKER / name).read_text()


# --- The image


def test_hadolint_has_nothing_to_say():
    linted = subprocess.run([BIN / "hadolint", DOCKER / "Dockerfile"], capture_output=True, text=True)
    assert (linted.returncode, linted.stdout) == (0, "")


def test_the_image_holds_the_scripts_and_runs_as_nobody_special():
    lines = text("Dockerfile").replace("\\\n", " ").splitlines()
    stages = [line for line in lines if line.startswith("FROM")]
    assert len(stages) == 2, "what builds is left behind"
    [copied] = [line for line in lines if "docker/guard.sh" in line]
    assert {word.removeprefix("docker/") for word in copied.split() if word.startswith("docker/")} == set(SCRIPTS)
    assert [line for line in lines if line.startswith("USER")] == ["USER 1000:1000"]
    assert lines.index("USER 1000:1000") > lines.index(stages[1])
    allowed = {line.removeprefix("!") for line in text("Dockerfile.dockerignore").splitlines() if line.startswith("!")}
    from_outside = [line for line in lines if line.startswith("COPY") and "--from" not in line]
    sources = {word for line in from_outside for word in line.split()[1:-1] if not word.startswith("--")}
    assert sources == allowed
    for source in sources:
        assert (ROOT / source).exists(), source


def test_everything_but_torchs_index_is_pinned():
    assert "-c constraints.txt" in text("Dockerfile")
    pinned = (ROOT / "constraints.txt").read_text()
    for package in ("torch", "torchvision", "ray", "mlflow", "boto3", "psycopg"):
        assert re.search(rf"^{package}==\d", pinned, re.MULTILINE), package


@pytest.mark.parametrize("name", sorted(path.name for path in DOCKER.iterdir() if path.is_file() and os.access(path, os.X_OK)))
def test_scripts_are_valid_and_told_apart(name):
    script = text(name)
    if script.startswith("#!/bin/sh"):
        for shell in ("sh", "bash"):
            subprocess.run([shell, "-n", DOCKER / name], check=True)
        assert "\nset -eu\n" in script
    else:
        compile(script, name, "exec")


# --- compose.yaml


def interpolated(source: str, **settings: str) -> Any:
    """The file as compose reads it: ``${NAME:-default}``, and x- sections gone."""
    filled = re.sub(r"\$\{(\w+):-([^}]*)\}", lambda found: settings.get(found[1], found[2]), source)
    assert "${" not in filled
    return {name: value for name, value in yaml.safe_load(filled).items() if not name.startswith("x-")}


@pytest.fixture
def services():
    return interpolated(text("compose.yaml"))["services"]


@pytest.mark.parametrize("name", ["compose.yaml", "compose.gpu.yaml"])
def test_compose_files_fit_the_compose_specification(name):
    ComposeSpecification.model_validate(interpolated(text(name)))
    wrong = interpolated(text(name))
    wrong["services"]["worker"]["helthcheck"] = {}
    with pytest.raises(ValueError, match="helthcheck"):
        ComposeSpecification.model_validate(wrong)


def test_compose_lint_finds_what_we_know_and_nothing_else():
    """Digests are for who deploys; a path to a secret is not a secret; databases write; torch.compile loads from /tmp."""
    linted = subprocess.run([BIN / "compose-lint", DOCKER / "compose.yaml"], capture_output=True, text=True)
    found = set(re.findall(r" CL-\d{4}  (.*)", linted.stdout))
    known = ("is pinned to a tag but not a digest", "'RAY_AUTH_TOKEN_PATH'", "root filesystem is writable", "re-enables exec")
    assert found
    assert [finding for finding in found if not any(part in finding for part in known)] == []


def test_only_loopback_is_published_and_only_what_asks_who_comes(services):
    published = {name: service["ports"] for name, service in services.items() if "ports" in service}
    assert published == {"head": ["127.0.0.1:8265:8265"], "mlflow": ["127.0.0.1:5000:5000"]}
    assert services["head"]["environment"]["RAY_AUTH_MODE"] == "token"
    assert services["worker"]["environment"]["RAY_AUTH_MODE"] == "token"
    assert not any("insecure" in str(service).lower() for service in services.values())


def test_services_are_checked_limited_and_unprivileged(services):
    for name, service in services.items():
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["cap_drop"] == ["ALL"], name
        assert {"cpus", "memory"} <= service["deploy"]["resources"]["limits"].keys(), name
        assert ("healthcheck" in service) == (name != "bucket"), name
        assert not service.get("privileged")
        for other, condition in service.get("depends_on", {}).items():
            wanted = "service_completed_successfully" if other == "bucket" else "service_healthy"
            assert condition == {"condition": wanted}
    for name in OURS:
        assert services[name]["read_only"] is True
        assert services[name]["command"][0] in SCRIPTS
    assert services["worker"]["deploy"]["replicas"] == 2
    assert interpolated(text("compose.yaml"), WORKERS="5")["services"]["worker"]["deploy"]["replicas"] == 5


def test_secrets_are_files_and_never_values(services, tmp_path):
    """Every variable that sounds like a secret names a file; and make-secrets makes each file that a service is given."""
    declared = interpolated(text("compose.yaml"))["secrets"]
    for name, service in services.items():
        for variable, value in service.get("environment", {}).items():
            if SECRET.search(variable) and variable not in ("RAY_AUTH_MODE",):
                assert value.startswith("/run/secrets/"), (name, variable)
                assert value.removeprefix("/run/secrets/") in service["secrets"], (name, variable)
    made = secrets_in(tmp_path)
    assert {secret["file"] for secret in declared.values()} == {f"secrets/{name}" for name in made}
    assert {secret for service in services.values() for secret in service.get("secrets", ())} == set(declared)


def test_the_example_of_settings_holds_what_may_be_set_and_no_secret():
    used = dict(re.findall(r"\$\{(\w+):-([^}]*)\}", text("compose.yaml")))
    example = dict(line.split("=", 1) for line in text(".env.example").splitlines() if line and not line.startswith("#"))
    assert example == used
    assert not any(SECRET.search(name) for name in example)


def secrets_in(folder: Path) -> dict[str, str]:
    """What make-secrets leaves beside itself."""
    shutil.copy(DOCKER / "make-secrets", folder)
    subprocess.run([folder / "make-secrets"], check=True, capture_output=True)
    return {path.name: path.read_text() for path in (folder / "secrets").iterdir()}


def test_made_secrets_are_random_stay_and_are_for_us_alone(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    one, two = secrets_in(tmp_path / "one"), secrets_in(tmp_path / "two")
    assert one.keys() == two.keys()
    assert not set(one.values()) & set(two.values())
    assert secrets_in(tmp_path / "one") == one
    assert stat.S_IMODE((tmp_path / "one/secrets").stat().st_mode) == 0o700
    for name in ("ray_token", "postgres_password", "mlflow_admin_password", "mlflow_secret_key"):
        assert re.fullmatch("[0-9a-f]{48,64}", one[name])
    credentials = configparser.ConfigParser()
    credentials.read_string(one["aws_credentials"])
    [identity] = json.loads(one["objects.json"])["identities"]
    [keys] = identity["credentials"]
    assert keys["accessKey"] == credentials["default"]["aws_access_key_id"]
    assert keys["secretKey"] == credentials["default"]["aws_secret_access_key"]
    ignored = subprocess.run(["git", "check-ignore", "docker/secrets/ray_token", "docker/.env"], cwd=ROOT, capture_output=True)
    assert len(ignored.stdout.split()) == 2


def test_the_bucket_is_made_once_and_found_after():
    store = ObjectStore.start()
    try:
        settings = ENVIRONMENT | {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{store.port}"}
        before = {bucket["Name"] for bucket in store.client.list_buckets()["Buckets"]}  # servers of a process share theirs
        for _ in range(2):
            made = subprocess.run(
                [sys.executable, DOCKER / "make-bucket", "kd-store"],
                env=environment(**settings),
                capture_output=True,
                text=True,
            )
            assert (made.returncode, made.stderr) == (0, "")
        assert {bucket["Name"] for bucket in store.client.list_buckets()["Buckets"]} - before == {"kd-store"}
        wrong = subprocess.run(
            [sys.executable, DOCKER / "make-bucket", "A B"], env=environment(**settings), capture_output=True, text=True
        )
        assert wrong.returncode == 1
        assert "Traceback" not in wrong.stderr
    finally:
        store.server.stop()


@pytest.mark.parametrize(("what", "port"), [("head", "KD_DASHBOARD_PORT"), ("worker", "KD_AGENT_PORT"), ("mlflow", "KD_PORT")])
def test_the_health_check_asks(what, port):
    [nobody] = free_ports(1)
    with served(200) as well, served(503) as unwell:
        for number, healthy in ((well, True), (unwell, False), (nobody, False)):
            asked = subprocess.run([DOCKER / "healthy", what], env=environment(**{port: str(number)}), capture_output=True)
            assert (asked.returncode == 0) == healthy


# --- Kubernetes


def manifest(name: str) -> Any:
    return yaml.safe_load(text(f"kubernetes/{name}"))


def cluster_of(name: str) -> dict[str, Any]:
    spec = manifest(name)["spec"]
    return spec.get("rayClusterSpec", spec)


@pytest.mark.parametrize(("name", "kind"), [("raycluster.yaml", "RayCluster"), ("rayjob.yaml", "RayJob")])
def test_manifests_are_sound(name, kind):
    """KubeRay's own kinds have no schema here: their pods are validated as Kubernetes' own, the rest is looked at."""
    whole, cluster = manifest(name), cluster_of(name)
    assert (whole["apiVersion"], whole["kind"]) == ("ray.io/v1", kind)
    assert whole["metadata"]["annotations"] == {"ray.io/overwrite-container-cmd": "true"}
    assert cluster["authOptions"] == {"mode": "token"}
    pinned = re.search(r"^ray==(.*)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert pinned
    assert cluster["rayVersion"] == pinned[1]
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    for group in cluster["workerGroupSpecs"]:
        assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]
    for group, command in zip(groups, ("ray-head", "ray-worker"), strict=True):
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "pod"}, "spec": group["template"]["spec"]}
        kubernetes_validate.validate(pod, "1.31", strict=True)
        check_pod(pod["spec"], command)


def check_pod(pod: dict[str, Any], command: str) -> None:
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["automountServiceAccountToken"] is False
    volumes = {volume["name"] for volume in pod["volumes"]}
    [container] = pod["containers"]
    assert container["command"][0] == command
    assert container["command"][0] in SCRIPTS
    assert ":" in container["image"]
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    for probe in ("readinessProbe", "livenessProbe"):
        assert container[probe]["exec"]["command"] == ["healthy", command.removeprefix("ray-")]
    assert {"cpu", "memory"} <= container["resources"]["limits"].keys()
    assert {mount["name"] for mount in container["volumeMounts"]} == volumes
    for variable in container["env"]:
        if SECRET.search(variable["name"]):
            assert variable["value"].startswith("/run/secrets/"), variable


def test_the_two_manifests_describe_the_same_cluster():
    """But for the experiment, which the job has mounted."""
    job, cluster = json.dumps(cluster_of("rayjob.yaml")), json.dumps(cluster_of("raycluster.yaml"))
    job = job.replace('{"name": "experiment", "mountPath": "/run/experiment", "readOnly": true}, ', "")
    job = job.replace('{"name": "experiment", "configMap": {"name": "kd-experiment"}}, ', "")
    assert job == cluster


def test_the_jobs_command_is_one_of_ours():
    from typer.testing import CliRunner

    from orchestrator.cli.app import app

    words = manifest("rayjob.yaml")["spec"]["entrypoint"].split()
    assert words[:2] == ["kd", "run"]
    shown = CliRunner().invoke(app, ["run", "--help"]).output
    assert all(word in shown for word in words if word.startswith("--"))


# --- ray up


def test_the_autoscaling_cluster_fits_rays_schema():
    from ray.autoscaler._private.util import prepare_config, validate_config

    config = yaml.safe_load(text("ray-up.yaml"))
    validate_config(prepare_config(config))
    config["available_node_types"]["gpu"]["min_wrkers"] = 1
    wrong = prepare_config(config)
    with pytest.raises(Exception, match="min_wrkers"):
        validate_config(wrong)


def test_its_nodes_start_by_our_scripts_with_a_token():
    config = yaml.safe_load(text("ray-up.yaml"))
    for part, script in (("head", "ray-head"), ("worker", "ray-worker")):
        start = config[f"{part}_start_ray_commands"][-1]
        assert start.startswith(f"RAY_AUTH_MODE=token {script} ")
        assert "--background" in start
    assert config["file_mounts"] == {"/home/kd/.ray/auth_token": "~/.ray/auth_token"}


@pytest.mark.parametrize("script", ["ray-head", "ray-worker"])
def test_in_the_background_it_does_not_block(tmp_path, script):
    (tmp_path / "ray").write_text('#!/bin/sh\necho "$*"\n')
    (tmp_path / "ray").chmod(0o755)
    settings = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "x"}
    arguments = ["head:6379"] if script == "ray-worker" else []
    for options, blocks in (([], True), (["--background", "--autoscaling-config=x"], False)):
        ran = subprocess.run(
            [DOCKER / script, *arguments, *options],
            env=environment(**settings) | {"PATH": f"{tmp_path}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            check=True,
        )
        assert ("--block" in ran.stdout.split()) == blocks
        assert "--background" not in ran.stdout
