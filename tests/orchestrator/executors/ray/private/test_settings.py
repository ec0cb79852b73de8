"""Ray still reads every variable by its name."""

from __future__ import annotations

from pathlib import Path

import pytest
import ray

from orchestrator.executors.ray.private import settings

NAMES = [*settings.CLUSTER, *settings.TRAIN, settings.JOB_STOP, *settings.ADDRESSES]


@pytest.fixture(scope="module")
def sources():
    """Ray's Python, without its tests and what it brings of others."""
    root = Path(ray.__file__).parent
    aside = ("thirdparty_files", "rllib", "tests", "examples")
    return b"".join(path.read_bytes() for path in root.rglob("*.py") if not set(aside) & set(path.relative_to(root).parts))


@pytest.mark.parametrize("name", NAMES)
def test_it_is_in_rays_sources(sources, name):
    assert f'"{name}"'.encode() in sources
