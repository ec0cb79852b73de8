"""Who may come in, and where secrets must not be. Names and paths of the YAML stay in their places."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from base64 import b64encode
from pathlib import Path

import pytest

from orchestrator.cli.app import main
from orchestrator.experiment.load import load
from orchestrator.store.store import Store
from orchestrator.tracking.location import tracking_location
from orchestrator.tracking.ui import SECRETS, Unguarded, ui
from tests.support.ray_head import ROOT, end, environment, free_ports
from tests.support.world import a_spec
from tests.support.wrong_files import HEAD, check

CANARY = "canary-{}-8f1e2d3c4b5a69788796a5b4c3d2e1f0"
BAD = [
    "../x",
    "/etc/x",
    "..",
    ".hidden",
    "a/b",
    "a\\\\b",
    "a b",
    "é",
    "x\u202egnp",
    "ａ",
    "a\u0000b",
    "",
    "-rf",
    "~root",
    "$HOME",
]
PASSWORD = "a-long-password-of-the-admin"


# --- Names and paths


@pytest.mark.parametrize(
    "name",
    BAD,
)
@pytest.mark.parametrize("field", ["name", "teachers.label"])
def test_names_are_plain_file_names(tmp_path, name, field):
    file = tmp_path / "x.yaml"
    quoted = '"' + name.replace("\u0000", "\\0") + '"'
    top = f"name: {quoted if field == 'name' else 'x'}\nstore: {tmp_path / 'store'}\ndata: {{name: digits}}\n"
    label = f", label: {quoted}" if field != "name" else ""
    file.write_text(top + f"teachers: {{models: resnet8{label}}}\n")
    assert main(["run", str(file), "--executor", "inline"]) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["x.yaml"], "nothing was written anywhere"


@pytest.mark.parametrize("folder", ["../x", "/etc", "a/../../x", ".."])
def test_folders_of_images_are_below_their_root(tmp_path, folder):
    images = f"{{name: image_folder, folder: {folder}, size: 8, classes: 2, train_images: 40}}"
    check(
        f"name: x\ndata: {images}\nteachers: {{models: resnet8}}\n",
        [":2: data.folder: `folder` must be a path under root"],
        tmp_path,
    )


def test_a_link_in_the_place_of_a_result_is_not_followed_out_of_the_store(tmp_path):
    """What has no sound manifest does not exist; what is in its way is moved, and what a link points to is left alone."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "manifest.json").write_text("{}")
    store = Store(tmp_path / "store")
    (store.root / "teacher").mkdir(parents=True)
    (store.root / "teacher" / ("0" * 64)).symlink_to(outside)
    moved = Path(store.quarantine("teacher", "0" * 64))
    assert moved.is_symlink()
    assert moved.parent == store.root / "quarantine"
    assert [path.name for path in outside.iterdir()] == ["manifest.json"]


# --- Passwords in URIs


@pytest.mark.parametrize(
    "uri",
    ["http://kim:hunter2@host", "postgresql://kim:a/hunter2@c@host/db", "postgresql://host/db?user=kim&password=hunter2"],
)
def test_a_password_in_the_yaml_is_refused_and_not_repeated(tmp_path, uri, capsys):
    expected = ":4: tracking.uri: must not hold a password: a server's goes into MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING"
    check(HEAD + f"tracking: {{uri: '{uri}'}}\n", [expected], tmp_path)
    file = tmp_path / "wrong.yaml"
    file.write_text(HEAD)
    assert main(["plan", str(file), "--set", f"tracking.uri={uri}"]) == 2
    told = capsys.readouterr()
    assert "must not hold a password" in told.err
    assert "hunter2" not in told.out + told.err


@pytest.mark.parametrize("uri", ["http://host:5000", "postgresql://kim@host:5432/db", "sqlite:////a/b.db", "databricks"])
def test_a_uri_without_a_password_is_welcome(tmp_path, uri):
    file = tmp_path / "x.yaml"
    file.write_text(HEAD + f"tracking: {{uri: '{uri}'}}\n")
    assert load(file).tracking.uri == uri


