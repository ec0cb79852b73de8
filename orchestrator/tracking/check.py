"""Whether MLflow answers at an experiment's tracking place. Nothing is written there."""

from __future__ import annotations

from orchestrator.experiment.spec import Spec
from orchestrator.store.store import Store
from orchestrator.tracking.failure import TrackingError
from orchestrator.tracking.location import place_of
from orchestrator.tracking.server import connect, failures, settings


def check(spec: Spec) -> str:
    """What is there, in a few words.

    Raises:
        TrackingError: where nothing answers, or what answers cannot be used.
    """
    place = place_of(spec, Store(spec.store))
    if place.file and not place.file.exists():
        return f"{place.shown} will be made"
    try:
        with settings():
            connect(place).search_experiments(max_results=1)
    except failures() as error:
        first = next(iter(place.hide(str(error)).strip().splitlines()), type(error).__name__)
        raise TrackingError(f"{place.shown}: {first}") from None
    return f"{place.shown} answers"
