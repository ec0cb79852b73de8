"""Several people's runs on one store: each job is done once, by one of them, and all have the results."""

from __future__ import annotations

import pytest

from tests.orchestrator.conftest import SMALL
from tests.support.several_runs import SeveralRuns


@pytest.mark.slow
def test_runs_of_one_grid_under_several_names_share_the_work(place, tmp_path):
    with SeveralRuns(("mine", "yours")) as runs:
        done = runs.round(SMALL.format(store=place), tmp_path, place)
    assert sum(done.values()) == 18
    assert all(done.values()), "each of them did some"
