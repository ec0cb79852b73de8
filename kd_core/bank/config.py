"""The knobs of the knowledge bank."""

from __future__ import annotations

from dataclasses import dataclass

from kd_core.bank.storage import FP16, PRECISIONS, Storage
from kd_core.data.table import DataConfig
from kd_core.knobs import Knobs, knob
from kd_core.knowledge import Need


@dataclass(frozen=True)
class BankConfig(Knobs):
    """The knowledge bank: what frozen teachers say, computed once for all students."""

    mode: str = knob("auto", "auto: where it pays and fits; on: wherever it fits; off: never", choices=("auto", "on", "off"))
    shared_by: int = knob(
        1, "auto: how many students share what a teacher says; their epochs together must be worth filling a bank", low=1
    )
    limit_gib: float = knob(16.0, "largest size of all the banks together that one student reads, GiB", above=0)
    precision: str = knob(
        FP16, "how they are kept: fp16 with a scale for each view (relative error below 0.0005), or fp32", choices=PRECISIONS
    )

    top: int | None = knob(
        None,
        "logits kept of each view, the largest, and the mass of the rest; for methods that take no more than a softmax at one "
        "temperature; null: all",
        low=1,
    )

    def storage(self, need: Need, data: DataConfig, temperature: float | None) -> Storage:
        """How a kind of knowledge is kept for a student who takes a softmax of logits at this temperature."""
        if need == Need.LOGITS and self.cuts(data):
            return Storage(self.precision, self.top, temperature)
        return Storage(self.precision)

    def cuts(self, data: DataConfig) -> bool:
        """Whether not all logits are kept."""
        return self.top is not None and self.top < data.info.classes - 1
