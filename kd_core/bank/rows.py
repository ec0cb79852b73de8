"""The rows of a bank's tensors: what is said of one view of one image, packed to be kept and unpacked to be read.

In fp16 a row x is kept as half precision numbers h and a power of two s, x ≈ s · h, where s brings the largest |x| of the row
into [2¹⁴, 2¹⁵). So nothing overflows however large it is, and every number down to 2⁻²⁸ of the row's largest keeps the 11 bits
of half precision: |x − s · h| ≤ 2⁻¹¹ |x|. In fp32 a row is kept as it is.

Of many logits z the k largest can be kept, with one number for all others:

    r = T · ln(1 / (K − k) · Σ over the others of exp(z / T))

Read again, every class that was not kept has the logit r. So at temperature T the k largest probabilities and the sum m of all
others are what they were, and m is spread evenly: the distribution is off by at most m in total variation, and the gradient of
T² · KL(teacher ‖ student) at the student's logits by at most 2 · T · m in the L1 norm.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from kd_core.bank.storage import FP16, LARGEST_INT16, Storage

SCALE = ".scale"  # ends the name of the tensor that holds s, in bfloat16, which has the exponents of fp32
CLASSES = ".classes"  # of the tensor that holds which logits were kept
REST = ".rest"  # of the tensor that holds r, in float32
BESIDE = (SCALE, CLASSES, REST)
TOP_EXPONENT = 15  # the largest number of a row comes to lie just below 2¹⁵; half precision ends at 65,504
SMALLEST = 2.0**-100  # a row that is all smaller, as one of zeros, is scaled as if this were its largest


def packed(name: str, rows: Tensor, precision: str) -> dict[str, Tensor]:
    """Rows (B, …) as they are kept, by the names of the tensors that hold them."""
    if precision != FP16:
        return {name: rows.float()}
    rows = rows.float()
    _, exponent_B = torch.frexp(rows.abs().flatten(1).amax(1).clamp(min=SMALLEST))
    scale_B = torch.ldexp(torch.ones_like(exponent_B, dtype=torch.float32), exponent_B - TOP_EXPONENT).bfloat16()
    return {name: (rows / _beside(scale_B, rows)).half(), name + SCALE: scale_B}


def packed_top(name: str, logits_BK: Tensor, storage: Storage) -> dict[str, Tensor]:
    """The largest logits (BK) of every row as they are kept, with their classes and what stands for the others."""
    assert storage.top is not None
    assert storage.temperature is not None
    logits_BK = logits_BK.float()
    classes = logits_BK.shape[1]
    largest_Bk, classes_Bk = logits_BK.topk(storage.top)
    others_BK = logits_BK.scatter(1, classes_Bk, -torch.inf) / storage.temperature
    rest_B = storage.temperature * (others_BK.logsumexp(1) - math.log(classes - storage.top))
    index = torch.int16 if classes <= LARGEST_INT16 else torch.int32
    return packed(name, largest_Bk, storage.precision) | {name + CLASSES: classes_Bk.to(index), name + REST: rest_B}


def unpacked(kept: Mapping[str, Tensor], classes: int) -> dict[str, Tensor]:
    """The rows (B, …) of float32 that were kept, by their own names; K ``classes`` where not all logits were."""
    found = {}
    for name, rows in kept.items():
        if not name.endswith(BESIDE):
            scale_B, classes_Bk = kept.get(name + SCALE), kept.get(name + CLASSES)
            found[name] = rows.float() if scale_B is None else rows.float() * _beside(scale_B, rows)
            if classes_Bk is not None:
                rest_BK = kept[name + REST][:, None].repeat(1, classes)
                found[name] = rest_BK.scatter_(1, classes_Bk.long(), found[name])
    return found


def _beside(scale_B: Tensor, rows: Tensor) -> Tensor:
    return scale_B.float().view(-1, *[1] * (rows.ndim - 1))
