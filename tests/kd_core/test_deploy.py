"""A student as it is taken away, and what networks cost."""

from __future__ import annotations

import torch
from torch import nn

from kd_core.deploy import Classifier, Deployed
from kd_core.models.measure import latency, multiplications
from tests.support import small


def test_pixels_become_probabilities():
    """0 and 255, less 0.5, over 0.25, are −2 and 2; a network that passes them on says 1 / (1 + e^4) and its complement."""

    class Flat(nn.Module):
        def forward(self, images_BCHW):
            return images_BCHW.flatten(1)

    images = torch.tensor([[[[0, 255]]]], dtype=torch.uint8)
    said = Deployed(Flat(), [0.5], [0.25])(images)
    torch.testing.assert_close(said, torch.tensor([[0.0179862, 0.9820138]]))
    assert images.tolist() == [[[[0, 255]]]]


def test_a_network_alone_is_whole():
    network = small.network().eval()
    classifier, images = Classifier(network), torch.rand(2, 1, 8, 8)
    assert classifier.whole
    assert torch.equal(classifier(images), network(images))


def test_multiplications_are_counted_by_hand():
    """A 3×3 convolution of 2 into 4 channels on 5×5 without padding: 3·3·2·4 at each of 3·3 places; then 36 inputs to 10."""
    network = nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(36, 10)).train()
    assert multiplications(network, torch.zeros(1, 2, 5, 5)) == 9 * 72 + 360
    assert network.training
    assert int(network[1].num_batches_tracked) == 0


def test_latency_is_the_median(monkeypatch):
    """Calls of 1 to 6 seconds by the clock: the first warms up, and of the others 4 is the median."""
    now, calls = [0.0], []
    monkeypatch.setattr("time.perf_counter", lambda: now[0])

    def run(images):
        calls.append(len(calls) + 1)
        now[0] += calls[-1]

    assert latency(run, torch.zeros(1), seconds=0) == 4
    assert calls == [1, 2, 3, 4, 5, 6]
