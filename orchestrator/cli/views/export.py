"""What `kd export` and `kd predict` say."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.jobs.visible import visible

if TYPE_CHECKING:
    from orchestrator.export.description import Description
    from orchestrator.export.predict import Answer


def exported(folder: Path, about: Description) -> str:
    """What was written, how good and large it is, and what to do next."""
    cost, found = about.cost, about.comparison
    assert cost
    timed = ", ".join(f"{milliseconds:.2f} ms for {size}" for size, milliseconds in cost.latency_ms.items())
    lines = [
        f"wrote {about.student} to {folder}/ ({about.file}, README.md, export.json)",
        f"test accuracy {100 * about.results['test_accuracy']:.2f} %, {cost.parameters:,} parameters, "
        f"{cost.multiplications / 1e6:.2f} M multiply-accumulates, {cost.bytes / 2**20:.2f} MiB; {timed} "
        f"images on {cost.threads} thread{'s' * (cost.threads != 1)}",
    ]
    if found:
        tested = "" if found.as_tested is None else f", and what it said when tested for {found.as_tested}"
        lines.append(
            f"compared on {found.images} test images: the same class as the original for {found.same_class}{tested}; "
            f"probabilities differ by {found.largest_difference:.1g} at most"
        )
    else:
        lines.append("not compared with the original (--check does)")
    return "\n".join([*map(visible, lines), f"Try it:  kd predict {folder} IMAGE…"])


def answers(found: Iterable[Answer]) -> str:
    """A line for each image."""
    rows = [(str(each.image), ", ".join(f"{name} {100 * share:.1f} %" for name, share in each.classes)) for each in found]
    width = max(len(name) for name, _ in rows)
    return "\n".join(visible(f"{name:<{width}}  {said}") for name, said in rows)
