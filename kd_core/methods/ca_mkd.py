"""CA-MKD, confidence-aware weights (Zhang et al. 2022, arXiv 2201.00007): teachers that know the label lead.

    w_t(x) = (1 − softmax over t of CE(z_t, y)) / (M − 1)
    v_t(x) = the same of CE(W_t pool r_t(F_s), y): teacher t's classifier W_t on the student's last feature map, adapted by r_t
    L = ce · CE + α · mean over x of Σ_t w_t · KL_T(z_t ‖ z_s)
               + β · mean over x of Σ_t v_t · mean over c and p of (r_t(F_s) − F_t)²

r_t is a 1×1 convolution, batch normalisation and a ReLU, at the teacher's size. As in the public code v_t carries gradient, and
the hint loss begins with the second epoch. It also divides both losses by M once more: ``reference_scale``. Ours:
``hint: embedding`` does all that with the pooled embedding, which a knowledge bank can hold.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kd_core.knobs import Knobs, LogUniform, Uniform, knob
from kd_core.knowledge import Batch, Knowledge, Need
from kd_core.lazy import F, torch
from kd_core.losses import cross_entropies_MB, divergences_MB, label_loss, opposed_MB, resized, teacher_means
from kd_core.methods.method import Method
from kd_core.methods.setting import Loss, Setting

if TYPE_CHECKING:
    from torch import Tensor, nn

HINTS = ("feature", "embedding")


class CAMKD(Method):
    version = 2  # 1 hinted at embeddings alone, from the first epoch on, without a ReLU, by weights without gradient

    @dataclass(frozen=True)
    class Config(Knobs):
        ce: float = knob(1.0, "weight of the cross-entropy with the labels", low=0)
        alpha: float = knob(1.0, "weight of the divergence from the teachers", low=0, search=Uniform(0.1, 4))
        beta: float = knob(50.0, "weight of the hint loss", low=0, search=LogUniform(1, 500))
        temperature: float = knob(4.0, "softens both distributions", above=0, search=LogUniform(1, 16))
        hint: str = knob("feature", "what is hinted at: the last feature map, or its pooled embedding", choices=HINTS)
        hint_from: int = knob(1, "epochs that are done before the hint loss begins", low=0)
        reference_scale: bool = knob(False, "the public code's scale: 1 / M of the formula's")

    config: Config

    def __init__(self, config: Config, setting: Setting) -> None:
        super().__init__(config, setting)
        from kd_core.methods.modules.adapters import by_teacher, pointwise, positive

        self.own = by_teacher(positive(pointwise(setting.student.embedding, teacher.embedding)) for teacher in setting.teachers)

    @staticmethod
    def needs(config: Config) -> frozenset[Need]:
        hint = Need.FEATURES if config.hint == "feature" else Need.EMBEDDING
        return frozenset({Need.LOGITS, hint, Need.HEADS})

    def forward(self, student: Knowledge, teachers: tuple[Knowledge, ...], batch: Batch, progress: float) -> Loss:
        config = self.config
        of_teachers = zip(self.own.children(), self.setting.heads, teachers, strict=True)
        hints = [self._hint(adapter, head, student, teacher, batch.labels_B) for adapter, head, teacher in of_teachers]
        hint_MB, own_MB = (torch.stack(parts) for parts in zip(*hints, strict=True))
        weight_MB = opposed_MB(torch.softmax(cross_entropies_MB(teachers, batch.labels_B), 0))
        hint_weight_MB = opposed_MB(torch.softmax(own_MB, 0))
        begun = float(batch.epoch >= config.hint_from)
        scale = 1 / len(teachers) if config.reference_scale else 1.0
        divergence = (weight_MB * divergences_MB(teachers, student, config.temperature)).sum(0).mean()
        terms = {
            "ce": config.ce * label_loss(student.logits_BK, batch),
            "kl": scale * config.alpha * divergence,
            "hint": begun * scale * config.beta * (hint_weight_MB * hint_MB).sum(0).mean(),
        }
        return Loss(terms, teacher_means("weight", weight_MB) | teacher_means("hint_weight", hint_weight_MB.detach()))

    def _hint(
        self, adapter: nn.Module, head: nn.Module, student: Knowledge, teacher: Knowledge, labels_B: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Of every sample: the distance from a teacher's hint, and the cross-entropy of its classifier on the student's."""
        student_BCHW, teacher_BCHW = (self._hinted(each) for each in (student, teacher))
        adapted_BCHW = adapter(resized(student_BCHW, (teacher_BCHW.shape[2], teacher_BCHW.shape[3])))
        label_B = F.cross_entropy(head(adapted_BCHW.mean((2, 3))), labels_B, reduction="none")
        return (adapted_BCHW - teacher_BCHW).square().flatten(1).mean(1), label_B

    def _hinted(self, knowledge: Knowledge) -> Tensor:
        return knowledge.pooled_BCHW if self.config.hint == "feature" else knowledge.embedding_BD[:, :, None, None]
