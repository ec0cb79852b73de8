"""Transfer: the student's frozen backbone with a new linear head on another data set (a claim of Shao & Chen 2021, arXiv
2108.06681; the protocol, on embeddings, of Tian et al. 2020, arXiv 1910.10699, section 4.2).

The head is a multinomial logistic regression on standardised embeddings, fitted to convergence on the other
set's training split.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kd_core.data.table import DataConfig
from kd_core.evaluation.evaluation import Evaluation, Subject
from kd_core.knobs import Knobs, knob

if TYPE_CHECKING:
    from kd_core.data.batches import Part
    from kd_core.data.splits import Splits


class Transfer(Evaluation):
    @dataclass(frozen=True)
    class Config(Knobs):
        data: DataConfig = knob(DataConfig(), "the other data set")
        C: float = knob(1.0, "inverse strength of the L2 penalty", above=0)
        max_iterations: int = knob(100, "limit of Newton steps", low=1)
        tolerance: float = knob(1e-4, "largest gradient component at convergence, of the mean loss", above=0)

    @staticmethod
    def numbers(config: Config) -> tuple[str, ...]:
        return ("validation_accuracy", "test_accuracy") if config.data.validation else ("test_accuracy",)

    @staticmethod
    def run(subject: Subject, splits: Splits, config: Config) -> dict[str, float]:
        """Accuracy in [0, 1] of the new head on the other set's validation and test splits."""
        from kd_core.probes.logistic import fit
        from kd_core.probes.pool import pool
        from kd_core.probes.probe import moments

        train_ND = pool(subject.network, splits, "train", subject.device)[-1].pooled_NC
        mean_D, std_D = moments(train_ND)
        head = fit(
            (train_ND - mean_D) / std_D,
            splits.train.labels_N.to(subject.device),
            splits.classes,
            C=config.C,
            tolerance=config.tolerance,
            max_iterations=config.max_iterations,
        )
        found = {}
        parts: tuple[Part, ...] = ("validation", "test") if len(splits.validation) else ("test",)
        for part in parts:
            embedding_ND = pool(subject.network, splits, part, subject.device)[-1].pooled_NC
            labels_N = getattr(splits, part).labels_N.to(subject.device)
            predicted_N = head.logits((embedding_ND - mean_D) / std_D).argmax(1)
            found[f"{part}_accuracy"] = (predicted_N == labels_N).double().mean().item()
        return found
