"""Every request of Ray's client has a time limit, its address is the one that is given, and its errors are told apart."""

from __future__ import annotations

import importlib
import logging
import os

import pytest
import requests
from ray.exceptions import AuthenticationError

from orchestrator.executors.ray.private.job_client import LOGGERS, job_client, job_is_missing, token_is_missing
from orchestrator.executors.ray.private.settings import ADDRESSES

VERSION = {"version": "4", "ray_version": "2.60.0", "ray_commit": "", "session_name": ""}


@pytest.fixture
def dashboard(monkeypatch):
    """What is sent to it, and what it answers: a status and a text, or else its version."""
    sent, answers = [], []

    def request(method, url, **more):
        sent.append((method, url, more["timeout"]))
        reply = requests.Response()
        reply.status_code, text = answers.pop() if answers else (200, None)
        reply._content = text.encode() if text else requests.compat.json.dumps(VERSION).encode()
        return reply

    monkeypatch.setattr(requests, "request", request)
    return sent, answers


def test_every_request_has_a_time_limit_and_goes_to_the_address_that_is_given(dashboard, monkeypatch):
    for name in ADDRESSES:
        monkeypatch.setenv(name, "http://elsewhere:1")
    sent, answers = dashboard
    client = job_client("http://here:8265", None, 1, 5)
    assert {(url.startswith("http://here:8265/"), limit) for _, url, limit in sent} == {(True, (1, 1))}
    assert [os.environ[name] for name in ADDRESSES] == ["http://elsewhere:1"] * len(ADDRESSES)
    sent.clear()
    answers.append((404, "nobody"))
    with pytest.raises(RuntimeError) as missing:
        client.get_job_info("nobody")
    assert job_is_missing(missing.value)
    answers.append((500, "broken"))
    with pytest.raises(RuntimeError) as broken:
        client.stop_job("nobody")
    assert not job_is_missing(broken.value)
    assert [(method, limit) for method, _, limit in sent] == [("GET", (1, 5)), ("POST", (1, 5))]


@pytest.mark.parametrize(("status", "missing"), [(401, True), (403, False)])
def test_a_token_that_is_missing_and_one_that_is_wrong(dashboard, status, missing):
    dashboard[1].append((status, "no: required or not"))
    with pytest.raises(AuthenticationError) as refused:
        job_client("http://here:8265", None, 1, 5)
    assert token_is_missing(refused.value) is missing


@pytest.mark.parametrize("name", LOGGERS)
def test_its_loggers_are_quiet(dashboard, name):
    job_client("http://here:8265", None, 1, 5)
    module = importlib.import_module(name)
    logger = getattr(module, "logger", None) or module.default_logger
    assert (logger.name, logger.level) == (name, logging.ERROR)
