"""An epoch over a large folder of JPEGs, in a random order: torchvision's ImageFolder and DataLoader, as the field writes it,
against our files, decoded as they are asked for, and against the cache (`data.cache`).

Command:  python experiments/benchmarks/photographs.py [--images 100000] [--size 64] [--threads 2] [--folder DIR]
Prints:   for each, in a process of its own: images a second, CPU time an image, memory (without the page cache, which belongs
          to no process) after a tenth of the images and at its peak, and how long it took to list the folder.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader

from kd_core.data.load import load
from kd_core.data.splits import Images
from kd_core.data.table import DataConfig
from kd_core.vision import datasets, transforms

CLASSES, BATCH, WIDTH, HEIGHT = 100, 256, 120, 90


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="where the images are, or are made (default: a temporary folder)")
    parser.add_argument("--measure", choices=MEASURED, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        print(json.dumps(measured(given.measure, given.folder, given.images, given.size, given.threads)))
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.folder or Path(scratch)
        make(folder, given.images)
        table(folder, [*sys.argv[1:], "--folder", str(folder)])


def table(folder: Path, arguments: list[str]) -> None:
    """Measure one after the other, and print a line for each."""
    print(f"{'':28}{'images/s':>10}{'CPU µs':>9}{'MiB at 10 %':>13}{'peak MiB':>10}{'listed in s':>13}")
    for name in MEASURED:
        done = subprocess.run(
            [sys.executable, __file__, *arguments, "--measure", name], check=True, capture_output=True, text=True
        )
        found = json.loads(done.stdout)
        print(
            f"{MEASURED[name]:28}{found['rate']:10,.0f}{found['cpu_us']:9.0f}{found['tenth_mib']:13,.0f}{found['peak_mib']:10,.0f}"
            f"{found['listing_s']:13.1f}",
            flush=True,
        )


def make(folder: Path, images: int) -> None:
    """JPEGs of 120×90 with the statistics of photographs (noise of all scales), and one a class for the test."""
    numbers = np.random.default_rng(0)
    scales = [numbers.integers(0, 256, (2**scale, 2**scale, 3), dtype=np.uint8) for scale in range(1, 11)]
    layers = [Image.fromarray(each).resize((1024, 1024), Image.Resampling.BICUBIC) for each in scales]
    picture = np.mean([np.asarray(each, dtype=np.float32) for each in layers], axis=0)
    picture = np.clip((picture - picture.mean()) * 3 + 128, 0, 255).astype(np.uint8)
    for part, count in (("train", images), ("test", CLASSES)):
        for index in range(count):
            file = folder / "photographs" / part / f"class {index % CLASSES:03}" / f"{index:06}.jpg"
            if file.exists():
                continue
            file.parent.mkdir(parents=True, exist_ok=True)
            left, top = (int(each) for each in numbers.integers(0, (1024 - WIDTH, 1024 - HEIGHT)))
            Image.fromarray(picture[top : top + HEIGHT, left : left + WIDTH]).save(file, quality=85)


def measured(name: str, folder: Path, images: int, size: int, threads: int) -> dict[str, float]:
    """An epoch's figures."""
    torch.set_num_threads(threads)
    began = time.perf_counter()
    batches = OPENED[name](folder, images, size, threads)
    listing = time.perf_counter() - began
    began, cpu, memory, seen, tenth = time.perf_counter(), _cpu(), Memory(), 0, 0.0
    with memory:
        for batch in batches:
            seen += len(batch)
            if not tenth and seen >= images / 10:
                tenth = memory.now()
    seconds = time.perf_counter() - began
    assert seen == images, f"{seen} of {images} images came"
    return {
        "rate": images / seconds,
        "cpu_us": (_cpu() - cpu) / images * 1e6,
        "tenth_mib": tenth,
        "peak_mib": memory.peak,
        "listing_s": listing,
    }


def of_torchvision(folder: Path, images: int, size: int, threads: int) -> Iterator[torch.Tensor]:
    view = transforms.Compose([transforms.Resize(size), transforms.CenterCrop(size), transforms.PILToTensor()])
    found = datasets.ImageFolder(str(folder / "photographs" / "train"), view)
    loader = DataLoader(found, batch_size=BATCH, shuffle=True, num_workers=threads)
    return (batch for batch, _ in loader)


def of_files(folder: Path, images: int, size: int, threads: int) -> Iterator[torch.Tensor]:
    return _epoch(_ours(folder, images, size, None))


def filling(folder: Path, images: int, size: int, threads: int) -> Iterator[torch.Tensor]:
    """Not an epoch: what making the cache takes."""

    def fill() -> Iterator[torch.Tensor]:
        yield torch.empty(len(_ours(folder, images, size, folder / "cache")))

    return fill()


def of_cache(folder: Path, images: int, size: int, threads: int) -> Iterator[torch.Tensor]:
    return _epoch(_ours(folder, images, size, folder / "cache"))


def _ours(folder: Path, images: int, size: int, cache: Path | None) -> Images:
    config = DataConfig("image_folder", folder="photographs", size=size, classes=CLASSES, train_images=images, validation=0)
    return load(config, folder, memory_gib=0, cache=cache).train


def _epoch(train: Images) -> Iterator[torch.Tensor]:
    return (some.images_NCHW for some in train.stream(torch.randperm(len(train)).split(BATCH)))


Opened = Callable[[Path, int, int, int], Iterator[torch.Tensor]]
OPENED: dict[str, Opened] = {"torchvision": of_torchvision, "files": of_files, "filling": filling, "cache": of_cache}
MEASURED = {
    "torchvision": "ImageFolder + DataLoader",
    "files": "files, decoded when asked for",
    "filling": "making the cache",
    "cache": "from the cache",
}


class Memory:
    """What this process and its children hold of their own, MiB, every tenth of a second while the block runs."""

    def __init__(self) -> None:
        self.peak, self._ended = 0.0, threading.Event()
        self._watcher = threading.Thread(target=self._watch)

    def __enter__(self) -> None:
        self._watcher.start()

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._watcher.join()

    def now(self) -> float:
        """What shared pages hold counts by its share (PSS)."""
        children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
        return sum(_own(number) for number in ("self", *children)) / 1024

    def _watch(self) -> None:
        while not self._ended.wait(0.1):
            self.peak = max(self.peak, self.now())


def _own(number: str) -> int:
    """KiB that belong to no file."""
    try:
        lines = Path(f"/proc/{number}/smaps_rollup").read_text().splitlines()
    except OSError:  # it ended meanwhile
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith(("Pss_Anon:", "Pss_Shmem:")))


def _cpu() -> float:
    """Seconds of this process and of its children that ended."""
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


if __name__ == "__main__":
    main()
