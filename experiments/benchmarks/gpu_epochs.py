"""How fast epochs are on a GPU: the plain loop, and the variants of ours."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from gpu_variants import AUTOTUNED, COMPILED, VARIANTS, Variant, network, torch_as
from safetensors.torch import save_file
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from kd_core.bank.fill import fill
from kd_core.bank.read import banks_of
from kd_core.bank.source import Live, Source
from kd_core.data.load import load
from kd_core.data.splits import Splits
from kd_core.data.table import DataConfig
from kd_core.knowledge import Batch, Need
from kd_core.methods.method import Method
from kd_core.methods.setting import Setting
from kd_core.methods.table import METHODS
from kd_core.models.network import Network, shape_of
from kd_core.recipe import Recipe
from kd_core.training.loop import Training
from kd_core.vision import transforms

WARM, TIMED = 2, 5  # epochs of each variant


@dataclass(frozen=True)
class Case:
    """A student, its method and its teachers."""

    title: str
    student: str
    method: str
    teachers: tuple[str, ...] = ()
    banked: bool = False


THREE = ("resnet32x4", "vgg13", "wrn_40_2")
CASES = (
    Case("plain student", "resnet8x4", "none"),
    Case("kd, live teacher", "resnet8x4", "kd", ("resnet32x4",)),
    Case("kd, live vgg", "vgg8", "kd", ("vgg13",)),
    Case("kd, warm bank", "resnet8x4", "kd", ("resnet32x4",), banked=True),
    Case("at, warm bank", "resnet8x4", "at", ("resnet32x4",), banked=True),
    Case("aver, 3 live teachers", "resnet8x4", "aver", THREE),
    Case("aver, 3 teachers, warm bank", "resnet8x4", "aver", THREE, banked=True),
    Case("gpac, 3 teachers, warm bank", "resnet8x4", "gpac", THREE, banked=True),
)


def synchronize(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def method_of(case: Case, student: Network, teachers: Sequence[Network], splits: Splits) -> Method:
    shapes = tuple(shape_of(teacher, splits.image) for teacher in teachers)
    probes = tuple(tuple(0.2 + 0.1 * stage + 0.01 * t for stage in range(len(s.stages))) for t, s in enumerate(shapes))
    method = METHODS[case.method]
    config = method.Config()
    needs = method.needs(config)
    setting = Setting(shape_of(student, splits.image), shapes, splits.train.labels_N, probes if Need.PROBES in needs else ())
    return method(config, setting)


class Photographs(Dataset[tuple[Tensor, int, int]]):
    """A split as PIL images under torchvision's transforms, as torchvision's own CIFAR is."""

    def __init__(self, splits: Splits, train: bool) -> None:
        split = splits.train if train else splits.validation
        self.images = [transforms.functional.to_pil_image(image) for image in split.images_NCHW]
        self.labels = split.labels_N.tolist()
        augment = [transforms.RandomCrop(32, padding=4), transforms.RandomHorizontalFlip()] if train else []
        tensor = [
            transforms.ToImage(),
            transforms.ToDtype(torch.float32, scale=True),
            transforms.Normalize(splits.mean, splits.std),
        ]
        self.transform = transforms.Compose([*augment, *tensor])

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int, int]:
        return self.transform(self.images[index]), self.labels[index], index


class PlainLoop:
    """Epochs as the field writes them."""

    def __init__(self, case: Case, splits: Splits, batch_size: int, device: str) -> None:
        as_it_comes = Variant("plain")
        self.student = network(case.student, 0, as_it_comes, device)
        self.teachers = [network(name, 1 + t, as_it_comes, device).eval() for t, name in enumerate(case.teachers)]
        self.method = method_of(case, self.student, self.teachers, splits)
        self.optimizer = torch.optim.SGD(self.student.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4)
        workers = min(8, max(1, (os.cpu_count() or 1) - 1))
        self.loaders = [
            DataLoader(
                Photographs(splits, train), batch_size, shuffle=train, num_workers=workers, persistent_workers=True,
                pin_memory=device == "cuda",
            )
            for train in (True, False)
        ]  # fmt: skip
        self.device = device

    def epoch(self) -> float:
        """One epoch with its validation; its seconds."""
        with torch_as(AUTOTUNED):
            return self._epoch()

    def _epoch(self) -> float:
        began = time.perf_counter()
        self.student.train()
        loss_sum, correct = 0.0, 0
        for images, labels, indices in self.loaders[0]:
            images, labels = images.to(self.device, non_blocking=True), labels.to(self.device, non_blocking=True)
            batch = Batch(images, labels, indices.to(self.device), torch.zeros_like(indices), 0)
            student = self.student.observe(images)
            with torch.no_grad():
                teachers = tuple(teacher.observe(images) for teacher in self.teachers)
            loss = torch.stack(tuple(self.method.forward(student, teachers, batch, 0.0).terms.values())).sum()
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            loss_sum += loss.item() * len(labels)
            correct += (student.logits_BK.argmax(1) == labels).sum().item()
        self.student.eval()
        with torch.no_grad():
            for images, labels, _ in self.loaders[1]:
                logits = self.student(images.to(self.device))
                correct += (logits.argmax(1) == labels.to(self.device)).sum().item()
        return time.perf_counter() - began


class Ours:
    """Epochs of kd_core's loop."""

    def __init__(self, case: Case, variant: Variant, splits: Splits, batch_size: int, device: str, banks: Path) -> None:
        self.variant = variant
        student = network(case.student, 0, variant, device)
        teachers = [network(name, 1 + t, variant, device).eval() for t, name in enumerate(case.teachers)]
        method = method_of(case, student, teachers, splits)
        kinds = sorted(method.needs(method.config) & {Need.LOGITS, Need.ATTENTION})
        files = [[[banks / f"{name}.{kind}"] for kind in kinds] for name in case.teachers]
        sources: list[Source] = [Live(teacher, device) for teacher in teachers]
        if case.banked:
            sources = list(banks_of(files, device, splits.classes, share=1.0))
        recipe = Recipe(epochs=WARM + TIMED + 1, batch_size=batch_size, precision=variant.precision)
        self.training = Training(student, method, sources, splits, recipe, seed=0, device=device, compile=variant.compiled)
        self.device = device

    def epoch(self) -> float:
        """One epoch with its validation; its seconds."""
        with torch_as(self.variant):
            synchronize(self.device)
            began = time.perf_counter()
            self.training.run(until=len(self.training.history) + 1)
            synchronize(self.device)
            return time.perf_counter() - began


