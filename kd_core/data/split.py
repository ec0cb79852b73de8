"""A data set as a job sees it: splits of images and labels, and what is needed to feed them to a network."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

NAMED = 5  # problems that an error spells out


class DataError(ValueError):
    """The data that was asked for is not there, is damaged, or is too little; says where and what to do."""

    @classmethod
    def refuse(cls, problems: Sequence[str]) -> None:
        """Raise an error of all problems, the first few in words, where there are any.

        Raises:
            DataError: of the problems, where there are any.
        """
        if problems:
            more = len(problems) - NAMED
            raise cls("\n".join([*problems[:NAMED], *([f"and {more} more like these"] if more > 0 else [])]))


@dataclass(frozen=True)
class Split:
    """Images (uint8, NCHW) and their labels (int64, N) in memory, on one device."""

    images_NCHW: Tensor
    labels_N: Tensor

    def __post_init__(self) -> None:
        assert self.images_NCHW.dtype == torch.uint8
        assert self.labels_N.dtype == torch.int64
        assert self.images_NCHW.ndim == 4
        assert len(self.images_NCHW) == len(self.labels_N)

    def __len__(self) -> int:
        return len(self.labels_N)

    def __getitem__(self, indices_B: Tensor) -> Split:
        return Split(self.images_NCHW[indices_B], self.labels_N[indices_B])

    def labelled(self, labels_N: Tensor) -> Split:
        """The same images with other labels."""
        return Split(self.images_NCHW, labels_N)

    @property
    def image(self) -> tuple[int, int, int]:
        """(C, H, W) of an image."""
        channels, height, width = self.images_NCHW.shape[1:]
        return channels, height, width

    @property
    def nbytes(self) -> int:
        """What the images take in memory."""
        return self.images_NCHW.nbytes

    def stream(self, chunks: Iterable[Tensor]) -> Iterator[Split]:
        """For each chunk of indices its images and labels, in memory."""
        return map(self.__getitem__, chunks)

    def to(self, device: torch.device | str) -> Split:
        """The same split on a device; itself where it already lies there."""
        return Split(self.images_NCHW.to(device), self.labels_N.to(device))
