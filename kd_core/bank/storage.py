"""How a bank keeps what a teacher says of a view: which kinds of it, in which numbers, in how many bytes. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass

from kd_core.data.table import DataConfig
from kd_core.knobs import Knobs, knob
from kd_core.knowledge import Need
from kd_core.models.info import ModelInfo

KEPT = frozenset({Need.LOGITS, Need.EMBEDDING, Need.ATTENTION})
LARGEST_EMBEDDING = 2048  # D of the widest common network, for those of which it is only known once they are built
GIB = 2**30

FP16, FP32 = PRECISIONS = ("fp16", "fp32")
NUMBER = {FP16: 2, FP32: 4}  # bytes
SCALE = {FP16: 2, FP32: 0}  # bytes for each tensor of a view, whatever its size: see kd_core.bank.rows
REST = 4  # bytes for what stands for the logits that are not kept
LARGEST_INT16 = 2**15


@dataclass(frozen=True)
class Storage(Knobs):
    """In which numbers a bank is kept. What two students read alike is one bank."""

    precision: str = knob(FP16, "of the numbers; fp16 has a scale for each row: see kd_core.bank.rows", choices=PRECISIONS)

    top: int | None = knob(None, "logits that are kept of each row, the largest; null: all", low=1, later=True)
    temperature: float | None = knob(None, "top: at which the mass of the rest is kept", above=0, later=True)

    def called(self, need: Need) -> str:
        """What a bank of a kind is called: ``logits``, ``20 logits at temperature 4``."""
        if self.top is None:
            return need.value
        return f"{self.top} {need.value} at temperature {str(self.temperature).removesuffix('.0')}"  # every digit of it

    def row_bytes(self, need: Need, data: DataConfig, teacher: ModelInfo) -> int:
        """Bytes for one view of one image. Of a teacher of which too little is known without building it, from above."""
        if self.top is not None:
            index = 2 if data.info.classes <= LARGEST_INT16 else 4
            return self.top * (NUMBER[self.precision] + index) + SCALE[self.precision] + REST
        sizes = tensor_sizes(need, data, teacher)
        return sum(sizes) * NUMBER[self.precision] + len(sizes) * SCALE[self.precision]

    def bank_bytes(self, need: Need, data: DataConfig, teacher: ModelInfo) -> int:
        """Bytes of the whole bank of one kind of knowledge of one teacher; of endless views none."""
        return data.images * data.views * self.row_bytes(need, data, teacher)


def tensor_sizes(need: Need, data: DataConfig, teacher: ModelInfo) -> list[int]:
    """How many numbers there are in each tensor that is kept of one view of one image."""
    info = data.info
    if need == Need.LOGITS:
        return [info.classes]
    if need == Need.EMBEDDING:
        return [teacher.embedding or LARGEST_EMBEDDING]
    if teacher.strides:
        return [(info.size // stride) ** 2 for stride in teacher.strides]
    return [info.size**2 * 4 // 3]  # maps halve in size from stage to stage
