"""An export beside the student that it was made from, on real images."""

from __future__ import annotations

import torch
from torch import Tensor

from kd_core.data.splits import Images
from kd_core.training.evaluate import Predict
from orchestrator.export.description import Comparison

IMAGES = 256  # of the test split, spread evenly over it
AT_ONCE = 64
TOLERANCE = 1e-4  # of a probability: order of sums alone
ROUNDED = 0.05  # of one that was computed in bfloat16, which the export does not do


def some(images: Images, count: int = IMAGES) -> tuple[Tensor, Tensor]:
    """Images (uint8 NCHW) of a split, evenly spread, and their places in it."""
    places_N = torch.linspace(0, len(images) - 1, min(count, len(images))).round().long()
    parts = list(images.stream(places_N.split(AT_ONCE)))
    return torch.cat([part.images_NCHW for part in parts]), places_N


def compare(
    run: Predict, original: Predict, images_NCHW: Tensor, tested_N: Tensor | None = None, *, rounded: bool = False
) -> Comparison:
    """Probabilities of an export and of the original.

    Args:
        tested_N: the classes that the student said when it was tested, where they are known.
        rounded: whether the original computes in bfloat16.
    """
    with torch.inference_mode():
        pairs = [(run(part), original(part).float()) for part in images_NCHW.split(AT_ONCE)]
    ours_NK, theirs_NK = (torch.cat(side) for side in zip(*pairs, strict=True))
    said_N = ours_NK.argmax(1)
    return Comparison(
        images=len(said_N),
        largest_difference=(ours_NK - theirs_NK).abs().max().item(),
        tolerance=ROUNDED if rounded else TOLERANCE,
        same_class=int((said_N == theirs_NK.argmax(1)).sum()),
        as_tested=None if tested_N is None else int((said_N == tested_N).sum()),
    )
