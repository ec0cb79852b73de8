"""MTKD-RL, weights by an agent (Yang et al. 2025, arXiv 2502.18510): reinforcement learning decides whom to hear.

Of teacher t and sample x, with r_t the student's adapted embedding and h_t = mean over d of (r_t − e_t)²:

    state     s_t = [cos(r_t, e_t), KL_T(z_t ‖ z_s), CE(z_t, y), e_t, z_t]
    action    a_t, b_t = softmax over t of two linear maps of ReLU(linear map of s_t to 128)
    weights   w_t = mean of a_t, (1 − softmax CE_t) / (M − 1) and (1 − softmax KL_t) / (M − 1)
              v_t = mean of b_t, (1 − softmax CE_t) / (M − 1) and (1 − softmax (1 − cos_t)) / (M − 1)
    L = ce · CE + α · mean over x of Σ_t w_t · KL_t + β · mean over x of Σ_t v_t · h_t
    reward    R_t = −(CE + α KL_t + β h_t), standardised over the batch and the teachers, clamped to [0, 1]
    agent     one step of Adam on −mean over x of Σ_t R_t · (ln a_t + ln b_t), after every batch

The weights are equal in the first ``warmup`` epochs. Ours: the pooled embedding as the feature; a reward for each teacher (the
public code gives all the weights of a sample one reward, under which Σ ln a is greatest at equal weights whatever the teachers
do); β, the learning rate and the moment of the agent's step.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kd_core.knobs import Knobs, LogUniform, Uniform, knob
from kd_core.knowledge import Batch, Knowledge, Need
from kd_core.lazy import F, nn, torch
from kd_core.losses import cross_entropies_MB, divergences_MB, label_loss, opposed_MB, teacher_means
from kd_core.methods.method import Method
from kd_core.methods.setting import Loss, Setting

if TYPE_CHECKING:
    from torch import Tensor


def rewards_MB(loss_MB: Tensor) -> Tensor:
    """Standardised −loss, clamped to [0, 1]: what is worse than the mean earns nothing."""
    return ((loss_MB.mean() - loss_MB) / (loss_MB.std(correction=0) + 1e-8)).clamp(0, 1)


class MTKDRL(Method):
    version = 2  # 1 had adapters without a ReLU

    @dataclass(frozen=True)
    class Config(Knobs):
        ce: float = knob(1.0, "weight of the cross-entropy with the labels", low=0)
        alpha: float = knob(1.0, "weight of the divergence from the teachers", low=0, search=Uniform(0.1, 4))
        beta: float = knob(5.0, "weight of the feature loss", low=0, search=LogUniform(0.1, 100))
        temperature: float = knob(4.0, "softens both distributions", above=0, search=LogUniform(1, 16))
        warmup: int = knob(1, "epochs with equal weights", low=0)
        width: int = knob(128, "hidden units of the agent", low=1)
        agent_lr: float = knob(1e-3, "learning rate of the agent (Adam)", above=0, search=LogUniform(1e-4, 1e-2))

    config: Config

    def __init__(self, config: Config, setting: Setting) -> None:
        super().__init__(config, setting)
        from kd_core.methods.modules.adapters import by_teacher, dense, positive
        from kd_core.methods.modules.learner import Learner
        from kd_core.methods.modules.policy import Policy

        self.adapters = by_teacher(
            positive(dense(setting.student.embedding, teacher.embedding)) for teacher in setting.teachers
        )
        states = [3 + teacher.embedding + teacher.classes for teacher in setting.teachers]
        self.policy = Policy(states, config.width)
        self.agent = Learner(self.policy, config.agent_lr)
        self.own = nn.ModuleDict({"adapters": self.adapters, "agent": self.agent})

    @staticmethod
    def needs(config: Config) -> frozenset[Need]:
        return frozenset({Need.LOGITS, Need.EMBEDDING})

    def trainable(self) -> Iterator[nn.Parameter]:
        return self.adapters.parameters()

    def forward(self, student: Knowledge, teachers: tuple[Knowledge, ...], batch: Batch, progress: float) -> Loss:
        config = self.config
        adapted = [adapter(student.embedding_BD) for adapter in self.adapters.values()]
        pairs = list(zip(adapted, (teacher.embedding_BD for teacher in teachers), strict=True))
        hint_MB = torch.stack([(adapted_BD - teacher_BD).square().mean(1) for adapted_BD, teacher_BD in pairs])
        divergence_MB = divergences_MB(teachers, student, config.temperature)
        label_MB = cross_entropies_MB(teachers, batch.labels_B)
        cosine_MB = torch.stack([F.cosine_similarity(adapted_BD, teacher_BD) for adapted_BD, teacher_BD in pairs]).detach()
        signals_MB3 = torch.stack([cosine_MB, divergence_MB.detach(), label_MB], 2)
        states = [
            torch.cat([signals_B3, teacher.embedding_BD, teacher.logits_BK], 1)
            for signals_B3, teacher in zip(signals_MB3, teachers, strict=True)
        ]
        log_actions_2MB = self.policy(states)
        gaps_2MB = torch.stack([divergence_MB.detach(), 1 - cosine_MB])
        weight_MB, hint_weight_MB = self._weights_2MB(log_actions_2MB.detach().exp(), label_MB, gaps_2MB, batch.epoch)
        terms = {
            "ce": config.ce * label_loss(student.logits_BK, batch),
            "kl": config.alpha * (weight_MB * divergence_MB).sum(0).mean(),
            "hint": config.beta * (hint_weight_MB * hint_MB).sum(0).mean(),
        }
        own_B = F.cross_entropy(student.logits_BK, batch.labels_B, reduction="none")
        reward_MB = rewards_MB((own_B + config.alpha * divergence_MB + config.beta * hint_MB).detach())
        self.agent.step(-(reward_MB * log_actions_2MB.sum(0)).sum(0).mean())
        return Loss(terms, teacher_means("weight", weight_MB) | teacher_means("hint_weight", hint_weight_MB))

    def _weights_2MB(self, actions_2MB: Tensor, label_MB: Tensor, gaps_2MB: Tensor, epoch: int) -> Tensor:
        """w and v: of the logits and of the features."""
        if epoch < self.config.warmup:
            return torch.full_like(actions_2MB, 1 / len(label_MB))
        confident_MB = opposed_MB(torch.softmax(label_MB, 0))
        near_2MB = torch.stack([opposed_MB(torch.softmax(gap_MB, 0)) for gap_MB in gaps_2MB])
        return (actions_2MB + confident_MB + near_2MB) / 3
