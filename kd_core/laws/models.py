"""Laws of every model, at its smallest image and at 32×32."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kd_core.laws.law import Broken, Law, must
from kd_core.models.info import ModelInfo
from kd_core.models.network import Network, shape_of
from kd_core.models.staged import Staged
from kd_core.models.table import built

CLASSES, SAMPLES = 7, 4


@dataclass(frozen=True)
class Case:
    """A model's entry, under its name."""

    name: str
    info: ModelInfo

    def built(self, channels: int = 3, classes: int = CLASSES, seed: int = 0) -> Network:
        torch.manual_seed(seed)
        return built(self.name, self.info, channels=channels, classes=classes)

    def images(self, channels: int = 3, size: int | None = None) -> Tensor:
        side, drawn = size or self.info.smallest, torch.Generator().manual_seed(1)
        return torch.randn(SAMPLES, channels, side, side, generator=drawn)


def shapes(case: Case) -> None:
    smallest = case.info.smallest
    for channels, size in ((1, smallest), (3, smallest), (3, max(32, smallest) if case.info.larger else smallest)):
        network, at = case.built(channels).eval(), f"at {channels}×{size}×{size}"
        with torch.no_grad():
            knowledge = network.observe(case.images(channels, size))
        must(
            knowledge.logits_BK.shape == (SAMPLES, CLASSES),
            f"{at} its logits are {tuple(knowledge.logits_BK.shape)}, not B × classes",
        )
        must(knowledge.logits_BK.isfinite().all(), f"{at} its logits are not finite")
        must(knowledge.embedding_BD.ndim == 2, f"{at} what its head reads is {tuple(knowledge.embedding_BD.shape)}, not B × D")
        names = network.stage_names
        must(len(set(names)) == len(names) == len(knowledge.features) > 0, f"{at} its stages are {', '.join(names) or 'none'}")
        for name, feature in zip(names, knowledge.features, strict=True):
            expected = "B × P × D" if case.info.tokens else "B × C × H × W"
            must(feature.ndim == len(expected.split("×")), f"{at} {name!r} puts out {tuple(feature.shape)}, not {expected}")
        shape = shape_of(network, (channels, size, size))
        must(shape.classes == CLASSES, f"{at} it has {shape.classes} classes, not {CLASSES}")


def stages_shrink(case: Case) -> None:
    sizes = shape_of(case.built(), (3, case.info.smallest, case.info.smallest)).sizes
    falling = all(one[0] >= two[0] for one, two in itertools.pairwise(sizes))
    must(falling, f"its stages must go from shallow to deep, but are of {', '.join(f'{h}×{w}' for h, w in sizes)}")


def maps_stay(case: Case) -> None:
    network = case.built().eval()
    kept: dict[str, Tensor] = {}
    for name, module in stage_modules(network).items():
        module.register_forward_hook(lambda _, inputs, output, name=name: kept.update({name: output.clone()}))
    with torch.no_grad():
        knowledge = network.observe(case.images())
    for name, feature in zip(network.stage_names, knowledge.features, strict=True):
        if name in kept and kept[name].shape == feature.shape:
            must(torch.equal(kept[name], feature), f"the output of {name!r} is overwritten by a later layer (in place)")


def stage_modules(network: Network) -> dict[str, nn.Module]:
    """The modules at whose outputs its stages end, by the stages' names."""
    if isinstance(network, Staged):
        return {name: network.body.get_submodule(name) for name in network.stage_names}
    return dict(zip(network.stage_names, getattr(network, "stages", ()), strict=False))


def samples_apart(case: Case) -> None:
    network, images_BCHW = case.built().eval(), case.images()
    with torch.no_grad():
        together = network(images_BCHW)
        alone = torch.cat([network(image_CHW[None]) for image_CHW in images_BCHW])
    scale = together.abs().max().clamp(min=1e-12)
    must(
        torch.allclose(alone / scale, together / scale, rtol=1e-4, atol=1e-5), "a sample alone has other logits than in a batch"
    )


def same_again(case: Case) -> None:
    network, images_BCHW = case.built().eval(), case.images()
    with torch.no_grad():
        must(torch.equal(network(images_BCHW), network(images_BCHW)), "in eval mode the same images have other logits again")


def gradient_everywhere(case: Case) -> None:
    network = case.built().train()
    F.cross_entropy(network(case.images()), torch.arange(SAMPLES) % CLASSES).backward()
    still = [
        path for path, each in network.named_parameters() if each.requires_grad and (each.grad is None or not each.grad.any())
    ]
    must(not still, f"no gradient reaches {', '.join(still[:3])}")


def follows_the_seed(case: Case) -> None:
    first, again, other = (case.built(seed=seed).state_dict() for seed in (3, 3, 4))
    differing = [name for name in first if not torch.equal(first[name], again[name])]
    must(not differing, f"built twice from the same seed, {', '.join(differing[:3])} differ")
    must(any(not torch.equal(first[name], other[name]) for name in first), "its weights do not depend on torch's seed")


def loads_back(case: Case) -> None:
    network, other = case.built(seed=0).train(), case.built(seed=1)
    network(case.images())  # what normalisation remembers is another now
    try:
        other.load_state_dict(network.state_dict())
    except RuntimeError as error:
        raise Broken(f"its state does not load back: {' '.join(str(error).split())}") from None
    with torch.no_grad():
        must(
            torch.equal(network.eval()(case.images()), other.eval()(case.images())),
            "with its state loaded, another says other logits",
        )


MODEL_LAWS: dict[str, Law] = {
    "shapes": Law(
        "logits are B × classes, maps B × C × H × W (or tokens B × P × D) and what the head reads B × D, for 1 and 3 channels",
        shapes,
    ),
    "stages": Law("its stages are named from shallow to deep", stages_shrink),
    "maps": Law("no map of a stage is overwritten by a later layer", maps_stay),
    "samples": Law("in eval mode samples do not see each other", samples_apart),
    "same again": Law("in eval mode it says the same again", same_again),
    "gradient": Law("a gradient reaches every parameter", gradient_everywhere),
    "seed": Law("its weights follow torch's seed", follows_the_seed),
    "state": Law("its state loads into another of it, which then says the same", loads_back),
}
