"""In which parts a bank is filled."""

from __future__ import annotations

import itertools

import pytest

from kd_core.bank.parts import MOST, PART, parts
from kd_core.data.table import DataConfig

IMAGENET = DataConfig("imagenet", validation=0, crop="resized", draws=300)


@pytest.mark.parametrize(
    ("data", "count"),
    [
        (DataConfig("digits"), 1),  # 11,646 views of images
        (DataConfig("cifar100"), 14),  # 7.3 million
        (DataConfig("cifar100", padding=0), 1),
        (IMAGENET, MOST),  # 386 million
        (DataConfig("imagenet", validation=0, crop="resized", draws=1), 2),  # no part without a view
    ],
)
def test_parts_follow_one_another_and_hold_every_view(data, count):
    found = parts(data)
    assert len(found) == count
    assert (found[0][0], found[-1][1]) == (0, data.views)
    assert all(one[1] == other[0] for one, other in itertools.pairwise(found))
    sizes = [end - begin for begin, end in found]
    assert min(sizes) > 0
    assert max(sizes) - min(sizes) <= 1
    assert count == MOST or data.images * (max(sizes) - 1) <= PART
