"""What the science does on a GPU: is it right there, and how fast is it beside a plain loop as the field writes it.

Command:  python experiments/benchmarks/gpu.py [--minutes 8] [--batches 64,256] [--json FILE]
Needs:    torch, torchvision, numpy, pyarrow, safetensors, msgspec beside kd_core; one GPU. `--device cpu` tries the script.
Prints:   a table of checks and a table of times in Markdown. Exits with 1 where a check fails.

A time is the median of a case's epochs; variants of a case take turns, so that a machine that slows down slows all of them. The
plain loop reads PIL images through torchvision's transforms and a DataLoader, asks live teachers and reads loss and accuracy
at every step; it has the same networks and the same method, in fp32 with cuDNN's autotuning.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read once by cuBLAS; deterministic kernels need it

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from kd_core.bank import Bank, Live, Source, fill
from kd_core.data.load import load
from kd_core.data.splits import Splits
from kd_core.data.table import DataConfig
from kd_core.knowledge import Batch, Need
from kd_core.laws.toys import analyser_of
from kd_core.methods.method import Method
from kd_core.methods.setting import Setting
from kd_core.methods.table import METHODS
from kd_core.models.network import Network, shape_of
from kd_core.models.table import build
from kd_core.recipe import Recipe
from kd_core.training.checkpoint import Checkpoints
from kd_core.training.loop import Training
from kd_core.vision import transforms

WARM, TIMED = 2, 5  # epochs of each variant
ROOT = Path(__file__).parents[2]


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


@dataclass(frozen=True)
class Variant:
    """A way to run a case: torch's settings and the recipe's precision."""

    name: str
    deterministic: bool = False
    tf32: bool = True
    precision: str = "fp32"
    channels_last: bool = False
    compiled: bool = False


DETERMINISTIC = Variant("deterministic", deterministic=True)  # as `kd run` has it unless the YAML says otherwise
AUTOTUNED = Variant("autotuned")
VARIANTS = (DETERMINISTIC, AUTOTUNED, Variant("bf16, channels last", precision="bf16", channels_last=True))
COMPILED = Variant("autotuned, compiled", compiled=True)


EXACT = Variant("exact", deterministic=True, tf32=False)


@contextlib.contextmanager
def torch_as(variant: Variant) -> Iterator[None]:
    """torch's process-wide settings for a variant."""
    before = (torch.backends.cudnn.benchmark, torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32)
    torch.use_deterministic_algorithms(variant.deterministic, warn_only=True)
    torch.backends.cudnn.benchmark = not variant.deterministic
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = variant.tf32
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)
        torch.backends.cudnn.benchmark, torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before


