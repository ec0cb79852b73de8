"""A plugin as a stranger would write it: a method, a model, a data set and an evaluation."""

from __future__ import annotations

METHOD = '''"""Mine: the mean squared difference of logits."""

from dataclasses import dataclass

from kd_core.knobs import Knobs, LogUniform, knob
from kd_core.knowledge import Need
from kd_core.losses import label_loss
from kd_core.methods.method import Method
from kd_core.methods.setting import Loss


class Mine(Method):
    @dataclass(frozen=True)
    class Config(Knobs):
        weight: float = knob(0.5, "of the difference", low=0, search=LogUniform(0.1, 2))
        ce: float = knob(1.0, "weight of the labels", low=0)

    @staticmethod
    def needs(config):
        return frozenset({Need.LOGITS})

    def forward(self, student, teachers, batch, progress):
        apart = sum((student.logits_BK - each.logits_BK).square().mean() for each in teachers) / len(teachers)
        ce = label_loss(student.logits_BK, batch)
        return Loss({"ce": self.config.ce * ce, "apart": self.config.weight * apart}, {"weight/mine": apart.detach()})


METHODS = {"mine": Mine}
'''
OTHERS = '''"""A model, a data set and an evaluation of mine."""

from dataclasses import dataclass

import torch
from torch import nn

from kd_core.data.given import ByIndex
from kd_core.data.table import DatasetInfo
from kd_core.evaluation.evaluation import Evaluation
from kd_core.knobs import Knobs, knob
from kd_core.models.info import ModelInfo


class Small(nn.Module):
    def __init__(self, channels, classes, width=4):
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(channels, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU())
        self.second = nn.Sequential(nn.Conv2d(width, 2 * width, 3, 2, 1), nn.BatchNorm2d(2 * width), nn.ReLU())
        self.fc = nn.Linear(2 * width, classes)

    def forward(self, x):
        return self.fc(self.second(self.first(x)).mean((2, 3)))


def squares(root, download):
    def part(seed, count):
        draw = torch.Generator().manual_seed(seed)
        labels = torch.arange(count) % 3
        images = torch.randint(0, 60, (count, 1, 8, 8), generator=draw, dtype=torch.uint8)
        for image, label in zip(images, labels.tolist()):
            image[0, 2 * label : 2 * label + 3, 2:6] += 150
        return images, labels

    images, labels = part(1, 60)
    return part(0, 150), ByIndex(labels.tolist(), lambda index: images[index])


class Surest(Evaluation):
    """How sure the student is on average."""

    @dataclass(frozen=True)
    class Config(Knobs):
        top: int = knob(1, "of so many classes", low=1)

    @staticmethod
    def numbers(config):
        return ("sureness",)

    @staticmethod
    def run(subject, splits, config):
        from kd_core.data.batches import plain_batches

        with torch.no_grad():
            sure = [
                subject.predict(batch.images_BCHW).softmax(1).topk(config.top).values.sum(1)
                for batch in plain_batches(splits, "test", subject.device)
            ]
        return {"sureness": torch.cat(sure).mean().item()}


MODELS = {"small": ModelInfo(description="two stages", make=Small, stages=("first", "second"), head="fc", smallest=4)}
DATASETS = {"squares": DatasetInfo(3, 1, 8, False, 150, "bright bars", read=squares)}
EVALUATIONS = {"surest": Surest}
'''
EXPERIMENT = """\
name: brought
plugins: [mine.py, others.py]
store: {store}
data: {{name: squares, validation: 0.2, root: {store}}}  # an absolute path, as kd submit asks for
teachers: {{models: [small, resnet8], recipe: {{epochs: 1, batch_size: 32}}}}
students:
  models: [small]
  methods:
    - none
    - mine
    - mgd: {{base: mine}}
    - logit_std: {{base: mine}}
    - mine: {{label: mine searched, search: auto}}
  recipe: {{epochs: 1, batch_size: 32}}
search: {{trials: 2, scheduler: none}}
analysis: {{epochs: 1}}
evaluations: {{surest: {{top: 2}}}}
resources: {{teacher: {{cpus: 1}}, student: {{cpus: 1}}}}
tracking: {{enabled: false}}
"""
