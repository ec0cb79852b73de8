"""Batches of a split: for training, and in order under one view."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from kd_core.data.mixing import Mix, Pairs
from kd_core.data.splits import Splits
from kd_core.data.views import IDENTITY, Augmentation, normalise
from kd_core.distributed import ALONE, Group
from kd_core.knowledge import Batch
from kd_core.random import derive, generator

if TYPE_CHECKING:
    from kd_core.data.drawn import Drawn

Part = Literal["train", "validation", "test"]


def epoch_batches(
    splits: Splits,
    batch_size: int,
    seed: int,
    epoch: int,
    device: torch.device | str,
    group: Group = ALONE,
    mix: Mix | None = None,
) -> Iterator[Batch]:
    """The training split once, in the epoch's order and views; of each batch, this worker's part of the group. Further views of
    the same images are the batch's ``others``.

    Order, views and what is mixed depend neither on the device nor on the group. Splits that already lie on the device are not
    copied.
    """
    count = len(splits.train)
    indices_N = torch.randperm(count, generator=generator(seed, "order", epoch))
    shows = [Show(splits.augmentation, splits.augmentation.draw(seed, epoch, count)[indices_N])]
    for number, augmentation in enumerate(splits.further, 1):
        drawn_N = augmentation.draw(derive(seed, "further view", number), epoch, count)
        shows.append(Show(augmentation, drawn_N[indices_N]))
    whole = spans(count, batch_size)
    chunks = [group.part(span) for span in whole]
    assert not (mix and splits.further), "what images of further views are mixed with is nowhere said"
    pairs = mix.pairs(seed, epoch, whole) if mix else None
    return _batches(splits, "train", indices_N, shows, chunks, epoch, device, pairs)


def view_batches(
    splits: Splits, view: int, batch_size: int, device: torch.device | str, part: Part = "train", group: Group = ALONE
) -> Iterator[Batch]:
    """A split once, in its own order, every image under the same view; each batch falls to one worker of the group.

    The batches' epoch is 0.
    """
    count = len(getattr(splits, part))
    shows = [Show(splits.augmentation, torch.full((count,), view))]
    chunks = spans(count, batch_size)[group.rank :: group.size]
    return _batches(splits, part, torch.arange(count), shows, chunks, 0, device)


def plain_batches(
    splits: Splits, part: Part, device: torch.device | str, batch_size: int = 512, group: Group = ALONE
) -> Iterator[Batch]:
    """A split once, in its own order and without augmentation: for evaluation. Each batch falls to one worker of the group."""
    return view_batches(splits, IDENTITY, batch_size, device, part, group)


def spans(count: int, batch_size: int) -> list[slice]:
    """Where each batch begins and ends. The last, smaller one is kept, since every image counts.

    A last batch of a single image, of which batch normalisation can make nothing, joins the one before.
    """
    starts = list(range(0, count, batch_size))
    if batch_size > 1 and count > 1 and count % batch_size == 1:
        starts.pop()
    return [slice(start, stop) for start, stop in zip(starts, [*starts[1:], count], strict=True)]


@dataclass(frozen=True)
class Show:
    """An augmentation, and under which of its views each image of an order is shown."""

    augmentation: Augmentation | Drawn
    views_N: Tensor


def _batches(
    splits: Splits,
    part: Part,
    indices_N: Tensor,
    shows: list[Show],
    chunks: list[slice],
    epoch: int,
    device: torch.device | str,
    pairs: Pairs | None = None,
) -> Iterator[Batch]:
    """What is in memory goes to the device before the first batch, so that no batch waits for a copy."""
    split = getattr(splits, part).to(device)
    indices_N = indices_N.to(device)
    shows = [replace(show, views_N=show.views_N.to(device)) for show in shows]
    mean_C, std_C = torch.tensor(splits.mean, device=device), torch.tensor(splits.std, device=device)
    partners_N = None if pairs is None else pairs.partners_N.to(device)

    def shown(span: slice) -> Tensor:
        """Positions in the epoch's order of the images of a batch, and of their partners where there are any."""
        own_B = torch.arange(span.start, span.stop, device=device)
        return own_B if partners_N is None else torch.cat([own_B, partners_N[span]])

    for span, chosen in zip(chunks, split.stream(indices_N[shown(span)] for span in chunks), strict=True):
        positions_S, seen = shown(span), []
        for show in shows:
            shown_SCHW = show.augmentation.render(chosen.images_NCHW, show.views_N[positions_S], indices_N[positions_S])
            images_SCHW = normalise(shown_SCHW, mean_C, std_C)
            seen.append(Batch(images_SCHW, chosen.labels_N, indices_N[span], show.views_N[span], epoch))
        batch = replace(seen[0], others=tuple(seen[1:]))
        if pairs is not None:
            (images_BCHW, others_BCHW), (labels_B, other_B) = batch.images_BCHW.chunk(2), chosen.labels_N.chunk(2)
            mixed_BCHW, share_B = pairs.mixed(images_BCHW, others_BCHW, span)
            batch = replace(batch, images_BCHW=mixed_BCHW, labels_B=labels_B, mixed=(other_B, share_B))
        yield batch
