"""Plain training with the labels: L = CE. Teachers are trained by it, and it is the control of every comparison."""

from __future__ import annotations

from kd_core.knobs import Knobs
from kd_core.knowledge import Batch, Knowledge, Need
from kd_core.losses import label_loss
from kd_core.methods.method import Method
from kd_core.methods.setting import Loss


class Plain(Method):
    Config = Knobs

    @staticmethod
    def needs(config: Knobs) -> frozenset[Need]:
        return frozenset()

    def forward(self, student: Knowledge, teachers: tuple[Knowledge, ...], batch: Batch, progress: float) -> Loss:
        return Loss({"ce": label_loss(student.logits_BK, batch)})
