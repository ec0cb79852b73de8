"""CRD, contrastive representation distillation (Tian et al. 2020, arXiv 1910.10699).

Of sample i, v_s and v_t are linear maps of the two embeddings to d dimensions, of norm 1; m_s and m_t are memories of such
vectors of all N training samples. i's own entry is the positive, J entries of other classes are the negatives.

    P(v, j) = exp(v · m_j / τ) / Z            Z: N times the mean of the first batch, then constant
    h(v, j) = P / (P + J / N)
    c(v) = −ln h(v, i) − Σ_j ln(1 − h(v, j))
    L = ce · CE + β · (1/M) Σ_t mean over i of c(v_s against m_t) + c(v_t against m_s)
    m_i ← momentum · m_i + (1 − momentum) · v_i, divided by its norm

Negatives are drawn on the device, a pure function of a salt (drawn at initialisation), the epoch, the index and the draw.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kd_core.knobs import IntUniform, Knobs, LogUniform, knob
from kd_core.knowledge import Batch, Knowledge, Need
from kd_core.lazy import nn, torch
from kd_core.losses import label_loss
from kd_core.methods.method import Method
from kd_core.methods.setting import Loss, Setting

if TYPE_CHECKING:
    from torch import Tensor

EPSILON = 1e-7  # of the public code


def contrast(probability_BJ: Tensor, samples: int) -> Tensor:
    """The mean of c, from P of the positive (first column) and of the J negatives."""
    noise = (probability_BJ.shape[1] - 1) / samples
    positive_B = probability_BJ[:, 0] / (probability_BJ[:, 0] + noise + EPSILON)
    negative_BJ = noise / (probability_BJ[:, 1:] + noise + EPSILON)
    return -(positive_B.log().sum() + negative_BJ.log().sum()) / len(probability_BJ)


class CRD(Method):
    @dataclass(frozen=True)
    class Config(Knobs):
        ce: float = knob(1.0, "weight of the cross-entropy with the labels", low=0)
        beta: float = knob(0.8, "weight of the contrastive loss", low=0, search=LogUniform(0.05, 5))
        dimension: int = knob(128, "d, of the space in which embeddings are compared", low=1, search=IntUniform(32, 256))
        negatives: int = knob(16_384, "J, negatives of each sample", low=1)
        tau: float = knob(0.07, "temperature", above=0, search=LogUniform(0.02, 0.5))
        momentum: float = knob(0.5, "how much of a memory's entry stays", low=0, below=1)

    config: Config

    def __init__(self, config: Config, setting: Setting) -> None:
        super().__init__(config, setting)
        from kd_core.methods.modules.adapters import by_teacher
        from kd_core.methods.modules.memory import Memory, Negatives

        self.samples = samples = len(setting.labels_N)
        widths = [(setting.student.embedding, teacher.embedding) for teacher in setting.teachers]
        self.negatives = Negatives(setting.labels_N, setting.student.classes)
        self.memories = [tuple(Memory(samples, width, config.dimension) for width in pair) for pair in widths]
        self.own = nn.ModuleDict({"negatives": self.negatives, "memories": by_teacher(map(nn.ModuleList, self.memories))})

    @staticmethod
    def needs(config: Config) -> frozenset[Need]:
        return frozenset({Need.EMBEDDING})

    @staticmethod
    def mixable(config: Config) -> bool:
        """No: a memory holds one embedding for each image, and a mixed one is of two."""
        return False

    def forward(self, student: Knowledge, teachers: tuple[Knowledge, ...], batch: Batch, progress: float) -> Loss:
        config, indices_B = self.config, batch.indices_B
        drawn_BJ = torch.cat([indices_B[:, None], self.negatives(batch, config.negatives)], 1)
        losses = []
        for teacher, (of_student, of_teacher) in zip(teachers, self.memories, strict=True):
            student_BD, teacher_BD = of_student.unit(student.embedding_BD), of_teacher.unit(teacher.embedding_BD)
            against_teacher_BJ = of_teacher.probabilities(student_BD, drawn_BJ, config.tau)
            against_student_BJ = of_student.probabilities(teacher_BD, drawn_BJ, config.tau)
            losses.append(contrast(against_teacher_BJ, self.samples) + contrast(against_student_BJ, self.samples))
            of_student.update(indices_B, student_BD, config.momentum)
            of_teacher.update(indices_B, teacher_BD, config.momentum)
        return Loss(
            {
                "ce": config.ce * label_loss(student.logits_BK, batch),
                "contrast": config.beta * torch.stack(losses).mean(),
            }
        )
