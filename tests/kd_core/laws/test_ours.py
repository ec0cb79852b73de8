"""Our own models, data sets and evaluations obey the laws that plugins are held against; methods: methods/test_table.py."""

from __future__ import annotations

import pytest

from kd_core.data.table import DATASETS
from kd_core.evaluation.table import EVALUATIONS
from kd_core.laws.check import broken
from kd_core.models.table import MODELS


@pytest.mark.parametrize("name", MODELS)
def test_models(name):
    assert broken("MODELS", name, MODELS[name]) == []


@pytest.mark.parametrize("name", ["digits", "synthetic"])  # what lies here
def test_datasets(name):
    assert broken("DATASETS", name, DATASETS[name]) == []


@pytest.mark.parametrize("name", EVALUATIONS)
def test_evaluations(name):
    assert broken("EVALUATIONS", name, EVALUATIONS[name]) == []
