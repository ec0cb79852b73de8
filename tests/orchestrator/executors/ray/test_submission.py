"""`kd submit`: to a real Ray head that asks for a token; and to whatever else may answer, on loopback."""

from __future__ import annotations

import contextlib
import datetime
import http.server
import ipaddress
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from orchestrator.cli.app import main
from orchestrator.driver import run
from orchestrator.executors.ray import submission as jobs
from orchestrator.executors.ray.auth import HOW
from orchestrator.experiment.load import load
from orchestrator.planning.plan import make
from orchestrator.store.store import Store
from tests.orchestrator.test_driver import content
from tests.support.ray_head import environment, ray_head

TOKEN = "canary-5f0c1d5b8a7e4e0f9d3c2b1a00112233"
SLOW_S = 12  # to start `kd submit`, and far more than the 3 s that Ray gives a job by itself
LONG = ("--set", "teachers.recipe.epochs=100000")


@pytest.fixture
def file(tiny, monkeypatch):
    monkeypatch.chdir(tiny.parent)
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    return str(tiny)


class Other(http.server.BaseHTTPRequestHandler):
    """A web server that is not Ray's."""

    status = 404

    def do_GET(self):
        self.send_response(self.status)
        self.end_headers()
        self.wfile.write(b"<html>")

    def log_message(self, *what):
        pass


