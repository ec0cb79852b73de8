"""Every file says with which Ray it was tested: the one that is pinned, with which these tests run."""

from __future__ import annotations

import re

import pytest
import ray

from tests.support.paths import ROOT

FILES = sorted(path for path in (ROOT / "orchestrator/executors/ray/private").glob("*.py") if path.name != "__init__.py")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_it_was_tested_with_the_ray_that_is_pinned(path):
    assert f"ray=={ray.__version__}\n" in (ROOT / "constraints.txt").read_text()
    assert re.findall(r"Tested\s+with\s+Ray\s+([\d.]+\d)", path.read_text()) == [ray.__version__]
