"""An object store that refuses, is busy, is slow, or gives other bytes than it was given."""

from __future__ import annotations

import time

import pytest

from orchestrator.driver import run
from orchestrator.store.backends.object_store import AWAY_S
from orchestrator.store.errors import StoreError, StoreFailed
from tests.orchestrator.conftest import TINY
from tests.orchestrator.conftest import s3 as s3
from tests.orchestrator.conftest import served as served
from tests.orchestrator.test_driver import content
from tests.support.bad_object_store import BadObjectStore

LEASE_S = 4.0
pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    file = folder / "tiny.yaml"
    file.write_text(TINY.format(store=folder / "store"))
    outcome = run(file, executor="inline")
    return content(outcome.store, outcome.plan)


@pytest.fixture
def bad(s3, monkeypatch):
    monkeypatch.setattr("orchestrator.store.backends.lease.LEASE_S", LEASE_S)
    monkeypatch.setattr("orchestrator.store.backends.lease.RENEW_S", LEASE_S / 4)
    proxy = BadObjectStore(s3.port)
    proxy.port = proxy.start()
    yield proxy
    proxy.stop()


@pytest.fixture
def file(tmp_path, s3, bad):
    uri = s3.uri().replace(f":{s3.port}", f":{bad.port}")
    written = tmp_path / "tiny.yaml"
    written.write_text(TINY.format(store=uri))
    return written


def finish(file, expected, bad):
    """The same command, when all is well again."""
    bad.how = lambda request: None
    time.sleep(AWAY_S + LEASE_S)  # a place that could not be reached is not asked again at once, nor could locks be given back
    outcome = run(file, executor="inline")
    assert not outcome.failed
    assert content(outcome.store, outcome.plan) == expected


@pytest.mark.parametrize("first", [1, 8, 30, 60, 90])
def test_refused_from_some_request_on_it_says_so(file, expected, bad, first):
    """As when keys run out in the middle of a run."""
    bad.how = lambda request: "denied" if request.number >= first else None
    try:
        outcome = run(file, executor="inline")
        said = " ".join(reason for _, reason in outcome.failed)
        assert outcome.failed
    except (StoreError, StoreFailed) as error:
        said = str(error)
    assert "the credentials in the environment do not permit it (ACCESS_DENIED)" in said
    finish(file, expected, bad)


@pytest.mark.parametrize("what", ["busy", "slow"])
def test_busy_or_slow_for_a_while_it_is_waited_for(file, expected, bad, what):
    bad.how = lambda request: what if 20 <= request.number < 28 else None
    outcome = run(file, executor="inline")
    assert len(bad.struck) >= 8
    assert not outcome.failed
    assert content(outcome.store, outcome.plan) == expected


def test_other_bytes_than_were_committed_are_no_result(file, expected, bad, tmp_path, monkeypatch):
    """What is fetched is compared with its SHA-256, whatever it is fetched for."""
    run(file, executor="inline")
    monkeypatch.setenv("KD_CACHE", str(tmp_path / "another machine"))
    bad.how = lambda request: "corrupt" if request.method == "GET" and "model.safetensors" in request.path else None
    outcome = run(file, executor="inline")
    assert bad.struck
    assert any("SHA-256" in note for note in outcome.notes) or outcome.failed
    finish(file, expected, bad)
