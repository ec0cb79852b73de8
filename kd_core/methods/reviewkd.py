"""ReviewKD, distillation via knowledge review (Chen et al. 2021, arXiv 2104.09044).

From the deepest stage to the shallowest, the student's stage (1×1 convolution to a common width) is fused with what comes from
deeper by two attention maps, and brought to the teacher's channels by a 3×3 convolution: R_l. The pooled embedding is the
deepest stage, of size 1×1.

    HCL(a, b) = Σ_s ω_s · MSE(pool_s a, pool_s b) / Σ_s ω_s, s = full, 4, 2, 1 below the full size, ω = 1, ½, ¼, …
    L = ce · CE + ramp · β · (1/M) Σ_t Σ_l HCL(R_l, F_t,l)

F_t are the teacher's stages before the activation in which they end, as in the public code; ``before: false`` takes them behind
it. ramp = min(1, (epoch + 1) / warmup), epochs counted from 0. The paper tunes β between 0.6 and 8 for every pair.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kd_core.knobs import Knobs, LogUniform, knob
from kd_core.knowledge import Batch, Knowledge, Need
from kd_core.lazy import F
from kd_core.losses import at_common_size, label_loss, match_stages, pooled, risen
from kd_core.methods.method import Method
from kd_core.methods.setting import Loss, Setting

if TYPE_CHECKING:
    from torch import Tensor

MAX_WIDTH = 512


def hierarchical_distance(one_BCHW: Tensor, other_BCHW: Tensor) -> Tensor:
    """HCL: mean squared distance at several sizes, the coarser the less."""
    one_BCHW, other_BCHW = at_common_size(one_BCHW, other_BCHW)
    distance, weight, weights = F.mse_loss(one_BCHW, other_BCHW), 1.0, 1.0
    for size in (4, 2, 1):
        if size < one_BCHW.shape[2]:
            weight /= 2
            weights += weight
            distance = distance + weight * F.mse_loss(pooled(one_BCHW, (size, size)), pooled(other_BCHW, (size, size)))
    return distance / weights


class ReviewKD(Method):
    version = 2  # 1 took the teacher's stages behind the ReLU, and drew its convolutions as torch does

    @dataclass(frozen=True)
    class Config(Knobs):
        ce: float = knob(1.0, "weight of the cross-entropy with the labels", low=0)
        beta: float = knob(1.0, "weight of the review", low=0, search=LogUniform(0.3, 10))
        before: bool = knob(True, "the teacher's stages are taken before the activation in which each ends")
        warmup: int = knob(20, "epochs over which the review rises to its weight", low=0)

    config: Config

    def __init__(self, config: Config, setting: Setting) -> None:
        super().__init__(config, setting)
        from kd_core.methods.modules.adapters import by_teacher
        from kd_core.methods.modules.fusion import Review

        student = setting.student
        inputs = [*(channels for channels, _, _ in student.stages), student.embedding]
        self.matches = [match_stages(student.sizes, teacher.sizes) for teacher in setting.teachers]
        outputs = [
            [*(teacher.stages[match][0] for match in matches), teacher.embedding]
            for teacher, matches in zip(setting.teachers, self.matches, strict=True)
        ]
        self.own = by_teacher(Review(inputs, widths, min(MAX_WIDTH, student.embedding)) for widths in outputs)

    @staticmethod
    def needs(config: Config) -> frozenset[Need]:
        return frozenset({Need.FEATURES, Need.BEFORE} if config.before else {Need.FEATURES})

    def forward(self, student: Knowledge, teachers: tuple[Knowledge, ...], batch: Batch, progress: float) -> Loss:
        config = self.config
        ramp = risen(batch.epoch, config.warmup)
        total = student.logits_BK.new_zeros(())
        for teacher, matches, review in zip(teachers, self.matches, self.own.children(), strict=True):
            reviewed = review((*student.features, student.embedding_BD[..., None, None]))
            stages = teacher.before if config.before else teacher.features
            targets = (*(stages[match] for match in matches), teacher.embedding_BD[..., None, None])
            for reviewed_BCHW, target_BCHW in zip(reviewed, targets, strict=True):
                total = total + hierarchical_distance(reviewed_BCHW, target_BCHW)
        return Loss(
            {
                "ce": config.ce * label_loss(student.logits_BK, batch),
                "review": ramp * config.beta * total / len(teachers),
            }
        )
