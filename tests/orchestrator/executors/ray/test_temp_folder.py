"""Where a private cluster keeps its sockets: Ray's own choice where that will do, and else a short folder of this user."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from orchestrator.executors.executor import CannotRun
from orchestrator.executors.ray.temp_folder import LONGEST, temp_folder
from tests.support.ray_head import environment


@pytest.fixture
def short(monkeypatch):
    """A folder with a short path, for Ray to use."""
    for name in ("RAY_TMPDIR", "TMPDIR"):
        monkeypatch.delenv(name, raising=False)
    folder = f"/tmp/kd-test-{os.getpid()}"
    os.mkdir(folder)
    yield folder
    subprocess.run(["rm", "-r", folder], check=True)


def test_ray_s_own_choice_is_kept_where_it_will_do(short, monkeypatch):
    monkeypatch.setenv("TMPDIR", short)
    assert temp_folder() is None
    monkeypatch.setenv("RAY_TMPDIR", f"{short}/not/there/yet")
    assert temp_folder() is None


@pytest.mark.parametrize("name", ["TMPDIR", "RAY_TMPDIR"])
def test_a_path_that_is_too_long_for_sockets_is_replaced(short, monkeypatch, name):
    monkeypatch.setenv(name, short + "/" + "l" * LONGEST)
    own = f"{short}/kd-ray-{os.getuid()}"
    assert temp_folder((short,)) == f"{own}/ray"
    assert os.stat(own).st_mode & 0o777 == 0o700


def test_a_folder_of_somebody_else_s_is_not_used(short, monkeypatch):
    monkeypatch.setenv("TMPDIR", short)
    os.mkdir(f"{short}/ray")
    rights = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: str(path) != f"{short}/ray" and rights(path, mode))
    assert temp_folder((short,)) == f"{short}/kd-ray-{os.getuid()}/ray"


@pytest.mark.parametrize("taken", ["a file", "a link", "another user"])
def test_what_is_not_ours_is_passed_over_and_said(short, monkeypatch, taken):
    monkeypatch.setenv("TMPDIR", "l" * 200)
    own = f"{short}/kd-ray-{os.getuid()}"
    if taken == "a file":
        open(own, "w").close()
    elif taken == "a link":
        os.mkdir(f"{short}/elsewhere")
        os.symlink(f"{short}/elsewhere", own)
    else:
        monkeypatch.setattr(os, "getuid", lambda: 4_000_000)
    with pytest.raises(
        CannotRun, match=f"is longer than the {LONGEST} bytes that a socket leaves, nor in {short}; set RAY_TMPDIR"
    ):
        temp_folder((short,))


def test_the_bytes_that_are_left_are_those_that_ray_leaves():
    from ray._private.utils import validate_socket_filepath

    name = "/session_2026-01-01_00-00-00_000000_4194304/sockets/plasma_store"
    validate_socket_filepath("x" * LONGEST + name)
    with pytest.raises(OSError, match="cannot exceed"):
        validate_socket_filepath("x" * (LONGEST + 1) + name)


@pytest.mark.slow
def test_a_cluster_starts_under_a_long_path(tmp_path):
    folder = tmp_path / ("l" * 120)
    folder.mkdir()
    ask = "from orchestrator.executors.ray.cluster import answer_s; print(answer_s() > 0)"
    done = subprocess.run(
        [sys.executable, "-c", ask],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
        env=environment(TMPDIR=str(folder)),
    )
    assert done.stdout == "True\n", done.stderr
