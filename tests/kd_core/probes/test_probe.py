from dataclasses import replace
from pathlib import Path

import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from torch import nn
from torch.nn import functional as F

from kd_core.data.batches import plain_batches
from kd_core.data.choose import held_out
from kd_core.data.load import load
from kd_core.data.split import Split
from kd_core.data.splits import Splits
from kd_core.data.table import DataConfig
from kd_core.data.views import Augmentation
from kd_core.models.network import Network
from kd_core.probes.config import ProbeConfig
from kd_core.probes.pool import pool, pooled_BC
from kd_core.probes.probe import moments, probe
from kd_core.random import generator


def tiny(channels=1, classes=10):
    torch.manual_seed(0)
    stages = {
        "wide": nn.Sequential(nn.Conv2d(6, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU()),
        "deep": nn.Sequential(nn.Conv2d(6, 12, 3, stride=2, padding=1), nn.BatchNorm2d(12)),
    }
    return Network(nn.Conv2d(channels, 6, 3, padding=1), stages, nn.ReLU(), embedding=12, classes=classes)


@pytest.fixture(scope="module")
def digits():
    """Without its test split: whoever looks at it, fails."""
    return replace(load(DataConfig("digits", train_size=600), Path("/nonexistent")), test=None)


@pytest.fixture(scope="module")
def rows(digits):
    return probe(tiny(), digits, ProbeConfig(), "cpu")


def test_pooled_features_are_the_means_of_what_is_observed_in_eval_mode(digits):
    network = tiny()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    layers = pool(network, digits, "validation", "cpu", batch_size=50)
    assert network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())

    (batch,) = plain_batches(digits, "validation", "cpu", batch_size=1000)
    said = network.eval().observe(batch.images_BCHW)
    expected = [*(feature.mean((2, 3)) for feature in said.features), said.embedding_BD]
    assert [(layer.name, layer.height, layer.width) for layer in layers] == [
        ("wide", 8, 8),
        ("deep", 4, 4),
        ("embedding", 1, 1),
    ]
    for layer, values in zip(layers, expected, strict=True):
        torch.testing.assert_close(layer.pooled_NC, values)
        assert not layer.pooled_NC.requires_grad


def test_one_pass_serves_all_layers(digits, monkeypatch):
    seen = []
    observe = Network.observe
    monkeypatch.setattr(Network, "observe", lambda self, images: seen.append(len(images)) or observe(self, images))
    pool(tiny(), digits, "train", "cpu")
    assert sum(seen) == len(digits.train)


def test_a_row_for_every_layer_and_split(rows):
    assert [(row.stage, row.layer, row.height, row.dimension, row.split) for row in rows] == [
        (0, "wide", 8, 6, "train"),
        (0, "wide", 8, 6, "validation"),
        (1, "deep", 4, 12, "train"),
        (1, "deep", 4, 12, "validation"),
        (2, "embedding", 1, 12, "train"),
        (2, "embedding", 1, 12, "validation"),
    ]
    assert all(row.converged and row.iterations > 0 and row.seconds > 0 for row in rows)


def test_accuracy_and_loss_are_scikit_learns(digits, rows):
    network = tiny()
    train, held = pool(network, digits, "train", "cpu"), pool(network, digits, "validation", "cpu")
    for stage, (fitted_on, judged_on) in enumerate(zip(train, held, strict=True)):
        scaler = StandardScaler().fit(fitted_on.pooled_NC.numpy())
        theirs = LogisticRegression(tol=1e-6, max_iter=10_000)
        theirs.fit(scaler.transform(fitted_on.pooled_NC.numpy()), digits.train.labels_N.numpy())
        for row, layer, split in (
            (rows[2 * stage], fitted_on, digits.train),
            (rows[2 * stage + 1], judged_on, digits.validation),
        ):
            features, labels = scaler.transform(layer.pooled_NC.numpy()), split.labels_N
            assert row.accuracy == pytest.approx(theirs.score(features, labels.numpy()), abs=0.005)
            logits = torch.from_numpy(theirs.decision_function(features)).double()
            assert row.loss == pytest.approx(F.cross_entropy(logits, labels).item(), abs=2e-3)


def test_a_part_of_the_training_split_that_is_held_out_of_the_probes_alone(digits, rows):
    network = tiny()
    asked = ProbeConfig(data="train_holdout", holdout=0.2)
    found = probe(network, replace(digits, validation=None), asked, "cpu", split_seed=3)  # who looks at it, fails
    kept, held = held_out(digits.train, 120, generator(3, "probe holdout"))
    by_hand = probe(network, replace(digits, train=kept, validation=held), ProbeConfig(), "cpu")
    assert [(row.layer, row.accuracy, row.loss) for row in found] == [(row.layer, row.accuracy, row.loss) for row in by_hand]
    assert {row.split for row in found} == {"train", "holdout"}
    assert len(kept) + len(held) == 600
    assert held.labels_N.bincount().tolist() == pytest.approx([12] * 10, abs=1)


def test_a_tighter_tolerance_gives_scikit_learns_loss(digits):
    network = tiny()
    rows = probe(network, digits, ProbeConfig(tolerance=1e-7), "cpu")
    features = pool(network, digits, "train", "cpu")[-1].pooled_NC.double().numpy()
    features = StandardScaler().fit_transform(features)
    theirs = LogisticRegression(tol=1e-8, max_iter=10_000).fit(features, digits.train.labels_N.numpy())
    logits = torch.from_numpy(theirs.decision_function(features))
    assert rows[-2].loss == pytest.approx(F.cross_entropy(logits, digits.train.labels_N).item(), abs=1e-4)


def test_a_class_that_validation_lacks_and_a_dead_channel():
    """Three classes of plain brightness; the second channel of stage one is dead."""
    labels = torch.arange(90) % 3
    images = (labels * 100)[:, None, None, None].expand(-1, 1, 4, 4).to(torch.uint8).contiguous()
    some = labels != 2
    splits = Splits(
        Split(images, labels),
        Split(images[some], labels[some]),
        None,
        classes=3,
        mean=(0.0,),
        std=(1.0,),
        augmentation=Augmentation(),
    )
    stage = nn.Conv2d(1, 2, 1)
    nn.init.ones_(stage.weight)
    nn.init.constant_(stage.bias, 0.1)
    stage.weight.data[1] = 0
    network = Network(nn.Identity(), {"one": stage}, nn.Identity(), embedding=2, classes=3)
    for row in probe(network, splits, ProbeConfig(C=100.0), "cpu"):
        assert row.accuracy == 1
        assert row.converged


def test_constant_features_stay_zero_and_others_are_standardised():
    # deviation of 1, 3 is 1; the second column varies by less than float32 can tell at 1e4; the third is 0
    features = torch.tensor([[1.0, 1e4, 0.0], [3.0, 1e4 + 1e-3, 0.0]])
    mean_C, std_C = moments(features)
    assert mean_C.tolist() == [2.0, pytest.approx(1e4), 0.0]
    assert std_C.tolist() == [1.0, float("inf"), float("inf")]
    assert ((features - mean_C) / std_C).tolist() == [[-1, 0, 0], [1, 0, 0]]


def test_tokens_are_their_class_token_or_the_mean_of_their_patches():
    tokens_BPD = torch.tensor([[[9.0], [1.0], [3.0]]])
    assert pooled_BC(tokens_BPD, "class").tolist() == [[9.0]]
    assert pooled_BC(tokens_BPD, "mean").tolist() == [[2.0]]
    assert pooled_BC(torch.tensor([[[[1.0, 3.0]]]])).tolist() == [[2.0]]
