"""Images that are not in memory: decoded batch by batch, ahead of use, or all at once where they fit into memory."""

from __future__ import annotations

import contextlib
import threading
import warnings
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self, TypeAlias

import torch
from torch import Tensor

from kd_core.data.split import DataError, Split

Fetch: TypeAlias = Callable[[], Tensor]  # gives images that were asked for, uint8 NCHW, once they are there

AHEAD = 2  # batches that are decoded while one is in use
SLICE = 256  # images a thread takes at a time, of all images


class Decoded(ABC):
    """Images and their labels (int64, N). They are decoded by as many threads as torch computes with; indexing decodes none."""

    labels_N: Tensor

    def __len__(self) -> int:
        return len(self.labels_N)

    @abstractmethod
    def __getitem__(self, indices_B: Tensor) -> Self:
        """The images at these places."""

    @abstractmethod
    def labelled(self, labels_N: Tensor) -> Self:
        """The same images with other labels."""

    @abstractmethod
    def to(self, device: torch.device | str) -> Self:
        """The same images, which are to come out on a device."""

    @property
    @abstractmethod
    def image(self) -> tuple[int, int, int]:
        """(C, H, W) of an image."""

    @abstractmethod
    def decode_at(self, index: int) -> Tensor:
        """An image, uint8 CHW.

        Raises:
            DataError: naming it where it cannot be decoded.
        """

    @property
    def nbytes(self) -> int:
        """What the images take in memory."""
        channels, height, width = self.image
        return len(self) * channels * height * width

    def stream(self, chunks: Iterable[Tensor]) -> Iterator[Split]:
        """For each chunk of indices its images and labels, in memory; the next ones are decoded meanwhile.

        Raises:
            DataError: naming an image that cannot be decoded.
        """

        def collect() -> Split:
            part, fetched = ahead.popleft()
            return Split(fetched().to(part.labels_N.device), part.labels_N)

        ahead: deque[tuple[Decoded, Fetch]] = deque()
        with _threads() as pool:
            try:
                for chunk in chunks:
                    part = self[chunk]
                    ahead.append((part, part.fetch(pool)))
                    if len(ahead) > AHEAD:
                        yield collect()
                while ahead:
                    yield collect()
            finally:
                pool.shutdown(cancel_futures=True)

    def fetch(self, pool: ThreadPoolExecutor) -> Fetch:
        """Have a pool decode all images; calling what comes back waits for them.

        Raises:
            DataError: that call, naming an image that cannot be decoded.
        """
        futures = [pool.submit(self.decode_at, index) for index in range(len(self))]
        return lambda: torch.stack([future.result() for future in futures])

    def name_at(self, index: int) -> str:
        """What messages call an image."""
        return f"image {index}"

    def in_memory(self, report: Report | None = None) -> Split:
        """Every image, decoded. Where there is a ``report``, it takes what is wrong with some, and what warnings say.

        Raises:
            DataError: naming the images that cannot be decoded, where there is no report.
        """
        images_NCHW = torch.empty((len(self), *self.image), dtype=torch.uint8)

        def keep(index: int) -> None:
            images_NCHW[index] = self.decode_at(index)

        self.every(keep, report)
        return Split(images_NCHW, self.labels_N)

    def verify(self, report: Report | None = None) -> None:
        """Look at every image for what can be found without much work; here, at the first and the last.

        Raises:
            DataError: naming the images that are none, where there is no report.
        """
        self[torch.tensor([0, len(self) - 1])].in_memory(report)

    def every(self, work: Callable[[int], None], report: Report | None = None) -> None:
        """Do some work for every image's index.

        Raises:
            DataError: of all images for which it raises one, where there is no report.
        """
        mine = report or Report()

        def some(start: int) -> list[str]:
            found = []
            for index in range(start, min(start + SLICE, len(self))):
                mine.at.name = self.name_at(index)
                try:
                    work(index)
                except DataError as error:
                    found.append(str(error))
            return found

        with mine.hearing(), _threads() as pool:
            mine.problems += [problem for found in pool.map(some, range(0, len(self), SLICE)) for problem in found]
        if report is None:
            DataError.refuse(mine.problems)


class Report:
    """What is found in the images of several splits: ``problems`` with images, and what Python warnings say while they are
    decoded, with the image's name (:attr:`notes`)."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self.at = threading.local()  # its ``name`` is the image that a thread is at
        self._heard: dict[str, list[str]] = {}

    @property
    def notes(self) -> list[str]:
        """A line for each warning, with the first of the images that it is about."""
        more = {text: f" and {len(names) - 1} more" if len(names) > 1 else "" for text, names in self._heard.items()}
        return [f"{min(names)}{more[text]}: {text}" for text, names in self._heard.items()]

    @contextlib.contextmanager
    def hearing(self) -> Iterator[None]:
        """While the block runs, warnings are kept here instead of being shown. Python's warnings are of the whole process."""

        def keep(message: Warning | str, *_: object, **__: object) -> None:
            self._heard.setdefault(str(message), []).append(getattr(self.at, "name", "the data"))

        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.showwarning = keep
            yield


def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(torch.get_num_threads(), "decode")


def fit(image: object, size: int) -> Any:
    """The shorter side of a PIL image or a tensor of images scaled to ``size`` (bilinear, antialiased); the middle square."""
    from kd_core.vision import transforms  # torchvision is imported only where images are decoded

    scaled = transforms.functional.resize(image, [size], antialias=True)
    return transforms.functional.center_crop(scaled, [size, size])
