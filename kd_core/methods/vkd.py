"""VkD, distillation by orthogonal projections (Miles et al. 2024, CVPR, arXiv 2403.06213).

    L = ce · CE + α · (1/M) Σ_t SmoothL1(P_t e_s, LN(e_t)) + γ · (1/M) Σ_t KL_T(z_t ‖ z_s)

e is the pooled embedding, LN the layer normalisation without parameters, and P_t the student's projection into the teacher's
space, whose columns stay orthonormal (rows, where the teacher's embedding is the narrower one): it can turn what the student
says, but neither stretch it nor learn in its place. Weights 1 and T = 1 are the public code's. Ours: a student that is a
transformer is projected by its class token, where the public code has the mean of its patches and a token of its own for the
divergence; the mean over several teachers.
"""

from __future__ import annotations

from dataclasses import dataclass

from kd_core.knobs import Knobs, LogUniform, knob
from kd_core.knowledge import Batch, Knowledge, Need
from kd_core.lazy import F, torch
from kd_core.losses import divergences_MB, label_loss
from kd_core.methods.method import Method
from kd_core.methods.setting import Loss, Setting


class VkD(Method):
    @dataclass(frozen=True)
    class Config(Knobs):
        ce: float = knob(1.0, "weight of the cross-entropy with the labels", low=0)
        alpha: float = knob(1.0, "weight of the distance between embeddings", low=0, search=LogUniform(0.1, 100))
        gamma: float = knob(1.0, "weight of the divergence", low=0, search=LogUniform(0.1, 10))
        temperature: float = knob(1.0, "softens both distributions of that", above=0, search=LogUniform(0.5, 8))

    config: Config

    def __init__(self, config: Config, setting: Setting) -> None:
        super().__init__(config, setting)
        from kd_core.methods.modules.adapters import by_teacher, orthogonal

        self.own = by_teacher(orthogonal(setting.student.embedding, teacher.embedding) for teacher in setting.teachers)

    @staticmethod
    def needs(config: Config) -> frozenset[Need]:
        return frozenset({Need.EMBEDDING, Need.LOGITS})

    def forward(self, student: Knowledge, teachers: tuple[Knowledge, ...], batch: Batch, progress: float) -> Loss:
        config = self.config
        distances = [
            F.smooth_l1_loss(project(student.embedding_BD), F.layer_norm(teacher.embedding_BD, teacher.embedding_BD.shape[1:]))
            for project, teacher in zip(self.own.children(), teachers, strict=True)
        ]
        return Loss(
            {
                "ce": config.ce * label_loss(student.logits_BK, batch),
                "embedding": config.alpha * torch.stack(distances).mean(),
                "kl": config.gamma * divergences_MB(teachers, student, config.temperature).mean(),
            }
        )
