"""A first experiment: how much of it fits into a time, and the YAML that says so."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kd_core.data.table import DATASETS, DataConfig
from orchestrator.planning.schedule import Machine

FULL = 240  # epochs: the recipe of the literature
FEW = 20  # epochs that are not gone below: images are left out before
IMAGES = 10  # of a class, at least
TRAINING = 0.6  # of the time; the rest is for what starts, probes, tests and waits
TIME = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(s|m|min|h|d)[a-z]*\s*", re.IGNORECASE)
UNITS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400}


@dataclass(frozen=True)
class Wish:
    """What a first experiment is to be about."""

    name: str
    data: str
    teachers: tuple[str, ...]
    students: tuple[str, ...]
    methods: tuple[str, ...]
    seeds: int
    seconds: float  # that there are


@dataclass(frozen=True)
class Size:
    """How much fits: epochs, and images of the training split, where not all do. ``short``: not even the least does."""

    epochs: int
    images: int | None = None
    short: bool = False


def seconds(text: str) -> float:
    """30 min, 2h, 1.5 h, 1 day in seconds.

    Raises:
        ValueError: where it is no time.
    """
    if not (found := TIME.fullmatch(text)) or not float(found[1]):
        raise ValueError(f"{text!r} is no time; write 30min, 2h or 1d")
    return float(found[1]) * UNITS[found[2].lower()]


def fitting(wish: Wish, speeds: Mapping[str, float], machine: Machine) -> Size:
    """The epochs and images that fit.

    Args:
        speeds: seconds per image of a training step, by model; a teacher that is asked takes a third of it.
    """
    teachers = [speeds[model] for model in wish.teachers]
    asked = sum(teachers) / 3
    each = [speeds[model] + (0 if method == "none" else asked) for model in wish.students for method in wish.methods]
    jobs = teachers + each * wish.seeds
    lanes = min(len(jobs), max(1, int(2 * machine.gpus or machine.cpus)))
    step = max(sum(jobs) / lanes, max(teachers) + max(each))  # seconds for an epoch of one image
    data = DataConfig(wish.data)
    affordable = TRAINING * wish.seconds / step  # epochs × images
    if (epochs := int(affordable / data.images)) >= FEW:
        return Size(min(FULL, epochs))
    least = IMAGES * data.info.classes
    images = max(least, _rounded(affordable / FEW))
    return Size(max(1, min(FEW, int(affordable / images))), images, short=affordable < FEW * least)


def written(wish: Wish, size: Size, speeds: Mapping[str, float], machine: Machine, file: str) -> str:
    """The experiment's YAML, with what each part is for."""
    measured = ", ".join(f"{model} {1 / speed:,.0f}" for model, speed in speeds.items())
    share = ("gpus: 1", "gpus: 0.5") if machine.gpus else ("", "")
    cpus = max(1, int(machine.cpus / max(1, 2 * machine.gpus))) if machine.gpus else 1
    recipe = f"{{epochs: {size.epochs}, batch_size: {32 if (size.images or 1000) < 1000 else 64}, lr: 0.05}}"
    own = f"  train_size: {size.images}".ljust(25) + "# so many images fit into the time; without this line, all are used\n"
    methods = "".join(f"    - {method}\n" for method in wish.methods if method != "none")
    return f"""\
# {_listed(wish.teachers)} teach {_listed(wish.students)} on {wish.data}. Written by kd init, {time.strftime("%Y-%m-%d")}.
#
# Look first:   kd plan {file}
# Run:          kd run {file}          kill it whenever you like: the same command goes on
# Meanwhile:    kd status {file} --watch
# Afterwards:   kd report {file} --format html -o {wish.name}.html
#
# Time:         meant for about {_told(wish.seconds)} on {machine}
# Measured:     images a second in training, on one {"GPU" if machine.gpus else "core"}: {measured}
name: {wish.name}

data:
  name: {wish.data.ljust(17)}# kd list datasets tells the others
{own if size.images else ""}  download: true         # into the folder data/, where it is not there

teachers:                # each is trained once, and shared by all students
  models: [{", ".join(wish.teachers)}]
  recipe: {recipe}

students:
  models: [{", ".join(wish.students)}]
  seeds: {list(range(wish.seeds))}       # a mean needs several, and a difference of a point often ten
  methods:
    - none               # plain training: what the others are compared with
{methods}  recipe: {recipe}
                         # kd list methods NAME tells a method's knobs; as in - kd: {{temperature: [2, 4]}}, lists multiply out

resources:               # what one job gets; as many run at once as there is room for
  teacher: {{{", ".join(filter(None, (f"cpus: {cpus}", share[0])))}}}
  student: {{{", ".join(filter(None, (f"cpus: {cpus}", share[1])))}}}
"""


def _rounded(number: float) -> int:
    """Down, to two digits that count."""
    step = 10 ** max(0, len(str(int(number))) - 2)
    return int(number // step * step)


def known_data() -> list[str]:
    """The data sets that need no more than their name."""
    return [name for name, info in DATASETS.items() if None not in info.own.values()]


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _told(seconds: float) -> str:
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:g} {unit}"
    return f"{seconds:g} s"
