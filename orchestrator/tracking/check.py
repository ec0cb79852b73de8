"""Whether MLflow answers at an experiment's tracking place. Nothing is written there."""

from __future__ import annotations

from orchestrator.experiment.spec import Spec
from orchestrator.store.store import Store
from orchestrator.tracking.failure import TrackingError
from orchestrator.tracking.location import tracking_location
from orchestrator.tracking.server import connect, failures, settings


def check(spec: Spec) -> str:
    """What is there, in a few words.

    Raises:
        TrackingError: where nothing answers, or what answers cannot be used.
    """
    location = tracking_location(spec, Store(spec.store))
    if location.file and not location.file.exists():
        return f"{location.shown} will be made"
    try:
        with settings():
            connect(location).search_experiments(max_results=1)
    except failures() as error:
        first = next(iter(location.hide(str(error)).strip().splitlines()), type(error).__name__)
        raise TrackingError(f"{location.shown}: {first}") from None
    return f"{location.shown} answers"
