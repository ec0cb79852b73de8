"""Where a store can be, what is wrong with where it cannot, and that no message tells a secret."""

from __future__ import annotations

import socket
import time

import pytest

from orchestrator.cli.app import main
from orchestrator.cli.checks import writable
from orchestrator.experiment.load import load
from orchestrator.experiment.problems import SpecError
from orchestrator.jobs.job import Job
from orchestrator.store.backends.uri import hidden, uri_problem
from orchestrator.store.errors import StoreError
from orchestrator.store.store import Store
from orchestrator.store.work import Scratch

GOOD = [
    "kd-store",
    "/shared/kd store",
    "file:///shared/store",
    "s3://bucket/prefix",
    "s3://bucket/a/b?endpoint_override=127.0.0.1:9000&scheme=http&region=eu-west-1",
    "gs://bucket/prefix",
    "abfs://container@account.dfs.core.windows.net/prefix",
]
BAD = {
    "s3://AKIA:hunter2@bucket/prefix": "a user and a password",
    "s3://hunter2@bucket/prefix": "a user and a password",
    "abfs://container:hunter2@account.dfs.core.windows.net/prefix": "a user and a password",
    "s3://bucket/prefix?endpoint_override=http://user:hunter2@host:9000": "a user and a password",
    "s3://bucket/prefix?endpoint_override=http%3A%2F%2Fuser%3Ahunter2%40host": "a user and a password",
    "s3://bucket/prefix?secret_key=hunter2": "holds `secret_key`",
    "abfs://c@account.dfs.core.windows.net/prefix?sas_token=hunter2": "holds `sas_token`",
    "s3://bucket/prefix?retries=3": "holds `retries`; what may follow the question mark is region, scheme",
    "ftp://host/prefix": "has the scheme ftp://, but a store is a path, ",
    "hdfs://host/prefix": "has the scheme hdfs://",
    "s3:///prefix": "names no bucket",
    "s3://bucket": "names a whole bucket",
    "s3://bucket/": "names a whole bucket",
    "s3://bucket/a/../b": "`.` or `..`",
    "s3://bucket/a//b": "an empty part",
    "file://host/shared": "names the host host",
}


@pytest.mark.parametrize("place", GOOD)
def test_a_place_that_can_be_used(place):
    assert uri_problem(place) is None
    assert hidden(place) == place.replace("container@", "***@")


@pytest.mark.parametrize(("place", "problem"), BAD.items())
def test_a_place_that_cannot_be_used_is_told_with_its_line_and_without_its_secret(small, place, problem, capsys):
    small.write_text(small.read_text().replace(f"store: {small.parent}/store", f"store: {place}"))
    with pytest.raises(SpecError) as told:
        load(small)
    assert f"{small}:2: store: " in str(told.value)
    assert problem in str(told.value)
    for option in (["--store", place], ["--set", f"store={place}"]):
        assert main(["plan", str(small), *option]) == 2
        said = capsys.readouterr()
        assert problem in said.err
        assert "hunter2" not in str(told.value) + said.err + said.out
    with pytest.raises(StoreError) as told:
        Store(place)
    assert problem in str(told.value)
    assert "hunter2" not in str(told.value)


def test_a_file_uri_is_a_folder(tmp_path):
    store = Store(f"file://{tmp_path}/a%20store")
    assert store.location == str(store.root) == f"{tmp_path}/a store"


def refused(capsys, small, *arguments):
    """What `kd` says, soon and in one line after what it waits for, and nothing is trained."""
    began = time.monotonic()
    assert main([*arguments, str(small)]) == 2
    assert time.monotonic() - began < 50  # and not after the minutes of patience that a run has
    *waits, line = capsys.readouterr().err.splitlines()
    assert all(wait.endswith("…") for wait in waits)
    return line


@pytest.mark.parametrize("command", ["run", "plan", "status", "report"])
def test_a_bucket_that_is_not_there(capsys, small, s3, command):
    uri = s3.uri(bucket="no-such-bucket")
    small.write_text(small.read_text().replace(f"{small.parent}/store", uri))
    assert refused(capsys, small, command) == f"the store {uri}: there is no bucket no-such-bucket"


@pytest.mark.parametrize("command", ["run", "plan"])
def test_an_endpoint_where_nobody_answers(capsys, small, s3, command):
    small.write_text(
        small.read_text().replace(f"{small.parent}/store", f"{s3.uri('b').partition('?')[0]}?endpoint_override=127.0.0.1:1")
    )
    assert "127.0.0.1:1 does not answer" in refused(capsys, small, command)


@pytest.mark.parametrize("command", ["run", "plan"])
def test_an_endpoint_that_takes_the_connection_and_says_nothing(capsys, small, s3, monkeypatch, command):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"127.0.0.1:{silent.getsockname()[1]}"
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{endpoint}")
        small.write_text(small.read_text().replace(f"{small.parent}/store", f"s3://bucket-{command}/kd"))
        assert f"{endpoint} does not answer" in refused(capsys, small, command)


def test_a_store_that_was_never_reached_does_not_hide_how_a_job_ended(s3):
    """What is tidied up at an end lets a store be that is away, from the start too."""
    store = Store(f"{s3.uri('b').partition('?')[0]}?endpoint_override=127.0.0.1:1")
    job = Job("teacher", 1, {})
    store.begin(job).discard()
    Scratch(store.backend, "scratch").clear()


def test_the_environment_names_the_endpoint(s3, monkeypatch):
    uri = s3.uri().partition("?")[0]
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{s3.port}")
    store = Store(uri)
    store.prepare()
    store.backend.write("a", b"1")
    assert s3.objects(uri) == {"kd/store/a": b"1"}


def test_credentials_that_permit_nothing(capsys, small, s3, strict):
    uri = s3.uri(strict)
    small.write_text(small.read_text().replace(f"{small.parent}/store", uri))
    line = refused(capsys, small, "run")
    assert line.startswith(f"the store {uri}: the credentials in the environment do not permit it (")


def test_the_doctor(s3):
    check = writable(Store(s3.uri()))
    assert check.ok
    assert check.found.endswith("answers and can be written")
    check = writable(Store(s3.uri("no-such-bucket")))
    assert not check.ok
    assert "there is no bucket no-such-bucket" in check.found


@pytest.fixture
def strict(s3, monkeypatch):
    """A bucket, in a server that from now on checks who asks."""
    import requests

    bucket = s3.uri().removeprefix("s3://").partition("/")[0]
    address = f"http://127.0.0.1:{s3.port}/moto-api/reset-auth"
    requests.post(address, data=b"0", timeout=10)
    yield bucket
    requests.post(address, data=b"inf", timeout=10)
