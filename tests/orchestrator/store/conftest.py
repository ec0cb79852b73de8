"""A store in every place that can hold one."""

from __future__ import annotations

import pytest

from orchestrator.store.store import Store


@pytest.fixture
def store(place):
    found = Store(place)
    found.prepare()
    return found
