"""The one training loop: teachers (no teachers of their own) and students, any method, one device for each worker.

Every random choice is a pure function of (seed, purpose, epoch, index), so a run that was killed and goes on from the
checkpoint of its last whole epoch ends with the same bits as one that was not.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from kd_core.bank.read import gathered_ahead
from kd_core.bank.source import Source, said
from kd_core.data.batches import Part, epoch_batches, plain_batches, spans
from kd_core.data.mixing import Mix
from kd_core.data.splits import Splits
from kd_core.distributed import ALONE, Group, WorkerLost
from kd_core.knowledge import ABSENT, Batch, Knowledge, Need
from kd_core.methods.method import Method
from kd_core.models.network import Network
from kd_core.random import derive
from kd_core.recipe import Recipe
from kd_core.training.checkpoint import Checkpoint, Checkpoints, Record
from kd_core.training.evaluate import evaluate
from kd_core.training.metrics import TEST_ACCURACY, TRAIN_ACCURACY, VALIDATION_ACCURACY, VALIDATION_LOSS
from kd_core.training.optim import Average, Diverged, EpochMeans, optimizer_of
from kd_core.training.sync_batchnorm import synchronize_batchnorm


@dataclass(frozen=True)
class Trained:
    """The end of a training. The network itself holds the last epoch's weights, averaged where the recipe has an ``ema``."""

    history: tuple[Record, ...]
    chosen_epoch: int  # the first epoch with the best validation accuracy, from 1; the last, where nothing is validated on
    chosen: dict[str, Tensor]  # network state of that epoch
    chosen_own: dict[str, Tensor]  # the method's own state of that epoch


