"""What the results of an entry hold at least, by its kind, and what is checked of them when a manifest is read."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

Accuracy = Annotated[float, msgspec.Meta(ge=0, le=1)]
Count = Annotated[int, msgspec.Meta(ge=0)]
Size = Annotated[int, msgspec.Meta(ge=1)]


class Shape(msgspec.Struct):
    """Of what a network says of an image."""

    stages: list[Annotated[list[Size], msgspec.Meta(min_length=2, max_length=3)]]  # (C, H, W) of maps, (P, D) of tokens
    embedding: Size
    classes: Size


class Fitted(msgspec.Struct, kw_only=True):
    """Of what is trained."""

    validation_accuracy_last: Accuracy = 0
    chosen_epoch: Size = 1
    epochs: Size = 1
    device: str = ""


class Tried(Fitted, kw_only=True):
    """Of a trial of a search."""

    validation_accuracy: Accuracy


class Trained(Fitted, kw_only=True):
    """Of a teacher or a student. A teacher whose weights were given has no epochs; without a validation split nothing is
    validated."""

    validation_accuracy: Accuracy = 0
    test_accuracy: Accuracy
    shape: Shape
    test_accuracy_last: Accuracy = 0
    test_accuracy_best: Accuracy = 0
    test_loss: float = 0
    test_brier: Annotated[float, msgspec.Meta(ge=0, le=2)] = 0
    test_top5: Accuracy = 0
    parameters: Count = 0
    multiplications: Count = 0  # in a forward pass of an image; older entries do not know it


class Searched(msgspec.Struct):
    """Of a search: the values that won, and the number of their trial."""

    chosen: dict[str, Any]
    trial: Count = 0
    validation_accuracy: Accuracy = 0
    validation_accuracy_default: Accuracy = 0
    trials: Count = 0
    stopped: Count = 0
    failed: Count = 0


class Analysed(msgspec.Struct):
    """Of MGD's analyser."""

    epochs: Size = 1
    parameters: Count = 0
    device: str = ""


class Banked(msgspec.Struct):
    """Of a knowledge bank."""

    views: Size
    images: Size
    bytes: Count


FORMS: dict[str, Any] = {
    "teacher": Trained,
    "student": Trained,
    "trial": Tried,
    "search": Searched,
    "analysis": Analysed,
    "bank": Banked,
    "probe": Annotated[dict[str, Accuracy], msgspec.Meta(min_length=1)],  # of each layer, on the validation split
    "evaluation": Annotated[dict[str, float], msgspec.Meta(min_length=1)],
}


def check(kind: str, results: dict[str, Any]) -> None:
    """Whether results are such as jobs of the kind leave; of a kind that is not in :data:`FORMS`, any are.

    Raises:
        msgspec.ValidationError: where they are not, with the field.
    """
    msgspec.convert(results, FORMS.get(kind, dict[str, Any]))
