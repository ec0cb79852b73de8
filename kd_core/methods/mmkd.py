"""MMKD, weights by meta-learning (Zhang et al. 2023, arXiv 2306.06634): teachers are weighed by what helps on hard samples.

    w(x), v(x) = softmax of two small perceptrons of what all networks say of x: of their logits, of their embeddings
    L = ce · CE + α · mean over x of Σ_t w_t · KL_T(z_t ‖ z_s) + β · mean over x of Σ_t v_t · mean over d of (r_t(e_s) − e_t)²

Every ``every`` steps the perceptrons are trained on a buffer of the hardest samples of the last batches. In the paper the
student takes a trial step on them and its cross-entropy after it is differentiated through the step. Ours takes the trial
step where the student's outputs are, not its weights, which needs no second backward pass through the student:

    ẑ = z_s − η (ce · (σ(z_s) − y) + α Σ_t w_t · ∂KL_T(z_t ‖ z_s) / ∂z_s)
    ê = e_s − η β Σ_t v_t · ∂(mean over d of (r_t(e_s) − e_t)²) / ∂e_s
    meta loss = mean over hard x of CE(ẑ, y) + (1/M) Σ_t CE(W_t r_t(ê), y)

W_t is teacher t's classifier. Hard samples are remembered by what was said of them, not by their images. Ours, too: the hint is
the pooled embedding, and the second perceptron reads unit embeddings (the public code: rows of the batch's Gram matrices of the
last feature maps, which ties it to one batch size).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from kd_core.knobs import Knobs, LogUniform, Uniform, knob
from kd_core.knowledge import Batch, Knowledge, Need
from kd_core.lazy import F, nn, torch
from kd_core.losses import divergences_MB, label_loss, teacher_means
from kd_core.methods.method import Method
from kd_core.methods.setting import Loss, Setting

if TYPE_CHECKING:
    from torch import Tensor


class MMKD(Method):
    version = 2  # 1 had adapters without a ReLU, and no penalty on the perceptrons
    exempt: ClassVar[Mapping[str, str]] = {"device": "it counts its steps, and decides by the count whether to learn"}

    @dataclass(frozen=True)
    class Config(Knobs):
        ce: float = knob(1.0, "weight of the cross-entropy with the labels", low=0)
        alpha: float = knob(1.0, "weight of the divergence from the teachers", low=0, search=Uniform(0.1, 4))
        beta: float = knob(100.0, "weight of the hint loss", low=0, search=LogUniform(1, 1000))
        temperature: float = knob(4.0, "softens both distributions", above=0, search=LogUniform(1, 16))
        every: int = knob(5, "steps between two meta steps", low=1)
        buffer: int = knob(256, "hard samples that are remembered", low=1)
        hard: float = knob(0.25, "the share of a batch, by cross-entropy, that counts as hard", above=0, high=1)
        trial: float = knob(0.1, "length η of the trial step", above=0, search=LogUniform(0.01, 1))
        meta_decay: float = knob(1e-4, "L2 penalty on the perceptrons", low=0)
        meta_lr: float = knob(1e-3, "learning rate of the perceptrons (Adam)", above=0, search=LogUniform(1e-4, 1e-2))

    config: Config

    def __init__(self, config: Config, setting: Setting) -> None:
        super().__init__(config, setting)
        from kd_core.methods.modules.adapters import by_teacher, dense, positive
        from kd_core.methods.modules.learner import Learner
        from kd_core.methods.modules.meta import HardBuffer, TeacherWeights

        student, teachers = setting.student, setting.teachers
        self.adapters = by_teacher(positive(dense(student.embedding, teacher.embedding)) for teacher in teachers)
        self.of_logits = TeacherWeights(student.classes, [teacher.classes for teacher in teachers])
        self.of_hints = TeacherWeights(student.embedding, [teacher.embedding for teacher in teachers])
        perceptrons = nn.ModuleDict({"logits": self.of_logits, "hints": self.of_hints})
        self.learner = Learner(perceptrons, config.meta_lr, config.meta_decay)
        widths = {"logits": student.classes, "embedding": student.embedding}
        widths |= {f"logits of teacher{index}": teacher.classes for index, teacher in enumerate(teachers)}
        widths |= {f"embedding of teacher{index}": teacher.embedding for index, teacher in enumerate(teachers)}
        self.hard = HardBuffer(config.buffer, widths)
        self.own = nn.ModuleDict({"adapters": self.adapters, "learner": self.learner, "hard": self.hard})
        self.own.register_buffer("step", torch.zeros((), dtype=torch.long))

    @staticmethod
    def needs(config: Config) -> frozenset[Need]:
        return frozenset({Need.LOGITS, Need.EMBEDDING, Need.HEADS})

    def trainable(self) -> Iterator[nn.Parameter]:
        return self.adapters.parameters()

    def forward(self, student: Knowledge, teachers: tuple[Knowledge, ...], batch: Batch, progress: float) -> Loss:
        config = self.config
        embeddings = [teacher.embedding_BD for teacher in teachers]
        with torch.no_grad():
            weight_MB = self.of_logits(student.logits_BK, [teacher.logits_BK for teacher in teachers])
            hint_weight_MB = self._hint_weights_MB(student.embedding_BD, embeddings)
        hint_MB = torch.stack(self._hints(student.embedding_BD, embeddings))
        divergence = (weight_MB * divergences_MB(teachers, student, config.temperature)).sum(0).mean()
        terms = {
            "ce": config.ce * label_loss(student.logits_BK, batch),
            "kl": config.alpha * divergence,
            "hint": config.beta * (hint_weight_MB * hint_MB).sum(0).mean(),
        }
        self._remember(student, teachers, batch)
        step = self.own.get_buffer("step").add_(1)
        if step.item() % config.every == 0:
            self.learner.step(self._meta_loss())
        return Loss(terms, teacher_means("weight", weight_MB) | teacher_means("hint_weight", hint_weight_MB))

    def _hint_weights_MB(self, student_BD: Tensor, teachers: list[Tensor]) -> Tensor:
        weights_MB: Tensor = self.of_hints(
            F.normalize(student_BD, dim=1), [F.normalize(teacher_BD, dim=1) for teacher_BD in teachers]
        )
        return weights_MB

    def _hints(self, student_BD: Tensor, teachers: list[Tensor]) -> list[Tensor]:
        """Each teacher's squared distance from the adapted embedding, B."""
        pairs = zip(self.adapters.values(), teachers, strict=True)
        return [(adapter(student_BD) - teacher_BD).square().mean(1) for adapter, teacher_BD in pairs]

    def _remember(self, student: Knowledge, teachers: tuple[Knowledge, ...], batch: Batch) -> None:
        """Put the hardest samples of the batch into the buffer."""
        loss_B = F.cross_entropy(student.logits_BK.detach(), batch.labels_B, reduction="none")
        count = min(max(round(self.config.hard * len(loss_B)), 1), self.config.buffer)
        hardest_B = loss_B.topk(count).indices
        rows = {"logits": student.logits_BK, "embedding": student.embedding_BD}
        rows |= {f"logits of teacher{index}": teacher.logits_BK for index, teacher in enumerate(teachers)}
        rows |= {f"embedding of teacher{index}": teacher.embedding_BD for index, teacher in enumerate(teachers)}
        self.hard.put(batch.labels_B[hardest_B], {name: row.detach()[hardest_B] for name, row in rows.items()})

    def _meta_loss(self) -> Tensor:
        teachers = range(len(self.setting.teachers))
        labels_B, logits_BK, embedding_BD = self.hard.rows("labels", "logits", "embedding")
        logits_MBK = self.hard.rows(*(f"logits of teacher{index}" for index in teachers))
        embeddings = self.hard.rows(*(f"embedding of teacher{index}" for index in teachers))
        was_training = self.adapters.training
        self.adapters.eval()  # the buffer is not a batch to normalise over
        moved_BK = self._tried_logits_BK(labels_B, logits_BK, logits_MBK)
        moved_BD = self._tried_embedding_BD(embedding_BD, embeddings)
        read = [head(adapter(moved_BD)) for head, adapter in zip(self.setting.heads, self.adapters.values(), strict=True)]
        self.adapters.train(was_training)
        loss_B = F.cross_entropy(moved_BK, labels_B, reduction="none")
        losses_MB = torch.stack([F.cross_entropy(each_BK, labels_B, reduction="none") for each_BK in read])
        present_B = self.hard.present()
        return ((loss_B + losses_MB.mean(0)) * present_B).sum() / present_B.sum()

    def _tried_logits_BK(self, labels_B: Tensor, student_BK: Tensor, teachers: list[Tensor]) -> Tensor:
        """ẑ."""
        config, heat = self.config, self.config.temperature
        student_soft_BK = torch.softmax(student_BK / heat, 1)
        pulls_MBK = torch.stack([heat * (student_soft_BK - torch.softmax(teacher_BK / heat, 1)) for teacher_BK in teachers])
        of_labels_BK = torch.softmax(student_BK, 1) - F.one_hot(labels_B, student_BK.shape[1])
        of_teachers_BK: Tensor = (self.of_logits(student_BK, teachers)[..., None] * pulls_MBK).sum(0)
        return student_BK - config.trial * (config.ce * of_labels_BK + config.alpha * of_teachers_BK)

    def _tried_embedding_BD(self, student_BD: Tensor, teachers: list[Tensor]) -> Tensor:
        """ê."""
        leaf_BD = student_BD.clone().requires_grad_()
        pulls_MBD = torch.stack([torch.autograd.grad(hint_B.sum(), leaf_BD)[0] for hint_B in self._hints(leaf_BD, teachers)])
        weight_MB = self._hint_weights_MB(student_BD, teachers)
        return student_BD - self.config.trial * self.config.beta * (weight_MB[..., None] * pulls_MBD).sum(0)
