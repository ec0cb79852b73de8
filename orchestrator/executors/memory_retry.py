"""What is done about a job whose part of a GPU was too small: it gets a larger one."""

from __future__ import annotations

from dataclasses import replace

from orchestrator.stages.runner import Runtime

TIMES = 2  # so often at most


def larger_allocation(runtime: Runtime) -> Runtime | None:
    """The runtime with twice the allocation, one GPU at most; None where a whole one was too small, or two were larger already.

    The job goes on from its checkpoint there. Processes in which a job ran out of memory are better not used again.
    """
    if not 0 < runtime.gpus < 1 or len(runtime.too_small) == TIMES:
        return None
    return replace(runtime, gpus=min(1.0, 2 * runtime.gpus), too_small=(*runtime.too_small, runtime.gpus))
