"""Small networks' worth of knowledge to feed methods with: four samples, three classes, tiny stages."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from kd_core.knowledge import ABSENT, Batch, Knowledge, Need, NetworkShape
from kd_core.methods.method import Method
from kd_core.methods.modules.analyser import Analyser
from kd_core.methods.modules.analysis_config import AnalysisConfig
from kd_core.methods.setting import Setting
from kd_core.methods.table import METHODS

CLASSES = 3
ANALYSIS = AnalysisConfig(codes=(3, 5), temperatures=(2.0, 8.0))
SAMPLES = 12  # N
STUDENT = NetworkShape(stages=((4, 8, 8), (6, 4, 4), (8, 2, 2)), embedding=8, classes=CLASSES)
WIDER = NetworkShape(stages=((8, 8, 8), (12, 4, 4), (16, 2, 2)), embedding=16, classes=CLASSES)
DEEPER = NetworkShape(stages=((4, 8, 8), (5, 8, 8), (6, 4, 4), (10, 2, 2)), embedding=10, classes=CLASSES)
TRANSFORMER = NetworkShape(stages=((5, 8), (5, 8), (5, 8)), embedding=8, classes=CLASSES)  # a class token and 2 × 2 patches
COARSER = NetworkShape(stages=((4, 4, 4), (6, 4, 4), (12, 2, 2)), embedding=12, classes=CLASSES)


def setting_of(*teachers: NetworkShape, student: NetworkShape = STUDENT) -> Setting:
    """Random frozen heads and analysers, and distinct probe accuracies, for each teacher."""
    generator = torch.Generator().manual_seed(7)
    heads = []
    for teacher in teachers:
        head = nn.Linear(teacher.embedding, teacher.classes).requires_grad_(False)
        head.weight.normal_(generator=generator)
        head.bias.normal_(generator=generator)
        heads.append(head)
    probes = tuple(tuple(torch.rand(len(teacher.stages), generator=generator).tolist()) for teacher in teachers)
    analysers = tuple(analyser_of(teacher, generator) for teacher in teachers)
    return Setting(student, teachers, torch.arange(SAMPLES) % CLASSES, probes, tuple(heads), analysers)


def analyser_of(teacher: NetworkShape, generator: torch.Generator) -> Analyser:
    analyser = Analyser(ANALYSIS, teacher.embedding, teacher.classes).requires_grad_(False)
    for parameter in analyser.parameters():
        parameter.normal_(generator=generator)
    return analyser


def knowledge_of(shape: NetworkShape, seed: int, samples: int = 4) -> Knowledge:
    """Maps like those behind a ReLU, or tokens, and logits and embedding that have nothing to do with them."""
    generator = torch.Generator().manual_seed(seed)
    before = tuple(torch.randn(samples, *stage, generator=generator) for stage in shape.stages)
    features = tuple(each.relu() for each in before)
    logits_BK = 2 * torch.randn(samples, shape.classes, generator=generator)
    embedding_BD = torch.randn(samples, shape.embedding, generator=generator).relu()
    head = nn.Linear(shape.embedding, shape.classes)
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.normal_(generator=generator)
    if len(shape.stages[-1]) == 2:
        return Knowledge(logits_BK, before, embedding_BD, head=head)
    noise_BCHW = torch.randn(samples, shape.embedding, *shape.sizes[-1], generator=generator)
    last_BCHW = embedding_BD[:, :, None, None] + noise_BCHW - noise_BCHW.mean((2, 3), keepdim=True)
    return Knowledge(logits_BK, features, embedding_BD, last_BCHW, head, before)


def under_views(knowledge: Knowledge, *others: Knowledge) -> Knowledge:
    """The same network on a batch of several views."""
    return replace(knowledge, others=others)


def leaves(knowledge: Knowledge) -> list[Tensor]:
    """Its tensors, as the student's outputs that a loss is differentiated by."""
    last = [] if knowledge.last_BCHW is ABSENT else [knowledge.last_BCHW]
    others = [tensor for other in knowledge.others for tensor in leaves(other)]
    return [knowledge.logits_BK, *knowledge.features, knowledge.embedding_BD, *last, *knowledge.before, *others]


def as_student(knowledge: Knowledge) -> Knowledge:
    """A copy whose tensors ask for gradients."""
    return of_leaves([tensor.clone().requires_grad_() for tensor in leaves(knowledge)], knowledge)


def of_leaves(tensors: list[Tensor], like: Knowledge) -> Knowledge:
    """The inverse of :func:`leaves`, of a knowledge like this one."""
    if like.others:
        count = len(leaves(replace(like, others=())))
        each = [tensors[begin : begin + count] for begin in range(0, len(tensors), count)]
        first, *others = (of_leaves(own, replace(like, others=())) for own in each)
        return under_views(first, *others)
    logits_BK, *features = tensors
    before = [features.pop() for _ in like.before][::-1]
    last_BCHW = ABSENT if like.last_BCHW is ABSENT else features.pop()
    embedding_BD = features.pop()
    return Knowledge(logits_BK, tuple(features), embedding_BD, last_BCHW, like.head, tuple(before))


def as_needed(knowledge: Knowledge, needs: frozenset[Need]) -> Knowledge:
    """What a teacher says to a method of these needs, and no more."""
    if knowledge.others:
        return under_views(*(as_needed(view, needs) for view in (replace(knowledge, others=()), *knowledge.others)))
    if Need.FEATURES in needs:
        return knowledge
    maps = tuple(knowledge.attention_BHW(stage) for stage in range(knowledge.stages))
    return Knowledge(
        logits_BK=knowledge.logits_BK if Need.LOGITS in needs else ABSENT,
        embedding_BD=knowledge.embedding_BD if Need.EMBEDDING in needs else ABSENT,
        maps=maps if Need.ATTENTION in needs else (),
    )


def batch_of(samples: int = 4, epoch: int = 0) -> Batch:
    """The first samples of the split, with labels 0, 1, 2, 0, …"""
    indices_B = torch.arange(samples)
    return Batch(torch.zeros(samples, 1, 8, 8), indices_B % CLASSES, indices_B, torch.zeros_like(indices_B), epoch)


def make(name: str, setting: Setting, **knobs: object) -> Method:
    """The method of that name, its own parameters drawn from a fixed seed."""
    return made(METHODS[name], setting, **knobs)


def made(method: type[Method], setting: Setting, **knobs: object) -> Method:
    """A method, its own parameters drawn from a fixed seed."""
    torch.manual_seed(0)
    config = method.Config(**knobs)
    needs = method.needs(config)
    return method(
        config,
        Setting(
            setting.student,
            setting.teachers,
            setting.labels_N,
            setting.probes if Need.PROBES in needs else (),
            setting.heads if Need.HEADS in needs else (),
            setting.analysers if Need.ANALYSES in needs else (),
        ),
    )