@contextlib.contextmanager
def served(status=404, certificate=None):
    """The port of such a server."""
    server = http.server.HTTPServer(("127.0.0.1", 0), type("Answer", (Other,), {"status": status}))
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=[0.05])
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def certificate(tmp_path):
    """A file with a key and a certificate of 127.0.0.1 that nobody vouches for."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.UTC)
    alone = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
    made = builder.add_extension(alone, critical=False).sign(key, hashes.SHA256())
    secret = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = tmp_path / "certificate.pem"
    path.write_bytes(secret + made.public_bytes(serialization.Encoding.PEM))
    return path


def test_a_mistake_in_the_file_is_told_and_nothing_is_sent(file, capsys):
    """Nobody listens at the address: an attempt to reach it would be told."""
    assert main(["submit", file, "--set", "probes.C=-1", "--set", "store=here", "--address", "http://127.0.0.1:1"]) == 2
    assert capsys.readouterr().err == "--set probes.C=-1: probes.C: must be > 0, but got -1\n"


def test_a_refused_connection(file, capsys):
    assert main(["submit", file, "--address", "http://127.0.0.1:1"]) == 2
    assert capsys.readouterr().err == "no Ray dashboard answers at http://127.0.0.1:1: Connection refused\n"


def test_one_that_accepts_and_says_nothing(file, capsys, monkeypatch):
    assert jobs.FIRST_S <= 10
    monkeypatch.setattr(jobs, "FIRST_S", 1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        began = time.monotonic()
        assert main(["submit", file, "--address", address]) == 2
    assert time.monotonic() - began < 60  # Ray by itself waits for ever
    assert f"no Ray dashboard answers at {address}: timed out" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (404, "is no Ray dashboard"),
        (200, "is no Ray dashboard"),
        (500, "is no Ray dashboard"),
        (401, "asks for its token: set RAY_AUTH_TOKEN_PATH to the file that holds it"),
        (403, "does not accept our token: set RAY_AUTH_TOKEN_PATH to the file that holds it"),
    ],
)
def test_what_is_not_ray_or_does_not_let_us_in(file, capsys, status, expected):
    with served(status) as port:
        assert main(["submit", file, "--address", f"http://127.0.0.1:{port}"]) == 2
    message = capsys.readouterr().err
    assert expected in message
    assert len(message.splitlines()) == 1


def test_a_certificate_that_nobody_vouches_for(file, capsys, certificate):
    with served(404, certificate) as port:
        arguments = ["submit", file, "--address", f"https://127.0.0.1:{port}"]
        assert main(arguments) == 2
        message = capsys.readouterr().err
        assert f"the certificate of https://127.0.0.1:{port} is not trusted" in message
        assert "--ca FILE" in message
        assert main([*arguments, "--ca", str(certificate)]) == 2
        assert "is no Ray dashboard" in capsys.readouterr().err, "with --ca it is trusted"
    assert main([*arguments, "--ca", "no.pem"]) == 2
    assert capsys.readouterr().err == "--ca no.pem: no such file\n"


@pytest.mark.parametrize("address", ["127.0.0.1:8265", "ray://127.0.0.1:10001", "http://me:secret-word@127.0.0.1:8265"])
def test_an_address_is_a_url_without_a_password(file, capsys, address):
    assert main(["submit", file, "--address", address]) == 2
    message = capsys.readouterr().err
    assert "--address must be http://HOST:PORT" in message
    assert "secret-word" not in message


@pytest.mark.parametrize("arguments", [[], ["FILE", "--stop", "x"], ["--follow", "x", "--stop", "x"]])
def test_one_thing_at_a_time(file, capsys, arguments):
    assert main(["submit", *(file if word == "FILE" else word for word in arguments)]) == 2
    assert "give one of FILE, --follow ID and --stop ID" in capsys.readouterr().err


@pytest.fixture(scope="module")
def cluster():
    with ray_head(TOKEN) as head:
        yield head


def kd(*arguments, **settings):
    command = [sys.executable, "-m", "orchestrator", *map(str, arguments)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, env=environment(RAY_AUTH_TOKEN=TOKEN, **settings), **pipes)


def ended(process, seconds=240):
    out, err = process.communicate(timeout=seconds)
    assert "Traceback" not in out + err, out + err
    assert TOKEN not in out + err
    return process.returncode, out, err


@pytest.mark.slow
def test_it_runs_there_as_it_would_here(file, cluster, tmp_path):
    """Same bits as inline; the weights of a teacher travel along; RAY_ADDRESS of the user's own changes nothing."""
    expected = run(file, executor="inline", store=str(tmp_path / "inline"))
    code, out, err = ended(kd("submit", file, "--address", cluster.dashboard, RAY_ADDRESS="127.0.0.1:1"))
    assert code == 0, out + err
    assert "Sent as kd-tiny-" in err
    assert "Did 4 jobs of 4 in" in out
    store = Store(tmp_path / "store")
    assert content(store, make(load(file))) == content(expected.store, expected.plan)
    [entry] = store.entries("teacher")
    assert entry.manifest["environment"]["git_commit"]

    (tmp_path / "weights.safetensors").write_bytes(entry.file("model.safetensors").read_bytes())
    given = ("--set", "teachers={models: resnet8, weights: weights.safetensors}")
    code, out, err = ended(kd("submit", file, *given, "--address", cluster.dashboard))
    assert code == 0, out + err


@pytest.mark.slow
def test_its_exit_code_is_that_of_the_run(file, cluster):
    diverging = ("--set", "teachers.recipe.lr=1e30", "--set", "teachers.recipe.schedule=constant")
    code, out, _ = ended(kd("submit", file, *diverging, "--address", cluster.dashboard))
    assert code == 1
    assert "the loss diverged" in out
    code, out, _ = ended(kd("submit", file, "--set", "resources.teacher.cpus=4000", "--address", cluster.dashboard))
    assert code == 2
    assert "resources.teacher asks for 4000 CPU" in out


