"""KDSVD, "Self-supervised knowledge distillation using singular value decomposition" (Lee et al. 2018, ECCV).

Of a stage's map as a matrix of P positions × C channels, V are its first k right singular vectors and σ their singular values,
divided by their L2 norm. Each of the teacher's V is compared with that of the student's first k + 3 that is most like it,
turned to its side; both are weighted with the teacher's σ. What is learnt is how neighbouring stages correlate:

    R_l[i, j, n] = exp(−(V_l[i, n] − V_{l−1}[j, n])² / 8)
    L = ce · CE + β · (1/M) Σ_t Σ_{l > 1} mean over x of Σ over i, j and n of (R_{s,l} − R_{t,l})²

k = 1 and the 8 are those of Tian et al.'s public code. Ours: a vector of the teacher points where its sum is positive, since a
decomposition may give it either way; the gradient of a vector leaves out those whose singular value is the same, where
public code has it infinite; stages of unequal widths are brought to the teacher's by 1×1 convolutions.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from kd_core.knobs import Knobs, LogUniform, knob
from kd_core.knowledge import Batch, Knowledge, Need
from kd_core.lazy import F, torch
from kd_core.losses import label_loss, match_stages, need_neighbours, paired
from kd_core.methods.method import Method
from kd_core.methods.setting import Loss, Setting

if TYPE_CHECKING:
    from torch import Tensor

MORE = 3  # vectors of the student, among which one is looked for that is like the teacher's
WIDTH = 8.0  # of the kernel


def right_vectors(features_BCHW: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The first right singular vectors BCN, of the map as P × C, and their singular values BN; at most C of them.

    They are eigenvectors of the channels' products. Their derivative is dv_n = Σ_m v_m (v_mᵀ dA v_n) / (λ_n − λ_m), written out
    here, because torch's own is not a number where two of the others are equal, as are those of channels that are silent.
    """
    rows_BCP = features_BCHW.flatten(2)
    product_BCC = rows_BCP @ rows_BCP.transpose(1, 2)
    value_BC, vector_BCC = torch.linalg.eigh(product_BCC.detach())
    value_BC, vector_BCC = value_BC.flip(1), vector_BCC.flip(2)
    value_BN, vector_BCN = value_BC[:, :count], vector_BCC[:, :, :count]
    change_BCC = product_BCC - product_BCC.detach()  # 0, with a gradient
    gap_BMN = value_BN[:, None] - value_BC[:, :, None]
    apart_BMN = gap_BMN.abs() > 1e-6 * value_BC[:, :1, None].clamp(min=1e-12)
    turned_BMN = vector_BCC.transpose(1, 2) @ change_BCC @ vector_BCN
    share_BMN = torch.where(apart_BMN, turned_BMN / torch.where(apart_BMN, gap_BMN, 1.0), 0.0)
    return vector_BCN + vector_BCC @ share_BMN, value_BN.clamp(min=0).sqrt()


def aligned(student_BCM: Tensor, teacher_BCN: Tensor) -> Tensor:
    """For each vector of the teacher the student's that is most alike, turned to its side (BCN)."""
    alike_BMN = student_BCM.transpose(1, 2) @ teacher_BCN
    best_BN = alike_BMN.detach().abs().argmax(1)
    chosen_BCN = torch.gather(student_BCM, 2, best_BN[:, None].expand(-1, student_BCM.shape[1], -1))
    side_BN = torch.gather(alike_BMN.detach(), 1, best_BN[:, None])[:, 0]
    return chosen_BCN * torch.where(side_BN < 0, -1.0, 1.0)[:, None]


def correlation(shallow_BCN: Tensor, deep_BDN: Tensor) -> Tensor:
    """R of two neighbouring stages (BDCN)."""
    return torch.exp(-(deep_BDN[:, :, None] - shallow_BCN[:, None]).square() / WIDTH)


class KDSVD(Method):
    @dataclass(frozen=True)
    class Config(Knobs):
        ce: float = knob(1.0, "weight of the cross-entropy with the labels", low=0)
        beta: float = knob(1.0, "weight of the correlations", low=0, search=LogUniform(0.1, 100))
        vectors: int = knob(1, "k, singular vectors of a teacher's stage", low=1)

    config: Config

    def __init__(self, config: Config, setting: Setting) -> None:
        """As of every method.

        Raises:
            ValueError: of a student with one stage, which has no neighbours.
        """
        super().__init__(config, setting)
        from kd_core.methods.modules.adapters import to_widths

        need_neighbours("kdsvd", setting.student)
        self.matches = [match_stages(setting.student.sizes, teacher.sizes) for teacher in setting.teachers]
        self.own = self.adapters = to_widths(setting.student, setting.teachers, self.matches)

    @staticmethod
    def needs(config: Config) -> frozenset[Need]:
        return frozenset({Need.FEATURES})

    def forward(self, student: Knowledge, teachers: tuple[Knowledge, ...], batch: Batch, progress: float) -> Loss:
        pairs_by_teacher = paired(self.adapters, self.matches, student.features, [teacher.features for teacher in teachers])
        distances = [self._distance(pairs) for pairs in pairs_by_teacher]
        return Loss(
            {
                "ce": self.config.ce * label_loss(student.logits_BK, batch),
                "correlation": self.config.beta * torch.stack(distances).mean(),
            }
        )

    def _distance(self, pairs: list[tuple[Tensor, Tensor]]) -> Tensor:
        stages = []
        for own_BCHW, target_BCHW in pairs:
            with torch.no_grad():
                target_BCN, value_BN = right_vectors(target_BCHW, self.config.vectors)
                target_BCN = target_BCN * torch.where(target_BCN.sum(1, keepdim=True) < 0, -1.0, 1.0)
                weight_B1N = F.normalize(value_BN, dim=1)[:, None]
            own_BCM, _ = right_vectors(own_BCHW, self.config.vectors + MORE)
            stages.append((weight_B1N * aligned(own_BCM, target_BCN), weight_B1N * target_BCN))
        total = pairs[0][0].new_zeros(())
        for (shallow_BCN, shallow_target_BCN), (deep_BDN, deep_target_BDN) in pairwise(stages):
            difference = correlation(shallow_BCN, deep_BDN) - correlation(shallow_target_BCN, deep_target_BDN)
            total = total + difference.square().flatten(1).sum(1).mean()
        return total