@dataclass(frozen=True)
class Measured:
    """The median epochs of a case at a batch size."""

    case: str
    batch_size: int
    seconds: dict[str, float]  # of the plain loop, and of each variant
    busy: float  # fraction of an autotuned epoch in which a kernel ran


def busy(ours: Ours) -> float:
    """The fraction of one epoch in which the device computed; the profiler makes the epoch somewhat longer."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profiled:
        seconds = ours.epoch()
    return sum(each.self_device_time_total for each in profiled.key_averages()) / 1e6 / seconds


def fill_banks(splits: Splits, folder: Path, device: str) -> dict[str, float]:
    """A bank of every kind that the cases need, of every teacher; images (views counted) a second."""
    rates = {}
    for t, name in enumerate(THREE):
        for kind in (Need.LOGITS, Need.ATTENTION):
            with torch_as(AUTOTUNED):
                began = time.perf_counter()
                kept = fill(network(name, 1 + t, AUTOTUNED, device), splits, kind, device)
                rates[f"{name}, {kind}"] = splits.augmentation.views * len(splits.train) / (time.perf_counter() - began)
            save_file(kept, folder / f"{name}.{kind}")
    return rates


def measure(case: Case, batch_size: int, splits: Splits, banks: Path, device: str) -> Measured:
    """The plain loop and the variants in turn."""
    variants = (*VARIANTS, COMPILED) if case.title == "kd, live teacher" and batch_size == 64 else VARIANTS
    rivals: dict[str, PlainLoop | Ours] = {"plain loop": PlainLoop(case, splits, batch_size, device)}
    rivals |= {variant.name: Ours(case, variant, splits, batch_size, device, banks) for variant in variants}
    seconds: dict[str, list[float]] = {name: [] for name in rivals}
    for _ in range(WARM + TIMED):
        for name, rival in rivals.items():
            seconds[name].append(rival.epoch())
    last = rivals[AUTOTUNED.name]
    assert isinstance(last, Ours)
    medians = {name: statistics.median(each[WARM:]) for name, each in seconds.items()}
    return Measured(case.title, batch_size, medians, busy(last) if device == "cuda" else 1.0)


def packed(count: int, options: Sequence[str]) -> float:
    """Seconds from the first to the last epoch of ``count`` processes that train the same kind of student on one device."""
    command = [sys.executable, sys.argv[0], *options, "--worker"]
    workers = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(count)]
    for worker in workers:
        assert worker.stdout is not None
        worker.stdout.readline()  # it is warm
    began = time.perf_counter()
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("go\n")
        worker.stdin.flush()
    if any(worker.wait() for worker in workers):
        raise SystemExit("a worker of the packing benchmark failed")
    return time.perf_counter() - began


def work(splits: Splits, device: str) -> None:
    """A worker of :func:`packed`."""
    ours = Ours(CASES[1], AUTOTUNED, splits, 64, device, Path())
    for _ in range(WARM):
        ours.epoch()
    print("warm", flush=True)
    sys.stdin.readline()
    for _ in range(TIMED):
        ours.epoch()


def timed_splits(images: int, padding: int) -> Splits:
    """So many images to train on, and a fifth of that to validate on at every epoch."""
    data = DataConfig("synthetic", train_images=images * 6 // 5, test_images=100, validation=1 / 6, padding=padding)
    return load(data, Path("data"))
