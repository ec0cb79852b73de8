"""AFD, attention-based feature matching: "Show, attend and distill" (Ji et al. 2021, arXiv 2102.02973).

Every stage t of the teacher attends to every stage s of the student. With q_t and k_s linear maps of the pooled features to d
dimensions (normalised over the batch; k through a ReLU), W_t a bilinear form (W_t k_s is normalised over batch and stages) and
p_t, p_s learned positions:

    α_t = softmax over s of (q_t · W_t k_s + p_t · p_s) / √d
    L = ce · CE + kl · (1/M) Σ_teachers KL_T(z_t ‖ z_s)
      + β · (1/M) Σ_teachers Σ_t mean over x of Σ_s α_ts · mean over p of (Q_s − Q_t)²

Q is the stage's attention map (squared features, averaged over channels, of L2 norm 1), the student's brought to the teacher's
size. Weights 0.9 (T = 4) and 200 and d = 128 are the public code's for CIFAR. Ours: it attends over the stages; the public code
attends over the outputs of every residual block.
"""

from __future__ import annotations

from dataclasses import dataclass

from kd_core.knobs import IntUniform, Knobs, LogUniform, Uniform, knob
from kd_core.knowledge import Batch, Knowledge, Need
from kd_core.lazy import torch
from kd_core.losses import divergences_MB, label_loss
from kd_core.methods.method import Method
from kd_core.methods.setting import Loss, Setting


class AFD(Method):
    version = 3  # 1 enlarged maps without a deterministic gradient on a GPU; 2 had no KL, and no normalised bilinear form

    @dataclass(frozen=True)
    class Config(Knobs):
        ce: float = knob(1.0, "weight of the cross-entropy with the labels", low=0)
        kl: float = knob(0.9, "weight of the divergence from the teachers", low=0, search=Uniform(0, 4))
        temperature: float = knob(4.0, "softens both distributions", above=0, search=LogUniform(1, 16))
        beta: float = knob(200.0, "weight of the matched attention loss", low=0, search=LogUniform(2, 2000))
        dimension: int = knob(128, "d, of queries and keys", low=1, search=IntUniform(32, 256))

    config: Config

    def __init__(self, config: Config, setting: Setting) -> None:
        super().__init__(config, setting)
        from kd_core.methods.modules.adapters import by_teacher
        from kd_core.methods.modules.matching import StageMatching

        self.own = by_teacher(StageMatching(setting.student, teacher, config.dimension) for teacher in setting.teachers)

    @staticmethod
    def needs(config: Config) -> frozenset[Need]:
        return frozenset({Need.FEATURES, Need.LOGITS} if config.kl > 0 else {Need.FEATURES})

    def forward(self, student: Knowledge, teachers: tuple[Knowledge, ...], batch: Batch, progress: float) -> Loss:
        losses = [matching(student, teacher) for matching, teacher in zip(self.own.children(), teachers, strict=True)]
        terms = {
            "ce": self.config.ce * label_loss(student.logits_BK, batch),
            "matching": self.config.beta * torch.stack(losses).mean(),
        }
        if self.config.kl > 0:
            terms["kl"] = self.config.kl * divergences_MB(teachers, student, self.config.temperature).mean()
        return Loss(terms)
