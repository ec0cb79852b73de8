"""Files of images that were decoded once, to a file that every process on the machine maps into its memory."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import PIL
import torch
from torch import Tensor

from kd_core.data.decoded import Decoded, Fetch, Report
from kd_core.data.split import DataError, Split

if TYPE_CHECKING:
    from kd_core.data.files import Files

FORMAT = 1  # another one for other bytes
CHUNK = 4096  # images after which a decoding that is killed need not begin again


@dataclass(frozen=True)
class Mapped(Decoded):
    """Images in a file that is mapped into memory, and their labels (int64, N). Pages that were read stay in the machine's
    page cache, for all processes, as long as memory suffices; none of them belongs to a process."""

    images_NCHW: Tensor  # uint8, of all images in the file
    rows_N: Tensor  # int64: which of them
    labels_N: Tensor

    def __getitem__(self, indices_B: Tensor) -> Mapped:
        return replace(self, rows_N=self.rows_N[indices_B.cpu()], labels_N=self.labels_N[indices_B])

    @property
    def image(self) -> tuple[int, int, int]:
        channels, height, width = self.images_NCHW.shape[1:]
        return channels, height, width

    def labelled(self, labels_N: Tensor) -> Mapped:
        return replace(self, labels_N=labels_N)

    def to(self, device: torch.device | str) -> Mapped:
        """The same images, which are to come out on a device."""
        return replace(self, labels_N=self.labels_N.to(device))

    def decode_at(self, index: int) -> Tensor:
        return self.images_NCHW[self.rows_N[index]]

    def fetch(self, pool: ThreadPoolExecutor) -> Fetch:
        return pool.submit(self._read).result

    def in_memory(self, report: Report | None = None) -> Split:
        return Split(self._read(), self.labels_N)

    def _read(self) -> Tensor:
        return self.images_NCHW[self.rows_N]


def cached(files: Files, folder: Path, report: Report) -> Decoded:
    """The same images out of the cache in ``folder``, where they are decoded now if they are not there yet: once, also where
    several processes ask at once, and from where it stood if a decoding was killed. What is wrong with files goes to the
    report, and the files come back as they are.

    Raises:
        DataError: where a file went away, or the folder cannot be written to or has too little space.
    """
    whole = folder / f"{fingerprint(files)}.npy"
    try:
        if not whole.exists():
            folder.mkdir(parents=True, exist_ok=True)
            with _alone(whole.with_suffix(".lock")):
                if not whole.exists() and not _decode(files, whole, report):
                    return files
        images_NCHW = torch.from_numpy(np.load(whole, mmap_mode="c"))  # a private mapping: torch wants to be allowed to write
    except (OSError, ValueError) as error:
        raise DataError(f"the cache of decoded images: {whole}: {error}; see `data.cache`") from error
    return Mapped(images_NCHW, torch.arange(len(files)), files.labels_N)


def fingerprint(files: Files) -> str:
    """What the decoded images follow from: every file's name below their common folder, size and time of change, the size of
    the images, and the version of PIL.

    Raises:
        DataError: where a file went away.
    """
    stats_N2 = np.empty((len(files), 2), dtype=np.int64)

    def look(index: int) -> None:
        try:
            found = os.stat(files.paths[index])
        except OSError as error:
            raise DataError(f"{files.paths[index]}: {error.strerror}") from error
        stats_N2[index] = found.st_size, found.st_mtime_ns

    files.every(look)
    shared = len(os.path.commonpath((min(files.paths), max(files.paths))))
    digest = hashlib.sha256(f"{FORMAT} {PIL.__version__} {files.image} {files.upright}".encode())
    for path in files.paths:
        digest.update(os.fsencode(path[shared:]) + b"\0")
    digest.update(stats_N2.tobytes())
    return digest.hexdigest()[:32]


def _decode(files: Files, whole: Path, report: Report) -> bool:
    """Decode all images to the file, which is there whole or not at all; whether all could be. While it grows it is called
    ``.part``, and ``.done`` holds how many of its images lie on the disk."""
    part, done = whole.with_suffix(".part"), whole.with_suffix(".done")
    start = int(done.read_text()) if done.exists() and part.exists() else 0
    known = len(report.problems)
    with open(part, "r+b" if start else "wb") as file:
        shape = (len(files), *files.image)
        np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
        file.flush()
        _reserve(file.fileno(), file.tell() + files.nbytes, whole.parent)
        for chunk in torch.arange(start, len(files)).split(CHUNK):
            _decode_some(files[chunk], file.fileno(), file.tell() + int(chunk[0]) * (files.nbytes // len(files)), report)
            if len(report.problems) == known:  # else go on, to tell of all files
                os.fsync(file.fileno())
                _write(done, str(int(chunk[-1]) + 1))
    good = len(report.problems) == known
    if good:
        os.replace(part, whole)
    else:
        part.unlink()
    done.unlink(missing_ok=True)
    return good


def _decode_some(files: Files, number: int, offset: int, report: Report) -> None:
    """Decode images to their places from an offset on, in the file of that descriptor."""
    each = files.nbytes // len(files)

    def keep(index: int) -> None:
        os.pwrite(number, files.decode_at(index).contiguous().numpy().data, offset + index * each)

    files.every(keep, report)


def _reserve(number: int, size: int, folder: Path) -> None:
    """Take the space at once: a disk that fills up later is not an error to a file that is mapped, but the process's end."""
    try:
        os.posix_fallocate(number, 0, size)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        free = os.statvfs(folder)
        gib = free.f_bavail * free.f_frsize / 2**30
        raise DataError(
            f"{folder} has {gib:.1f} GiB left, and the decoded images take {size / 2**30:.1f}; "
            "make room, or choose another `data.cache`"
        ) from error


def _write(path: Path, text: str) -> None:
    other = path.with_suffix(".new")
    other.write_text(text)
    os.replace(other, path)


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """While the block runs no other process is in one of the same file. A process that dies leaves it.
    The file stays: another process may be waiting at it."""
    with open(path, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
