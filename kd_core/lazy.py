"""torch, imported at its first use.

Importing torch takes seconds. The tables of methods, models and data sets must be readable without it (``kd plan`` and
``kd list`` answer at once), and yet every method keeps its knobs beside its formula. So method files take torch from here.
Files that define ``nn.Module`` classes import torch itself and are imported only when something is built.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from torch import nn
    from torch.nn import functional as F
else:

    class _Lazy:
        def __init__(self, name: str) -> None:
            self._name = name

        def __getattr__(self, attribute: str) -> Any:
            return getattr(importlib.import_module(self._name), attribute)

    torch = _Lazy("torch")
    nn = _Lazy("torch.nn")
    F = _Lazy("torch.nn.functional")

__all__ = ["F", "nn", "torch"]
