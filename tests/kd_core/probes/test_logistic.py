import math

import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from torch.nn import functional as F

from kd_core.probes.logistic import conjugate_gradients, fit
from kd_core.random import generator


@pytest.fixture(scope="module")
def digits():
    """Standardised pixels of 900 digits (three are constant, and stay 0) and 400 more to be judged on; float64."""
    features, labels = load_digits(return_X_y=True)
    features, labels = torch.from_numpy(features)[:1300], torch.from_numpy(labels)[:1300]
    std, mean = torch.std_mean(features[:900], dim=0)
    features = (features - mean) / std.masked_fill(std == 0, torch.inf)
    return features[:900], labels[:900], features[900:], labels[900:]


@pytest.mark.parametrize("C", [1e-3, 1.0, 100.0])
def test_the_solution_is_scikit_learns(digits, C):
    features, labels, held, truth = digits
    ours = fit(features, labels, 10, C=C, tolerance=1e-8, max_iterations=100)
    theirs = LogisticRegression(C=C, tol=1e-8, max_iter=10_000).fit(features.numpy(), labels.numpy())

    weights, bias = torch.from_numpy(theirs.coef_.T), torch.from_numpy(theirs.intercept_)
    penalty = weights.square().sum() / (2 * C * len(labels))
    assert ours.objective == pytest.approx((F.cross_entropy(features @ weights + bias, labels) + penalty).item(), abs=1e-8)
    torch.testing.assert_close(ours.weights_CK, weights, atol=1e-3 * weights.abs().max().item(), rtol=0)
    torch.testing.assert_close(ours.bias_K, bias, atol=1e-3 * bias.abs().max().item(), rtol=0)
    accuracy = (ours.logits(held).argmax(1) == truth).double().mean().item()
    assert abs(accuracy - theirs.score(held.numpy(), truth.numpy())) < 0.005


@pytest.mark.parametrize("C", [1e-3, 1.0, 100.0])
def test_two_classes_are_scikit_learns_too(digits, C):
    features, labels, *_ = digits
    features, labels = features[labels < 2], labels[labels < 2]
    ours = fit(features, labels, 2, C=C, tolerance=1e-8, max_iterations=100)
    theirs = LogisticRegression(C=C, tol=1e-8, max_iter=10_000).fit(features.numpy(), labels.numpy())
    vector = torch.from_numpy(theirs.coef_[0])
    found = ours.weights_CK[:, 1] - ours.weights_CK[:, 0]
    torch.testing.assert_close(found, vector, atol=1e-3 * vector.abs().max().item(), rtol=0)


def test_a_class_without_a_sample_is_never_said_and_changes_nothing_else(digits):
    features, labels, held, _ = digits
    some = labels != 3
    ours = fit(features[some], labels[some], 10, C=1.0, tolerance=1e-6, max_iterations=100)
    theirs = LogisticRegression(C=1.0, tol=1e-8, max_iter=10_000).fit(features[some].numpy(), labels[some].numpy())
    said = ours.logits(held).argmax(1)
    assert not (said == 3).any()
    assert (said.numpy() == theirs.predict(held.numpy())).mean() > 0.995


def test_default_tolerance_is_enough_for_the_accuracy(digits):
    features, labels, held, truth = digits
    ours = fit(features.float(), labels, 10, C=1.0, tolerance=1e-4, max_iterations=100)
    theirs = LogisticRegression(max_iter=10_000).fit(features.numpy(), labels.numpy())
    accuracy = (ours.logits(held.float()).argmax(1) == truth).double().mean().item()
    assert abs(accuracy - theirs.score(held.numpy(), truth.numpy())) < 0.005


@pytest.mark.parametrize("tolerance", [1e-2, 1e-4, 1e-6, 1e-8])
def test_the_gradient_beats_the_tolerance(digits, tolerance):
    features, labels, *_ = digits
    found = fit(features, labels, 10, C=1.0, tolerance=tolerance, max_iterations=100)
    assert found.converged
    # ∂/∂W = X'(p − 1_y)/N + W/(C·N), ∂/∂b = mean of (p − 1_y)
    residual = found.logits(features).softmax(1) - F.one_hot(labels, 10)
    weights = (features.T @ residual + found.weights_CK) / len(labels)
    assert max(weights.abs().max(), residual.mean(0).abs().max()).item() <= tolerance


