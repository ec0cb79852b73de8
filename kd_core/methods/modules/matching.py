"""The attention of AFD: which stages of the student speak of what a stage of the teacher speaks of."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from kd_core.knowledge import Knowledge, NetworkShape
from kd_core.losses import attention_map_BP
from kd_core.methods.modules.adapters import dense


class StageMatching(nn.Module):
    """Queries of one teacher's stages, keys of the student's, a bilinear form (normalised over batch and stages) and positions
    between them."""

    def __init__(self, student: NetworkShape, teacher: NetworkShape, dimension: int) -> None:
        super().__init__()
        self.scale = math.sqrt(dimension)
        self.queries = nn.ModuleList(dense(channels, dimension) for channels, _, _ in teacher.stages)
        self.keys = nn.ModuleList(nn.Sequential(dense(channels, dimension), nn.ReLU()) for channels, _, _ in student.stages)
        self.bilinear = dense(dimension, len(teacher.stages) * dimension)
        self.position_TQ = nn.Parameter(nn.init.xavier_normal_(torch.empty(len(teacher.stages), dimension)))
        self.position_SQ = nn.Parameter(nn.init.xavier_normal_(torch.empty(len(student.stages), dimension)))

    def attention_BTS(self, student: Knowledge, teacher: Knowledge) -> Tensor:
        """α: how much each of the teacher's T stages attends to each of the student's S stages; sums to 1 over S."""
        query_BTQ = torch.stack([layer(f.mean((2, 3))) for layer, f in zip(self.queries, teacher.features, strict=True)], 1)
        key_BSQ = torch.stack([layer(f.mean((2, 3))) for layer, f in zip(self.keys, student.features, strict=True)], 1)
        asked_BSTQ = self.bilinear(key_BSQ.flatten(0, 1)).unflatten(0, key_BSQ.shape[:2]).unflatten(2, query_BTQ.shape[1:])
        logit_BTS = torch.einsum("bstq,btq->bts", asked_BSTQ, query_BTQ) + self.position_TQ @ self.position_SQ.T
        return torch.softmax(logit_BTS / self.scale, 2)

    def forward(self, student: Knowledge, teacher: Knowledge) -> Tensor:
        """Σ_t mean over x of Σ_s α_ts · mean over p of (Q_s − Q_t)², at the size of the teacher's stage."""
        attention_BTS = self.attention_BTS(student, teacher)
        total = attention_BTS.new_zeros(())
        for stage, features_BCHW in enumerate(teacher.features):
            size = (features_BCHW.shape[2], features_BCHW.shape[3])
            target_BP = attention_map_BP(teacher.attention_BHW(stage), size)
            for source in range(student.stages):
                distance_B = (attention_map_BP(student.attention_BHW(source), size) - target_BP).square().mean(1)
                total = total + (attention_BTS[:, stage, source] * distance_B).mean()
        return total
