"""The driver's variables that Tune hands to its workers: `ray.tune.execution.class_cache.ENV_VARS_TO_PROPAGATE`.

AWS keys are among them. Tune puts them into the workers' arguments, where everybody on a machine sees them. Tested with Ray
2.60.0. Where a later Ray has no such set, we do not know where it puts the keys, and refuse to go on.
"""

from __future__ import annotations

from ray.tune.execution import class_cache

SET = "ENV_VARS_TO_PROPAGATE"
CREDENTIALS = "AWS_"  # how the names of such variables begin


def withhold_credentials() -> None:
    """Have Tune pass on no AWS keys. Workers have their own: those of their node.

    Raises:
        RuntimeError: where this Ray has no such set.
    """
    propagated = getattr(class_cache, SET, None)
    if not isinstance(propagated, set):
        raise RuntimeError(f"Ray Tune may show AWS keys in its workers' arguments: it has no {class_cache.__name__}.{SET}")
    propagated -= {name for name in propagated if name.startswith(CREDENTIALS)}