def test_two_points_by_hand():
    # x = ±1 and C = 1: W = (w, −w), b = 0 by symmetry. Minimise log(1 + exp(−2w)) + (2w)²/(2·1·2): w = σ(−2w), w = 0.3374
    found = fit(torch.tensor([[1.0], [-1.0]]), torch.tensor([0, 1]), 2, C=1.0, tolerance=1e-8, max_iterations=100)
    w = found.weights_CK[0, 0].item()
    assert w == pytest.approx(1 / (1 + math.exp(2 * w)), abs=1e-7)
    assert found.weights_CK[0, 1].item() == pytest.approx(-w, abs=1e-7)
    assert found.objective == pytest.approx(math.log(1 + math.exp(-2 * w)) + w**2, abs=1e-7)


def test_features_that_say_nothing_leave_the_classes_shares():
    # 6, 3 and 1 of 10: the bias alone can do no better than the entropy of (0.6, 0.3, 0.1)
    labels = torch.tensor([0] * 6 + [1] * 3 + [2])
    found = fit(torch.zeros(10, 4), labels, 3, C=1.0, tolerance=1e-9, max_iterations=100)
    torch.testing.assert_close(found.bias_K.softmax(0), torch.tensor([0.6, 0.3, 0.1], dtype=torch.float64))
    assert found.objective == pytest.approx(-(0.6 * math.log(0.6) + 0.3 * math.log(0.3) + 0.1 * math.log(0.1)))
    assert found.weights_CK.abs().max() == 0


@pytest.mark.parametrize("C", [1.0, 1e6])
def test_separable_classes(C):
    labels = torch.arange(300) % 3
    features = 5 * F.one_hot(labels, 3) + torch.randn(300, 3, generator=generator(0, "test"))
    found = fit(features - features.mean(0), labels, 3, C=C, tolerance=1e-6, max_iterations=100)
    assert found.converged
    assert (found.logits(features - features.mean(0)).argmax(1) == labels).all()


def test_correlated_features_are_no_obstacle(digits):
    features, labels, *_ = digits
    mixing = torch.randn(64, 64, generator=generator(1, "test"), dtype=torch.float64) * torch.logspace(0, -3, 64)
    found = fit(features @ mixing, labels, 10, C=1.0, tolerance=1e-8, max_iterations=30)
    assert found.converged


def test_it_says_when_it_has_not_converged(digits):
    features, labels, *_ = digits
    found = fit(features, labels, 10, C=1.0, tolerance=1e-6, max_iterations=2)
    assert found.iterations == 2
    assert not found.converged
    assert found.gradient > 1e-6


def test_it_ends_where_float64_ends(digits):
    features, labels, *_ = digits
    found = fit(features, labels, 10, C=1.0, tolerance=1e-30, max_iterations=1000)
    assert not found.converged
    assert found.gradient < 1e-8
    assert found.iterations < 20


def test_conjugate_gradients_by_hand():
    # A = [[2, 1], [1, 3]]: A·(1, 2) = (4, 7); two unknowns take two steps
    matrix, target = torch.tensor([[2.0, 1.0], [1.0, 3.0]]), torch.tensor([4.0, 7.0])
    asked = []

    def product(x):
        asked.append(x)
        return matrix @ x

    found = conjugate_gradients(product, target, torch.tensor([2.0, 3.0]), accuracy=1e-5)
    torch.testing.assert_close(found, torch.tensor([1.0, 2.0]))
    assert len(asked) == 2
    # one step along (2, 7/3) = target / diagonal: its length is (2·4 + 7/3·7) / (direction · A · direction) = 24.33 / 33.67
    asked.clear()
    rough = conjugate_gradients(product, target, torch.tensor([2.0, 3.0]), accuracy=1.0)
    torch.testing.assert_close(rough, torch.tensor([2.0, 7 / 3]) * (73 / 101))
    assert len(asked) == 1


def test_the_same_bits_each_time(digits):
    features, labels, *_ = digits
    first, again = (fit(features, labels, 10, C=1.0, tolerance=1e-4, max_iterations=100) for _ in range(2))
    assert torch.equal(first.weights_CK, again.weights_CK)
    assert torch.equal(first.bias_K, again.bias_K)
