"""Training an analyser on what its frozen teacher says, all granularities in one pass.

Order and views are pure functions of (seed, epoch, index), as in :mod:`kd_core.training.loop`: a run that goes on from a
checkpoint ends with the same bits as one that was not stopped.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch import Tensor

from kd_core.bank.source import Source
from kd_core.data.batches import epoch_batches, plain_batches, spans
from kd_core.data.splits import Splits
from kd_core.knowledge import Batch
from kd_core.losses import stable_BK
from kd_core.methods.modules.analyser import Analyser, analysis_terms, granularity_of
from kd_core.methods.modules.analysis_config import BEST
from kd_core.training.checkpoint import Checkpoint, Checkpoints, Record
from kd_core.training.loop import part
from kd_core.training.optim import EpochMeans, optimizer_of


class Analysing:
    """An analyser being trained, in place.

    Args:
        teacher: what it says of a batch of any split, at least logits and embedding.
        seed: decides order and augmentation (initialisation is the caller's).
    """

    def __init__(self, analyser: Analyser, teacher: Source, splits: Splits, *, seed: int, device: str = "cpu") -> None:
        self.analyser = analyser.to(device)
        self.teacher = teacher
        self.splits = splits.to(device)
        self.recipe = analyser.config
        self.seed = seed
        self.device = torch.device(device)
        self.optimizer = optimizer_of(analyser.parameters(), self.recipe)
        self.history: tuple[Record, ...] = ()
        self._kept: dict[str, Tensor] = {}  # of each granularity as it was when it was best, where that is what counts

    def run(
        self, checkpoints: Checkpoints | None = None, on_epoch: Callable[[Record], None] = lambda _: None
    ) -> tuple[Record, ...]:
        """Train to the recipe's end, from the newest checkpoint where there is one; the history of all epochs. The analyser
        holds the weights that are kept then.

        Raises:
            Diverged: at the end of an epoch in which a loss term was not finite.
        """
        if checkpoints and (found := checkpoints.newest(self._state())):
            self.analyser.load_state_dict(part(found.tensors, "analyser."))
            self.optimizer.restore(found.tensors)
            self._kept = part(found.tensors, "kept.")
            self.history = found.history
        while len(self.history) < self.recipe.epochs:
            epoch, began = len(self.history), time.monotonic()
            metrics = self._epoch(epoch)
            record = Record(epoch + 1, time.time_ns() // 1_000_000, time.monotonic() - began, metrics)
            self._keep(metrics)
            self.history = (*self.history, record)
            if checkpoints:
                checkpoints.save(Checkpoint(self._state(), self.history))
            on_epoch(record)
        if self._kept:
            self.analyser.load_state_dict(self._kept)
        return self.history

    def kept(self) -> dict[str, float]:
        """What the weights that are kept reach on the validation split, named as metrics are; empty without one."""
        if self._kept:
            return self._validation(len(self.history) - 1)
        return {name: value for name, value in self.history[-1].metrics.items() if name.startswith("validation/")}

    def _keep(self, metrics: dict[str, float]) -> None:
        """Keep those granularities that were never so accurate before this epoch."""
        if self.recipe.keep != BEST:
            return

        def better(granularity: int) -> bool:
            name = f"validation/accuracy/granularity{granularity}"
            return all(metrics[name] > record.metrics[name] for record in self.history)

        risen = {granularity for granularity in range(len(self.recipe.codes)) if better(granularity)}
        found = {name: value for name, value in self.analyser.state_dict().items() if granularity_of(name) in risen}
        self._kept |= {name: value.detach().clone() for name, value in found.items()}

    def _epoch(self, epoch: int) -> dict[str, float]:
        steps = len(spans(len(self.splits.train), self.recipe.batch_size))
        means = EpochMeans()
        batches = epoch_batches(self.splits, self.recipe.batch_size, self.seed, epoch, self.device)
        for step, batch in enumerate(batches):
            terms, accuracies = self._decoded(batch)
            self.optimizer.step(terms, epoch + step / steps)
            metrics = {name: value.detach() for name, value in terms.items()}
            means.add(metrics | {f"train/{name}": value for name, value in accuracies.items()}, len(batch.labels_B))
        return {**means.metrics(epoch + 1), "lr": self.optimizer.lr, **self._validation(epoch)}

    def _validation(self, epoch: int) -> dict[str, float]:
        if not len(self.splits.validation):
            return {}
        means = EpochMeans()
        with torch.inference_mode():
            for batch in plain_batches(self.splits, "validation", self.device):
                terms, accuracies = self._decoded(batch)
                means.add(terms | accuracies, len(batch.labels_B))
        return {f"validation/{name}": value for name, value in means.metrics(epoch + 1).items()}

    def _decoded(self, batch: Batch) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """The loss terms of a batch, and the accuracy of the stable excitation and of what is decoded, by granularity."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.recipe.precision == "bf16"):
            knowledge = self.teacher(batch)
            _, decoded = self.analyser(knowledge.embedding_BD)
        logits_BK, decoded = knowledge.logits_BK.float(), tuple(decoded_BK.float() for decoded_BK in decoded)
        terms = analysis_terms(decoded, logits_BK, batch.labels_B, self.recipe.temperatures)
        judged = {"accuracy": stable_BK(logits_BK, decoded)}
        judged |= {f"accuracy/granularity{index}": decoded_BK for index, decoded_BK in enumerate(decoded)}
        accuracies = {name: (guess_BK.argmax(1) == batch.labels_B).float().mean() for name, guess_BK in judged.items()}
        return {f"loss/{name}": value for name, value in terms.items()}, accuracies

    def _state(self) -> dict[str, Tensor]:
        trained = {f"analyser.{name}": value for name, value in self.analyser.state_dict().items()}
        return trained | {f"kept.{name}": value for name, value in self._kept.items()} | self.optimizer.state()
