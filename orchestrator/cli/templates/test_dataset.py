"""mine obeys the laws of data sets, and its images show their labels."""

from __future__ import annotations

import pytest
from mine import CLASSES, DATASETS, bars

from kd_core.laws.check import broken


@pytest.mark.parametrize("name", DATASETS)
def test_laws(name):
    assert broken("DATASETS", name, DATASETS[name]) == []


def test_the_bar_tells_the_class():
    images_N1HW, labels_N = bars(seed=2, count=2 * CLASSES)
    for image_1HW, label in zip(images_N1HW, labels_N.tolist(), strict=True):
        bright = image_1HW[0].amin(1) >= 100  # noise alone stays below
        assert bright.nonzero().flatten().tolist() == [2 * label, 2 * label + 1, 2 * label + 2]
