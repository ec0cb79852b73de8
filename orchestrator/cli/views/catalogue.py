"""What can be named in an experiment, in tables. Imports no torch."""

from __future__ import annotations

import dataclasses
import inspect
import re
import sys
from collections.abc import Iterator

import typer
from rich.console import RenderableType
from rich.text import Text

from kd_core.data.table import DATASETS
from kd_core.evaluation.evaluation import Evaluation
from kd_core.evaluation.table import EVALUATIONS
from kd_core.knobs import Choice, Distribution, IntUniform, Knobs, LogUniform
from kd_core.methods.method import Method
from kd_core.methods.table import METHODS
from kd_core.models.table import MODELS
from kd_core.published.ledger import CHOSEN_ON_TEST, PROTOCOLS, ledger
from orchestrator.cli.views.console import table
from orchestrator.cli.views.plan import knob
from orchestrator.experiment.problems import suggestion
from orchestrator.jobs import canonical
from orchestrator.planning.plan import written
from orchestrator.report.analysis.formatting import count


def models() -> Iterator[RenderableType]:
    made = table("model", "parameters", "smallest input", "", right=["parameters", "smallest input"], whole=["model"])
    for name, info in MODELS.items():
        size = f"{info.smallest}×{info.smallest}{'' if info.larger else ' alone'}"
        made.add_row(name, count(info.parameters), size, info.description)
    yield made
    yield Text("\nParameters at 3 channels and 100 classes. Also torchvision:NAME, and timm:NAME where timm is installed.")
    yield Text("kd list models NAME tells a network's stages, and its tensors by name and shape.")


def datasets() -> Iterator[RenderableType]:
    made = table(
        "data set", "classes", "image", "training images", "", right=["classes", "training images"], whole=["data set"]
    )
    for name, info in DATASETS.items():
        stated = [f"{info.classes:,}", f"{info.channels}×{info.size}×{info.size}", f"{info.train:,}"]
        made.add_row(name, *(stated if info.size else ["as stated"] * 3), info.description)
    yield made


def published(dataset: str | None, student: str | None, method: str | None) -> Iterator[RenderableType]:
    """Published rows, and where they are from.

    Raises:
        typer.BadParameter: where there are none of a data set, student or method.
    """
    rows = ledger()
    for name, asked in (("dataset", dataset), ("student", student), ("method", method)):
        known = dict.fromkeys(getattr(row, name) for row in rows)
        if asked is not None and asked not in known:
            raise typer.BadParameter(f"no published number of the {name} {asked!r}{suggestion(asked, tuple(known))}")
        rows = tuple(row for row in rows if asked in (None, getattr(row, name)))
    sources = list(dict.fromkeys(row.source for row in rows))
    made = table("data set", "teacher", "student", "method", "top-1", "protocol", "source", right=["top-1", "source"])
    for row in rows:
        cited = str(sources.index(row.source) + 1)
        made.add_row(row.dataset, row.teacher or "–", row.student, row.method, f"{row.top1:.2f}", row.protocol, cited)
    yield made
    yield Text(f"\nTop-1 accuracy on the test split in %: {CHOSEN_ON_TEST}.")
    for number, source in enumerate(sources, 1):
        yield Text(f"[{number}] {source}")
    for name in dict.fromkeys(row.protocol for row in rows):
        yield Text(f"{name}: {PROTOCOLS[name].description} ({PROTOCOLS[name].source})")


def methods() -> Iterator[RenderableType]:
    made = table("method", "teachers say", "", whole=["method"])
    for name, kind in METHODS.items():
        needs = ", ".join(sorted(need.value for need in kind.needs(kind.Config())))
        made.add_row(name, needs or "–", prose(kind).partition("\n\n")[0].replace("\n", " "))
    yield made
    yield Text("\nkd list methods NAME tells a method's formula and knobs.")


def method(name: str) -> Iterator[RenderableType]:
    """Citation and formula as its file has them, then its knobs.

    Raises:
        typer.BadParameter: for a name that is not in METHODS.
    """
    if name not in METHODS:
        raise typer.BadParameter(f"no method {name!r}{suggestion(name, METHODS)}")
    kind = METHODS[name]
    yield Text(prose(kind))
    yield Text()
    yield knobs_table(kind.Config) if dataclasses.fields(kind.Config) else Text("It has no knobs.")


def evaluations() -> Iterator[RenderableType]:
    made = table("evaluation", "numbers", "", whole=["evaluation"])
    for name, kind in EVALUATIONS.items():
        made.add_row(name, ", ".join(kind.numbers(kind.Config())), prose(kind).partition("\n\n")[0].replace("\n", " "))
    yield made
    yield Text("\nkd list evaluations NAME tells an evaluation's knobs. Claims name a number as EVALUATION.NUMBER.")


def evaluation(name: str) -> Iterator[RenderableType]:
    """What its file says, its numbers and its knobs.

    Raises:
        typer.BadParameter: for a name that is not in EVALUATIONS.
    """
    if name not in EVALUATIONS:
        raise typer.BadParameter(f"no evaluation {name!r}{suggestion(name, EVALUATIONS)}")
    kind = EVALUATIONS[name]
    yield Text(prose(kind))
    less = [f"{number} (less is better)" if number in kind.less_is_better else number for number in kind.numbers(kind.Config())]
    yield Text(f"\nNumbers: {', '.join(less)}\n")
    yield knobs_table(kind.Config)


def prose(kind: type[Method] | type[Evaluation]) -> str:
    """The docstring of the file that it is written in, its references as plain words."""
    text = inspect.cleandoc(sys.modules[kind.__module__].__doc__ or "")
    return re.sub(r":\w+:`[\w.]*?(\w+)`", r"`\1`", text).replace("``", "`")


def knobs_table(config: type[Knobs]) -> RenderableType:
    made = table("knob", "default", "allowed", "search", "", whole=["knob", "default"])
    for field in dataclasses.fields(config):
        bounds, search = field.metadata.get("bounds"), field.metadata.get("search")
        made.add_row(
            field.name,
            knob(written(field.default) if isinstance(field.default, Knobs) else canonical.plain(field.default)),
            str(bounds) if bounds else "",
            searched(search) if search else "",
            field.metadata.get("help", ""),
        )
    return made


def searched(distribution: Distribution) -> str:
    """loguniform 0.005 … 0.5"""
    if isinstance(distribution, Choice):
        return f"one of {', '.join(map(str, distribution.values))}"
    name = "log" if isinstance(distribution, LogUniform) else "integer" if isinstance(distribution, IntUniform) else "uniform"
    return f"{name} {distribution.low:g} … {distribution.high:g}"
