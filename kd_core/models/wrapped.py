"""A network of another library in the shape of ours."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from functools import partial

from torch import Tensor, nn

from kd_core.knowledge import Knowledge
from kd_core.models.network import Network


class Wrapped(Network, ABC):
    """A classifier split into its last linear layer, the ``head``, and all that is before it, the ``body``.

    Parameters keep the library's names behind ``body.``; those of the head, which it calls ``head_name``, are ``head.weight``
    and ``head.bias``.
    """

    def __init__(self, classifier: nn.Module, head_name: str, stage_names: tuple[str, ...]) -> None:
        nn.Module.__init__(self)  # body and head stand for the stem, stages and neck of the other networks
        head = classifier.get_submodule(head_name)
        assert isinstance(head, nn.Linear)
        classifier.set_submodule(head_name, nn.Identity())
        self.body = classifier
        self.head = head
        self.head_name = head_name
        self.stage_names = stage_names

    @abstractmethod
    def extract_features(self, images_BCHW: Tensor) -> tuple[tuple[Tensor, ...], Tensor]:
        """What every stage says, a map BCHW or tokens BPD, and the embedding BD that the head reads."""

    def observe(self, images_BCHW: Tensor, *, before: bool = False) -> Knowledge:
        """Before which activations its stages end is not known: features stand for what is asked of that."""
        features, embedding_BD = self.extract_features(images_BCHW)
        given = features if before else ()
        return Knowledge(logits_BK=self.head(embedding_BD), features=features, embedding_BD=embedding_BD, before=given)


@contextlib.contextmanager
def overheard(body: nn.Module, paths: Iterable[str]) -> Iterator[dict[str, Tensor]]:
    """What the submodules at these paths put out in the forward passes meanwhile, by path."""
    outputs: dict[str, Tensor] = {}
    hooks = [body.get_submodule(path).register_forward_hook(partial(_keep, outputs, path)) for path in paths]
    try:
        yield outputs
    finally:
        for hook in hooks:
            hook.remove()


def _keep(outputs: dict[str, Tensor], path: str, module: nn.Module, inputs: object, output: Tensor) -> None:
    outputs[path] = output
