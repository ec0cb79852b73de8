"""What each job of an experiment finds where it runs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from kd_core.data.place import Place
from orchestrator.experiment.spec import Resources, Spec
from orchestrator.jobs.job import Job
from orchestrator.stages.runner import Runtime


@dataclass(frozen=True)
class Runtimes:
    """Gives jobs their :class:`Runtime`. It can be pickled, for executors that work in a process of their own."""

    store: str  # an absolute path or a URI
    resources: Resources
    place: Place  # of the data
    weights: dict[str, Path]  # by the SHA-256 of their content

    @classmethod
    def of(cls, spec: Spec, store: str) -> Runtimes:
        """Those of an experiment whose results go to the store at that location."""
        given = [teacher.weights for teacher in spec.teachers if teacher.weights]
        weights = {weights.sha256: Path(weights.file).absolute() for weights in given if weights.sha256 and weights.file}
        return cls(store, spec.resources, replace(spec.place.absolute(), download=False), weights)

    def __call__(self, job: Job) -> Runtime:
        allocation = self.resources.of(job.kind)
        return Runtime(
            store=self.store,
            place=self.place,
            weights=self.weights_of(job),
            cpus=allocation.cpus,
            gpus=allocation.gpus,
            compile=self.resources.compile,
            deterministic=self.resources.deterministic,
            measured=self.resources.system_metrics,
        )

    def weights_of(self, job: Job) -> Path | None:
        """Where the file lies whose content the job's config names."""
        return self.weights.get(job.config.get("weights", {}).get("sha256", ""))
