"""A network that somebody else has written, observed at the submodules that they name."""

from __future__ import annotations

from torch import Tensor, nn

from kd_core.models.info import ModelInfo
from kd_core.models.network import Network
from kd_core.models.wrapped import Wrapped, overheard


class Staged(Wrapped):
    """Its stages end at the outputs (BCHW or BPD) of the submodules at ``ends``; what the head reads is its embedding BD."""

    def __init__(self, body: nn.Module, head_name: str, ends: tuple[str, ...]) -> None:
        super().__init__(body, head_name, ends)

    def extract_features(self, images_BCHW: Tensor) -> tuple[tuple[Tensor, ...], Tensor]:
        with overheard(self.body, self.stage_names) as outputs:
            embedding_BD = self.body(images_BCHW)
        return tuple(outputs[end] for end in self.stage_names), embedding_BD


def staged(name: str, info: ModelInfo, *, channels: int, classes: int) -> Network:
    """The network of a plugin's entry.

    Raises:
        ValueError: where ``make`` gives no module, or ``stages`` and ``head`` name no submodules of it.
    """
    assert info.make
    made = info.make(channels=channels, classes=classes, **info.arguments)
    if isinstance(made, Network):
        return made
    if not isinstance(made, nn.Module):
        raise ValueError(f"the model {name}: `make` must give a module of torch, but gave a {type(made).__name__}")
    if not info.stages:
        raise ValueError(f"the model {name}: `make` gives no Network, so its entry must name `stages` and `head`")
    known = dict(made.named_modules())
    if missing := [path for path in (*info.stages, info.head) if path not in known]:
        raise ValueError(f"the model {name} has no submodule {missing[0]!r}; it has {', '.join(filter(None, known))}")
    if not isinstance(known[info.head], nn.Linear):
        raise ValueError(
            f"the model {name}: its head {info.head!r} must be a Linear, but is a {type(known[info.head]).__name__}"
        )
    return Staged(made, info.head, info.stages)
