"""``protocol: NAME``: what a file leaves out is filled with what a literature uses.

Of the data before the file is validated; of recipes and knobs, which hang on the student's and the teacher's model, where the
grid is multiplied out. What the file says itself stays.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import fields, replace
from typing import Any

from kd_core.data.table import DATASETS, DataConfig
from kd_core.knobs import Knobs
from kd_core.published.ledger import PROTOCOLS, Protocol, method_key
from kd_core.recipe import Recipe
from orchestrator.experiment.overrides import put
from orchestrator.experiment.problems import Path, SourceLocation
from orchestrator.experiment.yaml_lines import Document
from orchestrator.jobs.canonical import plain


def fill_data(document: Document) -> None:
    """Put the protocol's settings of the data where the file has none. What there is not is told when it is validated."""
    name, data = document.data.get("protocol"), document.data.get("data")
    known = isinstance(name, str) and name in PROTOCOLS
    if not known or not isinstance(data, dict) or not isinstance(dataset := data.get("name"), str) or dataset not in DATASETS:
        return
    wanted = PROTOCOLS[name].data(dataset)
    for field in fields(DataConfig):
        value = getattr(wanted, field.name)
        if field.name != "name" and field.name not in data and value != field.default:
            put(document, ["data", field.name], value, SourceLocation(f"protocol {name}"))


def with_recipe(published: Recipe, recipe: Recipe, written: Collection[str]) -> Recipe:
    """The published recipe, but for what the file writes."""
    return replace(published, **{name: getattr(recipe, name) for name in written})


def with_knobs(protocol: Protocol, name: str, config: Knobs, written: Collection[str], pair: tuple[str, str]) -> Knobs:
    """A method's config, with what the protocol has for a (teacher's, student's model) and the file does not write.

    Raises:
        ValueError: where the method is tuned by pair, the protocol does not know this one, and the file does not say either.
    """
    key = method_key(name, plain(config))
    found = protocol.knobs_of(key, *pair)
    if found is None and set(protocol.tuned[key]) & set(written):
        found = protocol.common.get(key, {})
    if found is not None:
        return replace(config, **{knob: value for knob, value in found.items() if knob not in written})
    named = ", ".join(f"`{knob}`" for knob in protocol.tuned[key])
    raise ValueError(
        f"{name} was tuned by pair, and for {pair[0]} → {pair[1]} its published knobs are not known here; write {named}, the "
        "defaults at least"
    )


def written_at(document: Document, path: Path) -> Collection[str]:
    """The names that a section of the file holds; none where it is not there, or no section. A group alone is the first."""
    here: Any = document.data
    for part in path:
        if isinstance(part, int):
            here = here[part] if isinstance(here, list) and part < len(here) else here
        else:
            here = here.get(part) if isinstance(here, Mapping) else None
    return tuple(here) if isinstance(here, Mapping) else ()
