import pytest
import torch

from kd_core.data.choose import stratified, with_noise
from kd_core.random import generator

LABELS = torch.tensor([0] * 60 + [1] * 30 + [2] * 10)[torch.randperm(100, generator=generator(0, "test"))]


def test_every_class_has_its_share():
    for seed in range(5):
        chosen = stratified(LABELS, 10, generator(seed))
        assert LABELS[chosen].bincount().tolist() == [6, 3, 1]  # 10 % of 60, 30 and 10


def test_shares_that_are_no_whole_numbers():
    labels = torch.tensor([0] * 5 + [1] * 5 + [2] * 2)
    # standings (r + ½)/n: .1 .3 .5 .7 .9 twice, and .25 .75: the first 9 are .1 .1 .25 .3 .3 .5 .5 .7 .7
    assert labels[stratified(labels, 9, generator(0))].bincount().tolist() == [4, 4, 1]


def test_choices_are_distinct_nested_and_seeded():
    chosen = {count: stratified(LABELS, count, generator(3)).tolist() for count in range(1, 101)}
    for count, positions in chosen.items():
        assert len(set(positions)) == count
        assert positions == sorted(positions)
    assert all(set(chosen[count]) < set(chosen[count + 1]) for count in range(1, 100))
    assert stratified(LABELS, 50, generator(4)).tolist() != chosen[50]
    assert stratified(LABELS, 50, generator(3)).tolist() == chosen[50]


@pytest.mark.parametrize(("fraction", "wrong"), [(0.0, 0), (0.254, 25), (0.5, 50), (1.0, 100)])
def test_exactly_so_many_labels_are_wrong(fraction, wrong):
    before = LABELS.clone()
    noisy = with_noise(LABELS, fraction, 3, generator(0))
    assert (noisy != LABELS).sum() == wrong
    assert set(noisy.tolist()) <= {0, 1, 2}
    assert torch.equal(LABELS, before)


def test_noise_prefers_no_class():
    noisy = with_noise(torch.zeros(3000, dtype=torch.int64), 1.0, 4, generator(1))
    counts = noisy.bincount(minlength=4)
    assert counts[0] == 0
    assert (counts[1:] - 1000).abs().max() < 5 * 26  # a binomial count of 3000 trials at 1/3 has deviation 26
