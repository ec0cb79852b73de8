"""What a job's run says of itself to a reader."""

from __future__ import annotations

from orchestrator.jobs.job import Job
from orchestrator.planning.names import path_of
from orchestrator.store.entry import Entry


def note(job: Job, entry: Entry | None) -> str:
    """A few sentences in Markdown: what the job is, and what came of it."""
    lines = [f"**{path_of(job)}** ({job.title})."]
    if teachers := job.labels.get("teachers"):
        lines.append(f"Learns from {teachers}.")
    if entry and "test_accuracy" in entry.results:
        found = entry.results
        epoch = f" at epoch {found['chosen_epoch']} of {found['epochs']}" if "chosen_epoch" in found else ""
        lines.append(f"Test accuracy {100 * found['test_accuracy']:.2f} %{epoch}.")
    lines.append(f"Key `{job.key}`.")
    return "\n\n".join(lines)
