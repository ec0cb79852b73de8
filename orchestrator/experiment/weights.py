"""How a teacher's given weights are written: a path to a file, or for torchvision's models a name such as IMAGENET1K_V1."""

from __future__ import annotations

from pathlib import Path, PurePath
from typing import Any, cast

from pydantic import GetCoreSchemaHandler, ValidationInfo
from pydantic_core import CoreSchema, core_schema

from orchestrator.experiment.names import Context
from orchestrator.experiment.problems import InvalidValue, suggestion
from orchestrator.experiment.spec import Weights
from orchestrator.store.files import sha256

FILES = (".safetensors", ".pth", ".pt")
OTHERS = "are for one teacher; give a group of its own to each"


class FromPlace:
    """``Weights | None``, written as a path or a name, beside the group's ``models`` and ``seeds``."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        text = core_schema.str_schema(min_length=1)
        return core_schema.nullable_schema(core_schema.with_info_after_validator_function(given, text))


def given(text: str, info: ValidationInfo) -> Weights:
    """The weights of the group's only teacher.

    Raises:
        InvalidValue: where there are several teachers, or no such weights, or those of torchvision are for other classes.
    """
    models, seeds = info.data.get("models", ()), info.data.get("seeds", ())
    if len(models) > 1 or len(seeds) > 1:
        raise InvalidValue(OTHERS)
    library, _, _ = models[0].rpartition(":") if models else ("", "", "")
    if library == "torchvision" and "/" not in text and PurePath(text).suffix not in FILES:
        return _named(models[0], text, cast(Context, info.context))
    path = Path(text)
    if path.suffix not in FILES:
        raise InvalidValue(
            f"must be a file that ends in {', '.join(FILES)}, or the name of weights of torchvision, but got {text!r}"
        )
    context = cast(Context, info.context)
    for place in dict.fromkeys((path, context.folder / path)):
        try:
            return Weights(file=str(place), sha256=sha256(place), written=text)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise InvalidValue(f"cannot be read: {error.strerror}: {place}") from None
    if known := context.known_weights(text):
        return Weights(file=text, sha256=known, written=text)
    beside = "" if path.is_absolute() or context.folder == Path() else f" (nor {context.folder / path})"
    raise InvalidValue(f"no such file: {text}{beside}")


def _named(model: str, name: str, context: Context) -> Weights:
    from kd_core.models.weights import names_published  # imports torchvision

    known = names_published(model)
    if name not in known:
        hint = suggestion(name, known) or f" (there are: {', '.join(known)})"
        raise InvalidValue(f"{model} has no weights named {name!r}{hint}")
    if context.data and known[name] != context.data.info.classes:
        raise InvalidValue(f"{name} is for {known[name]:,} classes, but {context.data.name} has {context.data.info.classes:,}")
    return Weights(name=name)
