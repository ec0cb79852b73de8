"""The stages of a network that was not written in stages, found in the graph of its forward pass.

A stage is a module, called once, whose output is a feature map

- through which everything flows: no path from the input to the output passes it by, so it is no inside of a residual branch,
- at the outermost module boundary of its resolution: ``features.3`` rather than ``features.4.conv.0``, whose expanded
  channels still have that resolution,
- and of several such, the last.

Resolution is counted in halvings of the input, log₂(input side / map side) rounded, so that 147 and 149 pixels of 299 are one.
Maps of a single position, and what adaptive pooling makes, are not feature maps any more.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

import torch
from torch import Tensor, fx, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.passes.fake_tensor_prop import FakeTensorProp

SIDE = 224  # of the images that such networks are made for; some take no other


@dataclass(frozen=True)
class Stage:
    """The path of the module whose output is the stage's feature map, and how the axes of that output lie."""

    path: str
    layout: str  # BCHW, BHWC, or of tokens BPD

    def features(self, output: Tensor) -> Tensor:
        """The module's output as a map BCHW, or as tokens BPD."""
        return output.permute(0, 3, 1, 2) if self.layout == "BHWC" else output


def find_stages(body: nn.Module) -> tuple[Stage, ...]:
    """The stages of ``body``, shallow to deep."""
    training = body.training
    graph = fx.Tracer().trace(body.eval())
    mode = FakeTensorMode(allow_non_fake_inputs=True)  # shapes only: nothing is computed
    FakeTensorProp(fx.GraphModule(body, graph), mode).propagate(torch.zeros(1, 3, SIDE, SIDE))
    body.train(training)

    # of every node the calls that it is made in, outermost first, each with the path (and type) of the module called
    inside = {node: node.meta.get("nn_module_stack", {}) for node in graph.nodes}
    last_in = {call: node for node, calls in inside.items() for call in calls}
    times = Counter({call: path for calls in inside.values() for call, (path, _) in calls.items()}.values())

    found: dict[int, Stage] = {}  # by resolution
    for node in _bottlenecks(graph):
        layout, side = _layout(node.meta.get("val"))
        path = next((call for call in inside[node] if times[call] == 1 and last_in[call] is node), None)
        if path is None or side < 2 or isinstance(body.get_submodule(path), nn.AdaptiveAvgPool2d):
            continue
        resolution = round(math.log2(SIDE / side))
        if resolution not in found or path.count(".") <= found[resolution].path.count("."):
            found[resolution] = Stage(path, layout)
    return tuple(found.values())


def _bottlenecks(graph: fx.Graph) -> list[fx.Node]:
    """The nodes that every path from the input to the output passes, in order."""
    order = {node: index for index, node in enumerate(graph.nodes)}
    found = []
    reached: set[fx.Node] = set()  # what depends on the input
    furthest = 0  # the last node that reads any of them
    for node in graph.nodes:
        if node.op != "placeholder" and reached.isdisjoint(node.all_input_nodes):
            continue
        reached.add(node)
        if order[node] >= furthest:
            found.append(node)
        furthest = max([furthest, *(order[user] for user in node.users)])
    return found


def _layout(value: object) -> tuple[str, int]:
    """How the axes of a square feature map lie, and its side; ("", 0) for anything else."""
    shape = tuple(value.shape) if isinstance(value, Tensor) else ()
    if len(shape) == 4 and shape[2] == shape[3]:
        return "BCHW", shape[2]
    if len(shape) == 4 and shape[1] == shape[2]:
        return "BHWC", shape[1]
    return "", 0