@pytest.mark.slow
def test_ctrl_c_leaves_it_running_and_stop_stops_it(file, cluster):
    process = kd("submit", file, *LONG, "--address", cluster.dashboard)
    spec = load(file, LONG[1:])
    [teacher] = make(spec).of("teacher")
    until = time.monotonic() + 120
    while not Store(spec.store).progress(teacher).get("epoch"):
        assert time.monotonic() < until, "it does not begin"
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    code, _, err = ended(process, 30)
    assert code == 1
    assert "Left running." in err
    [stop] = [line for line in err.splitlines() if line.startswith("Stop it:")]
    job = stop.split("--stop ")[1].split()[0]
    at = Store(spec.store).progress(teacher)["epoch"]
    while Store(spec.store).progress(teacher)["epoch"] == at:
        assert time.monotonic() < until, "it does not go on"
        time.sleep(0.1)

    second, out, _ = ended(kd("submit", file, *LONG, "--address", cluster.dashboard))
    assert second == 2
    assert "another `kd run` of tiny is at work" in out

    driver = Store(spec.store).holder("run-tiny").pid
    os.kill(driver, signal.SIGSTOP)
    stopping = kd("submit", "--stop", job, "--address", cluster.dashboard)
    with pytest.raises(subprocess.TimeoutExpired):
        stopping.wait(SLOW_S)  # it takes its time to end, and gets it
    os.kill(driver, signal.SIGCONT)
    code, out, _ = ended(stopping)
    assert code == 0
    assert out == f"{job}: stopped\n"
    code, out, _ = ended(kd("submit", "--follow", job, "--address", cluster.dashboard))
    assert code == 1
    assert "It goes on from here with" in out
    assert Store(spec.store).holder("run-tiny") is None


@pytest.mark.slow
def test_a_job_that_is_not_there(file, cluster):
    for what in ("--follow", "--stop"):
        code, _, err = ended(kd("submit", what, "nobody", "--address", cluster.dashboard))
        assert code == 2
        assert err == f"there is no job nobody at {cluster.dashboard}\n"


@pytest.mark.slow
@pytest.mark.parametrize(("token", "expected"), [("", "asks for its token"), ("wrong", "does not accept our token")])
def test_without_the_token_nothing_runs(file, cluster, token, expected, tmp_path):
    mode = {"RAY_AUTH_MODE": "disabled"} if not token else {}
    process = subprocess.run(
        [sys.executable, "-m", "orchestrator", "submit", file, "--address", cluster.dashboard],
        env=environment(HOME=str(tmp_path), **({"RAY_AUTH_TOKEN": token} if token else {}), **mode),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert process.returncode == 2
    assert expected in process.stderr
    joined = subprocess.run(
        [sys.executable, "-m", "orchestrator", "run", file, "--address", cluster.address],
        env=environment(HOME=str(tmp_path), **({"RAY_AUTH_TOKEN": token} if token else {}), **mode),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert joined.returncode == 2, joined.stdout + joined.stderr
    assert joined.stderr.splitlines()[-1] == f"the cluster at {cluster.address} {expected}: {HOW}"
    assert not list((tmp_path / "store").glob("teacher/*"))


def written_with(secret, folder):
    """The lines that hold it, in all files under a folder."""
    files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    assert files
    lines = ((path, line) for path in files for line in path.read_bytes().splitlines())
    return [f"{path}: {line.decode(errors='replace')}" for path, line in lines if secret.encode() in line]


@pytest.mark.slow
def test_the_token_is_in_no_argument_and_no_file(file, cluster):
    """The cluster is joined by its address; the arguments of all processes and all that they and Ray write are read, but for
    one log: Ray's dashboard may warn of a request with all its headers, on the head's own disk."""
    process = kd("run", file, *LONG, "--address", cluster.address)
    spec = load(file, LONG[1:])
    [teacher] = make(spec).of("teacher")
    until = time.monotonic() + 120
    while not Store(spec.store).progress(teacher).get("epoch"):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.1)
    shown = subprocess.run(["ps", "axww", "-o", "args"], capture_output=True, text=True, check=True).stdout
    assert "raylet" in shown
    assert TOKEN not in shown
    process.send_signal(signal.SIGINT)
    ended(process, 60)
    assert written_with(TOKEN, Path(spec.store).parent) == []
    assert [line for line in written_with(TOKEN, cluster.folder) if "/logs/dashboard.log: " not in line] == []
