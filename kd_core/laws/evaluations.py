"""Laws of every evaluation, asked of a small student on handwritten digits."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from pathlib import Path

import torch

from kd_core.data.load import load
from kd_core.data.splits import Splits
from kd_core.data.table import DataConfig
from kd_core.evaluation.evaluation import Evaluation, Subject
from kd_core.laws.knobs import KNOB_LAWS
from kd_core.laws.law import Law, must
from kd_core.models.table import build


@dataclass(frozen=True)
class Case:
    """An evaluation with its defaults."""

    evaluation: type[Evaluation]

    def run(self, subject: Subject) -> dict[str, float]:
        return self.evaluation.run(subject, splits(), self.evaluation.Config())


@functools.cache
def splits() -> Splits:
    return load(DataConfig(name="digits", train_size=200), Path())


def student() -> Subject:
    torch.manual_seed(0)
    network = build("resnet8", channels=1, classes=10).eval()
    return Subject(network, network, "cpu")


def numbers_are_named(case: Case) -> None:
    named, found = case.evaluation.numbers(case.evaluation.Config()), case.run(student())
    must(named, "it names no numbers")
    must(tuple(found) == tuple(named), f"it names {', '.join(named)}, but answers {', '.join(found) or 'nothing'}")
    strange = sorted((case.evaluation.unscaled | case.evaluation.less_is_better) - set(named))
    must(not strange, f"`unscaled` and `less_is_better` name {', '.join(strange)}, which are no numbers of its")


def numbers_are_finite(case: Case) -> None:
    for name, value in case.run(student()).items():
        must(isinstance(value, (int, float)), f"`{name}` must be a number, but is a {type(value).__name__}")
        must(math.isfinite(value), f"`{name}` is {value}")
        scaled = name in case.evaluation.unscaled or 0 <= value <= 1
        must(scaled, f"`{name}` is {value:g}; what is no fraction in [0, 1] belongs into `unscaled`")


def same_again(case: Case) -> None:
    subject = student()
    first = case.run(subject)
    torch.manual_seed(99)
    second = case.run(subject)
    differing = [name for name in first if first[name] != second.get(name)]
    must(not differing, f"asked again, {', '.join(differing)} differ; draw from kd_core.random.generator")


def student_stays(case: Case) -> None:
    subject = student()
    before = {name: value.clone() for name, value in subject.network.state_dict().items()}
    case.run(subject)
    changed = [name for name, value in subject.network.state_dict().items() if not torch.equal(before[name], value)]
    must(not changed, f"it changes the student's {', '.join(changed[:3])}")
    must(not subject.network.training, "it leaves the student in training mode")


EVALUATION_LAWS: dict[str, Law] = {
    **{
        name: Law(law.statement, functools.partial(lambda check, case: check(case.evaluation), law.check))
        for name, law in KNOB_LAWS.items()
    },
    "numbers": Law("it answers the numbers that it names, in their order", numbers_are_named),
    "finite": Law("its numbers are finite, and fractions in [0, 1] where they are not `unscaled`", numbers_are_finite),
    "same again": Law("asked again it answers the same", same_again),
    "student": Law("the student stays as it is", student_stays),
}