class Training:
    """A network being trained by a method.

    Args:
        network: freshly initialised; it is trained in place.
        method: so too.
        teachers: for each teacher, what answers a batch with its Knowledge.
        seed: decides order and augmentation (initialisation is the caller's).
        compile: whether the student's forward pass goes through ``torch.compile``.
        watch_test: whether the accuracy on the test split is recorded at every epoch; nothing here depends on it.
        measure: what else is recorded at every epoch's end, of the machine; nothing here depends on it.
        group: the workers that train together, all with the same arguments. The method's loss must be a mean over samples,
            as the plain one is: then the result is that of one worker, up to the order of sums, and up to the masks where the
            network has dropout. The first worker alone writes checkpoints. Nothing is compiled.
    """

    def __init__(
        self,
        network: Network,
        method: Method,
        teachers: Sequence[Source],
        splits: Splits,
        recipe: Recipe,
        *,
        seed: int,
        device: str = "cpu",
        compile: bool = False,
        watch_test: bool = False,
        measure: Callable[[], dict[str, float]] = dict,
        group: Group = ALONE,
    ) -> None:
        self.network = network.on(device)
        self.method = method
        self.method.own.to(device)
        self.teachers = tuple(teachers)
        self.splits = splits.to(device)
        self.recipe = recipe
        self.seed = seed
        self.device = torch.device(device)
        self.watch_test = watch_test
        self.measure = measure
        self.group = group
        synchronize_batchnorm(self.network, group)
        self.optimizer = optimizer_of([*network.parameters(), *method.trainable()], recipe, group)
        self.average = None if recipe.ema is None else Average(recipe.ema)
        self._observe = torch.compile(network.observe) if compile and group.size == 1 else network.observe
        self._more = {"before": True} if Need.BEFORE in method.needs(method.config) else {}
        self.history: tuple[Record, ...] = ()
        self.chosen: dict[str, Tensor] = {}
        self.chosen_epoch = 0

    def run(
        self,
        checkpoints: Checkpoints | None = None,
        on_epoch: Callable[[Record], None] = lambda _: None,
        until: int | None = None,
    ) -> Trained:
        """Train to the recipe's end or ``until`` so many epochs are done, from the newest checkpoint where there is one.

        Raises:
            Diverged: at the end of an epoch in which a loss term was not finite.
            WorkerLost: where another worker of the group is gone.
        """
        if checkpoints and (found := checkpoints.newest(self.checkpoint().tensors)):
            self.restore(found)
        self._begin_together()
        while len(self.history) < (until or self.recipe.epochs):
            epoch, began = len(self.history), time.monotonic()
            metrics = self._epoch(epoch) | self.measure()
            record = Record(epoch + 1, time.time_ns() // 1_000_000, time.monotonic() - began, metrics)
            self.history = (*self.history, record)
            self._choose(record)
            if checkpoints and self.group.leads:
                checkpoints.save(self.checkpoint())
            on_epoch(record)
        if self.average and len(self.history) == self.recipe.epochs:
            self._load(self.average.tensors)
        return Trained(self.history, self.chosen_epoch, part(self.chosen, "network."), part(self.chosen, "own."))

    def predict(self, images_BCHW: Tensor) -> Tensor:
        """The logits BK that count at evaluation; the network must be in eval mode."""
        with self._autocast():
            return self.method.logits(self.network, images_BCHW)

    def _epoch(self, epoch: int) -> dict[str, float]:
        self.network.train()
        self.method.own.train()
        group, rank = self.group, self.group.rank
        torch.manual_seed(derive(self.seed, "dropout", epoch, *([rank] if rank else [])))
        whole = spans(len(self.splits.train), self.recipe.batch_size)
        means = EpochMeans()
        mix = Mix(self.recipe.mixup, self.recipe.cutmix) if self.recipe.mixes else None
        batches = epoch_batches(self.splits, self.recipe.batch_size, self.seed, epoch, self.device, group, mix)
        teachers = self.teachers if self.method.listens(epoch / self.recipe.epochs) else ()
        for step, (span, batch) in enumerate(zip(whole, gathered_ahead(batches, teachers), strict=True)):
            batch = replace(batch, smoothing=self.recipe.label_smoothing)
            weight = group.begin(span)
            outputs = self._step(batch, teachers, epoch, step / len(whole), weight)
            means.add(outputs, weight * (span.stop - span.start))
        metrics = means.metrics(epoch + 1, group)
        metrics["lr"] = self.optimizer.lr
        with self._averaged():
            return metrics | self._evaluated(epoch)

    def _evaluated(self, epoch: int) -> dict[str, float]:
        """What is measured at an epoch's end on other splits."""
        self.network.eval()
        self.method.own.eval()
        metrics: dict[str, float] = {}
        if len(self.splits.validation):
            accuracy, loss = self._evaluate("validation")
            if not math.isfinite(loss):
                raise Diverged(epoch + 1, {"validation": loss})
            metrics |= {VALIDATION_ACCURACY: accuracy, VALIDATION_LOSS: loss}
        if self.watch_test:
            metrics[TEST_ACCURACY], _ = self._evaluate("test")
        return metrics

    def _evaluate(self, part: Part) -> tuple[float, float]:
        return evaluate(self.predict, plain_batches(self.splits, part, self.device, group=self.group), self.group)

    def _step(self, batch: Batch, sources: Sequence[Source], epoch: int, progress: float, weight: float) -> dict[str, Tensor]:
        """One optimiser step, ``progress`` into the epoch, on a batch of which this worker has a part of that weight; the
        part's loss terms, curves and training accuracy."""
        with self._autocast():
            student = said(lambda view: self._observe(view.images_BCHW, **self._more), batch)
            teachers = tuple(said(teacher, batch) for teacher in sources)
        student = replace(_float(student), head=self.network.head)
        loss = self.method.forward(student, tuple(map(_float, teachers)), batch, epoch / self.recipe.epochs)
        self.optimizer.step(loss.terms, epoch + progress, weight)
        if self.average:
            self.average.add(self._state())
        metrics = {f"loss/{name}": value.detach() for name, value in loss.terms.items()}
        metrics |= {name: value.detach() for name, value in loss.curves.items()}
        with torch.no_grad():
            metrics[TRAIN_ACCURACY] = (self.method.predict(student).argmax(1) == batch.labels_B).float().mean()
        return metrics

    def _begin_together(self) -> None:
        """Make sure that all workers stand where the first one does.

        Raises:
            WorkerLost: where a worker found another checkpoint, as one may whose predecessor was still writing.
        """
        group = self.group
        epochs = torch.tensor([float(len(self.history))], device=group.device)
        group.copy([epochs])
        if epochs.item() != len(self.history):
            raise WorkerLost(
                f"this worker found a checkpoint of {len(self.history)} epochs, the first one of {epochs.item():g}"
            )
        group.copy(self._state().values())

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.recipe.precision == "bf16")

    def _state(self) -> dict[str, Tensor]:
        state = {f"network.{name}": value for name, value in self.network.state_dict().items()}
        return state | {f"own.{name}": value for name, value in self.method.own.state_dict().items()}

    def _choose(self, record: Record) -> None:
        if record.epoch == chosen_epoch(self.history):
            self.chosen_epoch = record.epoch
            counts = self.average.tensors if self.average else self._state()
            self.chosen = {name: value.detach().clone() for name, value in counts.items()}

    @contextlib.contextmanager
    def _averaged(self) -> Iterator[None]:
        """The network and the method's parts hold the averages of their weights for a while, where these are kept."""
        if self.average is None:
            yield
            return
        trained = {name: value.detach().clone() for name, value in self._state().items()}
        self._load(self.average.tensors)
        try:
            yield
        finally:
            self._load(trained)

    def _load(self, state: dict[str, Tensor]) -> None:
        self.network.load_state_dict(part(state, "network."))
        self.method.own.load_state_dict(part(state, "own."))

    def checkpoint(self) -> Checkpoint:
        """All that the training is after its last epoch."""
        chosen = {f"chosen.{name}": value for name, value in self.chosen.items()}
        average = self.average.state() if self.average else {}
        return Checkpoint(self._state() | chosen | self.optimizer.state() | average, self.history)

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go on from there; the recipe and the method's knobs may be others."""
        self._load(checkpoint.tensors)
        self.optimizer.restore(checkpoint.tensors)
        if self.average:
            self.average.restore(checkpoint.tensors, self.device)
        self.chosen = {name: value.to(self.device) for name, value in part(checkpoint.tensors, "chosen.").items()}
        self.history = checkpoint.history
        self.chosen_epoch = chosen_epoch(self.history)


def chosen_epoch(history: Sequence[Record]) -> int:
    """The first epoch with the best validation accuracy, from 1; the last one, where nothing is validated on."""
    accuracies = [record.metrics.get(VALIDATION_ACCURACY, record.epoch) for record in history]
    return accuracies.index(max(accuracies)) + 1


def part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors under a prefix, without it."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _float(knowledge: Knowledge) -> Knowledge:
    """Losses are computed in float32, whatever the precision of the forward pass."""
    if knowledge.others:
        knowledge = replace(knowledge, others=tuple(map(_float, knowledge.others)))
    whole = (knowledge.logits_BK, knowledge.embedding_BD, knowledge.last_BCHW)
    stages = (knowledge.features, knowledge.before)
    if all(value is ABSENT or value.dtype == torch.float32 for value in (*whole, *stages[0], *stages[1])):
        return knowledge
    logits_BK, embedding_BD, last_BCHW = (value if value is ABSENT else value.float() for value in whole)
    features, before = (tuple(value.float() for value in values) for values in stages)
    return replace(
        knowledge, logits_BK=logits_BK, embedding_BD=embedding_BD, last_BCHW=last_BCHW, features=features, before=before
    )