def test_the_environment_may_name_the_server_with_its_password_and_the_yaml_goes_first(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://kim:hunter2@host/path")
    spec = a_spec(tmp_path)
    location = tracking_location(spec, Store(spec.store))
    assert location.uri == "https://kim:hunter2@host/path"
    assert location.shown == "https://host/path"
    file = tmp_path / "x.yaml"
    file.write_text(HEAD + f"store: {tmp_path / 'store'}\n")
    assert main(["ui", str(file)]) == 0
    assert capsys.readouterr().out == "MLflow is at https://host/path\n"
    assert main(["ui", str(file), "--set", "tracking.uri=http://other:5000"]) == 0
    assert capsys.readouterr().out == "MLflow is at http://other:5000\n"


# --- Who may come in


def test_the_interface_is_not_opened_wide_without_a_password(tmp_path, monkeypatch, capsys):
    for name in SECRETS:
        monkeypatch.delenv(name, raising=False)
    spec = a_spec(tmp_path / "store")
    for host in ("0.0.0.0", "192.0.2.7", "::", "a.host"):
        with pytest.raises(Unguarded, match="set MLFLOW_FLASK_SERVER_SECRET_KEY and MLFLOW_AUTH_ADMIN_PASSWORD"):
            ui(spec, 5000, host)
    for host in ("127.0.0.1", "127.0.0.5", "::1", "localhost"):
        assert "basic-auth" not in ui(spec, 5000, host).command
    assert "basic-auth" not in ui(spec, 5000, "0.0.0.0", insecure=True).command
    file = tmp_path / "x.yaml"
    file.write_text(HEAD + f"store: {tmp_path / 'other'}\n")
    assert main(["ui", str(file), "--host", "0.0.0.0"]) == 2
    assert capsys.readouterr().err.startswith("refused to listen on 0.0.0.0 without a password: set ")


@pytest.fixture
def secrets(tmp_path, monkeypatch):
    """The password in the environment, the other secret in a file."""
    (tmp_path / "key").write_text("a-key-for-cookies\n")
    monkeypatch.setenv("MLFLOW_AUTH_ADMIN_PASSWORD", PASSWORD)
    monkeypatch.setenv("MLFLOW_FLASK_SERVER_SECRET_KEY_FILE", str(tmp_path / "key"))
    return {"MLFLOW_AUTH_ADMIN_PASSWORD": PASSWORD, "MLFLOW_FLASK_SERVER_SECRET_KEY_FILE": str(tmp_path / "key")}


def test_with_its_secrets_it_asks_for_a_password_that_no_argument_holds(tmp_path, secrets):
    found = ui(a_spec(tmp_path / "store"), 5000, "192.0.2.7")
    assert found.command[-2:] == ("--app-name", "basic-auth")
    assert found.environment["MLFLOW_FLASK_SERVER_SECRET_KEY"] == "a-key-for-cookies"
    assert found.url.startswith("http://192.0.2.7:5000/")
    assert PASSWORD not in repr(found)
    assert not [path for path in (tmp_path / "store").rglob("*") if path.is_file() and PASSWORD.encode() in path.read_bytes()]


def test_without_the_package_that_asks_for_passwords_it_says_what_to_install(tmp_path, secrets, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(Unguarded, match=r"pip install 'kd-orchestrator\[cluster\]', or say --insecure"):
        ui(a_spec(tmp_path / "store"), 5000, "192.0.2.7")


def answers(process, url, user=None, seconds=120):
    """The status that a server gives, as soon as it is there."""
    request = urllib.request.Request(url)
    if user:
        request.add_header("Authorization", "Basic " + b64encode(user.encode()).decode())
    until = time.monotonic() + seconds
    while True:
        assert process.poll() is None, "the server ended"
        try:
            return urllib.request.urlopen(request, timeout=10).status
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            assert time.monotonic() < until, "the server does not answer"
            time.sleep(0.3)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["kd ui", "docker/mlflow-server"])
def test_nobody_reads_the_runs_without_the_password(tmp_path, secrets, how):
    """The servers as they are made for wide addresses, but on loopback."""
    [port] = free_ports(1)
    if how == "kd ui":
        found = ui(a_spec(tmp_path / "store"), port, "192.0.2.7")
        command = ["127.0.0.1" if word == "192.0.2.7" else word for word in found.command]
        settings = found.environment
    else:
        command = [ROOT / "docker/mlflow-server"]
        settings = {"KD_PORT": str(port), "MLFLOW_BACKEND_STORE_URI": f"sqlite:///{tmp_path / 'mlflow.db'}", **secrets}
    process = subprocess.Popen(command, env=environment(TMPDIR=str(tmp_path), **settings), cwd=tmp_path, start_new_session=True)
    try:
        runs = f"http://127.0.0.1:{port}/api/2.0/mlflow/experiments/search?max_results=1"
        assert answers(process, f"http://127.0.0.1:{port}/health") == 200
        assert answers(process, runs) == 401
        assert answers(process, runs, "admin:wrong-password-here") == 401
        assert answers(process, runs, f"admin:{PASSWORD}") == 200
        shown = subprocess.run(["ps", "axww", "-o", "args"], capture_output=True, text=True, check=True).stdout
        assert str(port) in shown
        assert PASSWORD not in shown
    finally:
        end(process)


GUARDED = {
    "ray-head": ["--host", "192.0.2.7"],
    "ray-worker": ["192.0.2.7:6379"],
    "mlflow-server": ["--host", "192.0.2.7"],
}


@pytest.mark.parametrize("script", GUARDED)
@pytest.mark.parametrize("given", ["nothing", "secrets", "an empty secret", "--insecure"])
def test_scripts_start_nothing_wide_without_their_secrets(tmp_path, script, given):
    """In the place of ray and mlflow stands a script that says what it was asked for."""
    for name in ("ray", "mlflow"):
        (tmp_path / name).write_text('#!/bin/sh\necho "$(basename "$0") $*"\n')
        (tmp_path / name).chmod(0o755)
    (tmp_path / "secret").write_text("" if given == "an empty secret" else CANARY.format("script"))
    settings = {"HOME": str(tmp_path), "TMPDIR": str(tmp_path), "MLFLOW_BACKEND_STORE_URI": "postgresql://mlflow@db/mlflow"}
    if "secret" in given:
        settings |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(tmp_path / "secret")}
        settings |= {f"{name}_FILE": str(tmp_path / "secret") for name in SECRETS}
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    arguments = [*GUARDED[script], *(["--insecure"] if given == "--insecure" else [])]
    ran = subprocess.run(
        [ROOT / "docker" / script, *arguments], env=environment(**settings) | {"PATH": path}, capture_output=True, text=True
    )
    if given in ("secrets", "--insecure"):
        assert ran.returncode == 0, ran.stderr
        assert ran.stdout.split()[:2] == (["mlflow", "server"] if script == "mlflow-server" else ["ray", "start"])
        assert "192.0.2.7" in ran.stdout
        assert ("basic-auth" in ran.stdout) == (script == "mlflow-server" and given == "secrets")
        assert "insecure" not in ran.stdout
    else:
        assert ran.returncode == 2
        assert ran.stdout == ""
        assert ran.stderr.startswith(f"{script}: ")
        assert ("say --insecure" in ran.stderr) or ("there is none" in ran.stderr)
    assert CANARY.format("script") not in ran.stdout + ran.stderr


