"""mine obeys the laws of evaluations, and its number is the one worked out by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from mine import EVALUATIONS, Mine

from kd_core.data.load import load
from kd_core.data.table import DataConfig
from kd_core.evaluation.evaluation import Subject
from kd_core.laws.check import broken
from kd_core.models.table import build


@pytest.mark.parametrize("name", EVALUATIONS)
def test_laws(name):
    assert broken("EVALUATIONS", name, EVALUATIONS[name]) == []


def test_by_hand():
    splits = load(DataConfig(name="digits", train_size=100), Path(), download=False)
    student = build("resnet8", channels=1, classes=10).eval()
    undecided = Subject(student, lambda images_BCHW: torch.zeros(len(images_BCHW), 10), "cpu")
    assert Mine.run(undecided, splits, Mine.Config(top=3)) == {"sureness": pytest.approx(3 / 10)}
