"""CA-MKD, confidence-aware weights (Zhang et al. 2022, arXiv 2201.00007): teachers that know the label lead.

    w_t(x) = (1 − softmax over t of CE(z_t, y)) / (M − 1)
    v_t(x) = the same of CE(W_t r_t(e_s), y): teacher t's classifier W_t on the student's embedding, adapted by r_t
    L = ce · CE + α · mean over x of Σ_t w_t · KL_T(z_t ‖ z_s)
               + β · mean over x of Σ_t v_t · mean over d of (r_t(e_s) − e_t)²

Ours: the hint is the pooled embedding, so that W_t reads what it was trained on; the public code adapts the last feature map.
It also divides both losses by M once more: ``reference_scale``.
"""

from __future__ import annotations

from dataclasses import dataclass

from kd_core.knobs import Knobs, LogUniform, Uniform, knob
from kd_core.knowledge import Batch, Knowledge, Need
from kd_core.lazy import F, torch
from kd_core.losses import cross_entropies_MB, cross_entropy, divergences_MB, opposed_MB, teacher_means
from kd_core.methods.method import Method
from kd_core.methods.setting import Loss, Setting


class CAMKD(Method):
    @dataclass(frozen=True)
    class Config(Knobs):
        ce: float = knob(1.0, "weight of the cross-entropy with the labels", low=0)
        alpha: float = knob(1.0, "weight of the divergence from the teachers", low=0, search=Uniform(0.1, 4))
        beta: float = knob(50.0, "weight of the hint loss", low=0, search=LogUniform(1, 500))
        temperature: float = knob(4.0, "softens both distributions", above=0, search=LogUniform(1, 16))
        reference_scale: bool = knob(False, "the public code's scale: 1 / M of the formula's")

    config: Config

    def __init__(self, config: Config, setting: Setting) -> None:
        super().__init__(config, setting)
        from kd_core.methods.modules.adapters import by_teacher, dense

        self.own = by_teacher(dense(setting.student.embedding, teacher.embedding) for teacher in setting.teachers)

    @staticmethod
    def needs(config: Config) -> frozenset[Need]:
        return frozenset({Need.LOGITS, Need.EMBEDDING, Need.HEADS})

    def forward(self, student: Knowledge, teachers: tuple[Knowledge, ...], batch: Batch, progress: float) -> Loss:
        config = self.config
        adapted = [adapter(student.embedding_BD) for adapter in self.own.children()]
        pairs = zip(adapted, teachers, strict=True)
        hint_MB = torch.stack([(adapted_BD - teacher.embedding_BD).square().mean(1) for adapted_BD, teacher in pairs])
        with torch.no_grad():
            read = zip(self.setting.heads, adapted, strict=True)
            own_MB = torch.stack([F.cross_entropy(head(each_BD), batch.labels_B, reduction="none") for head, each_BD in read])
            weight_MB = opposed_MB(torch.softmax(cross_entropies_MB(teachers, batch.labels_B), 0))
            hint_weight_MB = opposed_MB(torch.softmax(own_MB, 0))
        scale = 1 / len(teachers) if config.reference_scale else 1.0
        divergence = (weight_MB * divergences_MB(teachers, student, config.temperature)).sum(0).mean()
        terms = {
            "ce": config.ce * cross_entropy(student.logits_BK, batch.labels_B),
            "kl": scale * config.alpha * divergence,
            "hint": scale * config.beta * (hint_weight_MB * hint_MB).sum(0).mean(),
        }
        return Loss(terms, teacher_means("weight", weight_MB) | teacher_means("hint_weight", hint_weight_MB))
