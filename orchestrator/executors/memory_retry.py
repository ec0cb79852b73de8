"""What is done about a job whose share of a GPU was too small: it gets a larger one."""

from __future__ import annotations

from dataclasses import replace

from orchestrator.stages.runner import Place

TIMES = 2  # so often at most


def larger(place: Place) -> Place | None:
    """The place with twice the share, one GPU at most; None where a whole one was too small, or there were two larger already.

    The job goes on from its checkpoint there. Processes in which a job ran out of memory are better not used again.
    """
    if not 0 < place.gpus < 1 or len(place.too_small) == TIMES:
        return None
    return replace(place, gpus=min(1.0, 2 * place.gpus), too_small=(*place.too_small, place.gpus))
