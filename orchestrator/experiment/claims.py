"""How claims are written: ``{claim: GPAC beats AVER, better: gpac, than: aver, by: robustness.accuracy@0.1}``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pydantic import Field

from kd_core.evaluation.table import EVALUATIONS
from orchestrator.experiment.derive import Section
from orchestrator.experiment.names import Label, Text
from orchestrator.experiment.problems import InvalidValue, Path, Problem, dotted, suggestion
from orchestrator.experiment.spec import TEST, Claim, EvaluationSpec
from orchestrator.experiment.yaml_lines import Document


class ClaimSection(Section):
    """That one method beats another."""

    claim: Label | None = Field(default=None, description="in words; default: made from the methods")
    better: Text = Field(description="a method, by its label, or by its name where only one method bears it")
    than: Text = Field(description="the method that it is compared with, seed by seed")
    by: Text = Field(default=TEST, description="test accuracy, or a number of an evaluation, as robustness.accuracy@0.1")


@dataclass(frozen=True)
class Candidate:
    """What a claim may be about: the students of one cell."""

    label: str  # the method's, in full: kd ← resnet20-s0
    name: str  # the label without what was added to it: kd
    setting: str  # model and recipe, which those that are compared share
    seeds: tuple[int, ...]


def numbers(evaluations: Iterable[EvaluationSpec]) -> tuple[str, ...]:
    """What students can be compared by."""
    asked = (f"{each.name}.{name}" for each in evaluations for name in EVALUATIONS[each.name].numbers(each.config))
    return (TEST, *asked)


def settle(
    written: Sequence[ClaimSection], candidates: Sequence[Candidate], known: Sequence[str], document: Document
) -> tuple[tuple[Claim, ...], list[Problem]]:
    """The claims, with the full labels of their methods, and what is wrong with the others. ``known`` are the numbers."""
    claims: dict[tuple[str, str, str], tuple[Claim, Path]] = {}
    problems: list[Problem] = []

    def check(index: int, section: ClaimSection) -> None:
        place: Path = ("claims", index)
        sides = {}
        for field in ("better", "than"):
            try:
                sides[field] = full_label(getattr(section, field), candidates)
            except InvalidValue as error:
                complain((*place, field), str(error))
        if section.by not in known:
            hint = suggestion(section.by, known) or f" (there are: {', '.join(known)})"
            complain((*place, "by"), f"no number {section.by!r} is measured{hint}")
        if len(sides) < 2:
            return
        better, than = sides["better"], sides["than"]
        _, first = claims.setdefault(
            (better, than, section.by), (Claim(section.claim or f"{better} beats {than}", better, than, section.by), place)
        )
        if better == than:
            complain((*place, "than"), f"is {better!r} itself")
        elif first != place:
            complain(place, f"compares the same as {dotted(first)} ({document.location(first)})")
        elif not comparable(better, than, candidates):
            complain(place, f"{better!r} and {than!r} share no student model, recipe and seed")

    def complain(path: Path, message: str) -> None:
        there = document.nearest(path)
        problems.append(Problem(document.location(there), there, message))

    for index, section in enumerate(written):
        check(index, section)
    return tuple(claim for claim, _ in claims.values()), problems


def full_label(word: str, candidates: Iterable[Candidate]) -> str:
    """The label that is meant.

    Raises:
        InvalidValue: where there is none, or the word is the name of several.
    """
    labels = tuple(dict.fromkeys(each.label for each in candidates))
    named = tuple(dict.fromkeys(each.label for each in candidates if each.name == word))
    if word in labels:
        return word
    if not named:
        hint = suggestion(word, [*labels, *(each.name for each in candidates)]) or f" (there are: {', '.join(labels)})"
        raise InvalidValue(f"no method of the students is called {word!r}{hint}")
    if len(named) > 1:
        raise InvalidValue(f"{word!r} may be {', '.join(map(repr, named))}: write one of these")
    return named[0]


def comparable(better: str, than: str, candidates: Iterable[Candidate]) -> bool:
    """Whether two methods share a seed of a setting."""
    done: dict[str, set[tuple[str, int]]] = {better: set(), than: set()}
    for each in candidates:
        if each.label in done:
            done[each.label].update((each.setting, seed) for seed in each.seeds)
    return not done[better].isdisjoint(done[than])
