"""Functions that several methods share. Pure; every one takes and returns tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kd_core.lazy import F, torch

if TYPE_CHECKING:
    from torch import Tensor

    from kd_core.knowledge import Knowledge


def cross_entropy(logits_BK: Tensor, labels_B: Tensor) -> Tensor:
    """Mean cross-entropy with the labels, in nats."""
    return F.cross_entropy(logits_BK, labels_B)


def kl_divergence_B(target_BK: Tensor, logits_BK: Tensor, temperature: float) -> Tensor:
    """T² · KL(σ(target/T) ‖ σ(logits/T)) of every sample (Hinton et al. 2015, arXiv 1503.02531, section 2)."""
    log_target = F.log_softmax(target_BK / temperature, dim=1)
    log_student = F.log_softmax(logits_BK / temperature, dim=1)
    return temperature**2 * (log_target.exp() * (log_target - log_student)).sum(1)


def kl_divergence(target_BK: Tensor, logits_BK: Tensor, temperature: float) -> Tensor:
    """The batch mean of :func:`kl_divergence_B`."""
    return kl_divergence_B(target_BK, logits_BK, temperature).mean()


def mean_kl_divergence(teachers: tuple[Knowledge, ...], student: Knowledge, temperature: float) -> Tensor:
    """The mean of :func:`kl_divergence` over the teachers."""
    return torch.stack([kl_divergence(teacher.logits_BK, student.logits_BK, temperature) for teacher in teachers]).mean()


def attention_map_BP(attention_BHW: Tensor, size: tuple[int, int]) -> Tensor:
    """An attention map brought to ``size`` (H, W) by average pooling, flattened, divided by its L2 norm."""
    if tuple(attention_BHW.shape[1:]) != size:
        attention_BHW = F.adaptive_avg_pool2d(attention_BHW[:, None], size)[:, 0]
    return F.normalize(attention_BHW.flatten(1), dim=1)


def attention_distance(student_BHW: Tensor, teacher_BHW: Tensor) -> Tensor:
    """Mean over samples and positions of (Q_s − Q_t)², at the smaller of the two sizes (Zagoruyko & Komodakis 2017, eq. 2)."""
    size = (min(student_BHW.shape[1], teacher_BHW.shape[1]), min(student_BHW.shape[2], teacher_BHW.shape[2]))
    return (attention_map_BP(student_BHW, size) - attention_map_BP(teacher_BHW, size)).square().mean()


def match_stages(student: tuple[tuple[int, int], ...], teacher: tuple[tuple[int, int], ...]) -> tuple[int, ...]:
    """For every stage of the student the teacher's stage that it learns from.

    Stages of equal spatial size (H, W) belong together; of several equal ones the last. Where no size is equal, the stage at
    the same relative depth. Sizes are listed shallow to deep.
    """
    matched = []
    for depth, size in enumerate(student):
        equal = [stage for stage, other in enumerate(teacher) if other == size]
        relative = round((depth + 1) / len(student) * len(teacher)) - 1
        matched.append(equal[-1] if equal else max(relative, 0))
    return tuple(matched)
