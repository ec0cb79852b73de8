"""Linear classifier probes of every layer of a network (Alain & Bengio 2016, arXiv 1610.01644)."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from kd_core.data.batches import Part
from kd_core.data.choose import held_out
from kd_core.data.splits import Splits
from kd_core.models.network import Network
from kd_core.probes.config import ProbeConfig
from kd_core.probes.logistic import fit
from kd_core.probes.pool import pool
from kd_core.random import generator

PARTS: tuple[Part, Part] = ("train", "validation")


@dataclass(frozen=True)
class Row:
    """One probe on one split."""

    stage: int  # shallow to deep; the embedding is the last, stage L
    layer: str
    height: int  # of the feature map before pooling
    width: int
    dimension: int  # of what the probe sees
    split: str  # "train", on which it was fitted, or what it is judged on: "validation" or "holdout"
    accuracy: float  # in [0, 1]
    loss: float  # mean cross-entropy in nats, without the penalty
    regularisation: float  # C
    iterations: int
    converged: bool
    seconds: float  # of the fit


def probe(network: Network, splits: Splits, config: ProbeConfig, device: torch.device | str, split_seed: int = 0) -> list[Row]:
    """Fit a probe to every layer on the training split without augmentation, and judge it there and on the validation split,
    or on a part of the training split of its own that ``split_seed`` draws (with its labels as they are, noise included).

    Features are standardised by the mean and deviation of what the probe is fitted to. The test split is not looked at.
    """
    judged_on = "validation"
    if config.data == "train_holdout":
        judged_on, count = "holdout", round(config.holdout * len(splits.train))
        kept, held = held_out(splits.train, count, generator(split_seed, "probe holdout"))
        splits = replace(splits, train=kept, validation=held)
    rows = []
    seen = (pool(network, splits, part, device, tokens=config.tokens) for part in PARTS)
    layers = zip(*seen, strict=True)
    labels_N = splits.train.labels_N.to(device)
    for stage, (train, judged) in enumerate(layers):
        began = time.perf_counter()
        mean_C, std_C = moments(train.pooled_NC)
        fitted = fit(
            (train.pooled_NC - mean_C) / std_C,
            labels_N,
            splits.classes,
            C=config.C,
            tolerance=config.tolerance,
            max_iterations=config.max_iterations,
        )
        seconds = time.perf_counter() - began
        for name, layer, truth_N in (
            ("train", train, labels_N),
            (judged_on, judged, splits.validation.labels_N.to(device)),
        ):
            logits_NK = fitted.logits((layer.pooled_NC - mean_C) / std_C)
            rows.append(
                Row(
                    stage=stage,
                    layer=layer.name,
                    height=layer.height,
                    width=layer.width,
                    dimension=layer.pooled_NC.shape[1],
                    split=name,
                    accuracy=(logits_NK.argmax(1) == truth_N).double().mean().item(),
                    loss=F.cross_entropy(logits_NK, truth_N).item(),
                    regularisation=config.C,
                    iterations=fitted.iterations,
                    converged=fitted.converged,
                    seconds=seconds,
                )
            )
    return rows


def moments(features_NC: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and deviation of every feature, float64.

    The deviation of a feature that is constant up to float32's rounding is infinite: standardised, it is 0, whatever it is
    elsewhere.
    """
    std_C, mean_C = torch.std_mean(features_NC.double(), dim=0, correction=0)
    constant_C = std_C <= 1e-6 * mean_C.abs()
    return mean_C, std_C.masked_fill(constant_C, torch.inf)
