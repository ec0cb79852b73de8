"""Functions that several methods share. Pure; every one takes and returns tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kd_core.lazy import F, torch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from torch import Tensor, nn

    from kd_core.knowledge import Batch, Knowledge, NetworkShape


def cross_entropy(logits_BK: Tensor, labels_B: Tensor) -> Tensor:
    """Mean cross-entropy with the labels, in nats."""
    return F.cross_entropy(logits_BK, labels_B)


def label_loss(logits_BK: Tensor, batch: Batch) -> Tensor:
    """Mean cross-entropy with the batch's labels, in nats: smoothed (Szegedy et al. 2016, arXiv 1512.00567, section 7) and, of
    mixed images, with both labels at their shares (Zhang et al. 2018, arXiv 1710.09412)."""
    if batch.mixed is None:
        return F.cross_entropy(logits_BK, batch.labels_B, label_smoothing=batch.smoothing)
    partners_B, share_B = batch.mixed
    own_B, other_B = (
        F.cross_entropy(logits_BK, labels_B, reduction="none", label_smoothing=batch.smoothing)
        for labels_B in (batch.labels_B, partners_B)
    )
    return (share_B * own_B + (1 - share_B) * other_B).mean()


def risen(epoch: int, warmup: int) -> float:
    """min(1, (epoch + 1) / warmup), epochs counted from 0: the share of its weight that a term has; 1 without a warm-up."""
    return min(1.0, (epoch + 1) / warmup) if warmup else 1.0


def kl_divergence_B(target_BK: Tensor, logits_BK: Tensor, temperature: float | Tensor) -> Tensor:
    """T² · KL(σ(target/T) ‖ σ(logits/T)) of every sample (Hinton et al. 2015, arXiv 1503.02531, section 2)."""
    log_target = F.log_softmax(target_BK / temperature, dim=1)
    log_student = F.log_softmax(logits_BK / temperature, dim=1)
    return temperature**2 * (log_target.exp() * (log_target - log_student)).sum(1)


def kl_divergence(target_BK: Tensor, logits_BK: Tensor, temperature: float) -> Tensor:
    """The batch mean of :func:`kl_divergence_B`."""
    return kl_divergence_B(target_BK, logits_BK, temperature).mean()


def stable_BK(logits_BK: Tensor, decoded: tuple[Tensor, ...]) -> Tensor:
    """The mean of a teacher's logits and those decoded from its codes (stable excitation of MGD, arXiv 2108.06681)."""
    return torch.stack([logits_BK, *decoded]).mean(0)


def divergences_MB(teachers: tuple[Knowledge, ...], student: Knowledge, temperature: float) -> Tensor:
    """:func:`kl_divergence_B` of every teacher."""
    return torch.stack([kl_divergence_B(teacher.logits_BK, student.logits_BK, temperature) for teacher in teachers])


def cross_entropies_MB(teachers: tuple[Knowledge, ...], labels_B: Tensor) -> Tensor:
    """Cross-entropy of every teacher with the labels, of every sample."""
    return torch.stack([F.cross_entropy(teacher.logits_BK, labels_B, reduction="none") for teacher in teachers])


def opposed_MB(share_MB: Tensor) -> Tensor:
    """(1 − share) / (M − 1): weights that sum to 1 over the teachers where the shares do; a teacher alone has weight 1."""
    if share_MB.shape[0] == 1:
        return torch.ones_like(share_MB)
    return (1 - share_MB) / (share_MB.shape[0] - 1)


def teacher_means(name: str, value_MB: Tensor) -> dict[str, Tensor]:
    """The batch mean of every teacher, as curves ``name/teacher<index>``."""
    return {f"{name}/teacher{teacher}": mean for teacher, mean in enumerate(value_MB.mean(1))}


