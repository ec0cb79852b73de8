"""Images that stay on disk: decoded batch by batch, or all at once where they fit into memory."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from kd_core.data.split import DataError, Split

AHEAD = 2  # batches that are decoded while one is in use
SLICE = 256  # files a thread takes at a time, of all files


@dataclass(frozen=True)
class Files:
    """Files of images and their labels (int64, N). An image comes out as RGB, ``size`` × ``size``: see :func:`fit`.

    Files are decoded by as many threads as torch computes with. Indexing opens nothing.
    """

    paths: tuple[str, ...]
    labels_N: Tensor
    size: int
    published: int | None = None  # H = W that every file must have; None: any

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, indices_B: Tensor) -> Files:
        chosen = torch.arange(len(self))[indices_B.cpu()].tolist()
        return replace(self, paths=tuple(self.paths[index] for index in chosen), labels_N=self.labels_N[indices_B])

    @property
    def image(self) -> tuple[int, int, int]:
        """(C, H, W) of an image."""
        return 3, self.size, self.size

    @property
    def nbytes(self) -> int:
        """What the images take in memory."""
        return len(self) * 3 * self.size**2

    def to(self, device: torch.device | str) -> Files:
        """The same files, whose images are to come out on a device."""
        return replace(self, labels_N=self.labels_N.to(device))

    def stream(self, chunks: Iterable[Tensor]) -> Iterator[Split]:
        """For each chunk of indices its images and labels, in memory; the next ones are decoded meanwhile.

        Raises:
            DataError: naming a file that cannot be decoded.
        """

        def collect() -> Split:
            part, futures = ahead.popleft()
            images_NCHW = torch.stack([future.result() for future in futures])
            return Split(images_NCHW.to(part.labels_N.device), part.labels_N)

        ahead: deque[tuple[Files, list[Future[Tensor]]]] = deque()
        with _threads() as pool:
            try:
                for chunk in chunks:
                    part = self[chunk]
                    ahead.append((part, [pool.submit(part.decode, path) for path in part.paths]))
                    if len(ahead) > AHEAD:
                        yield collect()
                while ahead:
                    yield collect()
            finally:
                pool.shutdown(cancel_futures=True)

    def in_memory(self) -> Split:
        """Every image, decoded.

        Raises:
            DataError: naming the files that cannot be decoded.
        """
        images_NCHW = torch.empty((len(self), *self.image), dtype=torch.uint8)

        def keep(index: int) -> None:
            images_NCHW[index] = self.decode(self.paths[index])

        self._every(keep)
        return Split(images_NCHW, self.labels_N)

    def verify(self) -> None:
        """Read the header of every file: a fraction of a millisecond each.

        Raises:
            DataError: naming the files that are no images, or not of the published size. A file that is cut off behind its
                header is found when it is decoded.
        """

        def look(index: int) -> None:
            with self._opened(self.paths[index]):
                pass

        self._every(look)

    def decode(self, path: str) -> Tensor:
        """An image, uint8 CHW.

        Raises:
            DataError: naming the file where it cannot be decoded.
        """
        from kd_core.vision import transforms  # torchvision is imported only where images are decoded

        with self._opened(path) as image:
            return transforms.functional.pil_to_tensor(fit(image.convert("RGB"), self.size))

    @contextlib.contextmanager
    def _opened(self, path: str) -> Iterator[Image.Image]:
        try:
            with Image.open(path) as image:
                if image.mode[0] in "IF":
                    raise DataError(f"{path} has pixels of more than 8 bits ({image.mode}); convert it")
                if self.published and image.size != (self.published, self.published):
                    width, height = image.size
                    raise DataError(
                        f"{path} is {width}×{height}, not {self.published}×{self.published}; it is not the published one"
                    )
                yield image
        except DataError:
            raise
        except Exception as error:  # damaged files make PIL raise much besides OSError
            raise DataError(
                f"{path} cannot be read as an image ({error or type(error).__name__}); replace or remove it"
            ) from error

    def _every(self, work: Callable[[int], None]) -> None:
        """Do some work for every file's index; refuse all files at once where it raises a DataError."""

        def some(start: int) -> list[str]:
            found = []
            for index in range(start, min(start + SLICE, len(self))):
                try:
                    work(index)
                except DataError as error:
                    found.append(str(error))
            return found

        with _threads() as pool:
            DataError.refuse([problem for found in pool.map(some, range(0, len(self), SLICE)) for problem in found])


def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(torch.get_num_threads(), "decode")


def fit(image: Any, size: int) -> Any:
    """The shorter side of a PIL image or a tensor of images scaled to ``size`` (bilinear, antialiased); the middle square."""
    from kd_core.vision import transforms

    scaled = transforms.functional.resize(image, [size], antialias=True)
    return transforms.functional.center_crop(scaled, [size, size])