def synchronize(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def network(name: str, seed: int, variant: Variant, device: str) -> Network:
    torch.manual_seed(seed)
    built = build(name, channels=3, classes=100).to(device)
    return built.to(memory_format=torch.channels_last) if variant.channels_last else built


def method_of(case: Case, student: Network, teachers: Sequence[Network], splits: Splits) -> Method:
    shapes = tuple(shape_of(teacher, splits.image) for teacher in teachers)
    probes = tuple(tuple(0.2 + 0.1 * stage + 0.01 * t for stage in range(len(s.stages))) for t, s in enumerate(shapes))
    method = METHODS[case.method]
    config = method.Config()
    needs = method.needs(config)
    setting = Setting(shape_of(student, splits.image), shapes, splits.train.labels_N, probes if Need.PROBES in needs else ())
    return method(config, setting)


# ---------------------------------------------------------------------------------------------------------- correctness


@dataclass(frozen=True)
class Check:
    """What a check found."""

    name: str
    passed: bool
    found: str


def check_networks(device: str) -> Iterator[Check]:
    """Every family's logits in fp32 without TF32, and the gradient of the cross-entropy in fp64, there and on the CPU."""
    images_BCHW, labels_B = torch.randn(16, 3, 32, 32), torch.arange(16)

    def logits_of(name: str, dtype: torch.dtype, where: str) -> tuple[Network, Tensor]:
        torch.manual_seed(0)
        each = build(name, channels=3, classes=100).to(where, dtype).train()
        return each, each(images_BCHW.to(where, dtype))

    def gradient_of(name: str, where: str) -> Tensor:
        each, logits_BK = logits_of(name, torch.float64, where)
        nn.functional.cross_entropy(logits_BK, labels_B.to(where)).backward()
        return torch.cat([parameter.grad.flatten() for parameter in each.parameters() if parameter.grad is not None]).cpu()

    with torch_as(EXACT):
        for name in ("resnet8x4", "wrn_16_2", "vgg8", "mobilenet_v2", "shufflenet_v1", "shufflenet_v2", "ResNet18"):
            logits = [logits_of(name, torch.float32, where)[1].detach().cpu() for where in ("cpu", device)]
            gradients = [gradient_of(name, where) for where in ("cpu", device)]
            apart, gradient_apart = difference(*logits), difference(*gradients)
            yield Check(
                f"{name}: as on the CPU",
                apart < 1e-4 and gradient_apart < 1e-8,
                f"logits {apart:.1e} apart in fp32, gradient {gradient_apart:.1e} in fp64",
            )


def check_methods(device: str) -> Iterator[Check]:
    """Every method's loss at the first step of a training with two teachers, on the device and on the CPU."""
    splits = small_splits()
    with torch_as(EXACT):
        for name in METHODS:
            losses = [first_loss(name, splits, where) for where in ("cpu", device)]
            apart = abs(losses[1] / losses[0] - 1)
            yield Check(f"{name}: first loss as on the CPU", apart < 1e-4, f"{apart:.1e} apart")


def first_loss(name: str, splits: Splits, device: str) -> float:
    student = small("resnet8", 0)
    teachers = [small("resnet14", 1), small("wrn_16_1", 2)]
    method = small_method(name, student, teachers, splits, device)
    sources = [Live(teacher, device) for teacher in teachers] if METHODS[name].needs(method.config) else []
    recipe = Recipe(epochs=1, batch_size=len(splits.train), lr=1e-3)
    trained = Training(student, method, sources, splits, recipe, seed=0, device=device).run()
    return trained.history[0].metrics["loss"]


def small(name: str, seed: int) -> Network:
    torch.manual_seed(seed)
    return build(name, channels=3, classes=4)


def small_splits() -> Splits:
    data = DataConfig("synthetic", classes=4, train_images=160, test_images=16, validation=0.2)
    return load(data, ROOT / "data")


def small_method(name: str, student: Network, teachers: Sequence[Network], splits: Splits, device: str) -> Method:
    """A method with all that a student job would give it; what it draws is drawn from a fixed seed, on the CPU."""
    config = METHODS[name].Config()
    needs = METHODS[name].needs(config)
    shapes = tuple(shape_of(teacher, splits.image) for teacher in teachers)
    drawn = torch.Generator().manual_seed(3)
    setting = Setting(
        shape_of(student, splits.image),
        shapes,
        splits.train.labels_N,
        probes=tuple((0.4, 0.5 + 0.1 * t, 0.7) for t in range(len(shapes))) if Need.PROBES in needs else (),
        heads=tuple(teacher.head.to(device).requires_grad_(False) for teacher in teachers) if Need.HEADS in needs else (),
        analysers=tuple(analyser_of(shape, drawn).to(device) for shape in shapes) if Need.ANALYSES in needs else (),
    )
    torch.manual_seed(4)
    return METHODS[name](config, setting)


def check_training(device: str) -> Iterator[Check]:
    """Repetition and resumption bit by bit where that is asked for, and that each way to compute trains."""
    splits = small_splits()

    def trained(variant: Variant, parts: Sequence[int] = (4,)) -> Training:
        """A training of four epochs, begun anew from its checkpoint after each part."""
        with torch_as(variant), tempfile.TemporaryDirectory() as folder:
            for until in parts:
                student, teachers = small("resnet8", 0), [small("resnet14", 1)]
                method = small_method("kd", student, teachers, splits, device)
                recipe = Recipe(epochs=4, batch_size=32, precision=variant.precision)
                sources = [Live(teacher, device) for teacher in teachers]
                training = Training(student, method, sources, splits, recipe, seed=0, device=device, compile=variant.compiled)
                training.run(Checkpoints(Path(folder)), until=until)
        return training

    whole = trained(DETERMINISTIC)
    yield Check("deterministic: the same bits again", same_bits(whole, trained(DETERMINISTIC)), "4 epochs of kd")
    yield Check("deterministic: killed after epoch 2, the same bits", same_bits(whole, trained(DETERMINISTIC, (2, 4))), "")
    for variant in (*VARIANTS[1:], COMPILED):
        loss, apart = trained(variant).history[-1].metrics["loss"], whole.history[-1].metrics["loss"]
        yield Check(f"{variant.name}: trains to about the same loss", abs(loss / apart - 1) < 0.1, f"{loss:.3f}, {apart:.3f}")


def same_bits(one: Training, other: Training) -> bool:
    mine, theirs = one.checkpoint().tensors, other.checkpoint().tensors
    return mine.keys() == theirs.keys() and all(torch.equal(mine[name], theirs[name]) for name in mine)


def check_memory(device: str) -> Iterator[Check]:
    """A training that finds too little memory says so as torch does, and one with more goes on from its checkpoint."""
    if device != "cuda":
        return
    splits = load(DataConfig("synthetic", train_images=2_000, test_images=100), ROOT / "data")
    total = torch.cuda.get_device_properties(0).total_memory

    def training(limit: float) -> Training:
        torch.cuda.empty_cache()
        torch.cuda.set_per_process_memory_fraction(limit)
        student = network("resnet32x4", 0, DETERMINISTIC, device)
        method = METHODS["none"](METHODS["none"].Config(), Setting(shape_of(student, splits.image), (), splits.train.labels_N))
        return Training(student, method, (), splits, Recipe(epochs=1, batch_size=512), seed=0, device=device)

    try:
        training(0.5e9 / total).run()
        refused = "ran in 0.5 GB"
    except torch.OutOfMemoryError:
        refused = ""
    finished = bool(training(1.0).run().history)
    yield Check("out of memory, then with more", not refused and finished, refused or "refused at 0.5 GB, then trained")


def difference(here: Tensor, there: Tensor) -> float:
    """The relative distance of two tensors, ‖a − b‖ / ‖a‖."""
    return ((here - there).norm() / here.norm().clamp(min=1e-12)).item()


# ---------------------------------------------------------------------------------------------------------------- speed


class Photographs(Dataset[tuple[Tensor, int]]):
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
        sources: list[Source] = [
            Bank([banks / f"{name}.{kind}" for kind in kinds], device) if case.banked else Live(teacher, device)
            for name, teacher in zip(case.teachers, teachers, strict=True)
        ]
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
    command = [sys.executable, __file__, *options, "--worker"]
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
    return load(data, ROOT / "data")


# --------------------------------------------------------------------------------------------------------------- report


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    parser.add_argument("--minutes", type=float, default=8, help="no further case is begun after so many")
    parser.add_argument("--batches", default="64,256", help="batch sizes")
    parser.add_argument("--images", type=int, default=5_000, help="training images of an epoch")
    parser.add_argument("--padding", type=int, default=4, help="of the augmentation: 4 makes 162 views of an image")
    parser.add_argument("--only", choices=("checks", "times"), help="one half alone")
    parser.add_argument("--json", type=Path, help="write all of it there, too")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    device, until = asked.device, time.monotonic() + 60 * asked.minutes
    if device == "cuda" and not torch.cuda.is_available():
        print("no CUDA device is at hand; `--device cpu` tries the script itself", file=sys.stderr)
        return 2
    if asked.worker:
        work(timed_splits(asked.images, asked.padding), device)
        return 0

    where = torch.cuda.get_device_name() if device == "cuda" else "CPU"
    print(f"{where}, torch {torch.__version__}, torchvision {version('torchvision')}, Python {sys.version.split()[0]}\n")
    found: list[Check] = []
    print("| check | | found |\n|---|---|---|")
    for check in (check_networks, check_methods, check_training, check_memory) if asked.only != "times" else ():
        for each in check(device):
            found.append(each)
            print(f"| {each.name} | {'passed' if each.passed else 'FAILED'} | {each.found} |", flush=True)

    splits = timed_splits(asked.images, asked.padding)
    columns = ["plain loop", *(variant.name for variant in (*VARIANTS, COMPILED))]
    measured: list[Measured] = []
    with tempfile.TemporaryDirectory() as folder:
        rates = fill_banks(splits, Path(folder), device)
        print(f"\nbanks of {splits.augmentation.views} views of {len(splits.train)} images, fp32, images a second:")
        print("; ".join(f"{name} {rate:,.0f}" for name, rate in rates.items()))
        print(f"\nseconds an epoch of {len(splits.train)} images, a fifth more in validation (and by how much faster)\n")
        print("| case | batch | " + " | ".join(columns) + " | GPU busy |\n" + "|---" * (3 + len(columns)) + "|")
        for batch_size in map(int, asked.batches.split(",")):
            for case in CASES:
                if time.monotonic() > until:
                    print(f"| {case.title} | {batch_size} | not measured: the minutes are over |")
                    continue
                each = measure(case, batch_size, splits, Path(folder), device)
                measured.append(each)
                plain = each.seconds["plain loop"]
                cells = [
                    f"{each.seconds[c]:.2f} ({plain / each.seconds[c]:.1f}×)" if c in each.seconds else "" for c in columns
                ]
                print(f"| {case.title} | {batch_size} | " + " | ".join(cells) + f" | {each.busy:.0%} |", flush=True)
    packing: dict[int, float] = {}
    for count in (1, 2, 4):
        if time.monotonic() < until:
            packing[count] = packed(count, sys.argv[1:])
    print(f"\nprocesses on one device, each {TIMED} epochs of kd with a live teacher, batch 64, autotuned: seconds")
    print(", ".join(f"{count}: {seconds:.1f}" for count, seconds in packing.items()))
    if asked.json:
        result = {"device": where, "torch": torch.__version__, "checks": [asdict(each) for each in found], "banks": rates}
        asked.json.write_text(
            json.dumps({**result, "epochs": [asdict(each) for each in measured], "packing": packing}, indent=1)
        )
    return 0 if all(each.passed for each in found) else 1


if __name__ == "__main__":
    sys.exit(main())
