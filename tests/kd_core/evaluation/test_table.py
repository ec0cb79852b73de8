"""Evaluations: values by hand, and laws over the table."""

from __future__ import annotations

import math

import pytest
import torch

from kd_core.evaluation.calibration import expected_calibration_error
from kd_core.evaluation.evaluation import Subject
from kd_core.evaluation.robustness import Robustness, noisy
from kd_core.evaluation.table import EVALUATIONS
from kd_core.knobs import Knobs
from kd_core.recipe import Recipe
from kd_core.training.loop import Training
from tests.support import small


@pytest.fixture(scope="module")
def subject():
    network = small.network()
    Training(network, small.plain(network), (), small.splits(), Recipe(epochs=15, batch_size=16, lr=0.1), seed=0).run()
    network.eval()
    return Subject(network, network, "cpu")


def test_ece_by_hand():
    # two classes; confidences p = 0.9 (right), 0.9 (wrong), 0.6 (right): of two bins all lie in (0.5, 1]
    # gap = (1 − 0.9) + (0 − 0.9) + (1 − 0.6) = −0.4; ECE = 0.4 / 3
    logits = torch.tensor([[math.log(9), 0.0], [math.log(9), 0.0], [math.log(1.5), 0.0]])
    labels = torch.tensor([0, 1, 0])
    assert expected_calibration_error(logits, labels, 2) == pytest.approx(0.4 / 3)
    # ten bins: {0.9, 0.9} with gap −0.8, {0.6} with gap 0.4: (0.8 + 0.4) / 3. (0.6 and 0.9 are bins' upper ends: rounding may
    # move a sample one bin up, but never together with another)
    assert expected_calibration_error(logits, labels, 10) == pytest.approx(0.4)


def test_a_sure_and_right_network_is_calibrated():
    logits = torch.tensor([[50.0, 0.0], [0.0, 50.0]])
    assert expected_calibration_error(logits, torch.tensor([0, 1]), 15) == pytest.approx(0, abs=1e-12)
    assert expected_calibration_error(logits, torch.tensor([1, 0]), 15) == pytest.approx(1)


def test_noise_by_hand():
    # mean 0.5, std 0.25: pixel 0.75 is 1; with noise 0.5 it is 1.25, clipped to 1, normalised 2
    mean, std = torch.tensor([0.5]), torch.tensor([0.25])
    image = torch.ones(1, 1, 1, 2)
    noise = torch.tensor([0.5, -0.25]).view(1, 1, 1, 2)
    assert noisy(image, noise, mean, std).flatten().tolist() == [2.0, 0.0]


def test_robustness_falls_to_chance_and_starts_at_the_clean_accuracy(subject):
    found = Robustness.run(subject, small.splits(), Robustness.Config(strengths=(1e-9, 0.1, 1.0)))
    clean = (subject.network(images(small.splits())).argmax(1) == small.splits().test.labels_N).float().mean().item()
    assert found["accuracy@1e-09"] == pytest.approx(clean)
    assert clean > 0.6  # chance is 1/3
    assert found["accuracy@1"] < clean - 0.1


def images(splits):
    from kd_core.data.batches import plain_batches

    return torch.cat([batch.images_BCHW for batch in plain_batches(splits, "test", "cpu")])


@pytest.mark.parametrize("name", EVALUATIONS)
def test_laws(subject, name):
    """Finite numbers in [0, 1] or above; the same again; the subject unchanged; knobs are knobs."""
    evaluation = EVALUATIONS[name]
    assert issubclass(evaluation.Config, Knobs)
    before = {key: value.clone() for key, value in subject.network.state_dict().items()}
    first = evaluation.run(subject, small.splits(), evaluation.Config())
    torch.manual_seed(99)
    assert evaluation.run(subject, small.splits(), evaluation.Config()) == first
    assert tuple(first) == evaluation.numbers(evaluation.Config()) != ()
    assert (evaluation.unscaled | evaluation.less_is_better) <= set(first)
    assert all(math.isfinite(value) and value >= 0 for value in first.values())
    assert all(value <= 1 for key, value in first.items() if "accuracy" in key or key == "ece")
    assert all(torch.equal(before[key], value) for key, value in subject.network.state_dict().items())
    assert not subject.network.training


def test_transfer_needs_the_features_not_the_head(subject):
    """A new head on the same data is as good as the old one, and classes may be others."""
    found = EVALUATIONS["transfer"].run(subject, small.splits(), EVALUATIONS["transfer"].Config())
    assert found["test_accuracy"] > 0.9
