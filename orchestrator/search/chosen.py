"""What a search chose, put in the place of the defaults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.experiment.space import applied
from orchestrator.store.store import Store


def searched(
    config: dict[str, object], parents: Mapping[str, list[str]], store: Store
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The config with the values that the search among the parents chose, and these values; without a search, as it is."""
    if "searches" not in parents:
        return config, {}
    [key] = parents["searches"]
    chosen = store.entry("search", key).results["chosen"]
    return applied(config, chosen), chosen
