"""The artifacts of an experiment's run: its report, and what its probes found."""

from __future__ import annotations

from pathlib import Path

import pyarrow.csv

from orchestrator.experiment.spec import Spec
from orchestrator.planning.plan import Plan
from orchestrator.store.arrow import write_table
from orchestrator.store.artifacts import PROBES
from orchestrator.store.store import Store


def attach(spec: Spec, plan: Plan, store: Store, folder: Path) -> None:
    """Write report.md, report.html, results.csv and the report's figures as PNG, and where a teacher was probed probes.arrow,
    probes.csv and probes.png."""
    from orchestrator.report.data.reading import Reading
    from orchestrator.report.data.results import probes
    from orchestrator.report.figures.plots import heat_map
    from orchestrator.report.text.origin import Origin
    from orchestrator.report.text.render import write, write_figures

    reading = Reading(plan, store)
    for name, format in {"report.md": "md", "report.html": "html", "results.csv": "csv"}.items():
        write(reading, format, folder / name, Origin.of(spec))
    write_figures(reading, folder, formats=("png",))
    if table := probes(reading):
        write_table(table, folder / PROBES.name)
        pyarrow.csv.write_csv(table, folder / "probes.csv")
        heat_map(table, folder / "probes.png")