def pooled(features_BCHW: Tensor, size: tuple[int, int]) -> Tensor:
    """Adaptive average pooling to ``size`` (H, W); nothing where that is the size.

    A GPU has no deterministic gradient of it, so the usual sizes, which divide one another, go other ways to the same numbers.
    """
    batch, channels, height, width = features_BCHW.shape
    if (height, width) == size:
        return features_BCHW
    if height % size[0] == 0 and width % size[1] == 0:
        return F.avg_pool2d(features_BCHW, (height // size[0], width // size[1]))
    if size[0] % height == 0 and size[1] % width == 0:  # every value is repeated
        repeats = (-1, -1, -1, size[0] // height, -1, size[1] // width)
        return features_BCHW[:, :, :, None, :, None].expand(repeats).reshape(batch, channels, *size)
    return F.adaptive_avg_pool2d(features_BCHW, size)


def resized(features_BCHW: Tensor, size: tuple[int, int]) -> Tensor:
    """Feature maps at ``size`` (H, W): averaged where it is smaller in both directions, else interpolated bilinearly."""
    height, width = features_BCHW.shape[2:]
    if height >= size[0] and width >= size[1]:
        return pooled(features_BCHW, size)
    return F.interpolate(features_BCHW, size, mode="bilinear")


def at_common_size(one_BCHW: Tensor, other_BCHW: Tensor) -> tuple[Tensor, Tensor]:
    """Both, pooled to the smaller height and the smaller width of the two."""
    size = (min(one_BCHW.shape[2], other_BCHW.shape[2]), min(one_BCHW.shape[3], other_BCHW.shape[3]))
    return pooled(one_BCHW, size), pooled(other_BCHW, size)


def attention_map_BP(attention_BHW: Tensor, size: tuple[int, int]) -> Tensor:
    """An attention map brought to ``size`` (H, W) by average pooling, flattened, divided by its L2 norm."""
    return F.normalize(pooled(attention_BHW[:, None], size).flatten(1), dim=1)


def attention_at_BHW(knowledge: Knowledge, stage: int, size: tuple[int, int]) -> Tensor:
    """Spatial attention of a stage whose feature map is brought to ``size`` (H, W) by average pooling and squared then, as in
    Tian et al. 2020. A map that was kept in place of the features is averaged itself: the same at its own size alone."""
    if knowledge.maps:
        return pooled(knowledge.maps[stage][:, None], size)[:, 0]
    return pooled(knowledge.features[stage], size).square().mean(1)


def attention_distance(student: Knowledge, stage: int, teacher: Knowledge, match: int) -> Tensor:
    """Mean over samples and positions of (Q_s − Q_t)² of a student's and a teacher's stage, at the smaller of their two sizes
    (Zagoruyko & Komodakis 2017, eq. 2)."""
    (height, width), (other_height, other_width) = student.size(stage), teacher.size(match)
    size = (min(height, other_height), min(width, other_width))
    maps = (attention_at_BHW(each, which, size) for each, which in ((student, stage), (teacher, match)))
    student_BP, teacher_BP = (attention_map_BP(map_BHW, size) for map_BHW in maps)
    return (student_BP - teacher_BP).square().mean()


BY_SIZE, BY_ORDER = MATCHINGS = ("size", "order")


def need_neighbours(method: str, student: NetworkShape) -> None:
    """Raises:
    ValueError: of a student with one stage, for a method that compares neighbouring ones.
    """
    if len(student.stages) < 2:
        raise ValueError(f"`{method}` compares neighbouring stages, of which a student of one stage has none")


def match_stages(
    student: tuple[tuple[int, int], ...], teacher: tuple[tuple[int, int], ...], by: str = BY_SIZE
) -> tuple[int, ...]:
    """For every stage of the student the teacher's stage that it learns from. Sizes are listed shallow to deep.

    Stages of equal spatial size (H, W) belong together; of several equal ones the last. Where no size is equal, the stage at
    the same relative depth. By order, as public code has it, the n-th belongs to the n-th; what the longer network has beyond
    that learns, or teaches, nothing.
    """
    if by == BY_ORDER:
        return tuple(range(min(len(student), len(teacher))))
    matched = []
    for depth, size in enumerate(student):
        equal = [stage for stage, other in enumerate(teacher) if other == size]
        relative = round((depth + 1) / len(student) * len(teacher)) - 1
        matched.append(equal[-1] if equal else max(relative, 0))
    return tuple(matched)


def paired(
    adapters: nn.ModuleDict,
    matches: Sequence[Sequence[int]],
    student: Sequence[Tensor],
    teachers: Iterable[Sequence[Tensor]],
) -> Iterator[list[tuple[Tensor, Tensor]]]:
    """For each teacher, what the student's stages say, brought to the widths of those that they learn from by ``adapters``
    (:func:`kd_core.methods.modules.adapters.to_widths`), and what these say (BCHW)."""
    for teacher, of_teacher, adapt in zip(teachers, matches, adapters.children(), strict=True):
        layers = zip(adapt.children(), student, of_teacher, strict=True)
        yield [(layer(own_BCHW), teacher[match]) for layer, own_BCHW, match in layers]