def test_the_database_of_the_mlflow_server_is_named_without_a_password(tmp_path):
    settings = {"MLFLOW_BACKEND_STORE_URI": "postgresql://mlflow:hunter2@db/mlflow"}
    ran = subprocess.run([ROOT / "docker/mlflow-server"], env=environment(**settings), capture_output=True, text=True)
    assert ran.returncode == 2
    assert "PGPASSWORD" in ran.stderr
    assert "hunter2" not in ran.stderr


# --- Secrets of the environment


DIVERGING = ("--set", "students.methods=[none, {kd: {alpha: 1e38}}]", "--set", "tracking.enabled=true")
HELD = ("RAY_AUTH_TOKEN", "AWS_SECRET_ACCESS_KEY", "MLFLOW_TRACKING_PASSWORD", "PGPASSWORD", "SOME_API_KEY")


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["ray", "inline"])
def test_secrets_of_the_environment_are_nowhere_after_a_run(tmp_path, tiny, executor):
    """A run with a job that fails, and with MLflow; then all that it printed and wrote is read, and all arguments meanwhile."""
    held = {name: CANARY.format(name.lower()) for name in HELD}
    kd = [sys.executable, "-m", "orchestrator"]
    with (tmp_path / "output").open("w") as output:
        process = subprocess.Popen(
            [*kd, "run", str(tiny), *DIVERGING, "--executor", executor],
            env=environment(**held, KD_TRACEBACK="1"),
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        shown, until = "", time.monotonic() + 300
        try:
            while process.poll() is None and time.monotonic() < until:
                shown += subprocess.run(["ps", "axww", "-o", "args"], capture_output=True, text=True, check=True).stdout
                time.sleep(0.5)
        finally:
            process.terminate()
    assert process.wait() == 1, (tmp_path / "output").read_text()
    assert str(tiny) in shown
    assert "canary-" not in shown.replace(str(tmp_path), "")
    for command in ("plan", "status", "report"):
        with (tmp_path / "output").open("a") as output:
            subprocess.run(
                [*kd, command, str(tiny), *DIVERGING], env=environment(**held), stdout=output, stderr=output, check=True
            )
    said = (tmp_path / "output").read_text()
    assert "diverged" in said
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {"mlflow.db", "manifest.json", "output"} <= {path.name for path in files}
    assert [path for path in files if b"canary-" in path.read_bytes()] == []
