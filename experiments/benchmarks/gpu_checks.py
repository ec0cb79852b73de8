"""Whether the science is right on a GPU: the same numbers as on the CPU, the same bits again, and every way to compute runs."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from gpu_variants import COMPILED, DETERMINISTIC, EXACT, VARIANTS, Variant, network, torch_as
from safetensors.torch import save_file
from torch import Tensor, nn

from kd_core.bank.fill import fill
from kd_core.bank.read import Bank, gathered_ahead
from kd_core.bank.source import Live
from kd_core.data.batches import epoch_batches
from kd_core.data.load import load
from kd_core.data.splits import Splits
from kd_core.data.table import DataConfig
from kd_core.knowledge import Need
from kd_core.laws.toys import analyser_of
from kd_core.methods.method import Method
from kd_core.methods.setting import Setting
from kd_core.methods.table import METHODS
from kd_core.models.network import Network, shape_of
from kd_core.models.table import build
from kd_core.recipe import Recipe
from kd_core.training.checkpoint import Checkpoints
from kd_core.training.loop import Training


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
    return load(data, Path("data"))


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
    """A training that finds too little memory says so as torch does, and one that has more runs."""
    if device != "cuda":
        return
    splits = load(DataConfig("synthetic", train_images=2_000, test_images=100), Path("data"))
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


def check_banks(device: str) -> Iterator[Check]:
    """A bank in the device's memory and one that is gathered ahead say the same bits, and what the teacher says."""
    splits, teacher = small_splits(), small("resnet14", 1)
    with tempfile.TemporaryDirectory() as folder, torch_as(EXACT):
        file = Path(folder) / "logits"
        save_file(fill(teacher, splits, Need.LOGITS, device), file)
        resident, ahead = (Bank([[file]], device, splits.classes, room) for room in (2**30, 0))
        live, apart, same = Live(teacher, device), 0.0, True
        for batch in gathered_ahead(epoch_batches(splits, 32, 0, 0, device), [ahead]):
            said = [source(batch).logits_BK for source in (live, resident, ahead)]
            apart, same = max(apart, difference(*said[:2])), same and torch.equal(*said[1:])
    yield Check("banks: on the device and gathered ahead the same", same and apart < 1e-3, f"{apart:.1e} apart from live")


def difference(here: Tensor, there: Tensor) -> float:
    """The relative distance of two tensors, ‖a − b‖ / ‖a‖."""
    return ((here - there).norm() / here.norm().clamp(min=1e-12)).item()


CHECKS = (check_networks, check_methods, check_training, check_memory, check_banks)
