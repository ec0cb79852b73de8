"""What workers are told to import from. On a real cluster: test_working_folder.py."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from orchestrator.executors.ray.private.import_path import checkout, job_config
from tests.support.paths import ROOT


def test_ray_adds_no_folder_of_the_users():
    assert job_config()._runtime_env_has_working_dir()


@pytest.mark.parametrize("place", ["", ".", str(ROOT)], ids=["python -m", "relative", "PYTHONPATH"])
def test_a_checkout_that_is_not_installed_is_told_of(place, monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "path", [place, *(other for other in sys.path if other and Path(other).resolve() != ROOT)])
    assert checkout([]) == [str(ROOT)]


def test_what_is_installed_is_not(monkeypatch):
    monkeypatch.setattr(sys, "path", [str(ROOT)])
    assert checkout([str(ROOT)]) == []
    monkeypatch.setattr(sys, "path", [])  # found by an editable install, which the workers have too
    assert checkout([]) == []
